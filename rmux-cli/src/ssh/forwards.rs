//! The forwards of `rmux ssh`: those of the settings and flags, those of the command line behind the
//! escape character, and what `~#` lists. Words and what ends the connection are those of OpenSSH.
//!
//! Must not know how a connection is carried.

use std::ffi::OsStr;
use std::fmt;

use rmux_core::ssh_config::parse_forward;
use rmux_core::{
    Endpoint, Error, ErrorKind, Forward, ForwardKind, ForwardRule, ForwardSpec, Host, Session,
};

use crate::message;

/// Those that were made.
#[derive(Debug, Default)]
pub(super) struct Forwards(Vec<Forward>);

/// An endpoint in OpenSSH's words.
struct Words<'a>(&'a Endpoint);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Endpoint::Tcp { host, port } => {
                let host = host.as_deref().unwrap_or("localhost");
                write!(f, "{host} port {port}")
            }
            other => other.fmt(f),
        }
    }
}

/// Whether any are asked for.
pub(super) fn wanted(host: &Host) -> bool {
    !host.local_forwards.is_empty() || !host.remote_forwards.is_empty()
}

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Local,
    Remote,
    Dynamic,
}

impl Forwards {
    /// Makes those of the settings. The error is one line: why the connection shall end.
    pub(super) async fn make(session: &Session) -> Result<Self, String> {
        let mut made = Self::default();
        let host = session.host();
        let strict = host.exit_on_forward_failure;
        for rule in &host.local_forwards {
            made.local(session, rule).await;
        }
        let missed = made.0.len() < host.local_forwards.len();
        if missed && (strict || made.0.is_empty()) {
            let text = "Could not request local forwarding.";
            if strict {
                return Err(text.into());
            }
            message::failure(text);
        }
        for rule in &host.remote_forwards {
            if let Err(failure) = made.remote(session, rule).await {
                if strict {
                    return Err(format!("Error: {failure}"));
                }
                message::remark(format_args!("Warning: {failure}"));
            }
        }
        Ok(made)
    }

    /// Makes a local one. What is wrong was told when this is false.
    async fn local(&mut self, session: &Session, rule: &ForwardRule) -> bool {
        message::note(match &rule.target {
            Some(target) => format!(
                "Local connections to {} forwarded to remote address {target}",
                rule.listen
            ),
            None => format!("Local connections to {} forwarded by SOCKS", rule.listen),
        });
        match session.forward_local(&spec(session.host(), rule)).await {
            Ok(forward) => {
                message::note(format_args!(
                    "Local forwarding listening on {}.",
                    rule.listen
                ));
                self.0.push(forward);
                true
            }
            Err(error) => {
                let why = reason(&error);
                match &rule.listen {
                    Endpoint::Tcp { host, port } => {
                        let host = host.as_deref().unwrap_or("127.0.0.1");
                        message::failure(format_args!("bind [{host}]:{port}: {why}"));
                        message::failure(format_args!(
                            "channel_setup_fwd_listener_tcpip: cannot listen to port: {port}"
                        ));
                    }
                    path => message::failure(format_args!(
                        "unix_listener: cannot bind to path {path}: {why}"
                    )),
                }
                false
            }
        }
    }

    /// Makes a remote one.
    async fn remote(&mut self, session: &Session, rule: &ForwardRule) -> Result<(), String> {
        let allowed = Allowed(session.host().permit_remote_open.clone());
        let mut spec = spec(session.host(), rule);
        if rule.target.is_none() {
            spec = spec.allow(move |to| allowed.allows(to));
        }
        let forward = session.forward_remote(&spec).await.map_err(|error| {
            message::note(&error);
            match &rule.listen {
                Endpoint::Tcp { port, .. } => {
                    format!("remote port forwarding failed for listen port {port}")
                }
                path => format!("remote port forwarding failed for listen path {path}"),
            }
        })?;
        if rule.listen.port_number() == Some(0) {
            let to = rule.target.as_ref().map(ToString::to_string);
            message::remark(format_args!(
                "Allocated port {} for remote forward to {}",
                forward.port().unwrap_or_default(),
                to.as_deref().unwrap_or("socks:0")
            ));
        }
        self.0.push(forward);
        Ok(())
    }

