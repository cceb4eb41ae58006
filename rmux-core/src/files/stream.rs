//! Writing a whole file from a stream, in one step.

use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::replace::{Replace, Target};
use super::{Files, WriteOptions};
use crate::error::{Error, Result};

impl Files {
    /// Writes all that comes from a stream to a file, as [`write`](Self::write) does: it has its name
    /// once the stream has come to its end. Gives the length.
    ///
    /// # Errors
    /// As [`write`](Self::write), those of the stream, and
    /// [`Unsupported`](crate::ErrorKind::Unsupported) with [`WriteOptions::in_place`].
    ///
    /// # Cancel safety
    /// As [`write`](Self::write). What was read from the stream is lost.
    pub async fn write_from(
        &self,
        path: impl AsRef<[u8]>,
        stream: impl AsyncRead,
        options: &WriteOptions,
    ) -> Result<u64> {
        let (client, path) = self.locate("write", path.as_ref()).await?;
        let tried = self.tried("write", &path);
        if options.is_in_place() {
            let what = "a stream is written in one step only";
            return Err(tried.error(crate::error::ErrorKind::Unsupported, what));
        }
        let target = Target::find(&client, tried, options.create_new).await?;
        let tried = self.tried("write", &target.path);
        let replace = Replace::begin(&client, &target, tried, options).await?;
        let mut stream = std::pin::pin!(stream);
        let (mut under_way, mut bytes, mut offset) = (FuturesUnordered::new(), 0, 0);
        loop {
            let longest = client.write_length() as usize;
            let mut piece = BytesMut::with_capacity(longest);
            let mut limited = stream.as_mut().take(longest as u64);
            let read = limited.read_buf(&mut piece).await;
            let length = read.map_err(|error| Error::io("read", "cannot read", error))?;
            if length == 0 {
                break;
            }
            let answer = client.write(replace.handle(), offset, piece.freeze());
            under_way.push(async move { answer.await.map(|()| length) });
            offset += length as u64;
            bytes += length;
            while bytes > client.under_way()
                && let Some(written) = under_way.next().await
            {
                match written {
                    Ok(length) => bytes -= length,
                    Err(failed) => return replace.finish(Err(failed)).await.map(|()| 0),
                }
            }
        }
        while let Some(written) = under_way.next().await {
            if let Err(failed) = written {
                return replace.finish(Err(failed)).await.map(|()| 0);
            }
        }
        replace.finish(Ok(())).await.map(|()| offset)
    }
}
