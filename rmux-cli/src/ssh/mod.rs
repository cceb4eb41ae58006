//! `rmux ssh`: one command or shell on a host, in the manner of ssh(1).
//!
//! Where it differs from ssh on purpose:
//! - when nobody reads standard output any more it ends, instead of waiting for the command to
//!   notice;
//! - a question that is given up is not answered with an empty word.
//!
//! As with ssh, a command without a terminal goes on when rmux is ended by a signal, until it
//! reads or writes.

pub(crate) mod args;
mod background;
mod command_line;
mod converse;
mod forwards;
mod list;
mod plan;
mod run;
mod share;
mod stdio;
mod streams;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::{log, message, prompt, signals, terminal};
use args::{Args, Asked};
use background::Parent;
use run::Outcome;

pub(crate) use streams::Writer;

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
  -4, -6        connect by IPv4 or by IPv6 only
  -A, -a        let the remote use the local agent, or not
  -B interface  connect from the address of this network interface
  -b address    connect from this local address
  -C            compress what is sent
  -c ciphers    offer these ciphers, best first
  -D [address:]port
                be a SOCKS proxy on this port, whose connections the host makes
  -E file       append the log to this file
  -e character  the escape character; \"none\" for none
  -F file       read this configuration instead of ~/.ssh/config; \"none\" reads none
  -f            go to the background once let in; the command gets no input
  -g            let other machines use the ports of -L and -D
  -G            print the settings for the destination, as ssh -G does, and connect nowhere
  -i file       try this private key; may be given several times
  -J hosts      go through these hosts, separated by commas
  -L [address:]port:host:hostport
                carry connections to this port to a port that the host reaches; a path in
                either place is a unix socket
  -l user       log in as this user
  -M            share the connection at the control path
  -m macs       offer these MACs, best first
  -N            run nothing; the connection stays until it is ended
  -n            give the command no input
  -O order      tell the master at the control path: check, exit or stop
  -o Key=value  a setting as in ssh_config(5), which wins over the files
  -p port       connect to this port
  -Q query      print which algorithms there are; \"help\" prints the queries
  -q            print no warnings and no errors
  -R [address:]port:host:hostport
                the same from a port of the host to one that this machine reaches; port 0
                lets the server choose, and -R port alone makes a SOCKS proxy of the host
  -S path       the control path: use a connection that is shared there; \"none\" for none
  -s            the command is the name of a subsystem
  -T            give the command no terminal
  -t            give the command a terminal; -tt even if standard input is none
  -V            print the version
  -v            tell what happens; -vv and -vvv tell more
  -W host:port  carry standard input and output there, by way of the host
  -x            no forwarding of X11, which there is not
  -y            send the log to syslog

At a terminal ~. at the beginning of a line ends the connection, and ~? shows the other escapes.
RMUX_LOG=rmux_core=debug shows the log of a part of rmux.
";

/// Runs `rmux ssh` with the words behind it; returns the exit status. Threads that wait for input
/// may be left.
pub(crate) fn main(mut words: Vec<OsString>) -> u8 {
    // Before anything is opened: the parent is told by standard input.
    let parent = match Parent::waiting(&mut words) {
        Ok(parent) => parent,
        Err(error) => {
            message::usage(format_args!("cannot go to the background: {error}"));
            return FAILED;
        }
    };
    let args = match args::parse(words) {
        Ok(Asked::Run(args)) => args,
        Ok(Asked::List(query)) => return print_list(&query),
        Ok(Asked::Version) => {
            message::line(concat!("rmux ", env!("CARGO_PKG_VERSION")));
            return 0;
        }
        Ok(Asked::Help) => {
            // Whoever closed the output has seen enough.
            let _ = std::io::stdout().write_all(HELP.as_bytes());
            return 0;
        }
        Err(refusal) => {
            message::usage(format_args!("{refusal} (see: rmux ssh --help)"));
            return FAILED;
        }
    };
    if parent.is_none() {
        warn_of_missing_keys(&args);
    }
    if let Err(code) = start_log(&args) {
        return code;
    }
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
    let outcome = runtime.block_on(run::run(&args, parent));
    terminal::restore();
    prompt::end();
    // A prompt may still be waiting in one of its threads.
    runtime.shutdown_background();
    match outcome {
        Outcome::Exit(code) => code,
        Outcome::DieBy(kind) => signals::die_by(kind),
    }
}

fn print_list(query: &str) -> u8 {
    match list::answer(query, &rmux_core::engine_algorithms()) {
        Some(names) => {
            let _ = std::io::stdout().write_all((names.join("\n") + "\n").as_bytes());
            0
        }
        None => {
            message::usage(format_args!(
                "-Q: there is no query {query:?} (see: -Q help)"
            ));
            FAILED
        }
    }
}

/// As ssh, which says it of `-i` only, and before it has a log.
fn warn_of_missing_keys(args: &Args) {
    if args.level() < log::Level::Info {
        return;
    }
    for path in args.keys() {
        let Err(error) = std::fs::metadata(from_home(path)) else {
            continue;
        };
        let why = error.to_string();
        let why = why.split(" (os error").next().unwrap_or_default();
        message::line(format_args!(
            "Warning: Identity file {} not accessible: {why}.",
            from_home(path).display()
        ));
    }
}

/// With the home directory in the place of a tilde.
fn from_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

fn start_log(args: &Args) -> Result<(), u8> {
    log::set_level(args.level());
    if args.syslog {
        log::to_syslog();
    } else if let Some(path) = &args.log_file
        && let Err(error) = log::to_file(path)
    {
        message::usage(format_args!(
            "-E: the log file {} cannot be opened: {error}",
            path.display()
        ));
        // As ssh, which has not begun then.
        return Err(1);
    }
    log::start();
    Ok(())
}
