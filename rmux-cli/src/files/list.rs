//! `rmux ls`: the names in directories of hosts.
//!
//! Names are written as they are where a program reads them, and with escapes where a person does.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use rmux_core::{ErrorKind, FileType, Files, Metadata, RemotePath};
use rustix::termios::isatty;

use super::Done;
use super::connect::Hosts;
use super::operand::Operand;
use crate::message;
use crate::ssh::Writer;

/// What is shown.
#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// Show type, permissions, owner, group, length and time as well
    #[arg(short = 'l')]
    long: bool,
    /// Show names that begin with a dot too
    #[arg(short = 'a')]
    all: bool,
}

/// A line of the listing.
struct Line {
    name: Vec<u8>,
    known: Metadata,
    /// Where a link points to.
    target: Option<RemotePath>,
}

pub(super) async fn run(hosts: &Hosts, how: &How, words: &[OsString]) -> Done {
    let mut is_whole = true;
    let is_terminal = isatty(rustix::stdio::stdout());
    let writer = Writer::stdout();
    for (number, word) in words.iter().enumerate() {
        let (host, path) = Operand::remote(word)?;
        let files = hosts.files(&host).await?;
        let mut text = Vec::new();
        if words.len() > 1 {
            let gap = if number > 0 { "\n" } else { "" };
            text.extend_from_slice(gap.as_bytes());
            put(&mut text, word.as_encoded_bytes(), is_terminal);
            text.extend_from_slice(b":\n");
        }
        match lines(&files, how, &path).await {
            Ok(lines) => {
                for line in lines {
                    line.write(how, is_terminal, &mut text);
                }
                if !writer.write(text.into()).await {
                    break;
                }
            }
            Err(error) if super::connect::is_of_connecting(&error) => return Err(error.into()),
            Err(error) => {
                message::error(error);
                is_whole = false;
            }
        }
    }
    let written = writer.finish().await;
    written.map_err(|error| format!("cannot write standard output: {error}"))?;
    Ok(is_whole)
}

async fn lines(files: &Files, how: &How, path: &[u8]) -> rmux_core::Result<Vec<Line>> {
    let mut lines = match files.read_dir(path).await {
        Ok(mut listing) => {
            let mut lines = Vec::new();
            while let Some(entry) = listing.next_entry().await? {
                if how.all || !entry.file_name().starts_with(b".") {
                    lines.push(Line {
                        name: entry.file_name().to_vec(),
                        known: entry.metadata().clone(),
                        target: None,
                    });
                }
            }
            lines
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => vec![Line {
            name: path.to_vec(),
            known: files.symlink_metadata(path).await?,
            target: None,
        }],
        Err(error) => return Err(error),
    };
    lines.sort_by(|one, other| one.name.cmp(&other.name));
    if how.long {
        for line in lines.iter_mut().filter(|line| line.known.is_symlink()) {
            let link = RemotePath::new(path).join(&line.name);
            line.target = files.read_link(link).await.ok();
        }
    }
    Ok(lines)
}

impl Line {
    fn write(&self, how: &How, is_terminal: bool, text: &mut Vec<u8>) {
        if how.long {
            text.extend_from_slice(long(&self.known).as_bytes());
        }
        put(text, &self.name, is_terminal);
        if let Some(target) = &self.target {
            text.extend_from_slice(b" -> ");
            put(text, target.as_bytes(), is_terminal);
        }
        text.push(b'\n');
    }
}

/// A name as it is, or for a person.
fn put(text: &mut Vec<u8>, name: &[u8], is_terminal: bool) {
    match is_terminal {
        true => text.extend_from_slice(RemotePath::new(name).to_string().as_bytes()),
        false => text.extend_from_slice(name),
    }
}

fn long(known: &Metadata) -> String {
    let kind = match known.file_type() {
        Some(FileType::File) => '-',
        Some(FileType::Directory) => 'd',
        Some(FileType::Symlink) => 'l',
        Some(FileType::Fifo) => 'p',
        Some(FileType::Socket) => 's',
        Some(FileType::BlockDevice) => 'b',
        Some(FileType::CharDevice) => 'c',
        _ => '?',
    };
    let mut line = String::from(kind);
    match known.mode() {
        Some(mode) => line += &permissions(mode),
        None => line += "?????????",
    }
    let number = |number: Option<u32>| number.map_or_else(|| "?".into(), |it| it.to_string());
    let _ = write!(
        line,
        " {:>6} {:>6} {:>12} {} ",
        number(known.uid()),
        number(known.gid()),
        known.len(),
        known.modified().map_or_else(|| "?".repeat(20), utc)
    );
    line
}

/// Permission bits as `ls -l` writes them.
fn permissions(mode: u32) -> String {
    let mut text = String::new();
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// A time in the form of RFC 3339, in whole seconds.
fn utc(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March have their leap day last; 719,468 days lie before 1970.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = match month {
        0..10 => (month + 3, 0),
        _ => (month - 9, 1),
    };
    let year = era * 400 + year + next;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_and_permissions_are_written_as_everywhere() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (4_294_967_295, "2106-02-07T06:28:15Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
        for (mode, expected) in [
            (0o644, "rw-r--r--"),
            (0o4755, "rwsr-xr-x"),
            (0o2640, "rw-r-S---"),
            (0o1777, "rwxrwxrwt"),
        ] {
            assert_eq!(permissions(mode), expected);
        }
    }
}
