//! The yardstick: what a program does that uses the SSH engine directly and nothing else.
//!
//! The engine is set up as rmux sets it up (cipher, window, nodelay), so that what differs is what
//! rmux adds. Must not know rmux.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rmux_testkit::sshd::Sshd;
use russh::client::{Config, Handle, Handler, Msg};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use russh::{Channel, ChannelMsg, Limits, Preferred, cipher};

use crate::PIECE;

/// One connection.
pub struct Bare(Handle<Trusting>);

/// A command whose output is kept where it is until somebody [drains](Self::drain) it.
pub struct Unread(Channel<Msg>);

impl Unread {
    /// Reads it to its end.
    ///
    /// # Cancel safety
    /// Cancel safe: the rest stays unread.
    pub async fn drain(mut self) {
        while self.0.wait().await.is_some() {}
    }
}

/// How a command ended, and what it wrote.
#[derive(Debug, Default)]
pub struct Ended {
    /// The exit status, if the server told one.
    pub status: Option<u32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
}

/// The server is a fixture of this process on loopback: there is nobody to mistake it for.
struct Trusting;

impl Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

impl Bare {
    /// Connects to the fixture, at its own address or a relay's.
    ///
    /// # Panics
    /// When the fixture does not let it in.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn connect(sshd: &Sshd, addr: SocketAddr) -> Self {
        Self::try_connect(addr, sshd.user(), &sshd.client_key())
            .await
            .expect("the fixture lets the bare program in")
    }

    /// Connects to a server that nobody can be mistaken for.
    ///
    /// # Panics
    /// When the key cannot be read, or does not let in.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn try_connect(
        addr: SocketAddr,
        user: &str,
        key: &Path,
    ) -> Result<Self, russh::Error> {
        let mut handle = russh::client::connect(Arc::new(config()), addr, Trusting).await?;
        let key = Arc::new(load_secret_key(key, None).expect("the fixture's key is readable"));
        let key = PrivateKeyWithHashAlg::new(key, None);
        let result = handle.authenticate_publickey(user, key).await?;
        assert!(result.success(), "the fixture refused its own client key");
        Ok(Self(handle))
    }

    /// Opens a channel, runs `line` on it and reads it to its close.
    ///
    /// # Panics
    /// When the connection is lost.
    ///
    /// # Cancel safety
    /// Not cancel safe: the channel stays open.
    pub async fn exec(&self, line: &str) -> Ended {
        let mut channel = self.start(line).await;
        let mut ended = Ended::default();
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => ended.stdout.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => ended.status = Some(exit_status),
                _ => {}
            }
        }
        ended
    }

    /// Runs `line` and returns when the first of its output is there.
    ///
    /// # Panics
    /// When there is none.
    ///
    /// # Cancel safety
    /// Not cancel safe: the channel stays open.
    pub async fn first_output(&self, line: &str) -> Bytes {
        let mut channel = self.start(line).await;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Data { data }) => return data,
                Some(_) => {}
                None => panic!("no output of {line:?}"),
            }
        }
    }

    /// Starts `line` and reads nothing of it.
    ///
    /// # Panics
    /// When the connection is lost.
    ///
    /// # Cancel safety
    /// Not cancel safe: the channel stays open.
    pub async fn unread(&self, line: &str) -> Unread {
        Unread(self.start(line).await)
    }

    /// Runs `line` and returns how many bytes it wrote.
    ///
    /// # Panics
    /// When the connection is lost.
    ///
    /// # Cancel safety
    /// Not cancel safe: the channel stays open.
    pub async fn download(&self, line: &str) -> u64 {
        let mut channel = self.start(line).await;
        let mut length = 0;
        while let Some(message) = channel.wait().await {
            if let ChannelMsg::Data { data } = message {
                length += data.len() as u64;
            }
        }
        length
    }

    /// Runs `line` with `length` zeros as its input, and returns what it wrote when it has ended.
    ///
    /// # Panics
    /// When the connection is lost.
    ///
    /// # Cancel safety
    /// Not cancel safe: the channel stays open.
    pub async fn upload(&self, line: &str, length: u64) -> Vec<u8> {
        let (mut read, write) = self.start(line).await.split();
        let send = async {
            // The engine's fastest way: it takes pieces of this over without copying them.
            let piece = Bytes::from(vec![0; PIECE]);
            let mut rest = length;
            while rest > 0 {
                let part = piece.slice(..rest.min(PIECE as u64) as usize);
                rest -= part.len() as u64;
                write.data_bytes(part).await.expect("the link lasts");
            }
            write.eof().await.expect("the link lasts");
        };
        let receive = async {
            let mut stdout = Vec::new();
            while let Some(message) = read.wait().await {
                if let ChannelMsg::Data { data } = message {
                    stdout.extend_from_slice(&data);
                }
            }
            stdout
        };
        tokio::join!(send, receive).1
    }

    /// Ends the connection.
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection.
    pub async fn close(self) {
        // An error means that it is closed already.
        let _ = self
            .0
            .disconnect(russh::Disconnect::ByApplication, "", "")
            .await;
    }

    async fn start(&self, line: &str) -> Channel<Msg> {
        let channel = self
            .0
            .channel_open_session()
            .await
            .expect("the fixture has room for a channel");
        channel.exec(true, line).await.expect("the link lasts");
        channel
    }
}

fn config() -> Config {
    Config {
        nodelay: true,
        window_size: 16 << 20,
        channel_buffer_size: 128,
        limits: Limits {
            // No key exchange in the middle of a sample.
            rekey_write_limit: 64 << 30,
            rekey_read_limit: 64 << 30,
            rekey_time_limit: Duration::from_secs(12 * 3600),
        },
        preferred: Preferred {
            cipher: Cow::Borrowed(&[cipher::AES_128_GCM]),
            ..Preferred::DEFAULT
        },
        ..Config::default()
    }
}
