//! Being the master: this process' connection serves others.

use std::future::pending;
use std::time::Duration;

use rmux_core::{ControlEnd, ControlMaster, ControlPersist, ControlSocket, ErrorKind, Session};
use tokio::signal::unix::SignalKind;

use super::super::FAILED;
use super::super::run::Outcome;
use super::Sharing;
use crate::message;
use crate::signals::Endings;

/// Serves the session at the control path. `None`, after a word, where that cannot be: the connection
/// does without.
pub(in crate::ssh) fn begin(sharing: &Sharing, session: &Session) -> Option<ControlMaster> {
    match ControlSocket::bind(&sharing.path) {
        Ok(socket) => Some(socket.serve(session.clone())),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            message::warning(format_args!(
                "ControlSocket {} already exists, disabling multiplexing",
                sharing.path.display()
            ));
            None
        }
        Err(error) => {
            message::warning(format_args!("{error}; the connection is not shared"));
            None
        }
    }
}

/// Waits until a client tells the master to end, or for ever where there is none.
pub(in crate::ssh) async fn until_told(master: Option<&ControlMaster>) {
    match master {
        Some(master) => {
            master.ended().await;
        }
        None => pending().await,
    }
}

/// Serves as long as the settings say, counted from when nobody is there.
pub(in crate::ssh) async fn stay(
    master: &ControlMaster,
    persist: ControlPersist,
    endings: &mut Endings,
) -> Outcome {
    let unused = async {
        match persist {
            ControlPersist::Forever => pending().await,
            ControlPersist::For(time) => master.unused_for(time).await,
            _ => master.unused_for(Duration::ZERO).await,
        }
    };
    // As ssh: nobody can come any more.
    let deserted = async {
        master.stopped().await;
        master.unused_for(Duration::ZERO).await;
    };
    tokio::select! {
        () = unused => Outcome::Exit(0),
        () = deserted => Outcome::Exit(0),
        ended = master.ended() => match ended {
            ControlEnd::Lost(error) => {
                message::error(error);
                Outcome::Exit(FAILED)
            }
            _ => Outcome::Exit(0),
        },
        kind = endings.next() => Outcome::Exit(if kind == SignalKind::terminate() {
            0
        } else {
            FAILED
        }),
    }
}
