//! One run of the host's `sh`: what goes in, and what comes out, which is bounded.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;

use crate::error::{Error, ErrorKind, Result};
use crate::session::{ExitStatus, Session, Stdio};

/// How much of what comes on standard error is looked at.
const MOST_SAID: usize = 4 << 10;

/// What came of it.
pub(super) struct Ran {
    pub(super) output: Vec<u8>,
    pub(super) said: Vec<u8>,
    status: ExitStatus,
}

impl Ran {
    pub(super) fn is_success(&self) -> bool {
        self.status.success()
    }

    /// Whether a tool that was asked for is not there.
    pub(super) fn lacks_a_tool(&self) -> bool {
        self.status.code() == Some(127)
    }
}

/// # Errors
/// Those of the session, and [`ErrorKind::ProtocolViolation`] where more than `most` comes out.
pub(super) async fn run(
    session: &Session,
    script: String,
    args: &[Vec<u8>],
    input: Bytes,
    most: usize,
) -> Result<Ran> {
    let mut command = session.command("sh");
    command.arg("-c").arg(script).arg("rmux");
    command.args(args.iter().map(|arg| OsStr::from_bytes(arg)));
    command.stdin(match input.is_empty() {
        true => Stdio::Null,
        false => Stdio::Piped,
    });
    let mut child = command.spawn().await?;
    let stdin = child.stdin.take();
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let read = async {
        let mut output = Vec::new();
        while let Some(piece) = match &mut stdout {
            Some(stdout) => stdout.chunk().await?,
            None => None,
        } {
            if output.len() + piece.len() > most {
                let what = format!("a tool printed more than the {most} bytes that it could");
                let error = Error::new(ErrorKind::ProtocolViolation, "files", what);
                return Err(error.with_host(&session.host().name));
            }
            output.extend_from_slice(&piece);
        }
        Ok(output)
    };
    let listen = async {
        let mut said = Vec::new();
        while let Some(piece) = match &mut stderr {
            Some(stderr) => stderr.chunk().await?,
            None => None,
        } {
            let room = MOST_SAID - said.len();
            said.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        Ok::<_, Error>(said)
    };
    let send = async {
        if let Some(mut stdin) = stdin {
            // One that does not read to the end says why.
            let _ = stdin.write_all(&input).await;
            let _ = stdin.shutdown().await;
        }
    };
    let ended = futures_util::future::try_join(read, listen);
    tokio::pin!(ended);
    let (output, said) = tokio::select! {
        biased;
        ended = &mut ended => ended?,
        () = send => ended.await?,
    };
    let status = child.wait().await?;
    Ok(Ran {
        output,
        said,
        status,
    })
}
