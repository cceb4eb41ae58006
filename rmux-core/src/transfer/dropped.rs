//! Local files that are put into a private folder of the remote for as long as they are wanted there:
//! what a terminal does with files that are dropped on it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::options::TransferOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{Files, RemotePath, shown};
use crate::printable::printable;
use crate::quote;
use crate::session::{Child, Session, Stdio};
use crate::sftp::Client;

/// Where the folder is made, the first that can be.
const PLACES: [&str; 2] = ["/tmp/rmux-", "~/.rmux-"];
/// The folder's files are for this account only.
const PRIVATE: u32 = 0o600;
/// How many are put at once.
const MOST_UNDER_WAY: usize = 16;
/// The longest name that every system takes, in bytes.
const LONGEST_NAME: usize = 255;
/// How long the remote is given to say whether it can remove the folder by itself.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Waits on the remote until its input ends, which it does with the connection whatever ended that, and
/// removes the folder `$1` then, unless it was told to leave it.
///
/// The first line that it reads is no SFTP packet: a server of that in its place ends at once. What was
/// under way when the input ended may still have come when the folder was being removed.
const KEEPER: &str = r#"trap '' HUP INT TERM PIPE
read -r line
test -d "$1" || exit
echo ready
read -r line && test "$line" = leave && exit
cat > /dev/null
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }"#;

/// Local files on the remote, in a folder that only this account can look into.
///
/// They are there for as long as this is: [`remove`](Self::remove) removes them and waits for that,
/// and dropping it has them removed, without waiting. So does the end of the session, also where the
/// connection is cut: a small command that waits on the remote sees to it. That takes one of the
/// channels that the server grants, and keeps the session's connection open.
///
/// Where the account runs no commands, they are removed over SFTP, and stay where the session ends
/// before that.
///
/// ```no_run
/// # async fn example(session: rmux_core::Session) -> rmux_core::Result<()> {
/// let dropped = session.drop_files(["a report.pdf"]).await?;
/// let line = [b"wc -c ", &dropped.quoted()[..]].concat();
/// # use std::os::unix::ffi::OsStrExt as _;
/// session.shell(std::ffi::OsStr::from_bytes(&line)).output().await?;
/// dropped.remove().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Dropped {
    folder: RemotePath,
    paths: Vec<RemotePath>,
    files: Files,
    ending: Ending,
}

impl Session {
    /// Puts local files into a new private folder of the remote, all or none.
    ///
    /// Their names are those of the local files as far as they can be typed and shown: what cannot be
    /// printed becomes `_`, none begins with a dash, and no two are alike. They are for this account
    /// only (mode 0600, in a folder of mode 0700).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] and the like of a local file, [`ErrorKind::IsADirectory`] for a
    /// directory, [`ErrorKind::InvalidInput`] for what is no file, those of
    /// [`Files::write`](crate::Files::write), and those of the session.
    ///
    /// # Cancel safety
    /// Dropping the future removes what was put there, without waiting.
    pub async fn drop_files<P: AsRef<Path>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Dropped> {
        let sources: Vec<PathBuf> = paths.into_iter().map(|it| it.as_ref().to_owned()).collect();
        let names = names(&sources)?;
        // A task of its own: a folder that was asked for is there, whether or not anybody waits.
        let (wanted, given_up) = oneshot::channel();
        let work = tokio::spawn(make(self.clone(), sources, names, given_up));
        let done = work.await;
        drop::<oneshot::Sender<()>>(wanted);
        done.unwrap_or_else(|_| {
            let what = "the runtime has ended";
            Err(Error::new(ErrorKind::Cancelled, "drop", what))
        })
    }
}

