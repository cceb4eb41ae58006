//! The arguments of `rmux ssh`, read as ssh(1) reads its own.
//!
//! Options may stand in clusters, before and behind the destination; the first word behind the
//! destination that is no option begins the command. What they mean for the settings is decided by
//! whoever resolves those: here they are only told apart, and kept in their order, which matters.
//! Must not connect, print or read files.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rmux_core::ssh_config::parse_forward;
use rmux_core::{Config, ConfigFile, Endpoint, HostSpec, MatchExec};

use super::share::Order;
use crate::log::Level;

/// What `rmux ssh` was asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    Run(Box<Args>),
    /// `-Q`: which algorithms there are.
    List(String),
    Version,
    Help,
}

/// A destination, what to run there, and how.
#[derive(Debug)]
pub(crate) struct Args {
    /// Without user and port, which are among the options.
    pub(crate) destination: HostSpec,
    /// The words of the command, joined by single spaces. `None` where there are none.
    pub(crate) command: Option<OsString>,
    /// `-G`: print the settings and connect nowhere.
    pub(crate) print_settings: bool,
    /// `-E`: where the log is appended.
    pub(crate) log_file: Option<PathBuf>,
    /// `-y`: the log goes to syslog.
    pub(crate) syslog: bool,
    /// What was asked for that rmux does not do.
    pub(crate) refusal: Option<String>,
    config_file: ConfigFile,
    options: Vec<Given>,
}

/// An option that stands for a setting, as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    letter: u8,
    value: Option<OsString>,
}

impl Args {
    /// The settings of the connection that they ask for.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new()
            .config_file(self.config_file.clone())
            // As ssh: who names a file with -F vouches for it.
            .match_exec(MatchExec::Always);
        for given in &self.options {
            let letter = char::from(given.letter);
            config = match &given.value {
                None => config.flag(letter),
                Some(value) => config.flag_with(letter, value),
            };
        }
        match &self.command {
            Some(command) => config.for_command(command),
            None => config,
        }
    }

    /// Whether the option was given.
    pub(crate) fn has(&self, letter: u8) -> bool {
        self.options.iter().any(|given| given.letter == letter)
    }

    /// Where standard input and output are to be carried (`-W`). It was read when the settings were
    /// resolved, so what is none never comes this far.
    pub(crate) fn stdio(&self) -> Option<Endpoint> {
        let mut given = self.options.iter().filter(|given| given.letter == b'W');
        let text = given.next()?.value.as_deref()?;
        parse_forward(text, true, false).map(|forward| forward.listen)
    }

    /// The order to a master of `-O`, the last one that was given. The error is one line.
    pub(crate) fn order(&self) -> Result<Option<Order>, String> {
        let last = self.options.iter().rfind(|given| given.letter == b'O');
        let name = last.and_then(|given| given.value.as_ref());
        name.map(|name| Order::named(&name.to_string_lossy()))
            .transpose()
    }

    /// The private keys of `-i`.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Path> {
        let keys = self.options.iter().filter(|given| given.letter == b'i');
        keys.filter_map(|given| given.value.as_deref().map(Path::new))
    }

    /// The level of the log until the settings are known.
    pub(crate) fn level(&self) -> Level {
        let mut level = None;
        let mut verbose = false;
        for given in &self.options {
            match (given.letter, &given.value) {
                (b'q', _) => level = Some(Level::Quiet),
                (b'v', _) => {
                    let more = level.filter(|_| verbose).map(Level::louder);
                    level = Some(more.unwrap_or(Level::Debug1));
                    verbose = true;
                }
                (b'o', Some(setting)) if level.is_none() => level = named_level(setting),
                _ => {}
            }
        }
        level.unwrap_or(Level::Info)
    }
}

/// The level of a setting that is `LogLevel`.
fn named_level(setting: &OsStr) -> Option<Level> {
    let text = setting.to_str()?.trim();
    let key = text.get(..8)?;
    let value = text[8..].trim_matches(|c: char| c == '=' || c == '"' || c.is_ascii_whitespace());
    let is_key = key.eq_ignore_ascii_case("LogLevel");
    is_key.then(|| Level::named(value)).flatten()
}

/// Options of ssh that take a value, and the ones that take none. All of them: this says how a word
/// is to be read.
const WITH_VALUE: &[u8] = b"bceilmopBDEFIJLOPQRSWw";
const WITHOUT_VALUE: &[u8] = b"1246afgknqstvxyACGKMNTVXY";