    /// Waits until none of them carries anything.
    pub(super) async fn idle(&self) {
        for forward in &self.0 {
            forward.idle().await;
        }
    }

    /// Whether any carries something.
    pub(super) fn are_busy(&self) -> bool {
        self.0.iter().any(|forward| forward.stats().open > 0)
    }

    /// What `~#` lists besides the session: each open connection, with numbers from 1.
    pub(super) fn list(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for forward in &self.0 {
            let stats = forward.stats();
            let kind = match (stats.kind, &stats.listen) {
                (ForwardKind::Remote, Endpoint::Unix(_)) => "forwarded-streamlocal",
                (ForwardKind::Remote, _) => "forwarded-tcpip",
                (_, _) if matches!(stats.target, Some(Endpoint::Unix(_))) => {
                    "direct-streamlocal@openssh.com"
                }
                _ => "direct-tcpip",
            };
            let at = match &stats.listen {
                Endpoint::Tcp { port, .. } => format!("listening port {port}"),
                path => format!("listening path {path}"),
            };
            for open in &stats.connections {
                let to = Words(&open.target);
                let from = match open.from.as_deref().map(str::parse::<Endpoint>) {
                    Some(Ok(from)) => format!(", connect from {}", Words(&from)),
                    _ => String::new(),
                };
                let number = lines.len() + 1;
                lines.push(format!("  #{number} {kind}: {at} for {to}{from}"));
            }
        }
        lines
    }

    /// Does what was typed at the command line of the escape character.
    pub(super) async fn command_line(&mut self, session: &Session, line: &str) {
        let line = line.trim_start();
        let line = line.strip_prefix('-').unwrap_or(line);
        let mut letters = line.chars();
        match letters.next() {
            None => {}
            Some('h' | 'H' | '?') => HELP.iter().for_each(message::remark),
            Some('K') => self.cancel(letters.as_str()).await,
            Some(_) => match command(line) {
                Some((what, text)) => self.add(session, what, text).await,
                None => message::remark("Invalid command."),
            },
        }
    }

    async fn add(&mut self, session: &Session, what: Command, text: &str) {
        let text = OsStr::new(text);
        let made = match what {
            Command::Remote => {
                let rule = parse_forward(text, false, true);
                let Some(rule) = rule.or_else(|| parse_forward(text, true, true)) else {
                    return message::remark("Bad dynamic forwarding specification.");
                };
                match self.remote(session, &rule).await {
                    Ok(()) => true,
                    Err(failure) => return message::remark(format_args!("Warning: {failure}")),
                }
            }
            Command::Local | Command::Dynamic => {
                let dynamic = what == Command::Dynamic;
                let Some(rule) = parse_forward(text, dynamic, false) else {
                    return message::remark("Bad local forwarding specification.");
                };
                self.local(session, &rule).await
            }
        };
        message::remark(if made {
            "Forwarding port."
        } else {
            "Port forwarding failed."
        });
    }

    async fn cancel(&mut self, line: &str) {
        let Some((what, text)) = command(line) else {
            return message::remark("Invalid command.");
        };
        let Some(rule) = parse_forward(OsStr::new(text), true, what == Command::Remote) else {
            return message::remark("Bad forwarding close specification.");
        };
        let kind = match what {
            Command::Remote => ForwardKind::Remote,
            _ => ForwardKind::Local,
        };
        let found = self.0.iter().position(|forward| {
            forward.kind() == kind && same_place(forward.listen(), &rule.listen)
        });
        match found {
            Some(index) => {
                self.0.swap_remove(index).close().await;
                message::remark("Canceled forwarding.");
            }
            None => message::remark("Unknown port forwarding."),
        }
    }
}

/// What `help` at the command line shows.
const HELP: [&str; 7] = [
    "Commands:",
    "      -L[bind_address:]port:host:hostport    Request local forward",
    "      -R[bind_address:]port:host:hostport    Request remote forward",
    "      -D[bind_address:]port                  Request dynamic forward",
    "      -KL[bind_address:]port                 Cancel local forward",
    "      -KR[bind_address:]port                 Cancel remote forward",
    "      -KD[bind_address:]port                 Cancel dynamic forward",
];