/// Makes the folder and puts the files there, and removes all of it where that fails or is given up.
async fn make(
    session: Session,
    sources: Vec<PathBuf>,
    names: Vec<String>,
    given_up: oneshot::Receiver<()>,
) -> Result<Dropped> {
    let files = session.files();
    let client = files.client().await?;
    let folder = folder(&files).await?;
    if folder.as_bytes().contains(&b'\n') {
        let _ = files.remove_dir(&folder).await;
        let what = "the home directory has a name that no line of a shell can hold";
        return Err(Error::new(ErrorKind::Unsupported, "drop", what));
    }
    let paths: Vec<RemotePath> = names.iter().map(|name| folder.join(name)).collect();
    let mut dropped = Dropped {
        ending: Ending {
            unheard: Some((client, folder.clone(), paths.clone())),
            _keeper: None,
        },
        folder,
        paths,
        files,
    };
    let put = async { tokio::join!(dropped.put(&sources), keeper(&session, &dropped.folder)) };
    let (put, keeper) = tokio::select! {
        done = put => done,
        _ = given_up => {
            let what = "nobody waits for the files any more";
            (Err(Error::new(ErrorKind::Cancelled, "drop", what)), None)
        }
    };
    if let Err(error) = put {
        // What else went wrong with it is told by the first error best.
        let _ = dropped.remove().await;
        return Err(error);
    }
    if keeper.is_some() {
        // The channel need not be kept for that.
        dropped.ending.unheard = None;
        dropped.ending._keeper = keeper;
    }
    Ok(dropped)
}

impl Dropped {
    /// The folder.
    pub fn folder(&self) -> &RemotePath {
        &self.folder
    }

    /// The files, each where the local one of that place in the list now is.
    pub fn paths(&self) -> &[RemotePath] {
        &self.paths
    }

    /// The paths as words for any login shell, with spaces between them: to be typed, or to stand in
    /// a line for [`Session::shell`].
    pub fn quoted(&self) -> Vec<u8> {
        let words = self.paths.iter().map(|path| quote::word(path.as_bytes()));
        words.collect::<Vec<_>>().join(&b' ')
    }

    /// Removes the folder with all that is in it, whoever put it there.
    ///
    /// # Errors
    /// As [`Files::remove_dir_all`]. That the folder is gone already is none.
    ///
    /// # Cancel safety
    /// Dropping the future has it removed, without waiting.
    pub async fn remove(self) -> Result<()> {
        match self.files.remove_dir_all(&self.folder).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn put(&self, sources: &[PathBuf]) -> Result<()> {
        let options = TransferOptions::new().fixed_mode(PRIVATE);
        let mut left = sources.iter().zip(&self.paths);
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < MOST_UNDER_WAY
                && let Some((source, path)) = left.next()
            {
                under_way.push(self.put_one(source, path, &options));
            }
            match under_way.next().await {
                Some(put) => put?,
                None => return Ok(()),
            }
        }
    }

    async fn put_one(
        &self,
        source: &Path,
        path: &RemotePath,
        options: &TransferOptions,
    ) -> Result<()> {
        let report = self.files.put(source, path, options).finish().await?;
        match report.check()?.skipped.first() {
            Some(skipped) => {
                let what = format!("{}: {}", skipped.path, skipped.reason);
                Err(Error::new(ErrorKind::InvalidInput, "drop", what))
            }
            None => Ok(()),
        }
    }
}

/// What removes the folder in the end.
#[derive(Debug)]
struct Ending {
    /// Requests over this channel, of these files and of their folder, that nobody waits for.
    unheard: Option<(Client, RemotePath, Vec<RemotePath>)>,
    /// A command of the remote, whose input ends when this is dropped.
    _keeper: Option<Child>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some((client, folder, paths)) = self.unheard.take() {
            for path in paths {
                client.remove_unheard(path.as_bytes());
            }
            // Sent all the same.
            drop(client.remove_directory(folder.as_bytes()));
        }
    }
}

/// Makes the folder.
async fn folder(files: &Files) -> Result<RemotePath> {
    let [first, second] = PLACES;
    match files.temp_dir(first).await {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::LimitExceeded
            ) =>
        {
            files.temp_dir(second).await
        }
        made => made,
    }
}

