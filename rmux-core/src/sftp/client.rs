//! The requests, one method each.
//!
//! None is `async`: the request is sent when the method is called, so that several can be under way
//! before the first answer is waited for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rmux_proto::sftp::{
    Attributes, Extension, Name, OpenFlags, Pieces, Reply, Request, Status, StatusCode, Statvfs,
};
use tokio::sync::{mpsc, oneshot};

use super::answer::{Answer, Failed, Given, Handle};
use super::facts::Facts;
use super::task::{Ask, Waiter};
use super::tools::Tools;
use crate::error::{Error, ErrorKind};
use crate::printable::printable;

/// A handle of the task that owns the channel. The channel is let go of when the last client and
/// the last [`Handle`] are dropped.
#[derive(Clone)]
pub(crate) struct Client {
    way: Way,
    facts: Arc<Facts>,
    /// Counts the clients.
    token: Arc<()>,
}

/// Where requests go: to a server, over its channel, or to the tools of a host without one. All that
/// is above knows no difference.
#[derive(Clone)]
pub(super) enum Way {
    Channel(mpsc::UnboundedSender<Ask>),
    Tools(Arc<Tools>),
}

impl Way {
    /// Sends it. `is_owed`: although nobody waits for it any more. `bytes`: how many it reads or
    /// writes.
    pub(super) fn send(&self, request: Request<'_>, waiter: Waiter, is_owed: bool, bytes: usize) {
        match self {
            Self::Channel(asks) => {
                let ask = Ask::new(request.encode(), waiter, is_owed);
                let _ = asks.send(ask.with_bytes(bytes));
            }
            Self::Tools(tools) => tools.ask(&request, waiter, is_owed),
        }
    }
}

impl Client {
    pub(super) fn new(way: Way, facts: Arc<Facts>) -> Self {
        Self {
            way,
            facts,
            token: Arc::default(),
        }
    }

    /// Whether the channel has ended.
    pub(crate) fn is_closed(&self) -> bool {
        match &self.way {
            Way::Channel(asks) => asks.is_closed(),
            Way::Tools(_) => false,
        }
    }

    /// Why there is no server, where tools do its work.
    pub(crate) fn without_server(&self) -> Option<&Error> {
        self.facts.without_server.as_ref()
    }

    /// The extensions that the server offers, by their names.
    pub(crate) fn extensions(&self) -> Vec<String> {
        let names = self.facts.extensions.iter();
        names
            .map(|(name, _)| printable(&String::from_utf8_lossy(name)))
            .collect()
    }

    /// Whether this is the only client of its channel, and no file is open.
    pub(crate) fn is_unshared(&self) -> bool {
        Arc::strong_count(&self.token) == 1 && !self.facts.has_handles()
    }

    /// Whether the server has an extension.
    pub(crate) fn has(&self, extension: Extension) -> bool {
        self.facts.extensions.has(extension)
    }

    /// The most that one read should ask for.
    pub(crate) fn read_length(&self) -> u32 {
        self.facts.read_length()
    }

    /// The most that one write may carry.
    pub(crate) fn write_length(&self) -> u32 {
        self.facts.write_length()
    }

    /// How many files the server lets be open at once, as far as it has told.
    pub(crate) fn most_handles(&self) -> u64 {
        self.facts.most_handles()
    }

    /// How many bytes one transfer should have under way.
    pub(crate) fn under_way(&self) -> usize {
        self.facts.under_way()
    }

