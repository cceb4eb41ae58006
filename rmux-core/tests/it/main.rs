//! Integration tests of rmux-core against a real OpenSSH sshd on loopback.

mod algorithms;
mod auth;
mod bad_input;
mod cases;
mod fixture;
mod kill;
mod liveness;
mod run;
mod shells;
mod traps;
mod trust;
mod ways;