fn command(line: &str) -> Option<(Command, &str)> {
    let mut letters = line.chars();
    let what = match letters.next()? {
        'L' => Command::Local,
        'R' => Command::Remote,
        'D' => Command::Dynamic,
        _ => return None,
    };
    Some((what, letters.as_str().trim_start()))
}

/// Whether a forward that listens there is meant by this.
fn same_place(listens: &Endpoint, meant: &Endpoint) -> bool {
    let (Endpoint::Tcp { host, port }, Endpoint::Tcp { host: h, port: p }) = (listens, meant)
    else {
        return listens == meant;
    };
    let named = |host: &Option<String>| host.clone().unwrap_or_else(|| "localhost".to_owned());
    port == p && named(host) == named(h)
}

fn spec(host: &Host, rule: &ForwardRule) -> ForwardSpec {
    ForwardSpec::from(rule)
        .gateway_ports(host.gateway_ports)
        .unlink(host.stream_local_bind_unlink)
        .bind_mask(host.stream_local_bind_mask)
        .on_failure(tell)
}

/// A connection came to nothing.
fn tell(error: &Error) {
    match error.message().rsplit_once(": connect failed: ") {
        Some((_, why)) if error.kind() == ErrorKind::ChannelRefused => {
            message::remark(format_args!("channel: open failed: connect failed: {why}"));
        }
        _ if error.kind() == ErrorKind::ChannelRefused => {
            let why = refusal(error);
            message::remark(format_args!("channel: open failed: {why}"));
        }
        _ => message::note(error),
    }
}

/// What the server said, without the place.
pub(super) fn refusal(error: &Error) -> &str {
    let text = error.message();
    let place = text.find(": ").map_or(0, |at| at + 2);
    &text[place..]
}

/// Why something local failed, in the words of the system.
fn reason(error: &Error) -> String {
    let text = error.message();
    let why = text.rsplit_once(": ").map_or(text, |(_, why)| why);
    why.split(" (os error").next().unwrap_or(why).to_owned()
}

/// `PermitRemoteOpen`.
struct Allowed(Vec<String>);

impl Allowed {
    fn allows(&self, to: &Endpoint) -> bool {
        let Endpoint::Tcp { host, port } = to else {
            return false;
        };
        let host = host.as_deref().unwrap_or("localhost");
        self.0.iter().any(|allowed| {
            if allowed == "any" {
                return true;
            }
            let Some((name, number)) = allowed.rsplit_once(':') else {
                return false;
            };
            let name = name.trim_start_matches('[').trim_end_matches(']');
            let fits = name == "*" || name.eq_ignore_ascii_case(host);
            fits && (number == "*" || number.parse() == Ok(*port))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_remote_proxy_may_lead() {
        let allows = |rules: &[&str], host: &str, port| {
            let rules = Allowed(rules.iter().map(ToString::to_string).collect());
            rules.allows(&Endpoint::tcp(host, port))
        };
        assert!(allows(&["any"], "h", 1));
        assert!(!allows(&["none"], "h", 1));
        assert!(allows(&["h:1", "[::1]:*", "*:9"], "::1", 5));
        assert!(allows(&["h:1", "*:9"], "other", 9));
        assert!(allows(&["h:1"], "H", 1));
        assert!(!allows(&["h:1"], "h", 2));
        assert!(!allows(&["h:1"], "g", 1));
    }

    #[test]
    fn a_forward_is_cancelled_by_where_it_listens() {
        let meant = |text: &str| parse_forward(OsStr::new(text), true, false).unwrap().listen;
        assert!(same_place(&Endpoint::port(80), &meant("80")));
        assert!(same_place(&Endpoint::tcp("localhost", 80), &meant("80")));
        assert!(!same_place(&Endpoint::tcp("127.0.0.1", 80), &meant("80")));
        assert!(same_place(&Endpoint::tcp("h", 80), &meant("h:80")));
        assert!(!same_place(&Endpoint::port(80), &meant("81")));
        assert!(same_place(&Endpoint::unix("/a"), &meant("/a")));
    }
}
