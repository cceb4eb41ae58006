//! What the tests of every language share: a real sshd, a real agent, an embedded SSH server,
//! a link simulator and the shared cases.
//!
//! | need | use |
//! |---|---|
//! | the real thing, key authentication | [`sshd::Sshd`] |
//! | password or keyboard-interactive, or no sshd installed | [`embedded::EmbeddedServer`] |
//! | a slow, narrow, stalled or cut link | [`relay::Relay`] |
//! | an agent, or one that never answers | [`agent::Agent`], [`agent::HangingAgent`] |
//! | the behaviour every language must show | [`cases::Case`] |
//!
//! This crate must not know `rmux-core`: what it offers is the world around the library.
//! Fixtures panic with a clear message when the machine lacks what they need, because a test
//! that cannot start has failed.
#![warn(missing_docs)]

mod account;
pub mod agent;
pub mod cases;
pub mod embedded;
mod keys;
mod processes;
pub mod relay;
pub mod sshd;

pub use keys::KeyKind;
