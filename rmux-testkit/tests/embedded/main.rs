//! The embedded server, seen by the stock OpenSSH clients.

mod client;
mod exec;
mod files;
mod login;
mod terminal;
