//! The `rmux` command: reads which subcommand is wanted and hands over to it.
//!
//! Must not know how any of them works.

mod demo;
mod environment;
mod files;
mod gate;
mod input;
mod log;
mod message;
mod prompt;
mod run;
mod signals;
mod ssh;
mod terminal;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

/// Connect to a host over SSH once and do everything over that connection.
#[derive(Debug, Parser)]
#[command(name = "rmux", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a command or a shell on a host, with the arguments of ssh(1)
    #[command(disable_help_flag = true, override_help = ssh::HELP)]
    Ssh {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    Run(Box<run::Args>),
    /// Print what a host resolves to as shell commands that export variables; connects nowhere
    #[command(disable_help_flag = true, override_help = environment::HELP)]
    Env {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    /// Copy files and directories to, from or between hosts
    Cp(files::CopyArgs),
    /// List directories of hosts
    Ls(files::ListArgs),
    /// Write files of hosts to standard output
    Cat(files::CatArgs),
    /// Show what one connection can do, against a server of its own; needs no setup
    Demo,
}

fn main() {
    let mut words = std::env::args_os();
    // ssh's way with options, and with `--`, is not clap's.
    let first = words.nth(1);
    let command = match first.as_ref().and_then(|word| word.to_str()) {
        Some("ssh") => Command::Ssh {
            words: words.collect(),
        },
        Some("env") => Command::Env {
            words: words.collect(),
        },
        _ => Cli::parse().command,
    };
    let code = match command {
        Command::Ssh { words } => ssh::main(words),
        Command::Run(args) => run::main(&args),
        Command::Env { words } => environment::main(words),
        Command::Cp(args) => files::copy(args),
        Command::Ls(args) => files::list(args),
        Command::Cat(args) => files::cat(args),
        Command::Demo => demo::main(),
    };
    // Not a return: a thread may be waiting for input that never comes.
    std::process::exit(code.into());
}
