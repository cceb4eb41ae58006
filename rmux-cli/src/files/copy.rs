//! `rmux cp`: where each source goes, and what is told meanwhile.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rmux_core::{Files, Links, RemotePath, Transfer, TransferEvent, TransferOptions, WriteOptions};

use super::cat::to_stdout;
use super::connect::Hosts;
use super::operand::Operand;
use super::{Done, bar};
use crate::{gate, message};

/// How it is copied.
#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// Copy directories, with all that is in them
    #[arg(short = 'r', short_alias = 'R', long = "recursive")]
    recursive: bool,
    /// Keep times and permissions
    #[arg(short = 'p', long = "preserve")]
    preserve: bool,
    /// Take what links in a tree point to, instead of links
    #[arg(short = 'L', long = "dereference")]
    follow: bool,
    /// Go on where an earlier copy was cut, once what is there was verified
    #[arg(long)]
    resume: bool,
    /// Compare the SHA-256 of both sides before a file gets its name
    #[arg(long)]
    checksum: bool,
    /// Leave out what matches; may be given several times
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
}

impl How {
    fn options(&self) -> TransferOptions {
        let mut options = TransferOptions::new();
        if self.recursive {
            options = options.recursive();
        }
        if self.preserve {
            options = options.times().modes();
        }
        if self.follow {
            options = options.links(Links::Follow);
        }
        if self.resume {
            options = options.resume();
        }
        if self.checksum {
            options = options.checksum();
        }
        for pattern in &self.exclude {
            options = options.exclude(pattern);
        }
        options
    }
}

/// An operand whose host is connected to.
enum End {
    Local(std::path::PathBuf),
    Remote(Files, Vec<u8>),
    Stream,
}

pub(super) async fn run(hosts: &Hosts, how: &How, words: &[OsString]) -> Done {
    let (target, sources) = words.split_last().ok_or("name a source and a target")?;
    let sources: Vec<Operand> = sources
        .iter()
        .map(|word| Operand::parse(word))
        .collect::<Result<_, _>>()?;
    let target = Operand::parse(target)?;
    let is_local = |operand: &Operand| !matches!(operand, Operand::Remote(..));
    if is_local(&target) && sources.iter().any(is_local) {
        return Err("one side has to be a host, as in host:path".into());
    }
    let options = how.options();
    let target = connected(hosts, target).await?;
    let is_directory = is_directory(&target).await;
    if sources.len() > 1 && !is_directory && !matches!(target, End::Stream) {
        return Err("several sources need a directory to go to".into());
    }
    let mut is_whole = true;
    for source in sources {
        let source = connected(hosts, source).await?;
        let copied = copy(&source, &target, is_directory, &options).await;
        match copied {
            Ok(whole) => is_whole &= whole,
            // Another source may be there.
            Err(error) => {
                if let Some(error) = error.downcast_ref::<rmux_core::Error>()
                    && super::connect::is_of_connecting(error)
                {
                    return Err(error.clone().into());
                }
                message::error(error);
                is_whole = false;
            }
        }
    }
    Ok(is_whole)
}

async fn connected(hosts: &Hosts, operand: Operand) -> Result<End, rmux_core::Error> {
    Ok(match operand {
        Operand::Local(path) => End::Local(path),
        Operand::Remote(host, path) => End::Remote(hosts.files(&host).await?, path),
        Operand::Stream => End::Stream,
    })
}

/// Whether sources go into the target, under their own names.
async fn is_directory(target: &End) -> bool {
    match target {
        End::Local(path) => path.is_dir(),
        End::Remote(files, path) => files.metadata(path).await.is_ok_and(|it| it.is_dir()),
        End::Stream => false,
    }
}

async fn copy(source: &End, target: &End, into: bool, options: &TransferOptions) -> Done {
    let transfer = match (source, target) {
        (End::Stream, End::Remote(files, path)) => {
            if into {
                return Err("standard input has no name: say which file it is to be".into());
            }
            let input = tokio::io::stdin();
            let options = WriteOptions::new();
            files.write_from(path, input, &options).await?;
            return Ok(true);
        }
        (End::Remote(files, path), End::Stream) => {
            to_stdout(files, path).await?;
            return Ok(true);
        }
        (End::Local(path), End::Remote(files, to)) => {
            let name = path.file_name().map(|name| name.as_bytes());
            files.put(path, below(to, name, into), options)
        }
        (End::Remote(files, path), End::Local(to)) => {
            let path = RemotePath::new(path.clone());
            let to = match path.file_name() {
                Some(name) if into => to.join(Path::new(std::ffi::OsStr::from_bytes(name))),
                _ => to.clone(),
            };
            files.get(&path, to, options)
        }
        (End::Remote(from, path), End::Remote(files, to)) => {
            let path = RemotePath::new(path.clone());
            let to = below(to, path.file_name(), into);
            from.send(&path, files, to, options)
        }
        _ => return Err("one side has to be a host, as in host:path".into()),
    };
    watch(transfer).await
}

/// The path for a source of this name. One without a name is put in the place itself.
fn below(to: &[u8], name: Option<&[u8]>, into: bool) -> RemotePath {
    let to = RemotePath::new(to);
    match name {
        Some(name) if into => to.join(name),
        _ => to,
    }
}

async fn watch(mut transfer: Transfer) -> Done {
    bar::start();
    while let Some(event) = transfer.next_event().await {
        match event {
            TransferEvent::Progress(progress) => bar::show(&progress),
            TransferEvent::Failed(failure) => bar::beside(|| message::error(failure.error)),
            TransferEvent::Skipped(skipped) => bar::beside(|| {
                message::warning(format_args!(
                    "{} is left out: {}",
                    skipped.path, skipped.reason
                ));
            }),
            _ => {}
        }
    }
    gate::clear();
    Ok(transfer.finish().await?.is_ok())
}
