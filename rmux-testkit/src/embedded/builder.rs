//! Settings of an embedded server.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};
use russh::{Limits, MethodKind, MethodSet, Preferred, SshId, cipher};

use crate::sshd::current_user;

/// One round of a keyboard-interactive login: what is asked, and the answers that are right.
/// A round without prompts only shows its text.
///
/// RFC 4256, section 3.2.
#[derive(Clone, Default)]
pub struct Round {
    pub(super) name: String,
    pub(super) instructions: String,
    pub(super) prompts: Vec<(Cow<'static, str>, bool)>,
    pub(super) answers: Vec<String>,
}

impl Round {
    /// A round with this name and instructions (both may be empty) and no prompts yet.
    pub fn new(name: &str, instructions: &str) -> Self {
        Self {
            name: name.to_owned(),
            instructions: instructions.to_owned(),
            ..Self::default()
        }
    }

    /// Adds a prompt whose answer is typed unseen.
    pub fn secret(self, prompt: &str, answer: &str) -> Self {
        self.prompt(prompt, answer, false)
    }

    /// Adds a prompt whose answer is echoed.
    pub fn echoed(self, prompt: &str, answer: &str) -> Self {
        self.prompt(prompt, answer, true)
    }

    fn prompt(mut self, prompt: &str, answer: &str, echo: bool) -> Self {
        self.prompts.push((Cow::Owned(prompt.to_owned()), echo));
        self.answers.push(answer.to_owned());
        self
    }
}

impl std::fmt::Debug for Round {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Round")
            .field("prompts", &self.prompts)
            .finish_non_exhaustive()
    }
}

/// Settings of an [`EmbeddedServer`](super::EmbeddedServer).
#[must_use = "nothing runs until start() is called"]
pub struct EmbeddedServerBuilder {
    listen: SocketAddr,
    keys: Vec<String>,
    settings: Settings,
}

/// What a connection needs to know.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) user: String,
    pub(super) keys: Vec<PublicKey>,
    pub(super) password: Option<String>,
    pub(super) rounds: Vec<Round>,
    pub(super) banner: Option<String>,
    pub(super) accept_env: Vec<String>,
    pub(super) shell: PathBuf,
    pub(super) home: PathBuf,
    pub(super) max_sessions: usize,
    max_auth_attempts: usize,
    /// Whether each method has to succeed.
    pub(super) in_steps: bool,
    /// Whether every command makes the server open a channel to the client's agent.
    pub(super) asks_agent: bool,
    /// How long the answer to a request for a session channel is kept back.
    pub(super) opens_late: Duration,
    /// Whether nothing that is asked of a channel is answered.
    pub(super) mute: bool,
}

impl Default for EmbeddedServerBuilder {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            keys: Vec::new(),
            settings: Settings {
                user: current_user().to_owned(),
                keys: Vec::new(),
                password: None,
                rounds: Vec::new(),
                banner: None,
                accept_env: Vec::new(),
                shell: variable("SHELL").unwrap_or_else(|| "/bin/sh".into()),
                home: variable("HOME").unwrap_or_else(|| "/".into()),
                max_sessions: 10,
                max_auth_attempts: 6,
                in_steps: false,
                asks_agent: false,
                opens_late: Duration::ZERO,
                mute: false,
            },
        }
    }
}

