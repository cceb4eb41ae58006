//! A destination as the user names it.

use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// A destination as `ssh` takes it: `host`, `user@host`, or `ssh://[user@]host[:port]`.
///
/// `host` may be an alias of the user's `ssh_config`, a name, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostSpec {
    name: String,
    user: Option<String>,
    port: Option<u16>,
}

impl HostSpec {
    /// Reads a destination.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigInvalid`] where it is empty, begins with `-`, holds control characters
    /// or white space, or its port is not 1 to 65535.
    pub fn parse(destination: &str) -> Result<Self> {
        let refuse = |why: String| {
            Error::new(
                ErrorKind::ConfigInvalid,
                "destination",
                format!("{:?}: {why}", destination),
            )
        };
        let uri = destination.strip_prefix("ssh://");
        let (user, rest) = match uri.unwrap_or(destination).rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, uri.unwrap_or(destination)),
        };
        let (name, port) = match uri {
            Some(_) => split_port(rest.strip_suffix('/').unwrap_or(rest)).map_err(refuse)?,
            None => (rest, None),
        };
        let user = match (user, uri) {
            (Some(user), Some(_)) => Some(percent_decode(user).map_err(refuse)?),
            (Some(user), None) => Some(user.to_owned()),
            (None, _) => None,
        };
        let name = name
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'))
            .unwrap_or(name);
        if uri.is_some() && name.contains('/') {
            return Err(refuse("a path is of no use to ssh".into()));
        }
        if name.is_empty() {
            return Err(refuse("the host name is empty".into()));
        }
        if user.as_deref() == Some("") {
            return Err(refuse("the user name is empty".into()));
        }
        for (what, text) in [("host", Some(name)), ("user", user.as_deref())] {
            let Some(text) = text else { continue };
            if text.starts_with('-') {
                return Err(refuse(format!("the {what} name begins with \"-\"")));
            }
            if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
                return Err(refuse(format!(
                    "the {what} name holds white space or a control character"
                )));
            }
        }
        Ok(Self {
            name: name.to_owned(),
            user,
            port,
        })
    }

    /// One whose parts were read elsewhere.
    pub(crate) fn from_parts(name: String, user: Option<String>, port: Option<u16>) -> Self {
        Self { name, user, port }
    }

    /// The host part, as typed.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user part, where there is one.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The port, where the destination is a URI that has one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl FromStr for HostSpec {
    type Err = Error;

    fn from_str(destination: &str) -> Result<Self> {
        Self::parse(destination)
    }
}

impl TryFrom<&str> for HostSpec {
    type Error = Error;

    fn try_from(destination: &str) -> Result<Self> {
        Self::parse(destination)
    }
}

fn split_port(rest: &str) -> Result<(&str, Option<u16>), String> {
    let (name, port) = match rest.rfind(']') {
        Some(end) => (&rest[..=end], rest[end + 1..].strip_prefix(':')),
        None => match rest.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (rest, None),
        },
    };
    match port {
        None => Ok((name, None)),
        Some(port) => parse_port(port).map(|port| (name, Some(port))),
    }
}

/// Reads a port number.
fn parse_port(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| format!("{text:?} is no port (1 to 65535)"))
}

fn percent_decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let hex = tail
                .get(..2)
                .and_then(|hex| std::str::from_utf8(hex).ok())
                .and_then(|hex| u8::from_str_radix(hex, 16).ok())
                .ok_or("a % is not followed by two hexadecimal digits")?;
            bytes.push(hex);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).map_err(|_| "the user name is not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(destination: &str) -> (String, Option<String>, Option<u16>) {
        let spec = HostSpec::parse(destination).unwrap();
        (spec.name, spec.user, spec.port)
    }

    #[test]
    fn destinations_are_read_as_ssh_reads_them() {
        assert_eq!(parts("dev"), ("dev".into(), None, None));
        assert_eq!(parts("a@b@dev"), ("dev".into(), Some("a@b".into()), None));
        assert_eq!(parts("::1"), ("::1".into(), None, None));
        assert_eq!(parts("me@[::1]"), ("::1".into(), Some("me".into()), None));
        // Without a scheme a colon belongs to the name, as in ssh.
        assert_eq!(parts("dev:2222"), ("dev:2222".into(), None, None));
        assert_eq!(
            parts("ssh://me%40corp@[::1]:2222/"),
            ("::1".into(), Some("me@corp".into()), Some(2222))
        );
        assert_eq!(parts("ssh://dev"), ("dev".into(), None, None));
    }

    #[test]
    fn destinations_that_could_become_options_or_lines_are_refused() {
        for bad in [
            "",
            "-oProxyCommand=x",
            "me@-x",
            "-l@dev",
            "@dev",
            "de v",
            "dev\n",
            "ssh://dev:0",
            "ssh://dev:65536",
            "ssh://dev:",
            "ssh://dev:2222x",
            "ssh://dev:2222//path",
            "ssh://dev/path",
            "ssh://%zz@dev",
        ] {
            let error = HostSpec::parse(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{bad}");
        }
    }
}
