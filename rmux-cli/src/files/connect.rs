//! Sessions with the hosts that are named, and the flags of ssh(1) that say how they are reached.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rmux_core::{Config, ConfigFile, Error, ErrorKind, Files, MatchExec, Pool, SessionEvent};

use crate::log::{self, Level};
use crate::message;
use crate::prompt::Asking;

/// How long servers are given to hear that it is over.
const GOODBYE: Duration = Duration::from_millis(500);

/// The flags of ssh(1) that say how a host is reached, for all hosts.
#[derive(Debug, clap::Args)]
pub(super) struct Connection {
    /// Connect by IPv4 only
    #[arg(short = '4', conflicts_with = "ipv6")]
    ipv4: bool,
    /// Connect by IPv6 only
    #[arg(short = '6')]
    ipv6: bool,
    /// Compress what is sent
    #[arg(short = 'C')]
    compress: bool,
    /// Offer these ciphers, best first
    #[arg(short = 'c', value_name = "CIPHERS")]
    ciphers: Option<String>,
    /// Read this configuration instead of ~/.ssh/config; "none" reads none
    #[arg(short = 'F', value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Try this private key; may be given several times
    #[arg(short = 'i', value_name = "FILE")]
    identity: Vec<OsString>,
    /// Go through these hosts, separated by commas
    #[arg(short = 'J', value_name = "HOSTS")]
    jump: Option<String>,
    /// A setting as in ssh_config(5), which wins over the files
    #[arg(short = 'o', value_name = "KEY=VALUE")]
    option: Vec<OsString>,
    /// Connect to this port
    #[arg(short = 'P', value_name = "PORT")]
    port: Option<u16>,
    /// Print no warnings, no errors and no progress
    #[arg(short = 'q')]
    quiet: bool,
    /// Tell what happens; -vv and -vvv tell more
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    verbose: u8,
}

impl Connection {
    pub(super) fn level(&self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Quiet,
            (_, 0) => Level::Info,
            (_, 1) => Level::Debug1,
            (_, 2) => Level::Debug2,
            _ => Level::Debug3,
        }
    }

    fn config(&self) -> Config {
        let mut config = Config::new()
            .config_file(match &self.config_file {
                None => ConfigFile::default(),
                Some(path) if path.as_os_str().eq_ignore_ascii_case("none") => ConfigFile::None,
                Some(path) => ConfigFile::Path(path.clone()),
            })
            // As ssh: who names a file with -F vouches for it.
            .match_exec(MatchExec::Always);
        for (given, flag) in [(self.ipv4, '4'), (self.ipv6, '6'), (self.compress, 'C')] {
            if given {
                config = config.flag(flag);
            }
        }
        let port = self.port.map(|port| port.to_string());
        for (value, flag) in [(&self.ciphers, 'c'), (&self.jump, 'J'), (&port, 'p')] {
            if let Some(value) = value {
                config = config.flag_with(flag, value);
            }
        }
        for (values, flag) in [(&self.identity, 'i'), (&self.option, 'o')] {
            for value in values {
                config = config.flag_with(flag, value);
            }
        }
        config.on_event(|event| tell(&event))
    }
}

/// Tells a person of an event of a session.
fn tell(event: &SessionEvent) {
    match event {
        SessionEvent::Banner { text } if log::shows(Level::Info) => message::text(text),
        SessionEvent::Connecting { host } => {
            message::note(format_args!(
                "connecting to {}: {}@{} port {}",
                host.name, host.user, host.hostname, host.port
            ));
        }
        SessionEvent::Authenticated { user, method } => {
            message::result(format_args!("logged in as {user} by {method}"));
        }
        _ => {}
    }
}

/// The hosts of a command line, each connected to once.
pub(super) struct Hosts {
    pool: Pool,
}

impl Hosts {
    pub(super) fn new(connection: &Connection) -> Self {
        let mut config = connection.config();
        if let Some(asking) = Asking::new() {
            config = config.prompter(Arc::new(asking));
        }
        let pool = Pool::new(config);
        Self { pool }
    }

    /// The files of a host.
    pub(super) async fn files(&self, destination: &str) -> Result<Files, Error> {
        Ok(self.pool.session(destination).await?.files())
    }

    /// Waits a moment until the servers have done what they were asked for.
    pub(super) async fn settle(&self) {
        for session in self.pool.sessions() {
            // Requests are answered in order.
            let _ = tokio::time::timeout(GOODBYE, session.files().exists(".")).await;
        }
        self.close().await;
    }

    /// Closes all connections.
    pub(super) async fn close(&self) {
        let _ = tokio::time::timeout(GOODBYE, self.pool.close()).await;
    }
}

/// Whether it is an error of connecting to a host, and not of what was to be done there.
pub(super) fn is_of_connecting(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConfigInvalid
            | ErrorKind::HostKeyUnknown
            | ErrorKind::HostKeyChanged
            | ErrorKind::HostKeyRevoked
            | ErrorKind::AuthFailed
            | ErrorKind::ConnectFailed
            | ErrorKind::TimedOut
            | ErrorKind::Disconnected
            | ErrorKind::Closed
            | ErrorKind::Cancelled
    )
}
