//! What is asked of SFTP, as scripts for a POSIX shell.
//!
//! Paths are arguments and never part of a script, and begin with `/` or `.`, so that none is taken
//! for an option. A script fails as the server would: it ends with another status than 0 and says
//! why in words that `rmux_proto::posix::failure` knows.

use bytes::Bytes;
use rmux_proto::posix::{self, Garbled, StatStyle};
use rmux_proto::sftp::{Attributes, OpenFlags, Request, Statvfs};

/// How much the listing of a directory may take: some half a million names.
const LONGEST_LISTING: usize = 64 << 20;
/// How long a line about a file may be, with its name and where it leads.
const LONGEST_LINE: usize = 256 << 10;
/// `dd` writes in such blocks, and `seek` counts them.
const BLOCK: u64 = 64 << 10;

/// Stands in front of each: the words of the C locale, and how a script fails.
const BEGINNING: &str = r#"LC_ALL=C; export LC_ALL
no() { echo "rmux: $1" >&2; exit 1; }
is() { [ -e "$1" ] || [ -L "$1" ]; }
own() { [ -d "$1" ] && [ ! -L "$1" ]; }
there() { [ -e "$1" ] || { ls -dL "$1" >/dev/null || exit 1; no "No such file or directory"; }; }
known() { is "$1" || there "$1"; }
"#;

/// Asks for what [`posix::Tools`] knows.
pub(super) const PROBE: &str = r#"LC_ALL=C; export LC_ALL
for t in cat chmod dd find grep head ls ln mkdir mv readlink rm rmdir touch; do
command -v $t >/dev/null 2>&1 || { echo "there is no $t" >&2; exit 1; }
done
[ "$(printf 'abc' | head -c 2)" = ab ] || { echo "head does not know -c" >&2; exit 1; }
s=l
if [ "$(stat -c %f / 2>/dev/null | cut -c 1)" = 4 ]; then s=c
elif [ "$(stat -f %Xp / 2>/dev/null | cut -c 1)" = 4 ]; then s=f; fi
case $(mv -T /dev/null/a /dev/null/b 2>&1) in *option*|*sage*) m=n;; *) m=y;; esac
case $(dd if=/dev/null of=/dev/null conv=fsync 2>&1) in *conv*) d=n;; *) d=y;; esac
if [ "$(find / -prune -exec echo {} + 2>/dev/null)" = / ]; then f=y; else f=n; fi
echo "rmux $s$m$d$f"
"#;

/// The path without links, `.` and `..`, of a file that need not exist.
const REAL_PATH: &str = r#"p=$1 n=0
while :; do
while case $p in ?*/) :;; *) false;; esac; do p=${p%/}; done
if [ -d "$p" ]; then
[ -x "$p" ] || no "Permission denied"
cd -P "$p" || exit 1
d=$(pwd -P; echo /)
printf '%s/\n' "${d%?/}"; exit
fi
d=${p%/*} b=${p##*/}
[ -n "$d" ] || d=/
there "$d"
[ -d "$d" ] || no "Not a directory"
[ -x "$d" ] || no "Permission denied"
cd -P "$d" || exit 1
if [ -L "./$b" ]; then
n=$((n + 1)); [ $n -le 40 ] || no "Too many levels of symbolic links"
t=$(readlink "./$b"; echo /); t=${t%?/}
case $t in /*) p=$t;; *) p=./$t;; esac
continue
fi
d=$(pwd -P; echo /); d=${d%?/}
case $d in */) ;; *) d=$d/;; esac
printf '%s/\n' "$d$b"; exit
done"#;

const READ_LINK: &str = r#"known "$1"
[ -L "$1" ] || no "Invalid argument"
t=$(readlink "$1" && echo /) || exit 1
printf '%s/\n' "${t%?/}""#;

/// Over what is there. Where `mv` would move into a directory, the directory is taken away first,
/// which goes well only where it is empty.
const POSIX_RENAME: &str = r#"known "$1"
[ "$1" = "$2" ] && exit 0
if own "$1"; then
if is "$2" && ! own "$2"; then no "Not a directory"; fi
elif own "$2"; then no "Is a directory"; fi"#;

