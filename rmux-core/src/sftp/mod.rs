//! The SFTP client: one channel of a session, on which any number of requests are under way; or, on a
//! host without SFTP, the same requests done by its POSIX tools ([`tools`]).
//!
//! A [`Client`] is a cheap handle that sends requests to a task, which owns the table of those under
//! way. A request is sent when its method is called; the [`Answer`] is waited for, or not. The room
//! knows packets and errors of the protocol, and nothing of what is done with files.

mod answer;
mod client;
mod facts;
mod open;
mod task;
mod tools;

pub(crate) use answer::{Answer, Failed, Handle};
pub(crate) use client::Client;
