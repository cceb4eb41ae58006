//! A connection that is shared with other programs at a control path, as ssh shares it: used where
//! there is one, and made where the settings say so.
//!
//! Must not know how arguments are written or how a connection is made.

mod order;
mod serve;
mod through;

use std::fmt::Display;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rmux_core::{
    ControlClient, ControlPersist, ControlSharing, ControlSocket, Error, ErrorKind, Host,
};

pub(crate) use order::Order;
pub(super) use order::obey;
pub(super) use serve::{begin, stay, until_told};
pub(super) use through::run_through;

use crate::message;

/// What the settings say of sharing.
#[derive(Debug, Clone)]
pub(super) struct Sharing {
    pub(super) path: PathBuf,
    /// A connection that is there is used.
    pub(super) uses: bool,
    /// One that is made is shared.
    pub(super) serves: bool,
    pub(super) persist: ControlPersist,
}

impl Sharing {
    /// `None` where nothing is shared. The error is one line: it is known before anybody logs in.
    pub(super) fn of(host: &Host) -> Result<Option<Self>, Error> {
        let Some(path) = host.control_path.clone() else {
            return Ok(None);
        };
        let (uses, serves) = match host.control_master {
            ControlSharing::Yes => (false, true),
            ControlSharing::Auto => (true, true),
            ControlSharing::Ask | ControlSharing::AutoAsk => {
                message::warning("ControlMaster: asking is not supported; nothing is shared");
                (host.control_master == ControlSharing::AutoAsk, false)
            }
            _ => (true, false),
        };
        if serves {
            ControlSocket::check(&path)?;
        }
        Ok(Some(Self {
            path,
            uses,
            serves,
            persist: host.control_persist,
        }))
    }

    /// Whether the shared connection is to outlive its first command, in a process of its own.
    pub(super) fn is_apart(&self) -> bool {
        self.serves && self.persist != ControlPersist::No
    }

    /// The master, if one answers. A socket that nobody listens at is removed where another is to be
    /// made.
    pub(super) async fn master(&self) -> Option<ControlClient> {
        let before = identity(&self.path);
        match ControlClient::connect(&self.path).await {
            Ok(client) => Some(client),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) if error.kind() == ErrorKind::ConnectFailed && self.serves => {
                message::note(format_args!(
                    "nobody listens at the control path {} any more; it is removed",
                    self.path.display()
                ));
                // Another one may have come meanwhile.
                if before.is_some() && identity(&self.path) == before {
                    let _ = std::fs::remove_file(&self.path);
                }
                None
            }
            Err(error) => {
                message::warning(refusal(&self.path, &error));
                None
            }
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Why there is no master, in ssh's words where it has some.
fn refusal(path: &Path, error: &Error) -> String {
    let why = match error.kind() {
        ErrorKind::NotFound => "No such file or directory",
        ErrorKind::ConnectFailed => "Connection refused",
        _ => error.message(),
    };
    format!("Control socket connect({}): {why}", path.display())
}

/// A line as ssh writes it of a master: for whoever reads it by a program.
fn say(line: impl Display) {
    // Nobody is left to be told that standard error cannot be written.
    let _ = std::io::stderr().write_all(format!("{line}\r\n").as_bytes());
}