/// Reads the words behind `rmux ssh`. The error is one line.
pub(crate) fn parse(words: Vec<OsString>) -> Result<Asked, String> {
    if words.len() == 1 && words[0] == "--help" {
        return Ok(Asked::Help);
    }
    let mut words = words.into_iter().peekable();
    let mut reader = Reader::default();
    let options_ended = match reader.options(&mut words)? {
        Stop::Answered(asked) => return Ok(asked),
        Stop::Word => false,
        Stop::DoubleDash => true,
    };
    let Some(destination) = words.next() else {
        return Err("a destination is missing".into());
    };
    let destination = reader.destination(&text("the destination", destination)?)?;
    if !options_ended && let Stop::Answered(asked) = reader.options(&mut words)? {
        return Ok(asked);
    }
    let command: Vec<OsString> = words.collect();
    let command = command.join(OsStr::new(" "));
    if reader.syslog && reader.log_file.is_some() {
        return Err("-y and -E exclude each other".into());
    }
    Ok(Asked::Run(Box::new(Args {
        destination,
        command: (!command.is_empty()).then_some(command),
        print_settings: reader.print_settings,
        log_file: reader.log_file,
        syslog: reader.syslog,
        refusal: reader.refusal,
        config_file: reader.config_file,
        options: reader.options,
    })))
}

/// Why reading options stopped.
enum Stop {
    /// At a word that is none, or at the end.
    Word,
    /// Behind `--`.
    DoubleDash,
    /// At `-V` or `-Q`, which ssh answers at once.
    Answered(Asked),
}

#[derive(Debug, Default)]
struct Reader {
    print_settings: bool,
    log_file: Option<PathBuf>,
    syslog: bool,
    refusal: Option<String>,
    config_file: ConfigFile,
    options: Vec<Given>,
}

type Words = std::iter::Peekable<std::vec::IntoIter<OsString>>;

impl Reader {
    fn options(&mut self, words: &mut Words) -> Result<Stop, String> {
        // A lone "-" is no option.
        while let Some(word) = words.next_if(|w| w.len() > 1 && w.as_bytes()[0] == b'-') {
            if word == "--" {
                return Ok(Stop::DoubleDash);
            }
            if word.as_bytes().starts_with(b"--") {
                return Err(format!("unknown option {}", word.display()));
            }
            let mut cluster = &word.as_bytes()[1..];
            while let Some((&letter, rest)) = cluster.split_first() {
                cluster = rest;
                if WITH_VALUE.contains(&letter) {
                    let value = if rest.is_empty() {
                        words.next().ok_or_else(|| {
                            format!("option -{} takes a value", char::from(letter))
                        })?
                    } else {
                        OsString::from_vec(rest.to_vec())
                    };
                    if letter == b'Q' {
                        return Ok(Stop::Answered(Asked::List(text("the query", value)?)));
                    }
                    self.valued(letter, value)?;
                    break;
                }
                if letter == b'V' {
                    return Ok(Stop::Answered(Asked::Version));
                }
                self.plain(letter)?;
            }
        }
        Ok(Stop::Word)
    }

    fn plain(&mut self, letter: u8) -> Result<(), String> {
        match letter {
            b'1' => return Err("option -1: SSH version 1 is no longer spoken".into()),
            b'G' => self.print_settings = true,
            b'y' => self.syslog = true,
            letter if WITHOUT_VALUE.contains(&letter) => {
                self.refuse(letter);
                self.options.push(Given {
                    letter,
                    value: None,
                });
            }
            letter if letter.is_ascii_graphic() => {
                return Err(format!("unknown option -{}", char::from(letter)));
            }
            letter => return Err(format!("unknown option -\\x{letter:02x}")),
        }
        Ok(())
    }

    fn valued(&mut self, letter: u8, value: OsString) -> Result<(), String> {
        match letter {
            b'E' => self.log_file = Some(value.into()),
            b'F' => {
                // "none" is the word for no file; "./none" names one.
                self.config_file = if value.eq_ignore_ascii_case("none") {
                    ConfigFile::None
                } else {
                    ConfigFile::Path(value.into())
                };
            }
            letter => {
                self.refuse(letter);
                self.options.push(Given {
                    letter,
                    value: Some(value),
                });
            }
        }
        Ok(())
    }

    /// Notes what rmux does not do. It has a meaning for `-G` all the same.
    fn refuse(&mut self, letter: u8) {
        let why = match letter {
            b'K' | b'k' => "GSSAPI is not supported",
            b'X' | b'Y' => "forwarding X11 is not supported",
            b'I' => "PKCS#11 is not supported",
            b'P' | b'w' => "not supported yet",
            _ => return,
        };
        let refusal = || format!("option -{}: {why}", char::from(letter));
        self.refusal.get_or_insert_with(refusal);
    }

    /// The destination; user and port become options, so that the first to name them counts.
    fn destination(&mut self, text: &str) -> Result<HostSpec, String> {
        let refused = |error: rmux_core::Error| error.to_string();
        let spec = HostSpec::parse(text).map_err(refused)?;
        let mut give = |letter, value: Option<String>| {
            if let Some(value) = value {
                let value = Some(value.into());
                self.options.push(Given { letter, value });
            }
        };
        give(b'l', spec.user().map(str::to_owned));
        give(b'p', spec.port().map(|port| port.to_string()));
        HostSpec::parse(spec.name()).map_err(refused)
    }
}

/// Names are kept as text.
fn text(what: &str, value: OsString) -> Result<String, String> {
    value
        .into_string()
        .map_err(|value| format!("{what} {value:?} is not UTF-8"))
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
