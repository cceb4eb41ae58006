//! The account that asks: name, id and home from the passwd entry, and the host's name.
//!
//! As in `ssh`, `$HOME` and `$USER` do not count, unless the account has no entry at all.

use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use rmux_proto::ssh_config::Local;

/// One line of the passwd database.
struct Entry {
    name: Vec<u8>,
    uid: u32,
    home: Vec<u8>,
}

/// The account of this process.
pub(super) fn local() -> Result<Local, String> {
    let uid = rustix::process::getuid().as_raw();
    let entry = entry(&uid.to_string(), |e| e.uid == uid).or_else(|| from_variables(uid));
    let entry = entry.ok_or_else(|| format!("no user exists for uid {uid}"))?;
    let hostname = rustix::system::uname().nodename().to_bytes().to_vec();
    Ok(Local {
        user: entry.name,
        uid: entry.uid,
        home: entry.home,
        hostname,
    })
}

/// The home of a user by name.
pub(super) fn home_of(user: &[u8]) -> Option<Vec<u8>> {
    let key = std::str::from_utf8(user)
        .ok()
        .filter(|name| !name.starts_with('-'))?;
    entry(key, |e| e.name == user).map(|e| e.home)
}

/// Looks into the file first and asks the name service switch for what is not there.
fn entry(key: &str, wanted: impl Fn(&Entry) -> bool) -> Option<Entry> {
    let find = |text: &[u8]| text.split(|&c| c == b'\n').filter_map(parse).find(&wanted);
    let file = std::fs::read("/etc/passwd").unwrap_or_default();
    find(&file).or_else(|| {
        let output = Command::new("getent").args(["passwd", key]).output().ok()?;
        find(&output.stdout)
    })
}

fn parse(line: &[u8]) -> Option<Entry> {
    let fields: Vec<&[u8]> = line.split(|&c| c == b':').collect();
    let uid = std::str::from_utf8(fields.get(2)?).ok()?.parse().ok()?;
    Some(Entry {
        name: fields[0].to_vec(),
        uid,
        home: fields.get(5)?.to_vec(),
    })
}

/// A container may run as a number that nobody named.
fn from_variables(uid: u32) -> Option<Entry> {
    let home = std::env::var_os("HOME")?;
    let name = std::env::var_os("USER").or_else(|| std::env::var_os("LOGNAME"))?;
    Some(Entry {
        name: name.as_bytes().to_vec(),
        uid,
        home: home.as_bytes().to_vec(),
    })
}