const RENAME: &str = r#"known "$1"
if is "$2"; then no "File exists"; fi
if own "$1"; then mv -f "$1" "$2"; exit; fi
if ln "$1" "$2" 2>/dev/null; then rm -f "$1"; exit; fi
if is "$2"; then no "File exists"; fi
mv -f "$1" "$2""#;

/// What is to be run, and what comes of it.
pub(super) struct Script {
    pub(super) text: String,
    pub(super) args: Vec<Vec<u8>>,
    pub(super) input: Bytes,
    /// The most that it can print.
    pub(super) most: usize,
    pub(super) answer: Answer,
    pub(super) touched: Vec<Touched>,
}

/// How what is printed is read.
pub(super) enum Answer {
    Done,
    /// Nothing; the handle is known.
    Handle(Vec<u8>),
    Data,
    Attributes(StatStyle),
    Names(StatStyle, String),
    /// One, with `/` and a newline behind it.
    Name,
    Room(fn(&[u8]) -> Result<Statvfs, Garbled>),
}

/// A path that a request is about.
#[derive(Debug, Clone)]
pub(super) struct Touched {
    pub(super) path: Vec<u8>,
    pub(super) used: Use,
}

/// What is done with it. Those that read it need not wait for each other, nor those that write to
/// places in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    Written,
    Changed,
}

/// What a handle stands for: its path, and whether all that is written goes to the end.
struct Opened<'a> {
    path: &'a [u8],
    appends: bool,
}

impl<'a> Opened<'a> {
    fn name(path: &[u8], appends: bool) -> Vec<u8> {
        let kind: &[u8] = if appends { b"a" } else { b"f" };
        [kind, path].concat()
    }

    fn read(name: &'a [u8]) -> Option<Self> {
        let (kind, path) = name.split_first()?;
        Some(Self {
            path,
            appends: *kind == b'a',
        })
    }
}

/// Writes scripts for hosts with these tools.
pub(super) struct Writer {
    known: posix::Tools,
}

impl Writer {
    pub(super) fn new(known: posix::Tools) -> Self {
        Self { known }
    }

    /// `None` for what no tool can do.
    pub(super) fn write(&self, request: &Request<'_>) -> Option<Script> {
        Some(match request {
            Request::Open {
                path,
                flags,
                attributes,
            } => open(path, *flags, attributes.permissions),
            Request::Read {
                handle,
                offset,
                length,
            } => read(Opened::read(handle)?.path, *offset, *length),
            Request::Write {
                handle,
                offset,
                data,
            } => write(&Opened::read(handle)?, *offset, data.clone()),
            Request::Lstat { path } => self.stat(path, ""),
            Request::Stat { path } => self.stat(path, "L"),
            Request::Fstat { handle } => self.stat(Opened::read(handle)?.path, "L"),
            Request::Setstat { path, attributes } => set(path, attributes, ""),
            Request::Fsetstat { handle, attributes } => {
                set(Opened::read(handle)?.path, attributes, "")
            }
            Request::Lsetstat { path, attributes } => set(path, attributes, "-h "),
            Request::Opendir { path } => open_directory(path),
            Request::Readdir { handle } => self.list(Opened::read(handle)?.path),
            Request::Remove { path } => script(
                "known \"$1\"\nif own \"$1\"; then no \"Is a directory\"; fi\nrm -f \"$1\"",
                &[path],
                Use::Changed,
            ),
            Request::Mkdir { path, attributes } => {
                let umask = attributes.permissions.map(without).unwrap_or_default();
                script(&format!("{umask}mkdir \"$1\""), &[path], Use::Changed)
            }
            Request::Rmdir { path } => script("known \"$1\"\nrmdir \"$1\"", &[path], Use::Changed),
            Request::Realpath { path } => named(REAL_PATH, path),
            Request::Readlink { path } => named(READ_LINK, path),
            Request::Rename { from, to } => script(RENAME, &[from, to], Use::Changed),
            Request::PosixRename { from, to } => {
                let text = format!("{POSIX_RENAME}\n{}", self.moves());
                script(&text, &[from, to], Use::Changed)
            }
            Request::Symlink { target, link } => {
                let text = "if is \"$1\"; then no \"File exists\"; fi\nln -s -- \"$2\" \"$1\"";
                let mut script = script(text, &[link], Use::Changed);
                // Taken as it is: it is no path of ours.
                script.args.push(target.to_vec());
                script
            }
            Request::Hardlink { from, to } => script(
                "known \"$1\"\nif own \"$1\"; then no \"Operation not permitted\"; fi\n\
                 if is \"$2\"; then no \"File exists\"; fi\nln \"$1\" \"$2\"",
                &[from, to],
                Use::Changed,
            ),
            Request::Statvfs { path } => self.room(path),
            Request::Fstatvfs { handle } => self.room(Opened::read(handle)?.path),
            Request::Fsync { handle } => self.sync(Opened::read(handle)?.path),
            Request::ExpandPath { path } => expand(path)?,
            Request::CopyData {
                from,
                from_offset,
                length,
                to,
                to_offset,
            } => {
                let (from, to) = (Opened::read(from)?.path, Opened::read(to)?.path);
                copy(from, *from_offset, *length, to, *to_offset)
            }
            _ => return None,
        })
    }

