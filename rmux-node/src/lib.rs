//! The Node addon of rmux: operations on `rmux-core` that answer through one mailbox for each
//! JavaScript environment.
//!
//! What a program sees is the JavaScript layer in `lib/`. This crate converts arguments, makes one
//! call into the core and converts the result. It knows no protocol and keeps no state of its own
//! but the operations under way.

mod bridge;
mod child;
mod command;
mod completed;
mod connect;
mod context;
mod delivery;
mod directory;
mod fan_out;
mod file;
mod files;
mod forward;
mod found;
mod logging;
mod mailbox;
mod pool;
mod prompts;
mod resolve;
mod session;
mod slot;
mod stats;
mod transfer;
