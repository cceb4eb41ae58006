//! How a shell is told the state of a context, and how it tells what it leaves.
//!
//! The script travels in front of the command's input, so that no value is an argument that others
//! could read, and no length is too much. A line is run by `eval`; at the end, by the shell's own
//! means alone, which work in any environment, the shell puts records on a copy of its standard error
//! that the line cannot redirect: in an `EXIT` trap, since a line may `exit`.

use std::os::unix::ffi::OsStrExt;

use rmux_proto::exported;

use super::super::command::{Command, What};
use super::super::group;
use super::super::line::{Line, Marks};
use super::{LIMIT, State, Turn};
use crate::link::{Inbox, Request, lead};
use crate::quote;

/// How long a record is that is written at once: with what is around it within what POSIX has no
/// other writer divide (`PIPE_BUF`, 512).
const PIECE: usize = 400;
/// From how many bytes on it is more to cut them than it is worth.
const LARGE: usize = 32 << 10;

/// What depends on the shell. In zsh, `command` knows no builtins, a descriptor below 10 cannot be
/// hidden from the line, and `export -p` spells arrays for zsh alone.
const SHELLS: &str = r#"case "${ZSH_VERSION-}" in
'') exec 9>&2
_rmux_out() { command printf "$@" >&9; }
_rmux_exported() { command export -p; };;
*) eval 'exec {_rmux_f}>&2
_rmux_out() { builtin printf "$@" >&$_rmux_f; }
_rmux_exported() { emulate -L zsh
for _rmux_n in ${(ok)parameters[(R)(scalar|integer|float)*export*]}
do builtin print -r -- "export $_rmux_n=${(qq)${(P)_rmux_n}}"; done; }';;
esac
"#;

/// Tells the state behind the line, once. `LC_ALL`: so that lengths are bytes. A record of a kind in
/// capitals is a line with its end, which is not sent: bash would write in two what has one within.
const TELL: &str = r#"_rmux_all() { "$_rmux_c" umask; "$_rmux_c" pwd; "$_rmux_c" printf '%s\n' 'TOKEN'; _rmux_exported; }
_rmux_record() { _rmux_r=$2
while [ "${#_rmux_r}" -gt PIECE ]
do _rmux_out 'LEAD%s %s:%.PIECEs;' "$3" PIECE "$_rmux_r"; _rmux_r=${_rmux_r#CUT}; done
_rmux_out 'LEAD%s %s:%s;' "$1" "${#_rmux_r}" "$_rmux_r"; }
_rmux_put() { _rmux_t=$3
if [ "${#_rmux_t}" -gt LARGE ]
then _rmux_out 'LEAD%s %s:%s;' "$1" "${#_rmux_t}" "$_rmux_t"; return; fi
while :; do case "$_rmux_t" in
*"$_rmux_l"*) _rmux_record "$2" "${_rmux_t%%"$_rmux_l"*}" "$1"; _rmux_t=${_rmux_t#*"$_rmux_l"};;
*) _rmux_record "$1" "$_rmux_t" "$1"; return;;
esac; done; }
_rmux_tell() { case "$_rmux_d" in ?*) return 0;; esac; _rmux_d=1
_rmux_out '' 2>/dev/null || return 0
_rmux_a=$(_rmux_all); LC_ALL=C; _rmux_l='
'
case "$_rmux_a" in
"$_rmux_b") _rmux_put h H "${_rmux_a%%TOKEN*}";;
*) _rmux_put b B "$_rmux_b"; _rmux_put a A "$_rmux_a";;
esac
_rmux_put o O "${OLDPWD-}"; _rmux_put e E ''; }
_rmux_d=
_rmux_b=$(_rmux_all)
"#;

/// Runs the line, whatever options it sets.
const RUN: &str = r#"
{ trap '{ set +aeuvx; } 2>/dev/null; _rmux_tell' EXIT
case "${ZSH_VERSION-}" in
'') eval "$_rmux_line" 9>&-;;
*) eval "$_rmux_line";;
esac
{ _rmux_s=$?; set +aeuvx; } 2>/dev/null; _rmux_tell; exit "$_rmux_s"; }
"#;