    fn stat(&self, path: &[u8], follow: &str) -> Script {
        let follows = match follow {
            "" => String::new(),
            letter => format!("-{letter} "),
        };
        let text = match self.known.stat {
            StatStyle::Gnu => format!("stat {follows}-c '%f %s %u %g %X %Y' \"$1\""),
            StatStyle::Bsd => format!("stat {follows}-f '%Xp %z %u %g %a %m' \"$1\""),
            StatStyle::Ls => format!("ls -lnd{follow} \"$1\""),
        };
        let mut script = script(&text, &[path], Use::Read);
        script.most = LONGEST_LINE;
        script.answer = Answer::Attributes(self.known.stat);
        script
    }

    fn list(&self, path: &[u8]) -> Script {
        // Nobody could give a file a name with it in it.
        let token = format!("{:032x}", rand::random::<u128>());
        let many = if self.known.finds_many { "+" } else { "\\;" };
        let each = match self.known.stat {
            StatStyle::Gnu => format!("stat -c '{token} %f %s %u %g %X %Y %n' {{}}"),
            StatStyle::Bsd => format!("stat -f '{token} %Xp %z %u %g %a %m %N' {{}}"),
            StatStyle::Ls => format!(
                "sh -c 'for f do l=$(ls -lnd \"$f\") && \
                 printf \"%s %s\\0%s\\n\" {token} \"$f\" \"$l\"; done' rmux {{}}"
            ),
        };
        // What vanishes meanwhile is no failure.
        let text = format!(
            "cd \"$1\" || exit 1\nexec 3>&1\n\
             e=$(find . ! -name . -prune -exec {each} {many} 2>&1 >&3 3>&-) || \
             case $(printf '%s\\n' \"$e\" | grep -v ': No such file or directory$') in '') ;; \
             *) printf '%s\\n' \"$e\" >&2; exit 1;; esac"
        );
        let mut script = script(&text, &[path], Use::Read);
        script.most = LONGEST_LISTING;
        script.answer = Answer::Names(self.known.stat, token);
        script
    }

    fn room(&self, path: &[u8]) -> Script {
        let (text, read): (_, fn(&[u8]) -> _) = match self.known.stat {
            StatStyle::Gnu => (
                "there \"$1\"\nstat -f -c '%S %b %f %a %c %d %l' \"$1\"",
                posix::room_by_stat,
            ),
            _ => ("there \"$1\"\ndf -Pk \"$1\"", posix::room_by_df),
        };
        let mut script = script(text, &[path], Use::Read);
        script.most = LONGEST_LINE;
        script.answer = Answer::Room(read);
        script
    }

    /// A file that may not be written cannot be opened for it either.
    fn sync(&self, path: &[u8]) -> Script {
        let text = match self.known.syncs_one {
            true => {
                "there \"$1\"\nif [ -w \"$1\" ]; then \
                 dd if=/dev/null of=\"$1\" conv=notrunc,fsync; else sync; fi"
            }
            false => "there \"$1\"\nsync",
        };
        script(text, &[path], Use::Changed)
    }

