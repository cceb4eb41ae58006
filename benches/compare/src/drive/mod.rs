//! The drivers of the peers that are used from Rust, or as programs. Each knows its own peer only.

mod bare;
mod ours;
mod stock;
mod through;

use std::path::{Path, PathBuf};

use crate::protocol::{self, Done, said};

/// A program that does nothing and needs no shell to go on.
const IDLE: &str = "exec sleep 600";
/// More output than anybody keeps in memory; then it waits.
const STALLED: &str = "head -c 268435456 /dev/zero; exec sleep 600";
const ENDLESS: &str = "exec cat /dev/zero";

/// Serves the peer of that name; whether there is one.
pub(crate) async fn serve(name: &str) -> bool {
    let target = protocol::target();
    match name {
        "rmux" => protocol::serve(ours::Ours::new(target)).await,
        "russh" => protocol::serve(bare::Russh::new(target)).await,
        "openssh" => protocol::serve(through::Through::new(target)).await,
        "ssh" | "sftp" | "scp" | "rsync" => {
            protocol::serve(stock::Programs::new(target, name)).await;
        }
        _ => return false,
    }
    true
}

/// The files of a local directory, by name.
fn files_of(folder: &Path) -> Done<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(said)?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    Ok(files)
}

/// The same name in another directory.
fn beside(file: &Path, folder: &Path) -> PathBuf {
    folder.join(file.file_name().unwrap_or_default())
}