/// Begins the command that removes the folder; `None` where the account runs none, or where it sees
/// other files than SFTP.
async fn keeper(session: &Session, folder: &RemotePath) -> Option<Child> {
    let mut command = session.command("sh");
    command.args(["-c", KEEPER, "sh"]);
    command.arg(OsStr::from_bytes(folder.as_bytes()));
    command.stdin(Stdio::Piped).stdout(Stdio::Piped);
    command.stderr(Stdio::Null);
    let mut child = command.spawn().await.ok()?;
    let (input, output) = (child.stdin.as_mut()?, child.stdout.as_mut()?);
    let begun = async {
        input.write_all(b"is the folder there?\n").await?;
        input.flush().await?;
        let mut answer = [0; 6];
        output.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer == *b"ready\n")
    };
    match tokio::time::timeout(ANSWER_LIMIT, begun).await {
        Ok(Ok(true)) => Some(child),
        // It may begin later, when the folder is in use.
        _ => {
            let _ = input.write_all(b"leave\n").await;
            let _ = input.flush().await;
            None
        }
    }
}

/// The names that local files have on the remote.
fn names(sources: &[PathBuf]) -> Result<Vec<String>> {
    if sources.is_empty() {
        let what = "name the files that are to be dropped";
        return Err(Error::new(ErrorKind::InvalidInput, "drop", what));
    }
    let mut taken = HashSet::new();
    let names = sources.iter().map(|source| {
        let name = source.file_name().ok_or_else(|| {
            let what = format!("{} has no name", shown(source.as_os_str().as_bytes()));
            Error::new(ErrorKind::InvalidInput, "drop", what)
        })?;
        let name = String::from_utf8_lossy(name.as_bytes());
        Ok((1..)
            .map(|count| safe(&name, count))
            // Some systems take upper and lower case for the same.
            .find(|name| taken.insert(name.to_lowercase()))
            .expect("there are more numbers than files"))
    });
    names.collect()
}

/// A name that can be typed and shown; the first of its kind has no number.
fn safe(name: &str, count: usize) -> String {
    let is_safe = |c: char| !printable(c.encode_utf8(&mut [0; 4])).is_empty();
    let replaced = |c: char| match is_safe(c) && !matches!(c, '/' | char::REPLACEMENT_CHARACTER) {
        true => c,
        false => '_',
    };
    let mut name: String = name.chars().map(replaced).collect();
    if name.starts_with('-') {
        name.replace_range(..1, "_");
    }
    // The name of a hidden file is no ending.
    let dot = name.rfind('.').filter(|&dot| dot > 0);
    let (stem, ending) = name.split_at(dot.unwrap_or(name.len()));
    let number = match count {
        1 => String::new(),
        count => format!("-{count}"),
    };
    // An ending as long as names get is none that anybody looks at.
    let ending = cut(ending, LONGEST_NAME / 2);
    let room = LONGEST_NAME - ending.len() - number.len();
    let stem = cut(stem, room);
    format!("{stem}{number}{ending}")
}

/// The beginning of a text, of so many bytes at most.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_typed_and_shown_and_differ() {
        let given: [&[u8]; 9] = [
            b"a b's $x.txt",
            b"-rf",
            b"line\nbreak\x1b[2J",
            b"not \xff text",
            "zażółć 👍".as_bytes(),
            b"dir/same.tar",
            b"other/same.tar",
            b"SAME.tar",
            b".hidden",
        ];
        let given = given.map(|name| PathBuf::from(OsStr::from_bytes(name)));
        let expected = [
            "a b's $x.txt",
            "_rf",
            "line_break_[2J",
            "not _ text",
            "zażółć 👍",
            "same.tar",
            "same-2.tar",
            "SAME-3.tar",
            ".hidden",
        ];
        assert_eq!(names(&given).unwrap(), expected);
    }

    #[test]
    fn long_names_are_cut_between_characters_and_still_differ() {
        let long = format!("{}.txt", "ż".repeat(125));
        let names = names(&[PathBuf::from(&long), PathBuf::from(&long)]).unwrap();
        assert!(names.iter().all(|name| name.len() <= LONGEST_NAME));
        assert!(names.iter().all(|name| name.ends_with(".txt")));
        assert_ne!(names[0], names[1]);
        let ending = format!("a.{}", "ż".repeat(200));
        assert!(safe(&ending, 7).len() <= LONGEST_NAME);
    }

    #[test]
    fn what_has_no_name_is_refused() {
        for path in ["/", "..", ""] {
            let error = names(&[PathBuf::from(path)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}");
        }
        assert!(names(&[]).is_err());
    }
}
