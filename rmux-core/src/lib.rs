//! rmux: connect to a host over SSH once and do everything over that connection.
//!
//! A [`Session`] is one host, authenticated once. Commands run on it in the shape of
//! `std::process`: a [`Command`] is built and [spawned](Command::spawn) into a [`Child`].
//!
//! ```no_run
//! # async fn example() -> rmux_core::Result<()> {
//! use rmux_core::{Config, Session};
//!
//! let session = Session::connect("deploy@build.example.com", Config::new()).await?;
//! let listing = session.command("ls").args(["-l", "a name with spaces"]).output().await?;
//! assert!(listing.status.success());
//! session.close().await;
//! # Ok(()) }
//! ```
//!
//! The user's `ssh_config`, `known_hosts` and agent are read as `ssh` reads them; [`Config`] sets
//! what a program wants otherwise. A Tokio runtime is needed; [`blocking`] brings its own.
//!
//! Errors are one type, [`Error`], whose [`kind`](Error::kind) says what a caller may act on. A
//! command's exit status other than 0 is no error.
#![warn(missing_docs)]

mod ask;
pub mod blocking;
mod config;
#[cfg(unix)]
mod control;
mod deadline;
mod endpoint;
mod error;
#[doc(hidden)]
pub mod escape;
mod event;
mod fan_out;
mod files;
mod forward;
mod host;
mod link;
mod pool;
mod printable;
mod processes;
mod prompt;
mod quote;
mod resolve;
mod secret;
mod session;
mod sftp;
mod shell;
pub mod ssh_config;
mod transfer;
mod trust;

pub use config::{Config, ConfigFile, FurtherLogins, HostKeyPolicy, MatchExec, WhenFull};
#[cfg(unix)]
pub use control::{
    ControlChild, ControlClient, ControlEnd, ControlEvent, ControlMaster, ControlRequest,
    ControlSocket,
};
pub use endpoint::Endpoint;
pub use error::{Error, ErrorKind, RemoteEnd, Result};
pub use event::SessionEvent;
pub use fan_out::{FanOut, HostEvent, HostEvents, HostOutput, HostOutputs, HostStep};
pub use files::{
    Capabilities, DirEntry, DiskSpace, File, FileType, Files, FilesBy, Metadata, OpenOptions,
    ReadDir, RemotePath, Walk, WriteOptions,
};
pub use forward::{Forward, ForwardConnection, ForwardKind, ForwardSpec, ForwardStats};
pub use host::{
    AddKeysToAgent, AddressFamily, ControlPersist, ControlSharing, FingerprintHash, ForwardAgent,
    ForwardRule, Host, HostSpec, IgnoredSetting, LogLevel, RekeyLimit, RequestTty, SessionType,
    StrictHostKeyChecking, UpdateHostKeys,
};
pub use link::engine_algorithms;
pub use pool::{Pool, PoolStats, close_all};
pub use prompt::{
    AgentKeyPrompt, Answer, HostKeyPrompt, HostKeysPrompt, KeyFingerprint,
    KeyboardInteractivePrompt, PassphrasePrompt, PasswordPrompt, Prompter, Question,
};
pub use secret::Secret;

#[doc(hidden)]
pub use link::fuzz_private_key;
pub use session::{
    Accepted, Child, ChildStderr, ChildStdin, ChildStdout, CloseReason, Command, CutOff,
    ExitStatus, Lane, Output, OutputLimit, Pty, RemoteListener, RemoteReader, RemoteStream,
    RemoteWriter, Session, SessionStats, ShellContext, Signal, Stdio, Stopped, resolve,
};
pub use transfer::{
    Conflict, Dropped, Links, Progress, SkipReason, Skipped, Transfer, TransferEvent,
    TransferFailure, TransferOptions, TransferPath, TransferReport, Update,
};

/// The README's Rust code, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