impl EmbeddedServerBuilder {
    /// The address to listen on. Default: a free port of `127.0.0.1`.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = addr;
        self
    }

    /// The user name that may log in; whatever it is, programs run as the current user.
    /// Default: the current user's name.
    pub fn user(mut self, name: &str) -> Self {
        self.settings.user = name.to_owned();
        self
    }

    /// Lets the owner of this key log in: a public key line. Repeatable.
    pub fn authorized_key(mut self, line: &str) -> Self {
        self.keys.push(line.to_owned());
        self
    }

    /// Lets whoever knows this password log in. Default: no passwords.
    pub fn password(mut self, password: &str) -> Self {
        self.settings.password = Some(password.to_owned());
        self
    }

    /// Lets whoever answers these rounds log in by keyboard-interactive. Default: none.
    pub fn keyboard_interactive(mut self, rounds: impl IntoIterator<Item = Round>) -> Self {
        self.settings.rounds = rounds.into_iter().collect();
        self
    }

    /// Text shown before the login.
    pub fn banner(mut self, text: &str) -> Self {
        self.settings.banner = Some(text.to_owned());
        self
    }

    /// Names of environment variables that clients may set, with `*` and `?` as wildcards.
    /// Repeatable. Default: none.
    pub fn accept_env(mut self, pattern: &str) -> Self {
        self.settings.accept_env.push(pattern.to_owned());
        self
    }

    /// The shell that runs commands, as `shell -c command`, and logins, as `shell -l`.
    /// Default: `$SHELL`, or `/bin/sh`.
    pub fn shell(mut self, path: impl AsRef<Path>) -> Self {
        self.settings.shell = path.as_ref().to_owned();
        self
    }

    /// The folder programs start in, and their `HOME`. Default: `$HOME`.
    pub fn home(mut self, path: impl AsRef<Path>) -> Self {
        self.settings.home = path.as_ref().to_owned();
        self
    }

    /// Session channels a connection may have open at once. Default: 10, as sshd's.
    pub fn max_sessions(mut self, count: usize) -> Self {
        self.settings.max_sessions = count;
        self
    }

    /// Failed logins after which the connection is closed. Default: 6, as sshd's.
    pub fn max_auth_attempts(mut self, count: usize) -> Self {
        self.settings.max_auth_attempts = count;
        self
    }

    /// Lets in who succeeds by every method that is set up: a key first, then the answers, then the
    /// password (`AuthenticationMethods publickey,keyboard-interactive,password`). Default: any
    /// one of them is enough.
    pub fn in_steps(mut self) -> Self {
        self.settings.in_steps = true;
        self
    }

    /// With every command, also opens a channel to the client's agent, whether the client forwards
    /// one or not, as a hostile server would. What came of it is counted:
    /// [`agent_channels`](super::EmbeddedServer::agent_channels).
    pub fn asks_agent(mut self) -> Self {
        self.settings.asks_agent = true;
        self
    }

    /// Grants each session channel so much later. Everything else is answered meanwhile, signs of life
    /// too, as by a server that is busy.
    pub fn opens_late(mut self, time: Duration) -> Self {
        self.settings.opens_late = time;
        self
    }

    /// Never answers what is asked of a channel: to run something, a terminal, a variable. Nothing is
    /// run. Everything else is answered, signs of life too.
    pub fn mute(mut self) -> Self {
        self.settings.mute = true;
        self
    }

    pub(super) fn finish(self) -> io::Result<(Settings, SocketAddr)> {
        let mut settings = self.settings;
        for line in &self.keys {
            let key = PublicKey::from_openssh(line).map_err(|error| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("authorized key: {error}"),
                )
            })?;
            settings.keys.push(key);
        }
        Ok((settings, self.listen))
    }
}

impl std::fmt::Debug for EmbeddedServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedServerBuilder")
            .field("listen", &self.listen)
            .field("user", &self.settings.user)
            .finish_non_exhaustive()
    }
}

impl Settings {
    pub(super) fn engine_config(&self, key: PrivateKey) -> russh::server::Config {
        russh::server::Config {
            server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-rmux_embedded")),
            methods: self.methods(),
            // Loopback, and attempts are counted: a delay would only slow the tests.
            auth_rejection_time: Duration::from_millis(20),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![key],
            max_auth_attempts: self.max_auth_attempts,
            // A rekey of ours would end a connection with much data under way.
            limits: Limits {
                rekey_write_limit: 1 << 36,
                rekey_read_limit: 1 << 36,
                rekey_time_limit: Duration::from_secs(24 * 3600),
            },
            inactivity_timeout: None,
            preferred: Preferred {
                // Only ciphers that are safe for that long with one key.
                cipher: Cow::Borrowed(&[
                    cipher::AES_256_GCM,
                    cipher::AES_256_CTR,
                    cipher::AES_192_CTR,
                    cipher::AES_128_CTR,
                ]),
                ..Preferred::default()
            },
            ..russh::server::Config::default()
        }
    }

    /// The ways to begin to log in.
    pub(super) fn methods(&self) -> MethodSet {
        let all = self.all_methods();
        let first = if self.in_steps { 1 } else { all.len() };
        MethodSet::from(&all[..first.min(all.len())])
    }

    /// Every method that is set up, in order.
    pub(super) fn all_methods(&self) -> MethodSet {
        let mut methods = MethodSet::empty();
        for (method, on) in [
            (MethodKind::PublicKey, !self.keys.is_empty()),
            (MethodKind::KeyboardInteractive, !self.rounds.is_empty()),
            (MethodKind::Password, self.password.is_some()),
        ] {
            if on {
                methods.push(method);
            }
        }
        methods
    }

    pub(super) fn accepts_env(&self, name: &str) -> bool {
        self.accept_env
            .iter()
            .any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.first(), name.first()) {
        (None, None) => true,
        (Some(b'*'), _) => {
            matches(&pattern[1..], name) || (!name.is_empty() && matches(pattern, &name[1..]))
        }
        (Some(b'?'), Some(_)) => matches(&pattern[1..], &name[1..]),
        (Some(a), Some(b)) if a == b => matches(&pattern[1..], &name[1..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("LANG", "LANG", true),
            ("LANG", "LANGUAGE", false),
            ("LC_*", "LC_ALL", true),
            ("LC_*", "LC_", true),
            ("*_A", "B_A_A", true),
            ("?", "", false),
            ("A?C", "ABC", true),
            ("", "A", false),
        ] {
            let found = matches(pattern.as_bytes(), name.as_bytes());
            assert_eq!(found, expected, "{pattern} {name}");
        }
    }
}
