//! Sends lines to the machine's syslog, in the form of RFC 3164.
//!
//! Without a time of its own (RFC 3164, section 4.3.2): the daemon puts its own, and knows the time
//! zone. Must not know what the lines say.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};

use super::Level;

/// Where a system listens for local messages: Linux, macOS, the BSDs.
const PATHS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];
/// The longest packet (RFC 3164, section 4.1).
const LONGEST: usize = 1024;

/// From which part of a system a message comes (RFC 3164, section 4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facility(u8);

impl Facility {
    /// By its name in `ssh_config` (SyslogFacility). `None` for a name that is none.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase();
        let code = match &name[..] {
            "USER" => 1,
            "DAEMON" => 3,
            "AUTH" => 4,
            "AUTHPRIV" => 10,
            local => match local.strip_prefix("LOCAL")?.as_bytes() {
                [digit @ b'0'..=b'7'] => 16 + digit - b'0',
                _ => return None,
            },
        };
        Some(Self(code))
    }
}

/// The way to the daemon.
#[derive(Debug)]
pub(super) struct Syslog {
    facility: AtomicU8,
    paths: Vec<PathBuf>,
}

impl Syslog {
    /// With the facility `USER`.
    pub(super) fn new() -> Self {
        Self {
            facility: AtomicU8::new(1),
            paths: PATHS.into_iter().map(PathBuf::from).collect(),
        }
    }

    pub(super) fn set_facility(&self, facility: Facility) {
        self.facility.store(facility.0, Ordering::Relaxed);
    }

    /// Sends one line. A socket for each, since a daemon that was started again has a new one.
    pub(super) fn send(&self, level: Level, text: &str) {
        let severity = match level {
            Level::Quiet | Level::Fatal => 2,
            Level::Error => 3,
            Level::Info | Level::Verbose => 6,
            Level::Debug1 | Level::Debug2 | Level::Debug3 => 7,
        };
        let priority = self.facility.load(Ordering::Relaxed) * 8 + severity;
        let mut packet = format!("<{priority}>rmux[{}]: {text}", std::process::id());
        let mut end = packet.len().min(LONGEST);
        while !packet.is_char_boundary(end) {
            end -= 1;
        }
        packet.truncate(end);
        let Ok(socket) = UnixDatagram::unbound() else {
            return;
        };
        // A daemon that is stuck must not hold up the session.
        let _ = socket.set_nonblocking(true);
        for path in &self.paths {
            if socket.send_to(packet.as_bytes(), path).is_ok() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_one_packet_with_its_priority() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog {
            facility: AtomicU8::new(1),
            paths: vec![folder.path().join("nobody"), path],
        };
        syslog.set_facility(Facility::named("local3").unwrap());
        let mut packet = [0; 2048];
        let mut receive = || {
            let length = daemon.recv(&mut packet).unwrap();
            String::from_utf8(packet[..length].to_vec()).unwrap()
        };
        let pid = std::process::id();
        for (level, priority) in [
            (Level::Fatal, 154),
            (Level::Info, 158),
            (Level::Debug2, 159),
        ] {
            syslog.send(level, "text");
            assert_eq!(receive(), format!("<{priority}>rmux[{pid}]: text"));
        }
        syslog.send(Level::Info, &"ü".repeat(2000));
        let cut = receive();
        assert!(
            cut.len() <= LONGEST && cut.len() > LONGEST - 2,
            "{}",
            cut.len()
        );
    }

    #[test]
    fn without_a_daemon_lines_are_dropped() {
        let syslog = Syslog {
            facility: AtomicU8::new(1),
            paths: vec!["/nonexistent/log".into()],
        };
        syslog.send(Level::Fatal, "text");
    }

    #[test]
    fn facilities_are_those_of_ssh_config() {
        assert_eq!(Facility::named("DAEMON"), Some(Facility(3)));
        assert_eq!(Facility::named("Local7"), Some(Facility(23)));
        for unknown in ["LOCAL8", "LOCAL", "LOCAL10", "", "MAIL"] {
            assert_eq!(Facility::named(unknown), None, "{unknown}");
        }
    }
}
