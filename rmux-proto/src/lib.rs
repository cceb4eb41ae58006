//! Protocols and formats of rmux with no I/O: bytes and time in, events and bytes out.
//!
//! Nothing here opens a file or a socket, reads a clock or the environment, or knows an async
//! runtime. What a format needs from outside (an included file, a user's home) is a request that
//! the caller answers.
#![warn(missing_docs)]

pub mod certificate;
pub mod exported;
pub mod known_hosts;
pub mod krl;
pub mod mux;
pub mod name_pattern;
pub mod posix;
pub mod public_key;
pub mod sftp;
pub mod socks;
pub mod ssh_config;
pub mod wire;
