//! Integration tests of the `rmux` program against a real OpenSSH sshd on loopback.

mod demo;
mod fixture;
mod prompts;
mod refusals;
mod run;
mod screen;
mod settings;
mod side_by_side;
mod terminal;