impl Command {
    /// The line that starts the command in its context. `env` is what goes in front of it, as
    /// `NAME=value`.
    pub(in crate::session) fn spelled_in_context(
        &self,
        env: &[Vec<u8>],
        marks: &Marks,
        turn: &mut Turn,
    ) -> Line {
        let state = turn.kept.state().clone();
        let mut script = Vec::new();
        if marks.stdout {
            script.extend_from_slice(format!("echo {}; ", marks.token).as_bytes());
        }
        if marks.stderr {
            script.extend_from_slice(group::announce(&marks.token).as_bytes());
        }
        script.extend_from_slice(
            b"_rmux_c=command; case \"${ZSH_VERSION-}\" in ?*) _rmux_c=builtin;; esac\n",
        );
        // A shell can be given no others; `env` can.
        let name_of = |pair: &[u8]| pair.split(|b| *b == b'=').next().map(<[u8]>::to_vec);
        let is_name = |pair: &&Vec<u8>| name_of(pair).is_some_and(|name| exported::is_name(&name));
        let (named, others): (Vec<&Vec<u8>>, Vec<&Vec<u8>>) = env.iter().partition(is_name);
        for pair in named {
            export(&mut script, pair);
        }
        replay(&mut script, &state);
        turn.moved = self.current_dir.is_some();
        if let Some(directory) = self.directory() {
            enter(&mut script, &directory);
        }
        for (name, value) in &self.env {
            export(
                &mut script,
                &[name.as_bytes(), b"=", value.as_bytes()].concat(),
            );
        }
        let mut words: Vec<&[u8]> = Vec::new();
        if !others.is_empty() {
            words.push(b"env");
            words.extend(others.into_iter().map(Vec::as_slice));
        }
        match &self.what {
            What::Line(line) => {
                words.push(state.interpreter().as_bytes());
                turn.tells = true;
                tell(&mut script, line.as_bytes(), &turn.token);
            }
            What::Program(program) => {
                words.push(b"sh");
                let mut own: Vec<&[u8]> = vec![program.as_bytes()];
                own.extend(self.args.iter().map(|arg| arg.as_bytes()));
                script.extend_from_slice(b"exec ");
                script.extend_from_slice(&quote::posix_words(&own));
            }
            What::Login | What::Subsystem(_) => {}
        }
        let (reader, in_front) = quote::in_front_of_input(&script);
        words.extend([&b"-c"[..], reader.as_bytes()]);
        Line {
            request: Request::Exec([b"exec ", &quote::command_line(&words)[..]].concat()),
            in_front: Some(in_front.into()),
        }
    }
}

impl Turn {
    /// Has the inbox look for what the shell will tell.
    pub(in crate::session) fn expect(&self, inbox: &Inbox) {
        if self.tells {
            inbox.expect_records(&self.token, LIMIT);
        }
    }
}

/// Makes the shell as the state has it.
fn replay(script: &mut Vec<u8>, state: &State) {
    if let Some(umask) = &state.umask {
        script.extend_from_slice(b"umask ");
        script.extend_from_slice(umask);
        script.push(b'\n');
    }
    for (name, value) in &state.variables {
        match value {
            Some(value) => export(script, &[&name[..], b"=", value].concat()),
            None => quietly(script, b"unset", name),
        }
    }
    let before = state.before.as_ref();
    let before = before.map(|before| quote::posix_words(&[before]));
    if let Some(before) = &before {
        // To zsh, this variable is for reading only.
        let parts = [
            &b"case \"${ZSH_VERSION-}\" in ?*) cd "[..],
            before,
            b" 2>/dev/null;; esac\n",
        ];
        script.extend_from_slice(&parts.concat());
    }
    if let Some(directory) = &state.directory {
        enter(script, &from_here(directory));
    }
    if let Some(before) = &before {
        script.extend_from_slice(&[&b"OLDPWD="[..], before, b"\n"].concat());
    }
}

fn export(script: &mut Vec<u8>, pair: &[u8]) {
    quietly(script, b"export", &quote::posix_words(&[pair]));
}

/// By way of `command`, so that a shell with a read-only variable of this name goes on.
fn quietly(script: &mut Vec<u8>, what: &[u8], with: &[u8]) {
    for part in [&b"\"$_rmux_c\" "[..], what, b" ", with, b" 2>/dev/null\n"] {
        script.extend_from_slice(part);
    }
}

/// Enters a directory; nothing else is run where it cannot be entered.
fn enter(script: &mut Vec<u8>, directory: &[u8]) {
    script.extend_from_slice(b"CDPATH= cd ");
    script.extend_from_slice(&quote::posix_words(&[directory]));
    script.extend_from_slice(b" || exit 1\n");
}

/// A directory as `cd` takes it without options and without looking elsewhere.
fn from_here(directory: &[u8]) -> Vec<u8> {
    match directory.first() {
        Some(b'/') | None => directory.to_vec(),
        Some(_) => [b"./", directory].concat(),
    }
}

/// Runs a line and tells what it leaves.
fn tell(script: &mut Vec<u8>, line: &[u8], token: &str) {
    script.extend_from_slice(SHELLS.as_bytes());
    let tell = TELL
        .replace("LEAD", &lead(token))
        .replace("TOKEN", token)
        .replace("CUT", &"?".repeat(PIECE))
        .replace("PIECE", &PIECE.to_string())
        .replace("LARGE", &LARGE.to_string());
    script.extend_from_slice(tell.as_bytes());
    // Behind a space: what begins with "-" would be an option of `eval`.
    script.extend_from_slice(b"_rmux_line=");
    script.extend_from_slice(&quote::posix_words(&[[&b" "[..], line].concat()]));
    script.extend_from_slice(RUN.as_bytes());
}
