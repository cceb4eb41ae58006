//! `rmux ssh`: one command or shell on a host, in the manner of ssh(1).
//!
//! Where it differs from ssh on purpose:
//! - when nobody reads standard output any more it ends, instead of waiting for the command to
//!   notice;
//! - the `~` escapes are not read: every byte typed goes to the remote.
//!
//! As with ssh, a command without a terminal goes on when rmux is ended by a signal, until it
//! reads or writes.

mod args;
mod run;
mod streams;

use std::ffi::OsString;

use crate::{log, message, signals, terminal};
use args::Asked;
use run::Outcome;

/// The exit status where rmux itself fails, as ssh's.
pub(crate) const FAILED: u8 = 255;

/// What `rmux ssh --help` prints.
pub(crate) const HELP: &str = "\
Run a command or a shell on a host, with the arguments of ssh(1)

Usage: rmux ssh [options] destination [command [argument ...]]

The destination is a host, user@host or ssh://[user@]host[:port]; the host may be an alias of
~/.ssh/config. Without a command a login shell is started. The exit status is the command's, or
255 where rmux fails or a signal ended the command.

Options, before or behind the destination:
  -G            print the settings for the destination, as ssh -G does, and connect nowhere
  -F file       read this configuration instead of ~/.ssh/config; \"none\" reads none
  -i file       try this private key; may be given several times
  -l user       log in as this user
  -n            give the command no input
  -o Key=value  a setting as in ssh_config(5), which wins over the files
  -p port       connect to this port
  -q            print no warnings
  -t            give the command a terminal; -tt even if standard input is none
  -T            give it no terminal
  -v            tell what happens; -vv and -vvv tell more
  -V            print the version

RMUX_LOG=rmux_core=debug shows the log of a part of rmux.
";

/// Runs `rmux ssh` with the words behind it; returns the exit status. Threads that wait for input
/// may be left.
pub(crate) fn main(words: Vec<OsString>) -> u8 {
    let args = match args::parse(words) {
        Ok(Asked::Run(args)) => args,
        Ok(Asked::Version) => {
            message::line(concat!("rmux ", env!("CARGO_PKG_VERSION")));
            return 0;
        }
        Ok(Asked::Help) => {
            use std::io::Write as _;
            // Whoever closed the output has seen enough.
            let _ = std::io::stdout().write_all(HELP.as_bytes());
            return 0;
        }
        Err(refusal) => {
            message::error(format_args!("{refusal} (see: rmux ssh --help)"));
            return FAILED;
        }
    };
    log::start(args.verbose, args.quiet);
    terminal::restore_on_panic();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // One for the connection, one for the streams.
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            message::error(format_args!("cannot start: {error}"));
            return FAILED;
        }
    };
    let outcome = runtime.block_on(run::run(&args));
    terminal::restore();
    // A prompt may still be waiting in one of its threads.
    runtime.shutdown_background();
    match outcome {
        Outcome::Exit(code) => code,
        Outcome::DieBy(kind) => signals::die_by(kind),
    }
}
