//! Integration tests of the `rmux` program against a real OpenSSH sshd on loopback.

mod askpass;
mod background;
mod control;
mod demo;
mod environment;
mod escapes;
mod files;
mod fixture;
mod flags;
mod forwards;
mod log;
mod many;
mod prompts;
mod refusals;
mod run;
mod screen;
mod settings;
mod side_by_side;
mod terminal;
