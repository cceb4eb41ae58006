//! The question what a host's tools can do.

use std::time::Duration;

use rmux_proto::posix::Tools;

use super::run::{Ran, run};
use super::script::PROBE;
use crate::error::{Error, ErrorKind, Result};
use crate::printable::printable;
use crate::session::Session;

/// How long the host may take to answer; its shell may be slow to start.
const LIMIT: Duration = Duration::from_secs(30);
/// The answer is a word and four letters.
const LONGEST: usize = 64;

pub(super) async fn probe(session: &Session) -> Result<Tools> {
    let asked = run(session, PROBE.to_owned(), &[], bytes::Bytes::new(), LONGEST);
    let refused = |what: String| {
        let what = format!("no files by commands: {what}");
        Error::new(ErrorKind::Unsupported, "open", what).with_host(&session.host().name)
    };
    let ran = match tokio::time::timeout(LIMIT, asked).await {
        Ok(Ok(ran)) => ran,
        // It is the session that is gone, and not the tools.
        Ok(Err(error)) if is_final(error.kind()) => return Err(error),
        Ok(Err(error)) => return Err(refused(error.to_string())),
        Err(_) => return Err(refused(format!("no answer within {LIMIT:?}"))),
    };
    let (Ran { output, .. }, true) = (&ran, ran.is_success()) else {
        let said = printable(String::from_utf8_lossy(&ran.said).trim());
        return Err(refused(match said.is_empty() {
            true => "what was asked of a POSIX shell failed".to_owned(),
            false => format!("the host says: {said}"),
        }));
    };
    Tools::decode(output).map_err(|garbled| refused(garbled.to_string()))
}

fn is_final(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Disconnected | ErrorKind::Closed | ErrorKind::Cancelled
    )
}
