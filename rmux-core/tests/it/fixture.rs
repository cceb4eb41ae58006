//! How the tests connect: to an sshd of their own, with its keys and nothing of the user's.

use rmux_core::{Config, ConfigFile, Session};
use rmux_testkit::sshd::Sshd;

/// Settings that know only the fixture.
pub(crate) fn config(sshd: &Sshd) -> Config {
    Config::new()
        .config_file(ConfigFile::None)
        .port(sshd.port())
        .user(sshd.user())
        .identity_file(sshd.client_key())
        .option("IdentityAgent", "none")
        .option(
            "UserKnownHostsFile",
            sshd.known_hosts().display().to_string(),
        )
        .option("GlobalKnownHostsFile", "none")
}

/// A session with the fixture.
pub(crate) async fn session(sshd: &Sshd) -> Session {
    Session::connect("127.0.0.1", config(sshd))
        .await
        .expect("the fixture lets us in")
}