    /// The shortest time that the server has taken for an answer, once there was one.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.facts.round_trip()
    }

    pub(crate) fn open_file(
        &self,
        path: &[u8],
        flags: OpenFlags,
        attributes: Attributes,
    ) -> Answer<Handle> {
        self.handle(Request::Open {
            path,
            flags,
            attributes,
        })
    }

    pub(crate) fn open_directory(&self, path: &[u8]) -> Answer<Handle> {
        self.handle(Request::Opendir { path })
    }

    pub(crate) fn read(&self, handle: &Handle, offset: u64, length: u32) -> Answer<Pieces> {
        let handle = handle.name();
        let request = Request::Read {
            handle,
            offset,
            length,
        };
        self.send(request, false, length as usize, |given| match given {
            Given::Reply(Reply::Data(data)) => Some(data),
            _ => None,
        })
    }

    /// `data` must not be longer than [`write_length`](Self::write_length).
    pub(crate) fn write(&self, handle: &Handle, offset: u64, data: Bytes) -> Answer<()> {
        let (handle, length) = (handle.name(), data.len());
        let request = Request::Write {
            handle,
            offset,
            data,
        };
        self.send(request, true, length, |_| Some(()))
    }

    pub(crate) fn stat(&self, path: &[u8]) -> Answer<Attributes> {
        self.attributes(Request::Stat { path })
    }

    pub(crate) fn lstat(&self, path: &[u8]) -> Answer<Attributes> {
        self.attributes(Request::Lstat { path })
    }

    pub(crate) fn fstat(&self, handle: &Handle) -> Answer<Attributes> {
        let handle = handle.name();
        self.attributes(Request::Fstat { handle })
    }

    pub(crate) fn set_attributes(&self, path: &[u8], attributes: Attributes) -> Answer<()> {
        self.done(Request::Setstat { path, attributes })
    }

    pub(crate) fn set_link_attributes(&self, path: &[u8], attributes: Attributes) -> Answer<()> {
        self.extended(Extension::Lsetstat, Request::Lsetstat { path, attributes })
    }

    pub(crate) fn set_handle_attributes(
        &self,
        handle: &Handle,
        attributes: Attributes,
    ) -> Answer<()> {
        let handle = handle.name();
        self.done(Request::Fsetstat { handle, attributes })
    }

    pub(crate) fn names(&self, handle: &Handle) -> Answer<Vec<Name>> {
        if matches!(self.way, Way::Tools(_)) && handle.has_been_listed() {
            // They come all at once.
            return self.refused(Failed::Status(Status::new(StatusCode::Eof, "")));
        }
        let handle = handle.name();
        self.send(Request::Readdir { handle }, false, 0, |given| match given {
            Given::Reply(Reply::Names(names)) => Some(names),
            _ => None,
        })
    }

    pub(crate) fn remove(&self, path: &[u8]) -> Answer<()> {
        self.done(Request::Remove { path })
    }

    /// Removes a file, and never learns whether that went well.
    pub(crate) fn remove_unheard(&self, path: &[u8]) {
        self.way
            .send(Request::Remove { path }, Waiter::Nobody, true, 0);
    }

    pub(crate) fn make_directory(&self, path: &[u8], attributes: Attributes) -> Answer<()> {
        self.done(Request::Mkdir { path, attributes })
    }

    pub(crate) fn remove_directory(&self, path: &[u8]) -> Answer<()> {
        self.done(Request::Rmdir { path })
    }

    pub(crate) fn real_path(&self, path: &[u8]) -> Answer<Bytes> {
        self.name(Request::Realpath { path })
    }

    pub(crate) fn rename(&self, from: &[u8], to: &[u8]) -> Answer<()> {
        self.done(Request::Rename { from, to })
    }

    pub(crate) fn read_link(&self, path: &[u8]) -> Answer<Bytes> {
        self.name(Request::Readlink { path })
    }

    pub(crate) fn symlink(&self, target: &[u8], link: &[u8]) -> Answer<()> {
        self.done(Request::Symlink { target, link })
    }

    pub(crate) fn posix_rename(&self, from: &[u8], to: &[u8]) -> Answer<()> {
        self.extended(Extension::PosixRename, Request::PosixRename { from, to })
    }

    pub(crate) fn hard_link(&self, from: &[u8], to: &[u8]) -> Answer<()> {
        self.extended(Extension::Hardlink, Request::Hardlink { from, to })
    }

    pub(crate) fn sync(&self, handle: &Handle) -> Answer<()> {
        let handle = handle.name();
        self.extended(Extension::Fsync, Request::Fsync { handle })
    }

    pub(crate) fn room(&self, path: &[u8]) -> Answer<Statvfs> {
        if !self.has(Extension::Statvfs) {
            return self.refused(Failed::unsupported());
        }
        self.send(Request::Statvfs { path }, false, 0, room)
    }

    pub(crate) fn handle_room(&self, handle: &Handle) -> Answer<Statvfs> {
        if !self.has(Extension::Fstatvfs) {
            return self.refused(Failed::unsupported());
        }
        let handle = handle.name();
        self.send(Request::Fstatvfs { handle }, false, 0, room)
    }

    pub(crate) fn expand_path(&self, path: &[u8]) -> Answer<Bytes> {
        if !self.has(Extension::ExpandPath) {
            return self.refused(Failed::unsupported());
        }
        self.name(Request::ExpandPath { path })
    }

    /// Copies on the server; a length of 0 means to the end.
    pub(crate) fn copy_data(
        &self,
        from: &Handle,
        offset: u64,
        length: u64,
        to: &Handle,
    ) -> Answer<()> {
        let request = Request::CopyData {
            from: from.name(),
            from_offset: offset,
            length,
            to: to.name(),
            to_offset: offset,
        };
        self.extended(Extension::CopyData, request)
    }

    fn handle(&self, request: Request<'_>) -> Answer<Handle> {
        if let Some(most) = self.facts.handles_used_up() {
            let what = format!("the server lets {most} files be open at once, and all are");
            let error = Error::new(ErrorKind::LimitExceeded, "open", what);
            return self.refused(Failed::Error(error.with_host(&self.facts.host)));
        }
        let (reply, answer) = oneshot::channel();
        let waiter = Waiter::Handle(reply, self.way.clone(), Arc::clone(&self.facts));
        self.way.send(request, waiter, false, 0);
        self.answer(answer, |given| match given {
            Given::Handle(handle) => Some(handle),
            Given::Reply(_) => None,
        })
    }

    fn attributes(&self, request: Request<'_>) -> Answer<Attributes> {
        self.send(request, false, 0, |given| match given {
            Given::Reply(Reply::Attributes(attributes)) => Some(attributes),
            _ => None,
        })
    }

    fn name(&self, request: Request<'_>) -> Answer<Bytes> {
        self.send(request, false, 0, |given| match given {
            Given::Reply(Reply::Names(mut names)) => names.pop().map(|name| name.name),
            _ => None,
        })
    }

    fn done(&self, request: Request<'_>) -> Answer<()> {
        self.send(request, true, 0, |_| Some(()))
    }

    fn extended(&self, extension: Extension, request: Request<'_>) -> Answer<()> {
        if !self.has(extension) {
            return self.refused(Failed::unsupported());
        }
        self.done(request)
    }

    fn send<T>(
        &self,
        request: Request<'_>,
        is_owed: bool,
        bytes: usize,
        read: fn(Given) -> Option<T>,
    ) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        self.way
            .send(request, Waiter::Answer(reply), is_owed, bytes);
        self.answer(answer, read)
    }

    /// An answer that is known without asking.
    fn refused<T>(&self, failed: Failed) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let _ = reply.send(Err(failed));
        self.answer(answer, |_| None)
    }

    fn answer<T>(
        &self,
        answer: oneshot::Receiver<Result<Given, Failed>>,
        read: fn(Given) -> Option<T>,
    ) -> Answer<T> {
        Answer::new(answer, read, Arc::clone(&self.facts))
    }
}

fn room(given: Given) -> Option<Statvfs> {
    match given {
        Given::Reply(Reply::Extended(body)) => Statvfs::decode(&body).ok(),
        _ => None,
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("host", &self.facts.host)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
