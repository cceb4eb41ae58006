//! How to connect: what a program sets beside, and above, the user's own `ssh_config`.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::event::SessionEvent;
use crate::prompt::{OpenQuestions, Prompter};
use crate::secret::Secret;

/// Times are added to the clock, so none may be without bound.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Which `ssh_config` to read.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ConfigFile {
    /// `~/.ssh/config`, then `/etc/ssh/ssh_config`, as `ssh` does.
    #[default]
    Default,
    /// No file at all, as `ssh -F none`.
    None,
    /// This file only, as `ssh -F file`.
    Path(PathBuf),
}

/// Whether the programs of `Match exec` may be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum MatchExec {
    /// Those that the user's own `~/.ssh/config` and the system's file name, as `ssh` runs them;
    /// not those of a file that somebody named.
    #[default]
    OwnFiles,
    /// All, whatever file names them: what `ssh -F` does.
    Always,
    /// None. A configuration that needs one is then an error.
    Never,
}

/// What a program says in the words of ssh's command line, in order: a later flag may overrule an
/// earlier one, while of several options for one key the first counts.
#[derive(Debug, Clone)]
pub(crate) enum Argument {
    /// `-o key=value`.
    Option(String, String),
    /// `-c`, with its value where it takes one.
    Flag(char, Option<OsString>),
}

/// What to do about a host key that is not in `known_hosts`. A key that *differs* from the known
/// one, or is revoked, is refused by every policy a program can name here.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// Refuse it.
    Strict,
    /// Accept it and add it to the first user `known_hosts` file.
    AcceptNew,
    /// Ask the [`Prompter`]; accept and add it only on a yes.
    Ask,
    /// Check nothing. Only [`Config::danger_accept_any_host_key`] sets this.
    #[doc(hidden)]
    DangerAcceptAny,
}

/// What to do when a channel's memory budget is full of output that nobody has read.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Put more in an unlinked temporary file, up to [`Config::spill_limit`], and fail the channel
    /// past that. No channel ever delays another.
    #[default]
    Spill,
    /// Take nothing more from the connection until the reader has caught up, so that the remote
    /// command waits. **Every channel of the session waits with it**, and a server that dies
    /// meanwhile is noticed only when the reader goes on: for programs that use a session for a
    /// single command, as `ssh` does.
    Wait,
}

/// Whether a session may log in once more where one connection is not enough for what it has to run.
/// No such login asks anybody anything: a question is a refusal, and the session goes on with the
/// connections that it has.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FurtherLogins {
    /// Only where the first login is known to have asked nobody: a key file let it in that is no
    /// security key, or the program's own [`password`](Config::password), and no question was put.
    /// An agent counts as somebody who may ask, and so does a `ProxyCommand`.
    #[default]
    Silent,
    /// Never: one connection is all there is.
    Never,
    /// Also where the first login asked. An agent's keys are used again, which may make the agent
    /// ask its user.
    Allowed,
}

