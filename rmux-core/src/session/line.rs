//! The line that runs a command, and what travels in front of its input.
//!
//! sshd hands the line to the account's shell, whichever that is. Its parts, in this order, where they
//! are needed: a mark on each stream, behind which the command's own output begins; the directory;
//! variables that the server did not take; the command itself. A program takes the shell's place by
//! `exec`, so that signals and the way it ends are the program's. A line is run by the account's own
//! shell, so that what goes before it is spelled as every shell reads it.
//!
//! A line longer than what Linux allows for one argument is read by the remote's `sh` from standard
//! input, to the byte, and what follows there is the command's own input.

use std::os::unix::ffi::OsStrExt;

use bytes::Bytes;

use super::command::{Command, What};
use super::group;
use crate::link::Request;
use crate::quote;

/// Linux allows 128 KiB for one argument or variable, and a forced command gets the line as a
/// variable.
const LONGEST_LINE: usize = (128 << 10) - 64;

/// How much of a long line goes into one variable.
const PIECE: usize = 64 << 10;

/// Which streams say where the command's own output begins.
pub(super) struct Marks {
    pub(super) token: String,
    pub(super) stdout: bool,
    /// Tells the process id too.
    pub(super) stderr: bool,
}

/// How a command is started.
pub(super) struct Line {
    pub(super) request: Request,
    /// To be sent in front of the command's own input.
    pub(super) in_front: Option<Bytes>,
}

impl Command {
    /// The line that starts the command. `env` is what goes in front of it, as `NAME=value`.
    pub(super) fn spelled(&self, env: &[Vec<u8>], marks: &Marks) -> Line {
        let short = match &self.what {
            What::Subsystem(name) => Request::Subsystem(name.clone()).into(),
            What::Login if env.is_empty() && self.current_dir.is_none() && !marks.stderr => {
                Request::Shell.into()
            }
            What::Line(line) if env.is_empty() && !self.moves_by_script() => {
                let mut text = self.beginning(marks);
                text.extend_from_slice(line.as_bytes());
                Request::Exec(text).into()
            }
            _ => Request::Exec(self.script_line(env, marks)).into(),
        };
        match &short {
            Line {
                request: Request::Exec(line),
                ..
            } if line.len() > LONGEST_LINE && !self.verbatim => self.long_line(env, marks),
            _ => short,
        }
    }

    /// What goes in front of a line in the account's own shell, as each of them reads it. The mark
    /// comes behind the directory: entering it may make a noise as well.
    fn beginning(&self, marks: &Marks) -> Vec<u8> {
        let mut text = Vec::new();
        if let Some(directory) = self.directory().filter(|_| !self.moves_by_script()) {
            // In csh, a quoted `cd` would be a program.
            text.extend_from_slice(b"cd ");
            text.extend_from_slice(&quote::word(&directory));
            // To tcsh, `exit` is no reason to leave out the rest of a line.
            text.extend_from_slice(b" || exec false; ");
        }
        if marks.stdout {
            text.extend_from_slice(format!("'echo' {}; ", marks.token).as_bytes());
        }
        if marks.stderr {
            let announce = announce_parent(&marks.token);
            text.extend_from_slice(&quote::command_line(&["sh", "-c", &announce]));
            text.extend_from_slice(b"; ");
        }
        text
    }

    /// Whether only a script can enter the directory: a newline has no spelling that all shells read
    /// alike, but for a program's argument.
    fn moves_by_script(&self) -> bool {
        let directory = self.current_dir.as_ref();
        directory.is_some_and(|directory| directory.as_bytes().contains(&b'\n'))
    }

    /// The directory as `cd` takes it without options and without looking elsewhere.
    pub(super) fn directory(&self) -> Option<Vec<u8>> {
        let directory = self.current_dir.as_ref()?.as_bytes();
        Some(match directory.first() {
            Some(b'/') | None => directory.to_vec(),
            Some(_) => [b"./", directory].concat(),
        })
    }

