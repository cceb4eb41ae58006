//! Servers that agree upon one host key algorithm and prove themselves by another are believed by
//! nobody.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rmux_core::{Config, ConfigFile, Error, ErrorKind, Session};
use rmux_testkit::agent::Agent;
use tokio::net::TcpListener;

use super::liar::{Claim, lie};
use super::setup::Keys;
use crate::fixture::within;

/// Keys of three types, all of them known, and an authority that vouches for them.
struct Setting {
    keys: Keys,
    agent: Agent,
    known: PathBuf,
}

impl Setting {
    fn new() -> Self {
        let (keys, agent) = (Keys::new(), Agent::start());
        keys.make("ca", "ed25519");
        let mut known = format!("@cert-authority box {}\n", keys.public("ca"));
        for kind in ["rsa", "ed25519", "ecdsa"] {
            agent.add(&keys.make(kind, kind));
            keys.sign("ca", kind, &["-h", "-n", "box"]);
            known += &format!("box {}\n", keys.public(kind));
        }
        let known = keys.write("known", known);
        Self { keys, agent, known }
    }

    /// How a client fares with such a server, and whether it went on to log in.
    async fn meets(
        &self,
        first: Claim,
        again: Option<Claim>,
        accepts: Option<&str>,
    ) -> (Error, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = config(&self.known).port(listener.local_addr().unwrap().port());
        if let Some(accepts) = accepts {
            config = config.option("HostKeyAlgorithms", accepts);
        }
        let serving = lie(listener, &self.keys, &self.agent, first, again);
        let connecting = Session::connect("127.0.0.1", config);
        let both = async { futures_util::join!(connecting, serving) };
        let (connected, logs_in) = within(Duration::from_secs(30), "both", both).await;
        // Where it wants to log in, the server hangs up.
        (connected.expect_err("nobody can be let in"), logs_in)
    }
}

fn config(known: &Path) -> Config {
    Config::new()
        .config_file(ConfigFile::None)
        .connect_timeout(Duration::from_secs(10))
        .option("IdentityAgent", "none")
        .option("HostKeyAlias", "box")
        .option("UserKnownHostsFile", known.display().to_string())
}

const fn claim(offers: &'static str, shows: &'static str, signs: &'static str) -> Claim {
    Claim {
        offers,
        shows,
        signs,
    }
}

const ED25519: Claim = claim("ssh-ed25519", "ed25519", "");
const ECDSA: Claim = claim("ecdsa-sha2-nistp256", "ecdsa", "");
const RSA_CERTIFICATE: &str = "rsa-sha2-512-cert-v01@openssh.com";
const ED25519_CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com";

#[tokio::test]
async fn a_server_must_prove_itself_by_what_was_agreed_upon() {
    let setting = Setting::new();
    for (lie, accepts) in [
        (claim("ssh-ed25519", "rsa", "rsa-sha2-512"), None),
        (
            claim("ssh-ed25519", "rsa", "rsa-sha2-512"),
            Some("ssh-ed25519"),
        ),
        (claim("ssh-ed25519", "ecdsa", ""), None),
        (claim("ecdsa-sha2-nistp256", "ed25519", ""), None),
        (claim("rsa-sha2-512", "rsa", "ssh-rsa"), None),
        (claim("rsa-sha2-512", "rsa", "rsa-sha2-256"), None),
        (
            claim("rsa-sha2-256", "rsa", "ssh-rsa"),
            Some("rsa-sha2-256"),
        ),
        (claim(ED25519_CERTIFICATE, "ecdsa-cert", ""), None),
        (claim(RSA_CERTIFICATE, "ed25519-cert", ""), None),
        (claim(RSA_CERTIFICATE, "rsa-cert", "ssh-rsa"), None),
        (claim(RSA_CERTIFICATE, "rsa-cert", "rsa-sha2-256"), None),
    ] {
        let (error, logs_in) = setting.meets(lie, None, accepts).await;
        let kind = ErrorKind::ProtocolViolation;
        assert_eq!(error.kind(), kind, "{lie:?}: {error}");
        assert!(error.to_string().contains("agreed upon"), "{error}");
        assert_eq!(error.host(), Some("127.0.0.1"));
        assert!(!logs_in, "{lie:?}");
    }
    // The engine itself knows a certificate from a key.
    for lie in [
        claim(ED25519_CERTIFICATE, "ed25519", ""),
        claim("ssh-ed25519", "ed25519-cert", ""),
        claim(RSA_CERTIFICATE, "rsa", "rsa-sha2-512"),
        claim("rsa-sha2-512", "rsa-cert", "rsa-sha2-512"),
    ] {
        let (error, logs_in) = setting.meets(lie, None, None).await;
        assert_eq!(error.kind(), ErrorKind::ConnectFailed, "{lie:?}: {error}");
        assert!(!logs_in, "{lie:?}");
    }
    for (truth, accepts) in [
        (ED25519, None),
        (ECDSA, None),
        (claim("rsa-sha2-512", "rsa", "rsa-sha2-512"), None),
        (claim("rsa-sha2-256", "rsa", "rsa-sha2-256"), None),
        (claim("ssh-rsa", "rsa", "ssh-rsa"), Some("ssh-rsa")),
        (claim(ED25519_CERTIFICATE, "ed25519-cert", ""), None),
        (claim(RSA_CERTIFICATE, "rsa-cert", "rsa-sha2-512"), None),
    ] {
        let (error, logs_in) = setting.meets(truth, None, accepts).await;
        assert!(logs_in, "{truth:?}: {error}");
    }
}

#[tokio::test]
async fn and_when_the_keys_are_renewed() {
    let setting = Setting::new();
    let (error, logs_in) = setting.meets(ED25519, Some(ECDSA), None).await;
    assert!(error.to_string().contains("agreed upon"), "{error}");
    assert!(!logs_in);
    let (error, logs_in) = setting.meets(ECDSA, Some(ECDSA), None).await;
    assert!(logs_in, "{error}");
}