    fn moves(&self) -> &'static str {
        match self.known.moves_onto {
            true => "mv -fT \"$1\" \"$2\"",
            false => {
                "if own \"$2\"; then rmdir \"$2\" || exit 1; fi\n\
                 if [ -d \"$2\" ]; then no \"Operation not supported\"; fi\nmv -f \"$1\" \"$2\""
            }
        }
    }
}

/// All that is done, and nothing is printed.
fn script(text: &str, paths: &[&[u8]], used: Use) -> Script {
    let args: Vec<Vec<u8>> = paths.iter().map(|path| spelled(path)).collect();
    Script {
        text: format!("{BEGINNING}{text}"),
        touched: args
            .iter()
            .map(|path| Touched {
                path: path.clone(),
                used,
            })
            .collect(),
        args,
        input: Bytes::new(),
        most: LONGEST_LINE,
        answer: Answer::Done,
    }
}

/// As no tool takes it for an option.
fn spelled(path: &[u8]) -> Vec<u8> {
    match path.first() {
        Some(b'/') => path.to_vec(),
        _ => [b"./", path].concat(),
    }
}

fn named(text: &str, path: &[u8]) -> Script {
    let mut script = script(text, &[path], Use::Read);
    script.answer = Answer::Name;
    script
}

/// Has the account's umask take away what this mode lacks, too.
fn without(mode: u32) -> String {
    let lacks = 0o777 & !mode;
    format!("umask $(printf %o $((0$(umask) | 0{lacks:o})))\n")
}

fn open(path: &[u8], flags: OpenFlags, mode: Option<u32>) -> Script {
    let mode = mode.unwrap_or(0o666) & 0o777;
    // Its owner has to be able to write to it later on, when it is opened again.
    let umask = without(mode | 0o200);
    // A shell makes no programs.
    let make = |how: &str| match mode & 0o111 {
        0 => format!("{umask}{how}"),
        _ => format!("u=$(umask)\n{umask}{how}\nchmod $(printf %o $((0{mode:o} & ~0$u))) \"$1\""),
    };
    let text = if !flags.has(OpenFlags::WRITE) {
        "there \"$1\"\nif [ -d \"$1\" ]; then no \"Is a directory\"; fi\n\
         [ -r \"$1\" ] || no \"Permission denied\""
            .to_owned()
    } else if flags.has(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) {
        make("set -C\n: >\"$1\" || exit 1")
    } else {
        let how = match flags.has(OpenFlags::TRUNCATE) {
            true => ": >\"$1\"",
            false => ": >>\"$1\"",
        };
        let none = match flags.has(OpenFlags::CREATE) {
            true => make(&format!("{how} || exit 1")),
            false => "there \"$1\"".to_owned(),
        };
        let read = match flags.has(OpenFlags::READ) {
            true => "[ -r \"$1\" ] || no \"Permission denied\"\n",
            false => "",
        };
        format!(
            "if [ -d \"$1\" ]; then no \"Is a directory\"; fi\n\
             if [ -e \"$1\" ]; then\n{read}\
             if [ -f \"$1\" ]; then {how} || exit 1; else [ -w \"$1\" ] || no \"Permission denied\"; fi\n\
             else\n{none}\nfi"
        )
    };
    let used = match flags.has(OpenFlags::CREATE) || flags.has(OpenFlags::TRUNCATE) {
        true => Use::Changed,
        false => Use::Read,
    };
    let mut script = script(&text, &[path], used);
    script.answer = Answer::Handle(Opened::name(path, flags.has(OpenFlags::APPEND)));
    script
}

fn open_directory(path: &[u8]) -> Script {
    let text = "there \"$1\"\n[ -d \"$1\" ] || no \"Not a directory\"\n\
                [ -r \"$1\" ] && [ -x \"$1\" ] || no \"Permission denied\"";
    let mut script = script(text, &[path], Use::Read);
    script.answer = Answer::Handle(Opened::name(path, false));
    script
}

/// Reads a stretch. `dd` with `count=1` takes the first byte where it is, whatever it does with
/// other counts, and leaves the place behind it to the next program.
fn read(path: &[u8], offset: u64, length: u32) -> Script {
    let rest = length.saturating_sub(1);
    let text = match offset {
        0 => format!("head -c {length} <\"$1\""),
        _ => format!("{{ dd bs=1 skip={offset} count=1 2>/dev/null; head -c {rest}; }} <\"$1\""),
    };
    let mut script = script(&text, &[path], Use::Read);
    script.most = length as usize;
    script.answer = Answer::Data;
    script
}

