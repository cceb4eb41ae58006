//! The arguments of `rmux ssh`, read as ssh(1) reads its own.
//!
//! Options may stand in clusters, before and behind the destination; the first word behind the
//! destination that is no option begins the command. Must not connect, print or read files.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rmux_core::{Config, ConfigFile, HostSpec, MatchExec};

/// What `rmux ssh` was asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    Run(Box<Args>),
    Version,
    Help,
}

/// Whether the remote command gets a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// If there is no command and standard input is one.
    Auto,
    /// `-T`
    Never,
    /// `-t`: if standard input is one.
    Wanted,
    /// `-tt`: whatever standard input is.
    Forced,
}

/// A destination, what to run there, and how.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) destination: HostSpec,
    /// The words of the command, joined by single spaces. `None` asks for a login shell.
    pub(crate) command: Option<OsString>,
    pub(crate) terminal: Terminal,
    /// `-n`
    pub(crate) no_input: bool,
    pub(crate) quiet: bool,
    /// How many `-v`.
    pub(crate) verbose: u8,
    /// `-G`: print the settings and connect nowhere.
    pub(crate) print_settings: bool,
    config_file: ConfigFile,
    user: Option<String>,
    port: Option<u16>,
    identity_files: Vec<PathBuf>,
    options: Vec<(String, String)>,
}

impl Args {
    /// The settings of the connection that they ask for.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new()
            .config_file(self.config_file.clone())
            // As ssh: who names a file with -F vouches for it.
            .match_exec(MatchExec::Always);
        for (key, value) in &self.options {
            config = config.option(key, value);
        }
        if let Some(user) = &self.user {
            config = config.user(user);
        }
        if let Some(port) = self.port {
            config = config.port(port);
        }
        for path in &self.identity_files {
            config = config.identity_file(path);
        }
        config
    }

    /// The same with the settings that the other options stand for, for `-G`.
    pub(crate) fn all_settings(&self) -> Config {
        let mut stand_for = Vec::new();
        match self.terminal {
            Terminal::Auto => {}
            Terminal::Never => stand_for.push(("RequestTTY", "no")),
            Terminal::Wanted => stand_for.push(("RequestTTY", "yes")),
            Terminal::Forced => stand_for.push(("RequestTTY", "force")),
        }
        if self.no_input {
            stand_for.push(("StdinNull", "yes"));
        }
        if self.quiet {
            stand_for.push(("LogLevel", "QUIET"));
        }
        match self.verbose {
            0 => {}
            1 => stand_for.push(("LogLevel", "DEBUG1")),
            2 => stand_for.push(("LogLevel", "DEBUG2")),
            _ => stand_for.push(("LogLevel", "DEBUG3")),
        }
        let settings = stand_for.into_iter();
        settings.fold(self.config(), |config, (key, value)| {
            config.option(key, value)
        })
    }
}

/// Options of ssh that take a value, and the ones that take none. The known ones are among them:
/// this says how a word is to be read.
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
        Stop::Version => return Ok(Asked::Version),
        Stop::Word => false,
        Stop::DoubleDash => true,
    };
    let Some(destination) = words.next() else {
        return Err("a destination is missing".into());
    };
    let destination = text("the destination", destination)?;
    let destination = reader.destination(&destination)?;
    if !options_ended && matches!(reader.options(&mut words)?, Stop::Version) {
        return Ok(Asked::Version);
    }
    let command: Vec<OsString> = words.collect();
    let command = command.join(OsStr::new(" "));
    Ok(Asked::Run(Box::new(Args {
        destination,
        command: (!command.is_empty()).then_some(command),
        terminal: reader.terminal.unwrap_or(Terminal::Auto),
        no_input: reader.no_input,
        quiet: reader.quiet,
        verbose: reader.verbose,
        print_settings: reader.print_settings,
        config_file: reader.config_file,
        user: reader.user.and_then(First::value),
        port: reader.port.and_then(First::value),
        identity_files: reader.identity_files,
        options: reader.options,
    })))
}

/// Why reading options stopped.
enum Stop {
    /// At a word that is none, or at the end.
    Word,
    /// Behind `--`.
    DoubleDash,
    /// At `-V`, which ssh answers at once.
    Version,
}

/// Of what can be said in several ways, the first on the command line counts.
#[derive(Debug, Clone)]
enum First<T> {
    /// By an option of its own or in the destination.
    Said(T),
    /// By `-o`, which goes to the configuration as it is.
    Setting,
}

impl<T> First<T> {
    fn value(self) -> Option<T> {
        match self {
            Self::Said(value) => Some(value),
            Self::Setting => None,
        }
    }
}

