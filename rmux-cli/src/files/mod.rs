//! `rmux cp`, `rmux ls` and `rmux cat`: files of hosts, named as scp(1) names them.
//!
//! Must not know how files are moved.

mod bar;
mod cat;
mod connect;
mod copy;
mod list;
mod operand;

use std::ffi::OsString;

use crate::ssh::FAILED;
use crate::{gate, log, message, prompt, signals, terminal};
use connect::{Connection, Hosts};
use signals::Endings;

/// The exit status where something could not be done.
const NOT_ALL: u8 = 1;

/// The words behind `rmux cp`.
#[derive(Debug, clap::Args)]
pub(crate) struct CopyArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    how: copy::How,
    /// What to copy, as path or [user@]host:path, and where to; "-" is standard input or output
    #[arg(required = true, num_args = 2.., value_name = "PATH")]
    paths: Vec<OsString>,
}

/// The words behind `rmux ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    how: list::How,
    /// What to list
    #[arg(required = true, value_name = "HOST:PATH")]
    paths: Vec<OsString>,
}

/// The words behind `rmux cat`.
#[derive(Debug, clap::Args)]
pub(crate) struct CatArgs {
    #[command(flatten)]
    connection: Connection,
    /// The files to write to standard output, one after the other
    #[arg(required = true, value_name = "HOST:PATH")]
    paths: Vec<OsString>,
}

/// Runs `rmux cp`; returns the exit status.
pub(crate) fn copy(args: CopyArgs) -> u8 {
    let CopyArgs {
        connection,
        how,
        paths,
    } = args;
    run(&connection, async |hosts| {
        copy::run(hosts, &how, &paths).await
    })
}

/// Runs `rmux ls`; returns the exit status.
pub(crate) fn list(args: ListArgs) -> u8 {
    let ListArgs {
        connection,
        how,
        paths,
    } = args;
    run(&connection, async |hosts| {
        list::run(hosts, &how, &paths).await
    })
}

/// Runs `rmux cat`; returns the exit status.
pub(crate) fn cat(args: CatArgs) -> u8 {
    let CatArgs { connection, paths } = args;
    run(&connection, async |hosts| cat::run(hosts, &paths).await)
}

/// Whether all was done; what was not has been told.
type Done = Result<bool, Box<dyn std::error::Error>>;

fn run(connection: &Connection, work: impl AsyncFnOnce(&Hosts) -> Done) -> u8 {
    log::set_level(connection.level());
    log::start();
    terminal::restore_on_panic();
    let runtime = tokio::runtime::Builder::new_multi_thread()
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
    let ended = runtime.block_on(async {
        let mut endings = match Endings::listen() {
            Ok(endings) => endings,
            Err(error) => {
                message::error(format_args!("cannot listen to signals: {error}"));
                return Ok(FAILED);
            }
        };
        let hosts = Hosts::new(connection);
        let done = tokio::select! {
            done = work(&hosts) => done,
            kind = endings.next() => {
                gate::clear();
                // What is half done is being removed, unless somebody insists on the end of rmux.
                tokio::select! {
                    () = hosts.settle() => {}
                    _ = endings.next() => {}
                }
                return Err(kind);
            }
        };
        let code = match done {
            Ok(true) => 0,
            Ok(false) => NOT_ALL,
            Err(error) => {
                prompt::end();
                message::error(&error);
                match error.downcast_ref::<rmux_core::Error>() {
                    Some(error) if connect::is_of_connecting(error) => FAILED,
                    _ => NOT_ALL,
                }
            }
        };
        hosts.close().await;
        Ok(code)
    });
    terminal::restore();
    prompt::end();
    // Standard input may still be waited for in one of its threads.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(kind) => signals::die_by(kind),
    }
}