fn write(opened: &Opened<'_>, offset: u64, data: Bytes) -> Script {
    let (text, used) = if opened.appends {
        ("there \"$1\"\ncat >>\"$1\"".to_owned(), Use::Changed)
    } else if offset.is_multiple_of(BLOCK) {
        let blocks = offset / BLOCK;
        let dd = format!("dd ibs={BLOCK} obs={BLOCK} seek={blocks} conv=notrunc of=\"$1\"");
        (format!("there \"$1\"\n{dd}"), Use::Written)
    } else {
        // The place is left to the next program.
        let dd = format!("dd bs=1 seek={offset} </dev/null 2>/dev/null");
        let text = format!("there \"$1\"\n{{ {dd}; cat; }} 1<>\"$1\"");
        (text, Use::Written)
    };
    let mut script = script(&text, &[opened.path], used);
    script.input = data;
    script
}

/// Copies a stretch, or with a length of 0 all that is left.
fn copy(from: &[u8], offset: u64, length: u64, to: &[u8], place: u64) -> Script {
    let seek = match place {
        0 => String::new(),
        _ => format!("dd bs=1 seek={place} </dev/null 2>/dev/null; "),
    };
    let skip = match offset {
        0 => String::new(),
        _ => format!("dd bs=1 skip={offset} count=1 2>/dev/null; "),
    };
    let rest = match length {
        0 => "cat".to_owned(),
        _ => format!("head -c {}", length - u64::from(offset > 0)),
    };
    let text = format!("there \"$1\"\nthere \"$2\"\n{{ {seek}{skip}{rest}; }} <\"$1\" 1<>\"$2\"");
    let mut script = script(&text, &[from, to], Use::Read);
    script.touched[1].used = Use::Written;
    script
}

fn set(path: &[u8], attributes: &Attributes, link: &str) -> Script {
    let mut text = match link {
        "" => "there \"$1\"\n".to_owned(),
        _ => "known \"$1\"\n".to_owned(),
    };
    if let Some(size) = attributes.size {
        text += &match size {
            0 => ": >\"$1\" || exit 1\n".to_owned(),
            _ => format!("dd if=/dev/null of=\"$1\" bs=1 seek={size} || exit 1\n"),
        };
    }
    if let Some((user, group)) = attributes.owner {
        text += &format!("chown {link}{user}:{group} \"$1\" || exit 1\n");
    }
    if let Some(mode) = attributes.permissions {
        // Five digits: with fewer, GNU leaves a directory its special bits.
        text += &format!("chmod {link}0{:04o} \"$1\" || exit 1\n", mode & 0o7777);
    }
    if let Some((accessed, modified)) = attributes.times {
        for (which, time) in [("-a", accessed), ("-m", modified)] {
            let time = posix::touch_time(time);
            text += &format!("TZ=UTC0 touch {link}-c {which} -t {time} \"$1\" || exit 1\n");
        }
    }
    script(&text, &[path], Use::Changed)
}

/// `~`, which is where the account begins as relative paths do, or the home of somebody else.
fn expand(path: &[u8]) -> Option<Script> {
    if path == b"~" {
        let text = "d=$(pwd; echo /)\nprintf '%s/\\n' \"${d%?/}\"";
        let mut script = named(text, b".");
        script.args.clear();
        return Some(script);
    }
    let rest = path.strip_prefix(b"~")?;
    let end = rest.iter().position(|byte| *byte == b'/');
    let (user, rest) = rest.split_at(end.unwrap_or(rest.len()));
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let user = std::str::from_utf8(user).ok()?;
    if user.is_empty() || user.starts_with('-') || !user.as_bytes().iter().all(is_name) {
        return None;
    }
    let text = format!(
        "h=~{user}\ncase $h in /*) ;; *) no \"No such file or directory\";; esac\n\
         printf '%s/\\n' \"${{h%/}}$1\""
    );
    let mut script = named(&text, b".");
    script.args = vec![rest.to_vec()];
    Some(script)
}
