//! Connections through the host and forwards, for blocking code.

use std::io::{self, Read, Write};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Session, runtime};
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::forward::{self, ForwardSpec, ForwardStats};
use crate::session;

impl Session {
    /// As [`Session::connect_tcp`](crate::Session::connect_tcp).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn connect_tcp(&self, host: impl Into<String>, port: u16) -> Result<RemoteStream> {
        self.reach(&Endpoint::tcp(host, port))
    }

    /// As [`Session::connect_unix`](crate::Session::connect_unix).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn connect_unix(&self, path: impl AsRef<std::path::Path>) -> Result<RemoteStream> {
        self.reach(&Endpoint::unix(path.as_ref()))
    }

    /// As [`Session::reach`](crate::Session::reach).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn reach(&self, to: &Endpoint) -> Result<RemoteStream> {
        runtime()?.block_on(self.0.reach(to)).map(RemoteStream)
    }

    /// As [`Session::listen`](crate::Session::listen).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn listen(&self, at: &Endpoint) -> Result<RemoteListener> {
        runtime()?.block_on(self.0.listen(at)).map(RemoteListener)
    }

    /// As [`Session::forward_local`](crate::Session::forward_local).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn forward_local(&self, spec: &ForwardSpec) -> Result<Forward> {
        let forward = runtime()?.block_on(self.0.forward_local(spec));
        forward.map(Forward)
    }

    /// As [`Session::forward_remote`](crate::Session::forward_remote).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn forward_remote(&self, spec: &ForwardSpec) -> Result<Forward> {
        let forward = runtime()?.block_on(self.0.forward_remote(spec));
        forward.map(Forward)
    }

    /// As [`Session::forward_dynamic`](crate::Session::forward_dynamic).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn forward_dynamic(&self, listen: Endpoint) -> Result<Forward> {
        self.forward_local(&ForwardSpec::dynamic(listen))
    }

    /// As [`Session::forwards`](crate::Session::forwards).
    pub fn forwards(&self) -> Vec<ForwardStats> {
        self.0.forwards()
    }
}

/// A [`Forward`](crate::Forward) for blocking code.
#[derive(Debug, Clone)]
pub struct Forward(forward::Forward);

impl Forward {
    /// Where it listens, with the port that was chosen.
    pub fn listen(&self) -> &Endpoint {
        self.0.listen()
    }

    /// The port that it listens on, where it is one.
    pub fn port(&self) -> Option<u16> {
        self.0.port()
    }

    /// As [`Forward::stats`](crate::Forward::stats).
    pub fn stats(&self) -> ForwardStats {
        self.0.stats()
    }

    /// As [`Forward::close`](crate::Forward::close).
    ///
    /// # Errors
    /// Those of [`runtime`].
    pub fn close(&self) -> Result<()> {
        runtime()?.block_on(self.0.close());
        Ok(())
    }

    /// As [`Forward::cut`](crate::Forward::cut).
    ///
    /// # Errors
    /// Those of [`runtime`].
    pub fn cut(&self) -> Result<()> {
        runtime()?.block_on(self.0.cut());
        Ok(())
    }

    /// As [`Forward::closed`](crate::Forward::closed).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn closed(&self) -> Result<()> {
        runtime()?.block_on(self.0.closed())
    }
}

/// A [`RemoteStream`](crate::RemoteStream) for blocking code.
#[derive(Debug)]
pub struct RemoteStream(session::RemoteStream);

impl RemoteStream {
    /// Tells the other side that no more comes; reading goes on.
    ///
    /// # Errors
    /// Where what was written before is lost.
    pub fn shutdown(&mut self) -> io::Result<()> {
        runtime()?.block_on(self.0.shutdown())
    }
}

impl Read for RemoteStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        runtime()?.block_on(self.0.read(buffer))
    }
}

impl Write for RemoteStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        runtime()?.block_on(self.0.write(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        runtime()?.block_on(self.0.flush())
    }
}

/// A [`RemoteListener`](crate::RemoteListener) for blocking code.
#[derive(Debug)]
pub struct RemoteListener(session::RemoteListener);

impl RemoteListener {
    /// Where the host listens, with the port that it chose.
    pub fn endpoint(&self) -> &Endpoint {
        self.0.endpoint()
    }

    /// The next connection; see [`RemoteListener::accept`](crate::RemoteListener::accept).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn accept(&mut self) -> Result<RemoteStream> {
        let accepted = runtime()?.block_on(self.0.accept())?;
        Ok(RemoteStream(accepted.stream))
    }

    /// As [`RemoteListener::close`](crate::RemoteListener::close).
    ///
    /// # Errors
    /// Those of [`runtime`].
    pub fn close(self) -> Result<()> {
        runtime()?.block_on(self.0.close());
        Ok(())
    }
}