/// Settings of a connection. What is not set here comes from the user's `ssh_config`, and what is
/// not set there from rmux's defaults.
#[derive(Clone)]
pub struct Config {
    pub(crate) config_file: ConfigFile,
    pub(crate) match_exec: MatchExec,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) command: Option<OsString>,
    pub(crate) user: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) identity_files: Vec<PathBuf>,
    pub(crate) password: Option<Secret>,
    pub(crate) host_key_policy: Option<HostKeyPolicy>,
    pub(crate) prompter: Option<Arc<dyn Prompter>>,
    pub(crate) questions: OpenQuestions,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) keepalive: Option<(Duration, u32)>,
    pub(crate) answer_timeout: Duration,
    pub(crate) on_event: Option<Arc<dyn Fn(SessionEvent) + Send + Sync>>,
    pub(crate) memory_budget: usize,
    pub(crate) spill_limit: u64,
    pub(crate) when_full: WhenFull,
    pub(crate) linger: Duration,
    pub(crate) max_links: usize,
    pub(crate) further_logins: FurtherLogins,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_host: usize,
    pub(crate) acquire_timeout: Option<Duration>,
    pub(crate) env: Vec<(OsString, OsString)>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            config_file: ConfigFile::default(),
            match_exec: MatchExec::default(),
            arguments: Vec::new(),
            command: None,
            user: None,
            port: None,
            identity_files: Vec::new(),
            password: None,
            host_key_policy: None,
            prompter: None,
            questions: OpenQuestions::default(),
            connect_timeout: None,
            keepalive: None,
            answer_timeout: Duration::from_secs(60),
            on_event: None,
            memory_budget: 8 << 20,
            spill_limit: 1 << 30,
            when_full: WhenFull::default(),
            linger: Duration::ZERO,
            max_links: 4,
            further_logins: FurtherLogins::default(),
            max_connections: usize::MAX,
            max_connections_per_host: usize::MAX,
            acquire_timeout: None,
            env: Vec::new(),
        }
    }
}

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which `ssh_config` to read. Default: the user's and the system's.
    #[must_use]
    pub fn config_file(mut self, file: ConfigFile) -> Self {
        self.config_file = file;
        self
    }

    /// Which files may have programs run by `Match exec`. Default: the user's own and the
    /// system's, not one that [`config_file`](Self::config_file) names.
    #[must_use]
    pub fn match_exec(mut self, match_exec: MatchExec) -> Self {
        self.match_exec = match_exec;
        self
    }

    /// One `ssh_config` setting that wins over every file, as `ssh -o Key=value`.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let option = Argument::Option(key.into(), value.into());
        self.arguments.push(option);
        self
    }

    /// A flag of ssh(1) that stands for a setting, such as `4` for `AddressFamily inet`; for
    /// programs that pass on a command line. Those that ask `ssh` to do something else than to
    /// resolve differently are not acted on.
    #[must_use]
    pub fn flag(mut self, flag: char) -> Self {
        self.arguments.push(Argument::Flag(flag, None));
        self
    }

    /// A flag of ssh(1) with its argument, such as `J` and `bastion`, likewise.
    #[must_use]
    pub fn flag_with(mut self, flag: char, argument: impl Into<OsString>) -> Self {
        let flag = Argument::Flag(flag, Some(argument.into()));
        self.arguments.push(flag);
        self
    }

    /// The command that will be run, for configurations that look at it (`Match command`, and
    /// `RemoteCommand`, which excludes one).
    #[must_use]
    pub fn for_command(mut self, command: impl Into<OsString>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// The account to log in to, as `ssh -l`. A user in the destination wins.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The server's port, as `ssh -p`. A port in the destination wins.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// A private key file to try, as `ssh -i`. May be given several times.
    #[must_use]
    pub fn identity_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.identity_files.push(path.into());
        self
    }

    /// The account's password, used where the server asks for one.
    #[must_use]
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// What to do about unknown host keys, those of hosts on the way included. Default: what `StrictHostKeyChecking` says, and
    /// [`HostKeyPolicy::Strict`] where it says nothing and there is no prompter.
    #[must_use]
    pub fn host_key_policy(mut self, policy: HostKeyPolicy) -> Self {
        self.host_key_policy = Some(policy);
        self
    }

    /// Accepts **any** host key, known, unknown, changed or revoked, and remembers none: whoever
    /// answers is trusted with everything sent. For throw-away hosts only. Hosts on the way there are
    /// checked all the same.
    #[must_use]
    pub fn danger_accept_any_host_key(mut self) -> Self {
        self.host_key_policy = Some(HostKeyPolicy::DangerAcceptAny);
        self
    }

    /// Who answers the questions of connecting. Default: nobody; a question is a refusal.
    #[must_use]
    pub fn prompter(mut self, prompter: Arc<dyn Prompter>) -> Self {
        self.prompter = Some(prompter);
        self
    }

    /// How long connecting may take, from the look-up of the name to the authenticated session; the
    /// time that prompts are open is not counted. It begins anew with each of the
    /// `ConnectionAttempts`. A name's addresses share it, so that one that does not answer leaves the
    /// others some of it.
    ///
    /// Default: `ConnectTimeout`, which as with `ssh` begins anew with each address, else 15 s; a
    /// `ConnectTimeout` of 0 is none.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// Asks for a sign of life after `interval` of silence, and gives the link up when `count`
    /// questions in a row stay unanswered: `interval` × (`count` + 1) after the last sign. Where the
    /// clock says that this machine or program has slept, the question is asked at once, and 5 s in
    /// which nothing comes are enough (15 s where data waits for the server to take it).
    ///
    /// A zero interval turns it off. Default: `ServerAliveInterval` and `ServerAliveCountMax` where
    /// set, else 20 s and 2.
    #[must_use]
    pub fn keepalive(mut self, interval: Duration, count: u32) -> Self {
        self.keepalive = Some((interval, count));
        self
    }

    /// How long the server may take to answer the request for a channel, and those to run something on
    /// one; then the call fails with [`TimedOut`](crate::ErrorKind::TimedOut), and the session goes on.
    /// The time that messages are on their way over a slow network does not count: half of it begins
    /// once the server has shown that it has read the request. Zero waits for ever. Default: 60 s.
    ///
    /// Whether a command begins that the server did not answer for is not known.
    #[must_use]
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout.min(A_YEAR);
        self
    }

    /// Calls `observer` with every event of the session, from its tasks: it must return soon.
    #[must_use]
    pub fn on_event(mut self, observer: impl Fn(SessionEvent) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(observer));
        self
    }

    /// How many bytes of unread output one channel holds in memory before it goes to an unlinked
    /// temporary file. Default: 8 MiB.
    #[must_use]
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// How many bytes of unread output one channel may put in temporary files. Past that the
    /// channel fails with [`LimitExceeded`](crate::ErrorKind::LimitExceeded). Default: 1 GiB.
    #[must_use]
    pub fn spill_limit(mut self, bytes: u64) -> Self {
        self.spill_limit = bytes;
        self
    }

    /// How long a [`Pool`](crate::Pool) keeps a session that nobody uses, as `ControlPersist` does.
    /// Default: not at all. It counts for nothing without a pool, and no longer than that lasts.
    #[must_use]
    pub fn linger(mut self, time: Duration) -> Self {
        self.linger = time.min(A_YEAR);
        self
    }

    /// How many connections one session may have at a time. More than one are made only as
    /// [`further_logins`](Self::further_logins) allows, where the server grants no further command
    /// on those there are, or for a [`Lane::Bulk`](crate::Lane) of their own. Those after the first
    /// are closed when nobody has used them for 10 s. Default: 4. At least 1.
    #[must_use]
    pub fn max_links(mut self, links: usize) -> Self {
        self.max_links = links.max(1);
        self
    }

    /// Whether a session may log in once more. Default: [`FurtherLogins::Silent`].
    #[must_use]
    pub fn further_logins(mut self, further_logins: FurtherLogins) -> Self {
        self.further_logins = further_logins;
        self
    }

    /// How many connections a [`Pool`](crate::Pool) may have at a time, hosts on the way and further
    /// [links](Self::max_links) of a session included; at least 1. Further links are made only where
    /// nobody waits for room. Default: any number.
    ///
    /// Who asks for a session when there is no room for its connection waits in the order of asking,
    /// until others have been given back, for [`acquire_timeout`](Self::acquire_timeout). Unused
    /// sessions that [linger](Self::linger) are ended for that, the ones that were used longest ago first.
    /// A way that takes more connections than this is refused with
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded). Who holds sessions while asking for one more may
    /// wait for themselves.
    #[must_use]
    pub fn max_connections(mut self, number: usize) -> Self {
        self.max_connections = number.max(1);
        self
    }

    /// How many connections a [`Pool`](crate::Pool) may have at a time to one server, by its address as
    /// it was resolved (`HostName` and `Port`); at least 1. Several are wanted by sessions that differ
    /// in user, way or settings. As [`max_connections`](Self::max_connections) in all else; who waits for
    /// one server does not hold up who wants another one. Default: any number.
    #[must_use]
    pub fn max_connections_per_host(mut self, number: usize) -> Self {
        self.max_connections_per_host = number.max(1);
        self
    }

    /// How long to wait for room in a [`Pool`](crate::Pool) whose connections are limited, before
    /// [`TimedOut`](crate::ErrorKind::TimedOut). It ends where connecting begins, for which
    /// [`connect_timeout`](Self::connect_timeout) is. Default: without an end.
    #[must_use]
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = Some(timeout.min(A_YEAR));
        self
    }

    /// Sets an environment variable for every command of the session, as
    /// [`Command::env`](crate::Command::env) does for one, which wins: a mark, say, by which what runs
    /// on the host knows the program behind it. Not for hosts on the way, nor for a subsystem whose
    /// server does not take it.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.into()));
        self
    }

    /// What to do when a channel's memory budget is full. Default: [`WhenFull::Spill`].
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }
}