#[derive(Debug, Default)]
struct Reader {
    terminal: Option<Terminal>,
    no_input: bool,
    print_settings: bool,
    quiet: bool,
    verbose: u8,
    config_file: ConfigFile,
    user: Option<First<String>>,
    port: Option<First<u16>>,
    identity_files: Vec<PathBuf>,
    options: Vec<(String, String)>,
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
                    self.valued(letter, value)?;
                    break;
                }
                if letter == b'V' {
                    return Ok(Stop::Version);
                }
                self.plain(letter)?;
            }
        }
        Ok(Stop::Word)
    }

    fn plain(&mut self, letter: u8) -> Result<(), String> {
        match letter {
            b't' => {
                self.terminal = Some(match self.terminal {
                    Some(Terminal::Wanted | Terminal::Forced) => Terminal::Forced,
                    _ => Terminal::Wanted,
                });
            }
            b'T' => self.terminal = Some(Terminal::Never),
            b'n' => self.no_input = true,
            b'G' => self.print_settings = true,
            b'q' => self.quiet = true,
            b'v' => self.verbose = self.verbose.saturating_add(1),
            // No forwarding of the agent or of X11, no GSSAPI credentials: so it is anyway.
            b'a' | b'x' | b'k' => {}
            letter if WITHOUT_VALUE.contains(&letter) => return Err(unsupported(letter)),
            letter if letter.is_ascii_graphic() => {
                return Err(format!("unknown option -{}", char::from(letter)));
            }
            letter => return Err(format!("unknown option -\\x{letter:02x}")),
        }
        Ok(())
    }

    fn valued(&mut self, letter: u8, value: OsString) -> Result<(), String> {
        match letter {
            b'F' => {
                // "none" is the word for no file; "./none" names one.
                self.config_file = if value.eq_ignore_ascii_case("none") {
                    ConfigFile::None
                } else {
                    ConfigFile::Path(value.into())
                };
            }
            b'p' => {
                let value = text("the port", value)?;
                let port = value
                    .parse()
                    .ok()
                    .filter(|port| *port != 0)
                    .ok_or_else(|| format!("-p: {value:?} is no port (1 to 65535)"))?;
                self.port.get_or_insert(First::Said(port));
            }
            b'l' => {
                let value = text("the user", value)?;
                if value.is_empty() || value.starts_with('-') {
                    return Err(format!("-l: {value:?} is no user name"));
                }
                self.user.get_or_insert(First::Said(value));
            }
            b'i' => self.identity_files.push(value.into()),
            b'o' => self.setting(&text("a setting", value)?)?,
            letter => return Err(unsupported(letter)),
        }
        Ok(())
    }

    /// `Key=value` or `Key value`, as a line of `ssh_config`.
    fn setting(&mut self, line: &str) -> Result<(), String> {
        let line = line.trim();
        let end = line
            .find(|c: char| c == '=' || c.is_ascii_whitespace())
            .unwrap_or(line.len());
        let (key, rest) = line.split_at(end);
        if key.is_empty() {
            return Err(format!("-o: {line:?} is not Key=value"));
        }
        let rest = rest.trim_start();
        let value = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        if value.is_empty() {
            return Err(format!("-o: {key:?} has no value"));
        }
        // A setting that came too late must not reach the configuration, where it would win.
        let counts = if key.eq_ignore_ascii_case("user") {
            first(&mut self.user, First::Setting)
        } else if key.eq_ignore_ascii_case("port") {
            first(&mut self.port, First::Setting)
        } else {
            true
        };
        if counts {
            self.options.push((key.to_owned(), value.to_owned()));
        }
        Ok(())
    }

    /// The destination without the parts that were said before it, which win.
    fn destination(&mut self, text: &str) -> Result<HostSpec, String> {
        let refused = |error: rmux_core::Error| error.to_string();
        let spec = HostSpec::parse(text).map_err(refused)?;
        if let Some(user) = spec.user() {
            self.user.get_or_insert(First::Said(user.to_owned()));
        }
        if let Some(port) = spec.port() {
            self.port.get_or_insert(First::Said(port));
        }
        HostSpec::parse(spec.name()).map_err(refused)
    }
}

/// Notes `said`, unless something was said before; whether it counts.
fn first<T>(place: &mut Option<First<T>>, said: First<T>) -> bool {
    let counts = place.is_none();
    place.get_or_insert(said);
    counts
}

fn unsupported(letter: u8) -> String {
    format!("option -{} is not supported yet", char::from(letter))
}

/// Names go to the server and to the configuration as text.
fn text(what: &str, value: OsString) -> Result<String, String> {
    value
        .into_string()
        .map_err(|value| format!("{what} {value:?} is not UTF-8"))
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
