//! How a [`Command`] is put on a channel: what is sent, in which order, and the line that runs it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};

use rmux_proto::exported::is_name;

use super::child::{Child, Copies};
use super::command::{Command, What};
use super::group;
use super::line::{Line, Marks};
use super::running::{Guard, Ready, Running};
use super::stdio::{ChildStderr, ChildStdin, ChildStdout, Stdio};
use crate::error::{Error, ErrorKind, Result};
use crate::link::{Request, Stream};

/// A channel for a command that has not started yet.
pub(crate) struct Opened(Ready);

impl Command {
    /// Starts it on a channel of its own.
    pub(super) async fn start_on_ready(&self, defaults: [Stdio; 3]) -> Result<Child> {
        let ready = self.ready(true).await?;
        self.start_on(ready, defaults).await
    }

    /// A channel to start it on, for who tells somebody before it starts. Dropping it gives it back.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn), where there is no channel.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn open(&self) -> Result<Opened> {
        self.ready(true).await.map(Opened)
    }

    /// Starts it on that channel.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    /// As [`spawn`](Self::spawn).
    pub(crate) async fn start_opened(&self, opened: Opened) -> Result<Child> {
        self.start_on(opened.0, [Stdio::Piped; 3]).await
    }

    /// A channel to start it on, once it is its turn; `spawned` if the caller sees to its end.
    pub(super) async fn ready(&self, spawned: bool) -> Result<Ready> {
        self.check()?;
        let turn = match &self.context {
            Some(context) => Some(context.turn(spawned).await?),
            None => None,
        };
        let mut ready = self.session.ready(self.kills(), self.lane).await?;
        ready.turn = turn;
        Ok(ready)
    }

    /// Starts it on this channel.
    pub(super) async fn start_on(
        &self,
        mut ready: Ready,
        [stdin, stdout, stderr]: [Stdio; 3],
    ) -> Result<Child> {
        if self.lend_agent && self.session.forwards_agent() {
            ready.prepare().tell(Request::ForwardAgent);
        }
        self.send_settings_env(&mut ready);
        let prefix = self.send_env(&mut ready).await?;
        if let What::Subsystem(_) = &self.what
            && let Some(name) = self.lacks(&prefix)
        {
            return Err(Error::new(
                ErrorKind::ChannelRefused,
                "run",
                format!(
                    "the server does not take the variable {:?}",
                    String::from_utf8_lossy(name)
                ),
            ));
        }
        let guard = match (self.kills(), &self.pty, &self.what) {
            (false, _, _) => Guard::None,
            // A terminal is hung up, and its one stream has no room for the wrapper's line. A
            // subsystem has no line to wrap.
            (true, Some(_), _) | (true, None, What::Subsystem(_)) => Guard::Channel,
            (true, None, _) if self.verbatim => Guard::Channel,
            (true, None, _) => Guard::Group,
        };
        let mut turn = ready.turn.take();
        let running = ready.run(guard, self.kill_grace);
        let channel = &running.channel;
        let marks = self.marks(running.is_guarded_by_group());
        for (stream, wanted) in [
            (Stream::Stdout, marks.stdout),
            (Stream::Stderr, marks.stderr),
        ] {
            if wanted {
                let startup = self.session.startup();
                let token = marks.token.clone();
                channel.inbox().expect_marker(stream, token, startup);
            }
        }
        let Line { request, in_front } = match &mut turn {
            Some(turn) => self.spelled_in_context(&prefix, &marks, turn),
            None => self.spelled(&prefix, &marks),
        };
        if let Some(turn) = &turn {
            turn.expect(channel.inbox());
        }
        if let Some(in_front) = in_front {
            channel.outbox().push(in_front);
        }
        let stdin = self.stdin.unwrap_or(stdin);
        if stdin == Stdio::Null {
            // EOF right behind the command, without a round trip between.
            let _ = channel.outbox().close();
        }
        let mut has_pty = false;
        let granted = match &self.pty {
            None => channel.ask(request).await?,
            Some(pty) => {
                // Sent in this order, and both before the first answer is waited for.
                let terminal = channel.ask(Request::Pty(pty.request()));
                let (terminal, granted) =
                    futures_util::future::join(terminal, channel.ask(request)).await;
                has_pty = terminal?;
                if !has_pty && !pty.is_optional() {
                    return Err(Error::new(
                        ErrorKind::ChannelRefused,
                        "run",
                        "the server refused a terminal",
                    ));
                }
                granted?
            }
        };
        if !granted {
            return Err(Error::new(
                ErrorKind::ChannelRefused,
                "run",
                "the server refused to run the command",
            ));
        }
        self.session.count_command();
        let stdout = self.stdout.unwrap_or(stdout);
        let stderr = self.stderr.unwrap_or(stderr);
        let mut child = self.child(running, has_pty, stdin, stdout, stderr);
        child.turn = Mutex::new(turn);
        Ok(child)
    }

    fn child(
        &self,
        running: Running,
        has_pty: bool,
        stdin: Stdio,
        stdout: Stdio,
        stderr: Stdio,
    ) -> Child {
        let channel = &running.channel;
        let session = &self.session;
        let input = ChildStdin::new(Arc::clone(channel), session.clone());
        let output = ChildStdout::new(Arc::clone(channel), session.clone());
        let errors = ChildStderr::new(Arc::clone(channel), session.clone());
        let mut copies = Copies::default();
        let stdin = match stdin {
            Stdio::Piped => Some(input),
            Stdio::Inherit => {
                copies.input(input);
                None
            }
            Stdio::Null => None,
        };
        let stdout = match stdout {
            Stdio::Piped => Some(output),
            Stdio::Inherit => {
                copies.output(output, tokio::io::stdout());
                None
            }
            Stdio::Null => None,
        };
        let stderr = match stderr {
            Stdio::Piped => Some(errors),
            Stdio::Inherit => {
                copies.output(errors, tokio::io::stderr());
                None
            }
            Stdio::Null => None,
        };
        Child {
            stdin,
            stdout,
            stderr,
            running,
            has_pty,
            session: self.session.clone(),
            copies,
            limit: self.output_limit.unwrap_or_default(),
            turn: Mutex::default(),
        }
    }

    /// Refuses what no server could run. What may be secret is not named, but its place is.
    fn check(&self) -> Result<()> {
        let refuse = |what: String| {
            let what = format!("{what} holds a NUL byte");
            Err(Error::new(ErrorKind::InvalidInput, "run", what))
        };
        let has_nul = |text: &OsStr| text.as_bytes().contains(&0);
        match &self.what {
            What::Program(name) if has_nul(name) => return refuse("the program's name".into()),
            What::Line(line) if has_nul(line) => return refuse("the line".into()),
            What::Subsystem(_) if self.current_dir.is_some() => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "run",
                    "the server chooses the directory of a subsystem",
                ));
            }
            _ => {}
        }
        if let Some(index) = self.args.iter().position(|arg| has_nul(arg)) {
            return refuse(format!("argument {}", index + 1));
        }
        if !self.args.is_empty() && !matches!(self.what, What::Program(_)) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "run",
                "only a program takes arguments: put those of a shell line into the line, quoted",
            ));
        }
        if self.current_dir.as_deref().is_some_and(has_nul) {
            return refuse("the directory".into());
        }
        self.check_context()?;
        for (name, value) in self.variables() {
            if has_nul(name) || has_nul(value) {
                return refuse(format!("the variable {name:?}"));
            }
            let bytes = name.as_bytes();
            // One that begins with "-" would be an option of `env`.
            if bytes.is_empty() || bytes.contains(&b'=') || bytes[0] == b'-' {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "run",
                    format!("{name:?} is no name of an environment variable"),
                ));
            }
        }
        Ok(())
    }

    /// Refuses what cannot be had in a context.
    fn check_context(&self) -> Result<()> {
        let Some(context) = &self.context else {
            return Ok(());
        };
        let refuse = |what: String| Err(Error::new(ErrorKind::InvalidInput, "run", what));
        if self.pty.is_some() || self.verbatim {
            return refuse(
                "a command of a context has no terminal and is not sent verbatim: its state \
                 travels with its input and its errors"
                    .into(),
            );
        }
        let state = context.state();
        let mut own = self.env.iter().map(|(name, _)| name.as_bytes());
        let unnamed = own.find(|name| !is_name(name)).map(|name| (name, false));
        match state.unfit().or(unnamed) {
            Some((name, true)) => refuse(format!(
                "the variable {:?} holds a NUL byte",
                String::from_utf8_lossy(name)
            )),
            Some((name, false)) => refuse(format!(
                "{:?} is no name that a shell takes for a variable",
                String::from_utf8_lossy(name)
            )),
            None if state.has_nul() => {
                refuse("the context's directory or interpreter holds a NUL byte".into())
            }
            None => Ok(()),
        }
    }

    /// The first variable that was set for this very command, of those that the server did not take.
    fn lacks<'a>(&self, prefix: &'a [Vec<u8>]) -> Option<&'a [u8]> {
        let mut names = prefix
            .iter()
            .filter_map(|pair| pair.split(|b| *b == b'=').next());
        names.find(|name| self.env.iter().any(|(own, _)| own.as_bytes() == *name))
    }

    /// What the session sets for every command, but for what this one sets itself, and that.
    fn variables(&self) -> impl Iterator<Item = &(OsString, OsString)> {
        let common = self.session.config_env().iter();
        let common = common.filter(|(name, _)| !self.env.iter().any(|(own, _)| own == name));
        common.chain(&self.env)
    }

    /// Those that go to the server. In a context a command's own come behind the context's.
    fn sent_variables(&self) -> impl Iterator<Item = &(OsString, OsString)> {
        let in_context = self.context.is_some();
        let is_own = |name: &OsString| self.env.iter().any(|(own, _)| own == name);
        self.variables()
            .filter(move |(name, _)| !(in_context && is_own(name)))
    }

    /// Sends what `SendEnv` and `SetEnv` say, but for what the command sets itself.
    fn send_settings_env(&self, ready: &mut Ready) {
        let settings_env = self.settings_env.as_deref();
        for (name, value) in settings_env.unwrap_or(self.session.settings_env()) {
            if self.variables().any(|(own, _)| own == name.as_str()) {
                continue;
            }
            ready.prepare().tell(Request::Env {
                name: name.clone(),
                value: value.clone(),
            });
        }
    }

    /// Sends the variables the server takes; returns the others, as `NAME=value`.
    async fn send_env(&self, ready: &mut Ready) -> Result<Vec<Vec<u8>>> {
        let mut prefix = Vec::new();
        let verdicts = self.session.env_verdicts();
        for (name, value) in self.sent_variables() {
            let pair = || [name.as_bytes(), b"=", value.as_bytes()].concat();
            let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else {
                // The engine sends UTF-8 only.
                prefix.push(pair());
                continue;
            };
            let request = Request::Env {
                name: name.to_owned(),
                value: value.to_owned(),
            };
            match verdicts.known(name) {
                Some(true) => ready.prepare().tell(request),
                Some(false) => prefix.push(pair()),
                None => {
                    let granted = ready.prepare().ask(request).await?;
                    verdicts.learn(name, granted);
                    if !granted {
                        prefix.push(pair());
                    }
                }
            }
        }
        Ok(prefix)
    }

    /// Which streams say where the command's own output begins; `guarded` if its process group must
    /// be told.
    fn marks(&self, guarded: bool) -> Marks {
        let startup = self.session.startup();
        let may = !self.verbatim
            && self.pty.is_none()
            && matches!(self.what, What::Program(_) | What::Line(_));
        Marks {
            token: group::token(),
            stdout: may && startup.wants_mark(),
            stderr: guarded || (may && startup.wants_mark_on_stderr()),
        }
    }
}
