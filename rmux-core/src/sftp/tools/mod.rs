//! The requests of SFTP, answered by the POSIX tools of a host that has none.
//!
//! Each request is one run of the host's `sh` ([`script`]); what it prints is read by
//! `rmux_proto::posix`, as what a hostile host may have printed. A file that is open is its path here,
//! not the file itself. Knows nothing of what is done with files.

mod jobs;
mod probe;
mod run;
mod script;

use rmux_proto::posix;
use rmux_proto::sftp::{Extension, Request};
use tokio::sync::mpsc;

use super::answer::Failed;
use super::task::Waiter;
use crate::error::Result;
use crate::session::{Session, WeakSession};
use jobs::Job;
use script::Writer;

/// What of OpenSSH's extensions the tools can do as well.
pub(super) const EXTENSIONS: [Extension; 8] = [
    Extension::PosixRename,
    Extension::Statvfs,
    Extension::Fstatvfs,
    Extension::Hardlink,
    Extension::Fsync,
    Extension::Lsetstat,
    Extension::ExpandPath,
    Extension::CopyData,
];

/// A handle of the task that runs what is asked, in order where that matters. It does not keep the
/// session open; what is asked does.
pub(super) struct Tools {
    session: WeakSession,
    known: posix::Tools,
    jobs: mpsc::UnboundedSender<Job>,
}

impl Tools {
    /// Looks what the host has.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where it has no shell, or not the
    /// tools.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn find(session: &Session) -> Result<Self> {
        let known = probe::probe(session).await?;
        let (jobs, receiver) = mpsc::unbounded_channel();
        tokio::spawn(jobs::run(receiver));
        Ok(Self {
            session: session.downgrade(),
            known,
            jobs,
        })
    }

    /// Has it done. `is_owed`: although nobody waits for it any more.
    pub(super) fn ask(&self, request: &Request<'_>, waiter: Waiter, is_owed: bool) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        let writer = Writer::new(self.known);
        match writer.write(request) {
            Some(script) => {
                let _ = self.jobs.send(Job {
                    session,
                    script,
                    waiter,
                    is_owed,
                });
            }
            None => waiter.fail(Failed::unsupported()),
        }
    }
}
