//! Integration tests of rmux-core against a real OpenSSH sshd on loopback.

mod algorithms;
mod auth;
mod bad_input;
mod blocking;
mod cases;
mod dialing;
mod files;
mod fixture;
mod half_open;
mod kill;
mod limits;
mod liveness;
mod map;
mod pool;
mod pool_endings;
mod rekeying;
mod run;
mod settings;
mod settling;
mod shells;
mod silence;
mod stop;
mod traps;
mod trust;
mod wake;
mod ways;
