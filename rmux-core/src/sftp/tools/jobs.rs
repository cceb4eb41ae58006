//! The task that runs what is asked: several at a time, and in order what concerns the same path.
//!
//! A server reads its requests one after another, and callers count on it: that a file is removed
//! after it was made, that times are set after the last write. Here each request is a process, and
//! the order has to be kept.

use std::collections::VecDeque;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rmux_proto::posix;
use rmux_proto::sftp::{Name, Reply, Status, StatusCode};
use tokio::sync::mpsc;

use super::super::answer::Failed;
use super::super::task::Waiter;
use super::run::run as run_sh;
use super::script::{Answer, Script, Touched, Use};
use crate::error::{Error, ErrorKind};
use crate::session::Session;

/// How many may run at once: fewer than OpenSSH grants over one connection, which has others to
/// serve.
const MOST_AT_ONCE: usize = 6;

/// A request, and who waits for what comes of it. It keeps the session open.
pub(super) struct Job {
    pub(super) session: Session,
    pub(super) script: Script,
    pub(super) waiter: Waiter,
    pub(super) is_owed: bool,
}

/// Runs until nobody can ask any more and all is done.
pub(super) async fn run(mut jobs: mpsc::UnboundedReceiver<Job>) {
    let mut waiting: VecDeque<Job> = VecDeque::new();
    let mut running = FuturesUnordered::new();
    let mut touched: Vec<(u64, Vec<Touched>)> = Vec::new();
    let mut number = 0;
    let mut is_open = true;
    loop {
        let mut at = 0;
        while at < waiting.len() && running.len() < MOST_AT_ONCE {
            let job = &waiting[at];
            if !job.is_owed && job.waiter.is_gone() {
                waiting.remove(at);
                continue;
            }
            let earlier = waiting.iter().take(at).map(|job| &job.script.touched);
            let mut before = touched.iter().map(|(_, touched)| touched).chain(earlier);
            if before.any(|before| conflict(before, &job.script.touched)) {
                at += 1;
                continue;
            }
            let Some(job) = waiting.remove(at) else { break };
            number += 1;
            let own = number;
            touched.push((own, job.script.touched.clone()));
            running.push(async move {
                see_through(job).await;
                own
            });
        }
        if !is_open && running.is_empty() && waiting.is_empty() {
            return;
        }
        tokio::select! {
            job = jobs.recv(), if is_open => match job {
                Some(job) => waiting.push_back(job),
                None => is_open = false,
            },
            Some(done) = running.next() => touched.retain(|(own, _)| *own != done),
        }
    }
}

/// Whether one has to wait for the other.
fn conflict(one: &[Touched], other: &[Touched]) -> bool {
    one.iter().any(|one| {
        other.iter().any(|other| {
            one.path == other.path && !(one.used == other.used && one.used != Use::Changed)
        })
    })
}

async fn see_through(job: Job) {
    let Job {
        session,
        script,
        mut waiter,
        is_owed,
    } = job;
    let work = perform(&session, script);
    tokio::pin!(work);
    let outcome = tokio::select! {
        outcome = &mut work => outcome,
        () = waiter.gone(), if !is_owed => return,
    };
    waiter.settle(outcome);
}

async fn perform(session: &Session, script: Script) -> Result<Reply, Failed> {
    let Script {
        text,
        args,
        input,
        most,
        answer,
        ..
    } = script;
    let ran = run_sh(session, text, &args, input, most).await?;
    if !ran.is_success() {
        return Err(Failed::Status(match ran.lacks_a_tool() {
            true => Status::new(StatusCode::OpUnsupported, ""),
            false => posix::failure(&ran.said),
        }));
    }
    let output = ran.output;
    let garbled = |garbled: posix::Garbled| {
        let error = Error::new(ErrorKind::ProtocolViolation, "files", garbled.to_string());
        Failed::Error(error.with_host(&session.host().name))
    };
    Ok(match answer {
        Answer::Done => Reply::Status(Status::new(StatusCode::Ok, "")),
        Answer::Handle(name) => Reply::Handle(name.into()),
        Answer::Data if output.is_empty() => {
            return Err(Failed::Status(Status::new(StatusCode::Eof, "")));
        }
        Answer::Data => Reply::Data(bytes::Bytes::from(output).into()),
        Answer::Attributes(style) => {
            Reply::Attributes(posix::attributes(style, &output).map_err(garbled)?)
        }
        Answer::Names(style, token) => {
            Reply::Names(posix::listing(style, token.as_bytes(), &output).map_err(garbled)?)
        }
        Answer::Name => {
            // The mark keeps the newlines that a name may end in.
            let name = output.strip_suffix(b"/\n").filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| garbled(posix::Garbled("a path")))?;
            Reply::Names(vec![Name {
                name: bytes::Bytes::copy_from_slice(name),
                long: bytes::Bytes::new(),
                attributes: rmux_proto::sftp::Attributes::default(),
            }])
        }
        Answer::Room(read) => Reply::Extended(read(&output).map_err(garbled)?.encode().into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_or_writes_a_path_need_not_wait_for_the_like() {
        let touched = |path: &[u8], used| {
            vec![Touched {
                path: path.to_vec(),
                used,
            }]
        };
        let conflict = |one, other| conflict(&touched(b"a", one), &touched(b"a", other));
        assert!(!conflict(Use::Read, Use::Read));
        assert!(!conflict(Use::Written, Use::Written));
        assert!(conflict(Use::Read, Use::Written));
        assert!(conflict(Use::Changed, Use::Changed));
        assert!(conflict(Use::Read, Use::Changed));
        let (a, b) = (touched(b"a", Use::Changed), touched(b"b", Use::Changed));
        assert!(!super::conflict(&a, &b));
    }
}