    /// A line that takes the place of the account's shell.
    fn script_line(&self, env: &[Vec<u8>], marks: &Marks) -> Vec<u8> {
        let mut script = String::new();
        let mut args: Vec<Vec<u8>> = Vec::new();
        let is_line = matches!(self.what, What::Line(_));
        if marks.stderr && !is_line {
            script += &group::announce(&marks.token);
        }
        if let Some(directory) = self
            .directory()
            .filter(|_| !is_line || self.moves_by_script())
        {
            script += "CDPATH= cd \"$1\" && shift && ";
            args.push(directory);
        }
        match &self.what {
            What::Program(program) => {
                script += "exec \"$@\"";
                args.push(program.as_bytes().to_vec());
                args.extend(self.args.iter().map(|arg| arg.as_bytes().to_vec()));
            }
            What::Line(line) => {
                // The marks are this shell's: it too reads start-up files.
                script += "exec \"${SHELL:-sh}\" -c \"$1\"";
                let mut text = self.beginning(marks);
                text.extend_from_slice(line.as_bytes());
                args.push(text);
            }
            What::Login => script += "exec \"${SHELL:-sh}\" -l",
            What::Subsystem(_) => {}
        }
        let mut words: Vec<Vec<u8>> = Vec::new();
        if !env.is_empty() {
            words.push(b"env".to_vec());
            words.extend_from_slice(env);
        }
        // In front of a name with "=", `env` would take the program for one more variable.
        let ambiguous = !env.is_empty()
            && matches!(&self.what, What::Program(name) if name.as_bytes().contains(&b'='));
        if ambiguous || script != "exec \"$@\"" {
            words.extend([
                b"sh".to_vec(),
                b"-c".to_vec(),
                script.into(),
                b"sh".to_vec(),
            ]);
        }
        words.extend(args);
        let line = quote::command_line(&words);
        let mut text = Vec::new();
        if marks.stdout && !is_line {
            text.extend_from_slice(format!("'echo' {}; ", marks.token).as_bytes());
        }
        // `exec`, so that signals and the way it ends are the command's, not a shell's.
        if !line.starts_with(b"exec ") {
            text.extend_from_slice(b"exec ");
        }
        text.extend_from_slice(&line);
        text
    }

    /// A short line whose shell reads the long one from standard input.
    fn long_line(&self, env: &[Vec<u8>], marks: &Marks) -> Line {
        let mut script = Vec::new();
        let mut words: Vec<&[u8]> = Vec::new();
        if !env.is_empty() {
            words.push(b"env");
            words.extend(env.iter().map(Vec::as_slice));
        }
        let is_line = matches!(self.what, What::Line(_));
        if marks.stdout && !is_line {
            script.extend_from_slice(format!("echo {}; ", marks.token).as_bytes());
        }
        if marks.stderr && !is_line {
            script.extend_from_slice(group::announce(&marks.token).as_bytes());
        }
        if let Some(directory) = self
            .directory()
            .filter(|_| !is_line || self.moves_by_script())
        {
            script.extend_from_slice(b"CDPATH= cd ");
            script.extend_from_slice(&quote::posix_words(&[directory]));
            script.extend_from_slice(b" || exit 1; ");
        }
        let text;
        match &self.what {
            What::Line(line) => {
                text = [&self.beginning(marks)[..], line.as_bytes()].concat();
                let names =
                    (0..text.len().div_ceil(PIECE)).map(|index| format!("_RMUX_LINE_{index}"));
                let names: Vec<String> = names.collect();
                for (name, piece) in names.iter().zip(text.chunks(PIECE)) {
                    script.extend_from_slice(format!("export {name}=").as_bytes());
                    script.extend_from_slice(&quote::posix_words(&[piece]));
                    script.push(b';');
                }
                script.extend_from_slice(whole_line(&names).as_bytes());
                words.extend([&b"sh"[..], b"-c", b"exec \"${SHELL:-sh}\" -c \"$1\"", b"sh"]);
            }
            What::Program(program) => {
                if !env.is_empty() && program.as_bytes().contains(&b'=') {
                    words.extend([&b"sh"[..], b"-c", b"exec \"$@\"", b"sh"]);
                }
                words.push(program.as_bytes());
                words.extend(self.args.iter().map(|arg| arg.as_bytes()));
            }
            What::Login | What::Subsystem(_) => {
                words.extend([&b"sh"[..], b"-c", b"exec \"${SHELL:-sh}\" -l"]);
            }
        }
        script.extend_from_slice(b"exec ");
        script.extend_from_slice(&quote::posix_words(&words));
        if is_line {
            script.extend_from_slice(b" \"$_rmux_line\"");
        }
        let (reader, in_front) = quote::in_front_of_input(&script);
        let words = [&b"sh"[..], b"-c", reader.as_bytes()];
        Line {
            request: Request::Exec([b"exec ", &quote::command_line(&words)[..]].concat()),
            in_front: Some(in_front.into()),
        }
    }
}

/// The script that spells, for the account's shell, the line that these variables hold the pieces of.
/// They are forgotten before it runs.
fn whole_line(names: &[String]) -> String {
    let pieces: String = names.iter().map(|name| format!("${{{name}}}")).collect();
    let each = |prefix: &str| -> String {
        let one = names.iter().map(|name| format!("{prefix} {name}; "));
        one.collect()
    };
    format!(
        "case \"${{SHELL##*/}}\" in \
         fish) _rmux_line='eval \"{fish}{fish_pieces}\"';; \
         csh|tcsh) echo \"${{SHELL##*/}} reads no line of this length\" >&2; exit 126;; \
         *) _rmux_line='eval \"{posix}{pieces}\"';; esac; ",
        fish = each("set -e"),
        fish_pieces = names.iter().map(|n| format!("${n}")).collect::<String>(),
        posix = each("unset"),
    )
}

/// As [`group::announce`], by a child of the shell whose process the command will be, or be run by.
fn announce_parent(token: &str) -> String {
    format!("echo \"{token} $PPID\" >&2")
}

impl From<Request> for Line {
    fn from(request: Request) -> Self {
        Self {
            request,
            in_front: None,
        }
    }
}
