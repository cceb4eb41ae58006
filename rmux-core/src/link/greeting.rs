//! The first lines of a server: what it may say before its version (RFC 4253, section 4.2).
//!
//! The engine takes few and short lines there and drops them. Here are OpenSSH's bounds, and what
//! was said is kept for the message in case that no version follows.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::printable::printable;

/// OpenSSH's, both.
const MAX_LINES: usize = 1024;
const MAX_LINE: usize = 8192;
/// The longest version line the engine takes, its end included (RFC 4253, section 4.2).
const MAX_VERSION: usize = 255;
/// How much of a line a message shows.
const SHOWN: usize = 80;

/// Why a stream is none of an SSH server that can be talked to. Follows the place in a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoVersion(String);

/// A stream that begins with the server's version.
pub(super) struct Greeting<S> {
    stream: S,
    /// What was read and not passed on.
    read: Vec<u8>,
    lines: usize,
    /// The first line that says something.
    said: Option<String>,
    /// From the version on, once it was seen.
    version: Option<Bytes>,
}

impl<S> Greeting<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            read: Vec::new(),
            lines: 0,
            said: None,
            version: None,
        }
    }

    /// Goes through the lines read so far, up to the version.
    fn scan(&mut self) -> Result<(), NoVersion> {
        loop {
            let end = self.read.iter().position(|byte| *byte == b'\n');
            let line = &self.read[..end.unwrap_or(self.read.len())];
            if line.len() > MAX_LINE {
                return Err(self.is_none("a line of more than 8192 bytes is not SSH"));
            }
            if line.contains(&0) {
                return Err(self.is_none("a NUL byte in the first lines is not SSH"));
            }
            let Some(end) = end else {
                return Ok(());
            };
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let shown = printable(&String::from_utf8_lossy(&line[..line.len().min(SHOWN)]));
            if line.len() > 4 && line.starts_with(b"SSH-") {
                let spoken = line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-");
                if !spoken {
                    return Err(NoVersion(format!(
                        "speaks another version than SSH 2.0: {shown:?}"
                    )));
                }
                if end >= MAX_VERSION || std::str::from_utf8(line).is_err() {
                    return Err(NoVersion(format!(
                        "breaks the form of the version line: {shown:?}"
                    )));
                }
                self.version = Some(std::mem::take(&mut self.read).into());
                return Ok(());
            }
            if line.contains(&b'\r') {
                return Err(self.is_none("a carriage return within a line is not SSH"));
            }
            tracing::debug!(line = shown, "before the version");
            if !shown.is_empty() {
                self.said.get_or_insert(shown);
            }
            self.lines += 1;
            if self.lines >= MAX_LINES {
                return Err(self.is_none("no version came in the first 1024 lines"));
            }
            self.read.drain(..=end);
        }
    }

    fn is_none(&self, why: &str) -> NoVersion {
        let said = match &self.said {
            Some(said) => format!("; it said {said:?}"),
            None => String::new(),
        };
        NoVersion(format!("is no SSH server: {why}{said}"))
    }

    fn over(&self) -> NoVersion {
        let start = &self.read[..self.read.len().min(SHOWN)];
        let start = printable(&String::from_utf8_lossy(start));
        let said = self.said.clone().or((!start.is_empty()).then_some(start));
        NoVersion(match said {
            Some(said) => {
                format!("closed the connection before the SSH handshake was done; it said {said:?}")
            }
            None => "closed the connection before the SSH handshake was done; is it an SSH server?"
                .to_owned(),
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let this = &mut *self;
            match &mut this.version {
                Some(begun) if begun.is_empty() => {
                    return Pin::new(&mut this.stream).poll_read(context, buffer);
                }
                Some(begun) => {
                    let length = begun.len().min(buffer.remaining());
                    buffer.put_slice(&begun[..length]);
                    begun.advance(length);
                    return Poll::Ready(Ok(()));
                }
                None => {}
            }
            let mut piece = [0; 1024];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut piece))?;
            let scanned = match piece.filled() {
                [] => Err(this.over()),
                more => {
                    this.read.extend_from_slice(more);
                    this.scan()
                }
            };
            scanned.map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write(context, data);
        match progress {
            // The other side has ended already: what it said before tells more.
            Poll::Ready(Err(error))
                if self.version.is_none() && error.kind() == io::ErrorKind::BrokenPipe =>
            {
                Poll::Ready(Ok(data.len()))
            }
            progress => progress,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What is passed on of `said`, whose pieces arrive `piece` bytes at a time.
    async fn heard(said: &[u8], piece: usize) -> Result<Vec<u8>, String> {
        let (far, near) = tokio::io::duplex(piece);
        let said = said.to_vec();
        let speaker = tokio::spawn(async move {
            let mut far = far;
            // It may be hung up on.
            let _ = far.write_all(&said).await;
        });
        let mut heard = Vec::new();
        let read = Greeting::new(near).read_to_end(&mut heard).await;
        speaker.await.unwrap();
        match read {
            Ok(_) => Ok(heard),
            Err(error) => Err(error.to_string()),
        }
    }

    #[tokio::test]
    async fn the_version_and_what_follows_is_passed_on() {
        let lines = "hello\r\n".repeat(1000) + &"x".repeat(8000) + "\n\r\nSSH-\r\n";
        for before in ["", "hello\n", "\n", "SSH\r\n", &lines] {
            for version in ["SSH-2.0-x\r\n", "SSH-1.99-x y\n"] {
                let rest = format!("{version}\0\u{1}\n\r\n\0");
                for piece in [1, 7, 65536] {
                    let said = format!("{before}{rest}");
                    assert_eq!(
                        heard(said.as_bytes(), piece).await.unwrap(),
                        rest.as_bytes()
                    );
                }
            }
        }
    }

    #[tokio::test]
    async fn who_ended_before_he_was_written_to_is_still_heard() {
        let (mut far, near) = tokio::io::duplex(64);
        far.write_all(b"too busy\n").await.unwrap();
        drop(far);
        let mut near = Greeting::new(near);
        near.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        let error = near.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert!(error.to_string().contains("\"too busy\""), "{error}");
    }

    #[tokio::test]
    async fn what_is_no_version_is_told() {
        let long = "x".repeat(9000);
        let endless = "spam\n".repeat(2000);
        let wide = format!("SSH-2.0-{}\r\n", "x".repeat(300));
        for (said, told) in [
            ("", "is it an SSH server"),
            (
                "HTTP/1.1 400 Bad Request\r\n\r\n",
                "\"HTTP/1.1 400 Bad Request\"",
            ),
            ("Exceeded MaxStartups\r\n", "\"Exceeded MaxStartups\""),
            ("no line", "\"no line\""),
            ("SSH-1.5-old\r\n", "\"SSH-1.5-old\""),
            ("SSH-2.5-new\r\n", "another version"),
            (&wide, "form of the version line"),
            ("a\0b\n", "NUL"),
            ("\0\0\0\x0c", "NUL"),
            ("a\rb\nSSH-2.0-x\r\n", "carriage return"),
            (&long, "8192"),
            (&endless, "1024 lines"),
        ] {
            for piece in [1, 65536] {
                let error = heard(said.as_bytes(), piece).await.unwrap_err();
                assert!(error.contains(told), "{told}: {error}");
                assert!(error.len() < 300, "{error}");
            }
        }
    }
}
