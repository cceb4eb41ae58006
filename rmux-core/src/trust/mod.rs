//! Whether the server is who the user means: its host key or certificate held against
//! `known_hosts`, and the policy for keys nobody knows.
//!
//! Reads the files, learns from them and writes to them; matching lines and reading certificates is
//! the work of `rmux-proto`. Knows no engine: a key is its wire form, and what signs one has been
//! verified before it comes here.

mod address;
mod before;
mod command;
mod files;
mod fingerprint;
mod judge;
mod locked;
mod offered;
mod opened;
mod revoked;
mod signature;
mod update;

pub(crate) use judge::{Accepted, Judge};
pub(crate) use signature::Checked;
pub(crate) use update::Learner;

#[cfg(test)]
mod tests;
