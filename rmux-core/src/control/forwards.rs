//! The forwards that clients have a master make. They are the master's from then on, and outlive the
//! client.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmux_proto::mux::{self, Answer, ForwardKind};

use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::forward::{Forward, ForwardSpec};
use crate::session::Session;

/// What stands for "wherever the client of the SOCKS proxy wants to" at the server.
const SOCKS: &[u8] = b"socks";

/// Those that were made.
#[derive(Debug, Default)]
pub(super) struct Forwards(Mutex<Vec<(mux::Forward, Forward)>>);

impl Forwards {
    /// Makes one, and answers. One that is there already is made once.
    pub(super) async fn open(&self, session: &Session, wanted: mux::Forward) -> Answer {
        if let Some(answer) = self.there(&wanted) {
            return answer;
        }
        match make(session, &wanted).await {
            Ok(made) => {
                let answer = done(&wanted, &made);
                self.all().push((wanted, made));
                answer
            }
            Err(error) => {
                tracing::debug!(%error, "a client's forward was not made");
                // Words that clients of OpenSSH print.
                let why = match (&wanted.kind, &wanted.listen) {
                    (ForwardKind::Remote, mux::Endpoint::Tcp(_, port)) => {
                        format!("remote port forwarding failed for listen port {port}")
                    }
                    _ => "Port forwarding failed".to_owned(),
                };
                Answer::Failure(why.into())
            }
        }
    }

    /// Ends one, whose connections go on.
    pub(super) async fn close(&self, meant: &mux::Forward) -> Answer {
        let found = {
            let mut all = self.all();
            let place = all.iter().position(|(made, _)| is_same_place(made, meant));
            place.map(|place| all.swap_remove(place))
        };
        match found {
            Some((_, forward)) => {
                forward.close().await;
                Answer::Ok
            }
            None => Answer::Failure(b"port not forwarded".to_vec()),
        }
    }

    /// Whether any carries something.
    pub(super) fn are_busy(&self) -> bool {
        self.all().iter().any(|(_, made)| made.stats().open > 0)
    }

    /// The answer, where something listens at that place already.
    fn there(&self, wanted: &mux::Forward) -> Option<Answer> {
        let all = self.all();
        let (before, made) = all.iter().find(|(made, _)| is_same_place(made, wanted))?;
        Some(if before == wanted {
            done(wanted, made)
        } else {
            Answer::Failure(b"Port already forwarded".to_vec())
        })
    }

    fn all(&self) -> MutexGuard<'_, Vec<(mux::Forward, Forward)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A host and port, or the path of a socket, as clients name them.
pub(super) fn endpoint(named: &mux::Endpoint) -> Endpoint {
    match named {
        mux::Endpoint::Tcp(host, port) if host.is_empty() => Endpoint::port(*port),
        mux::Endpoint::Tcp(host, port) => {
            Endpoint::tcp(String::from_utf8_lossy(host).into_owned(), *port)
        }
        mux::Endpoint::Unix(path) => {
            Endpoint::unix(PathBuf::from(OsString::from_vec(path.clone())))
        }
    }
}

fn is_same_place(one: &mux::Forward, other: &mux::Forward) -> bool {
    let remote = |forward: &mux::Forward| forward.kind == ForwardKind::Remote;
    // Where the server chooses the port, the targets tell them apart.
    let chosen = remote(one) && matches!(one.listen, mux::Endpoint::Tcp(_, 0));
    remote(one) == remote(other)
        && one.listen == other.listen
        && (!chosen || one.connect == other.connect)
}

fn done(wanted: &mux::Forward, made: &Forward) -> Answer {
    match (&wanted.kind, &wanted.listen) {
        (ForwardKind::Remote, mux::Endpoint::Tcp(_, 0)) => Answer::RemotePort {
            port: made.port().unwrap_or_default().into(),
        },
        _ => Answer::Ok,
    }
}

async fn make(session: &Session, wanted: &mux::Forward) -> Result<Forward> {
    let host = session.host();
    let listen = endpoint(&wanted.listen);
    let socks = matches!(&wanted.connect, mux::Endpoint::Tcp(to, 0) if to == SOCKS);
    let spec = if wanted.kind == ForwardKind::Dynamic || socks {
        ForwardSpec::dynamic(listen)
    } else {
        ForwardSpec::new(listen, endpoint(&wanted.connect))
    };
    let spec = spec
        .gateway_ports(host.gateway_ports)
        .unlink(host.stream_local_bind_unlink)
        .bind_mask(host.stream_local_bind_mask);
    match wanted.kind {
        ForwardKind::Remote => session.forward_remote(&spec).await,
        _ => session.forward_local(&spec).await,
    }
}
