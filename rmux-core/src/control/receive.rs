//! Reading from a control connection without losing the descriptors that it carries.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// At most as many bytes as the buffer holds; 0 at the end. Descriptors that come with them are
/// closed: nobody asked for any.
///
/// # Cancel safety
/// Cancel safe: a cancelled call takes nothing.
pub(super) async fn bytes(stream: &UnixStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        match stream.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

/// One byte, and the one descriptor that comes with it; none where there is not exactly one, or at
/// the end.
///
/// # Cancel safety
/// Cancel safe: a cancelled call takes nothing.
pub(super) async fn descriptor(stream: &UnixStream) -> io::Result<Option<OwnedFd>> {
    stream
        .async_io(Interest::READABLE, || receive(stream))
        .await
}

fn receive(stream: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0];
    // Room for more than one, to see that there is.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut buffers = [IoSliceMut::new(&mut byte)];
    let received = recvmsg(stream, &mut buffers, &mut control, RecvFlags::empty())?;
    let mut descriptors: Vec<OwnedFd> = control
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        })
        .collect();
    for descriptor in &descriptors {
        fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
    }
    if received.bytes == 0 || descriptors.len() != 1 {
        return Ok(None);
    }
    Ok(descriptors.pop())
}
