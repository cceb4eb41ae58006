//! The settings of a connection, as JavaScript gives them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use napi_derive::napi;
use rmux_core::{Config, Error, ErrorKind, FurtherLogins, HostKeyPolicy, Result};

use crate::delivery::{Event, Question};
use crate::mailbox::Mailbox;
use crate::prompts::{Answer, Asked, Prompts};
use crate::resolve::ResolveOptions;

/// Settings of a connection; what is missing is as the core has it. Times are in milliseconds.
#[napi(object, object_to_js = false)]
pub struct ConnectOptions {
    /// What `resolve` takes, too.
    pub host: ResolveOptions,
    pub password: Option<String>,
    /// `strict`, `accept-new`, `ask`, or `danger-accept-any`.
    pub host_key_policy: Option<String>,
    pub connect_timeout: Option<f64>,
    pub answer_timeout: Option<f64>,
    pub keepalive_interval: Option<f64>,
    pub keepalive_count: Option<u32>,
    /// For every command.
    pub env: Option<HashMap<String, String>>,
    pub max_links: Option<u32>,
    /// `silent`, `never` or `allowed`.
    pub further_logins: Option<String>,
    /// Which questions the program answers.
    pub asked: Option<Asked>,
}

impl ConnectOptions {
    /// The core's settings. Events and questions go through `line`.
    pub(crate) fn into_config(self, line: Line) -> Result<Config> {
        let line = Arc::new(line);
        let mut config = self.host.into_config("connect")?;
        if let Some(password) = self.password {
            config = config.password(password);
        }
        config = match self.host_key_policy.as_deref() {
            None => config,
            Some("strict") => config.host_key_policy(HostKeyPolicy::Strict),
            Some("accept-new") => config.host_key_policy(HostKeyPolicy::AcceptNew),
            Some("ask") => config.host_key_policy(HostKeyPolicy::Ask),
            Some("danger-accept-any") => config.danger_accept_any_host_key(),
            Some(other) => return Err(invalid(format!("{other:?} is no host key policy"))),
        };
        if let Some(timeout) = self.connect_timeout {
            config = config.connect_timeout(milliseconds(timeout)?);
        }
        if let Some(timeout) = self.answer_timeout {
            config = config.answer_timeout(milliseconds(timeout)?);
        }
        if let Some(interval) = self.keepalive_interval {
            config = config.keepalive(milliseconds(interval)?, self.keepalive_count.unwrap_or(2));
        }
        for (name, value) in self.env.unwrap_or_default() {
            config = config.env(name, value);
        }
        if let Some(links) = self.max_links {
            config = config.max_links(links as usize);
        }
        config = match self.further_logins.as_deref() {
            None => config,
            Some("silent") => config.further_logins(FurtherLogins::Silent),
            Some("never") => config.further_logins(FurtherLogins::Never),
            Some("allowed") => config.further_logins(FurtherLogins::Allowed),
            Some(other) => return Err(invalid(format!("further logins cannot be {other:?}"))),
        };
        if let Some(asked) = self.asked {
            config = config.prompter(Arc::new(Prompts::new(Arc::clone(&line), asked)));
        }
        Ok(config.on_event(move |event| line.event(event.into())))
    }
}

/// The way of the events and questions of one connect, or of one pool, under its number. It ends
/// with the last who could use it, which the program is told.
pub(crate) struct Line {
    mailbox: Mailbox,
    operation: u32,
}

impl Line {
    pub(crate) fn new(mailbox: &Mailbox, operation: u32) -> Self {
        Self {
            mailbox: mailbox.clone(),
            operation,
        }
    }

    fn event(&self, event: Event) {
        self.mailbox.event(self.operation, event);
    }

    /// Puts a question; its number and the answer, or `None` where nobody can answer any more.
    pub(crate) async fn ask(&self, question: Question) -> Option<(u32, Answer)> {
        self.mailbox.ask(self.operation, question).await
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.mailbox.gone(self.operation);
    }
}

/// A time as JavaScript counts it.
pub(crate) fn milliseconds(time: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(time / 1000.0)
        .map_err(|_| invalid(format!("{time} ms is no length of time")))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::ConfigInvalid, "connect", message)
}
