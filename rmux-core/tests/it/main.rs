//! Integration tests of rmux-core against a real OpenSSH sshd on loopback.

mod fixture;
mod run;
mod traps;