impl Config {
    /// The settings for a host on the way: the same files, questions, limits and policy, and nothing
    /// that was said of the destination; `ssh -J` hands on no option either. Trust without a check
    /// is never handed on.
    pub(crate) fn for_hop(&self) -> Self {
        Self {
            config_file: self.config_file.clone(),
            match_exec: self.match_exec,
            host_key_policy: self
                .host_key_policy
                .filter(|policy| *policy != HostKeyPolicy::DangerAcceptAny),
            prompter: self.prompter.clone(),
            questions: self.questions.clone(),
            connect_timeout: self.connect_timeout,
            keepalive: self.keepalive,
            answer_timeout: self.answer_timeout,
            memory_budget: self.memory_budget,
            spill_limit: self.spill_limit,
            when_full: self.when_full,
            linger: self.linger,
            max_links: self.max_links,
            further_logins: self.further_logins,
            ..Self::default()
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("config_file", &self.config_file)
            .field("match_exec", &self.match_exec)
            .field("arguments", &self.arguments)
            .field("user", &self.user)
            .field("port", &self.port)
            .field("identity_files", &self.identity_files)
            .field("password", &self.password)
            .field("host_key_policy", &self.host_key_policy)
            .field("prompter", &self.prompter.is_some())
            .field("connect_timeout", &self.connect_timeout)
            .field("keepalive", &self.keepalive)
            .field("answer_timeout", &self.answer_timeout)
            .field("memory_budget", &self.memory_budget)
            .field("spill_limit", &self.spill_limit)
            .field("when_full", &self.when_full)
            .field("linger", &self.linger)
            .field("max_links", &self.max_links)
            .field("further_logins", &self.further_logins)
            .field("max_connections", &self.max_connections)
            .field("max_connections_per_host", &self.max_connections_per_host)
            .field("acquire_timeout", &self.acquire_timeout)
            // The values may be secret.
            .field(
                "env",
                &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            )
            .finish()
    }
}
