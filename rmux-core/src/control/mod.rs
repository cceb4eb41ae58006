//! Control sockets: one connection for all of a machine's SSH programs, as OpenSSH shares it.
//!
//! [`ControlSocket`] is the path where a master listens, [`ControlMaster`] what serves a [`Session`]
//! there: `ssh`, `scp`, `sftp`, `rsync` and `git` run over it as over a master of OpenSSH's own.
//! [`ControlClient`] uses a master that is there already, whoever's it is. The messages are in `rmux-proto`; this room knows sockets, descriptors and threads, and not how a host
//! is reached.
//!
//! [`Session`]: crate::Session

mod carry;
mod client;
mod connection;
mod conversation;
mod forwards;
mod master;
mod passed;
mod receive;
mod socket;

pub use client::{ControlChild, ControlClient, ControlEvent, ControlRequest};
pub use master::{ControlEnd, ControlMaster};
pub use socket::ControlSocket;
