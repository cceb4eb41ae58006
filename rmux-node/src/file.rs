//! An open file, as the JavaScript layer holds it.

use std::io::{self, SeekFrom};

use bytes::{BufMut as _, BytesMut};
use futures_util::FutureExt as _;
use napi::bindgen_prelude::{Buffer, Env, Uint8Array};
use napi_derive::napi;
use rmux_core::{Error, ErrorKind, File, RemotePath};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use crate::delivery::{Failure, Outcome, copied};
use crate::found::{FileFacts, Found};
use crate::mailbox::Mailbox;
use crate::slot::Slot;

/// How much is made room for ahead of what is read.
const RESERVED: usize = 256 << 10;

/// An open file. Letting go of it closes it. One operation at a time.
#[napi]
pub struct NativeFile {
    mailbox: Mailbox,
    host: String,
    path: RemotePath,
    open: Slot<Open>,
}

/// A file, and where its next byte is read or written.
struct Open {
    file: File,
    position: u64,
}

impl NativeFile {
    pub(crate) fn new(file: File, path: RemotePath, host: String, mailbox: Mailbox) -> Self {
        Self {
            mailbox,
            host,
            path,
            open: Slot::new(Some(Open { file, position: 0 })),
        }
    }

    /// Takes the file out for an operation.
    fn taken(&self, operation: u32) -> Option<Open> {
        let open = self.open.take();
        if open.is_none() {
            let closed = Error::new(ErrorKind::Closed, "files", "the file was closed");
            let failure = Failure::from(closed.with_host(&self.host));
            self.mailbox.settle(operation, Err(failure));
        }
        open
    }
}

#[napi]
impl NativeFile {
    /// Its path, as the server knows it.
    #[napi(getter)]
    pub fn path(&self, env: Env) -> napi::Result<Buffer> {
        copied(&env, self.path.as_bytes())
    }

    /// Reads up to `length` bytes at `position`; settled with a `Buffer`, which is empty at the end.
    /// With `whole` it waits for all of them, up to the end; without, for the first.
    #[napi]
    pub fn read(&self, operation: u32, position: f64, length: u32, whole: bool) {
        let Some(mut open) = self.taken(operation) else {
            return;
        };
        let (slot, host) = (self.open.clone(), self.host.clone());
        self.mailbox.start(operation, async move {
            let read = open.read(position as u64, length as usize, whole).await;
            slot.put_back(open);
            let data = read.map_err(|error| of_core("read", error).with_host(&host))?;
            Ok(Outcome::Found(Found::Bytes(data.freeze())))
        });
    }

    /// Writes all of `data` at `position`, or where the file ends if it was opened for that; settled
    /// with null when the server has it or, with `behind`, when it is accepted. An error of what was
    /// accepted comes with a later operation.
    #[napi]
    pub fn write(&self, operation: u32, position: f64, data: Uint8Array, behind: bool) {
        let Some(mut open) = self.taken(operation) else {
            return;
        };
        let (slot, host) = (self.open.clone(), self.host.clone());
        let data = data.to_vec();
        self.mailbox.start(operation, async move {
            let written = open.write(position as u64, &data, behind).await;
            // The core has kept what went wrong, and now tells all that is known of it.
            let told = match &written {
                Ok(()) => None,
                Err(_) => open.file.sync_all().await.err(),
            };
            slot.put_back(open);
            match (told, written) {
                (_, Ok(())) => Ok(Outcome::Nothing),
                (Some(told), _) => Err(told.with_host(&host).into()),
                (None, Err(error)) => Err(of_core("write", error).with_host(&host).into()),
            }
        });
    }

    /// Cuts it off behind this length, or fills it up with zeros.
    #[napi]
    pub fn truncate(&self, operation: u32, length: f64) {
        let Some(mut open) = self.taken(operation) else {
            return;
        };
        let slot = self.open.clone();
        self.mailbox.start(operation, async move {
            let done = open.file.set_len(length as u64).await;
            slot.put_back(open);
            Ok(done.map(|()| Outcome::Nothing)?)
        });
    }

    /// Waits until all that was written is on the server's disk.
    #[napi]
    pub fn sync(&self, operation: u32) {
        let Some(mut open) = self.taken(operation) else {
            return;
        };
        let slot = self.open.clone();
        self.mailbox.start(operation, async move {
            let done = open.file.sync_all().await;
            slot.put_back(open);
            Ok(done.map(|()| Outcome::Nothing)?)
        });
    }

    /// What is known of it; settled with a `FileFacts`.
    #[napi]
    pub fn stat(&self, operation: u32) {
        let Some(open) = self.taken(operation) else {
            return;
        };
        let slot = self.open.clone();
        self.mailbox.start(operation, async move {
            let known = open.file.metadata().await;
            slot.put_back(open);
            let facts = FileFacts::from(&known?);
            Ok(Outcome::Found(Found::Facts(facts)))
        });
    }

    /// Waits for what was written, and closes it. Closing it twice does nothing.
    #[napi]
    pub fn close(&self, operation: u32) {
        let Some(open) = self.open.take() else {
            return self.mailbox.settle(operation, Ok(Outcome::Nothing));
        };
        self.mailbox.start(operation, async move {
            open.file.close().await?;
            Ok(Outcome::Nothing)
        });
    }

    /// Closes it without waiting, unless an operation is under way; what was accepted is written.
    #[napi]
    pub fn abandon(&self) {
        drop(self.open.take());
    }
}

impl Open {
    async fn read(&mut self, position: u64, length: usize, whole: bool) -> io::Result<BytesMut> {
        self.seek(position).await?;
        let mut data = BytesMut::new();
        while data.len() < length {
            let left = length - data.len();
            data.reserve(left.min(RESERVED));
            let first = data.is_empty();
            let mut rest = (&mut data).limit(left);
            let read = self.file.read_buf(&mut rest);
            let read = match whole || first {
                true => read.await?,
                // An error comes again with the next call, behind the data.
                false => match read.now_or_never() {
                    Some(Ok(read)) => read,
                    _ => break,
                },
            };
            self.position += read as u64;
            if read == 0 {
                break;
            }
        }
        Ok(data)
    }

    async fn write(&mut self, position: u64, data: &[u8], behind: bool) -> io::Result<()> {
        self.seek(position).await?;
        self.file.write_all(data).await?;
        self.position += data.len() as u64;
        match behind {
            true => Ok(()),
            false => self.file.flush().await,
        }
    }

    /// Asking for where it is already would wait for what was written.
    async fn seek(&mut self, position: u64) -> io::Result<()> {
        if position != self.position {
            self.position = self.file.seek(SeekFrom::Start(position)).await?;
        }
        Ok(())
    }
}

/// The core's own error, which it hands out as one of the system's here.
fn of_core(operation: &'static str, error: io::Error) -> Error {
    error
        .downcast::<Error>()
        .unwrap_or_else(|error| Error::new(ErrorKind::Io, operation, error.to_string()))
}
