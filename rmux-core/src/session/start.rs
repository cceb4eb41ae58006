//! How a [`Command`] is put on a channel: what is sent, in which order, and the line that runs it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::child::{Child, Copies};
use super::command::{Command, What};
use super::group;
use super::running::{Guard, Ready, Running};
use super::stdio::{ChildStderr, ChildStdin, ChildStdout, Stdio};
use crate::error::{Error, ErrorKind, Result};
use crate::link::Request;
use crate::quote;

impl Command {
    /// Starts it on a channel of its own.
    pub(super) async fn start_on_ready(&self, defaults: [Stdio; 3]) -> Result<Child> {
        let ready = self.ready().await?;
        self.start_on(ready, defaults).await
    }

    /// A channel to start it on.
    pub(super) async fn ready(&self) -> Result<Ready> {
        self.check()?;
        self.session.ready(self.kills(), self.lane).await
    }

    /// Starts it on this channel.
    pub(super) async fn start_on(
        &self,
        mut ready: Ready,
        [stdin, stdout, stderr]: [Stdio; 3],
    ) -> Result<Child> {
        if self.session.forwards_agent() {
            ready.prepare().tell(Request::ForwardAgent);
        }
        self.send_settings_env(&mut ready);
        let prefix = self.send_env(&mut ready).await?;
        if let (What::Subsystem(_), Some(pair)) = (&self.what, prefix.first()) {
            let name = pair.split(|b| *b == b'=').next().unwrap_or_default();
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
            (true, None, _) => Guard::Group,
        };
        let running = ready.run(guard, self.kill_grace);
        let channel = &running.channel;
        let guarded = running.is_guarded_by_group();
        let token = guarded.then(group::token);
        if let Some(token) = &token {
            channel.inbox().expect_marker(token.clone());
        }
        let stdin = self.stdin.unwrap_or(stdin);
        if stdin == Stdio::Null {
            // EOF right behind the command, without a round trip between.
            let _ = channel.outbox().close();
        }
        let request = self.request(&prefix, token.as_deref());
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
        Ok(self.child(running, has_pty, stdin, stdout, stderr))
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
        for (name, value) in &self.env {
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

    /// Sends what `SendEnv` and `SetEnv` say, but for what the command sets itself.
    fn send_settings_env(&self, ready: &mut Ready) {
        for (name, value) in self.session.settings_env() {
            if self.env.iter().any(|(own, _)| own == name.as_str()) {
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
        for (name, value) in &self.env {
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

    /// The request that starts the command, with what must go in front of it.
    fn request(&self, env: &[Vec<u8>], token: Option<&str>) -> Request {
        let mut script = String::new();
        let mut args: Vec<&[u8]> = Vec::new();
        if let Some(token) = token {
            script += &group::announce(token);
        }
        if let Some(directory) = &self.current_dir {
            script += "CDPATH= cd -- \"$1\" && shift && ";
            // To cd, \"-\" is the directory before.
            args.push(match directory.as_bytes() {
                b"-" => b"./-",
                other => other,
            });
        }
        let bare = script.is_empty() && env.is_empty();
        match &self.what {
            What::Login if bare => return Request::Shell,
            What::Subsystem(name) => return Request::Subsystem(name.clone()),
            What::Line(line) if bare => return Request::Exec(line.as_bytes().to_vec()),
            What::Program(program) => {
                script += "exec \"$@\"";
                args.push(program.as_bytes());
                args.extend(self.args.iter().map(|arg| arg.as_bytes()));
            }
            What::Line(line) => {
                script += "exec \"${SHELL:-sh}\" -c \"$1\"";
                args.push(line.as_bytes());
            }
            What::Login => script += "exec \"${SHELL:-sh}\" -l",
        }
        let mut words: Vec<&[u8]> = Vec::new();
        if !env.is_empty() {
            words.push(b"env");
            words.extend(env.iter().map(Vec::as_slice));
        }
        // In front of a name with "=", `env` would take the program for one more variable.
        let ambiguous = !env.is_empty()
            && matches!(&self.what, What::Program(name) if name.as_bytes().contains(&b'='));
        let plain_words = !ambiguous && script == "exec \"$@\"";
        if !plain_words {
            words.extend([&b"sh"[..], b"-c", script.as_bytes(), b"sh"]);
        }
        words.extend(args);
        let line = quote::command_line(&words);
        // `exec`, so that signals and the way it ends are the command's, not a shell's.
        Request::Exec(if line.starts_with(b"exec ") {
            line
        } else {
            [b"exec ", &line[..]].concat()
        })
    }
}
