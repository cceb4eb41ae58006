//! What a line does: reads the arguments of its keyword and sets what is not set yet.
//!
//! A line in a block that does not hold is checked all the same.

use super::choice;
use super::error::{ConfigError, shown};
use super::expand;
use super::forward;
use super::gather::{Gatherer, Note, Place};
use super::jump;
use super::keyword::{self, Field, Kind};
use super::lexer;
use super::number;
use super::options::{JumpSetting, MOST_WORDS, Slot};
use super::pattern::{self, ListMatch};

/// The arguments of a line that are not read yet.
pub(super) type Arguments = std::vec::IntoIter<Vec<u8>>;

/// What stands for "any" tunnel device.
pub(super) const ANY_TUNNEL: i64 = 0x7fff_ffff;

impl Gatherer<'_> {
    /// Applies a line. `active` says whether the block it stands in holds, and changes with
    /// `Host` and `Match`.
    pub(super) fn apply(
        &mut self,
        line: &[u8],
        place: &Place,
        active: &mut bool,
    ) -> Result<(), ConfigError> {
        let Some(line) = lexer::split_line(line) else {
            return Ok(());
        };
        let keyword = shown(&line.keyword);
        let Some(rest) = line.rest else {
            return Err(place.error(format!("no argument after keyword \"{keyword}\"")));
        };
        let arguments = lexer::arguments(rest).map_err(|_| place.error("invalid quotes"))?;
        let Some(kind) = keyword::kind(&line.keyword) else {
            let ignored = self.options.text(Field::IgnoreUnknown).is_some_and(|list| {
                pattern::matches_list(&line.keyword, list, true) == ListMatch::Yes
            });
            let message = format!("bad configuration option: {keyword}");
            return if ignored {
                Ok(())
            } else {
                Err(place.error(message))
            };
        };
        if let Kind::Include = kind {
            return self.apply_include(arguments, place, *active);
        }
        let mut arguments = arguments.into_iter();
        let explain = |message: String| match message.contains(&keyword) {
            true => place.error(message),
            false => place.error(format!("{keyword}: {message}")),
        };
        self.apply_kind(kind, rest, &mut arguments, place, active)
            .map_err(explain)?;
        if arguments.len() > 0 {
            return Err(place.error(format!("keyword {keyword} extra arguments at end of line")));
        }
        Ok(())
    }

    fn apply_include(
        &mut self,
        patterns: Vec<Vec<u8>>,
        place: &Place,
        active: bool,
    ) -> Result<(), ConfigError> {
        if place.is_command_line() {
            return Err(place.error("Include is not supported on the command line"));
        }
        for pattern in patterns {
            if pattern.is_empty() {
                return Err(place.error("keyword include empty argument"));
            }
            self.include(&pattern, place, active)?;
        }
        Ok(())
    }

    fn apply_kind(
        &mut self,
        kind: Kind,
        rest: &[u8],
        arguments: &mut Arguments,
        place: &Place,
        active: &mut bool,
    ) -> Result<(), String> {
        let origin = &place.origin;
        match kind {
            Kind::Choice(field, choices) => {
                let word = argument(arguments)?;
                let value = choice::value(choices, &word)
                    .ok_or_else(|| format!("unsupported option \"{}\"", shown(&word)))?;
                self.set_if(*active, field, value, place);
            }
            Kind::Time(field) => {
                let value = time(&argument(arguments)?)?;
                self.set_if(*active, field, value, place);
            }
            Kind::Integer(field) => {
                let value = number::integer(&arguments.next().unwrap_or_default())?;
                self.set_if(*active, field, value, place);
            }
            Kind::Text(field) => {
                let value = argument(arguments)?;
                if *active {
                    self.options.set_text(field, &value, origin);
                }
            }
            Kind::Command(field) => {
                if *active {
                    self.options.set_text(field, lexer::raw_value(rest), origin);
                }
                consume(arguments);
            }
            Kind::Algorithms(field) => {
                let value = argument(arguments)?;
                self.query.algorithms.check(field, &value)?;
                if *active {
                    self.options.set_text(field, &value, origin);
                }
            }
            Kind::Line(field) => {
                let words: Vec<Vec<u8>> = arguments.collect();
                if words.is_empty() {
                    return Err("missing argument".to_owned());
                }
                if *active {
                    self.options.set_text(field, &words.join(&b" "[..]), origin);
                }
            }
            Kind::Identity(field) => {
                let path = argument(arguments)?;
                if *active {
                    self.options.add_file(field, &path, place.by_user, origin)?;
                }
            }
            Kind::AgentPath(field) => {
                self.agent_path(field, &argument(arguments)?, *active, place)?
            }
            Kind::ForwardAgent => {
                let word = argument(arguments)?;
                let flag = choice::value(choice::FLAG, &word);
                self.set_if(*active, Field::ForwardAgent, flag.unwrap_or(1), place);
                if flag.is_none() {
                    self.agent_path(Field::ForwardAgentPath, &word, *active, place)?;
                }
            }
            Kind::Words(field) => self.words(field, arguments, *active, place)?,
            Kind::Forward(field) => self.forward(field, arguments, *active, place)?,
            Kind::ProxyJump => {
                self.proxy_jump(lexer::raw_value(rest), *active, place)?;
                consume(arguments);
            }
            Kind::Port => {
                let word = argument(arguments)?;
                let port = number::port(&word, self.environment).filter(|p| *p != 0);
                let port = port.ok_or_else(|| format!("bad port '{}'", shown(&word)))?;
                self.set_if(*active, Field::Port, i64::from(port), place);
            }
            Kind::Host => {
                not_on_command_line(place)?;
                *active = false;
                let patterns: Vec<Vec<u8>> = arguments.collect();
                *active = self.host_matches(&patterns, place.inert)?;
            }
            Kind::Match => {
                not_on_command_line(place)?;
                let holds = self.match_holds(rest, place)?;
                *active = holds && !place.inert;
                consume(arguments);
            }
            Kind::Ignored => consume(arguments),
            Kind::Deprecated => self.note(arguments, place, "is deprecated and has no effect"),
            Kind::Unsupported => self.note(arguments, place, "is not supported and has no effect"),
            Kind::SendEnv => self.send_env(arguments, *active, place)?,
            Kind::SetEnv => self.set_env(arguments, *active, place)?,
            // The rest takes words of its own.
            _ => self.apply_special(kind, arguments, *active, place)?,
        }
        Ok(())
    }

    pub(super) fn set_if(&mut self, active: bool, field: Field, value: i64, place: &Place) {
        if active {
            self.options.set_integer(field, value, &place.origin);
        }
    }

    /// Sets two fields together, unless the first is set.
    pub(super) fn set_pair(
        &mut self,
        active: bool,
        (first, value): (Field, i64),
        (second, other): (Field, i64),
        place: &Place,
    ) {
        if active && self.options.integer(first).is_none() {
            self.options.set_integer(first, value, &place.origin);
            self.options
                .put_integer(second, other, place.origin.clone());
        }
    }

    fn agent_path(
        &mut self,
        field: Field,
        path: &[u8],
        active: bool,
        place: &Place,
    ) -> Result<(), String> {
        let set = expand::variables(path, self.environment)?;
        if set.is_none() {
            return Err(format!("invalid environment expansion {}", shown(path)));
        }
        let legacy = path
            .strip_prefix(b"$")
            .filter(|name| !name.starts_with(b"{"));
        if legacy.is_some_and(|name| !expand::is_variable_name(name)) {
            return Err(format!("invalid environment name {}", shown(path)));
        }
        if active {
            self.options.set_text(field, path, &place.origin);
        }
        Ok(())
    }

    fn words(
        &mut self,
        field: Field,
        arguments: &mut Arguments,
        active: bool,
        place: &Place,
    ) -> Result<(), String> {
        let first_line = self.options.list(field).is_empty();
        for (index, word) in alone_if_none(arguments, &[b"none"])?
            .into_iter()
            .enumerate()
        {
            if active && first_line {
                if index >= MOST_WORDS {
                    return Err("too many entries".to_owned());
                }
                self.options.push(field, word, &place.origin);
            }
        }
        Ok(())
    }

    fn forward(
        &mut self,
        field: Field,
        arguments: &mut Arguments,
        active: bool,
        place: &Place,
    ) -> Result<(), String> {
        let listen = argument(arguments)?;
        let is_remote = field == Field::RemoteForward;
        let connect = match field {
            Field::DynamicForward => None,
            _ => arguments.next().filter(|a| !a.is_empty()),
        };
        if field == Field::LocalForward && connect.is_none() {
            return Err("missing target argument".to_owned());
        }
        let dynamic = connect.is_none();
        let mut text = match connect {
            Some(connect) => [&listen[..], b":", &connect].concat(),
            None => listen,
        };
        text.truncate(LONGEST_FORWARD);
        let forward = forward::parse(&text, dynamic, is_remote, self.environment)
            .ok_or("bad forwarding specification")?;
        if active {
            self.options.add_forward(is_remote, forward, &place.origin);
        }
        Ok(())
    }

    /// Sets ProxyJump. `none` only keeps later lines from setting it.
    pub(super) fn proxy_jump(
        &mut self,
        text: &[u8],
        active: bool,
        place: &Place,
    ) -> Result<(), String> {
        let origin = &place.origin;
        if text.eq_ignore_ascii_case(b"none") {
            if active && self.options.jump.is_none() {
                self.options.jump = Some(Slot {
                    value: JumpSetting::None,
                    origin: origin.clone(),
                });
            }
            return Ok(());
        }
        let strict = place.is_command_line();
        let head = jump::parse_chain(text, strict, self.environment)
            .ok_or_else(|| format!("invalid ProxyJump \"{}\"", shown(text)))?;
        let is_free =
            self.options.jump.is_none() && self.options.text(Field::ProxyCommand).is_none();
        if active && is_free {
            let value = JumpSetting::Through(head);
            self.options.jump = Some(Slot {
                value,
                origin: origin.clone(),
            });
            self.options.set_text(Field::ProxyCommand, b"none", origin);
        }
        Ok(())
    }

    fn note(&mut self, arguments: &mut Arguments, place: &Place, message: &str) {
        consume(arguments);
        if !self.is_final_pass {
            let message = format!("the option {message}");
            self.notes.push(Note {
                origin: place.origin.clone(),
                message,
            });
        }
    }
}

/// The longest forward that is read whole, as in OpenSSH, which reads no further.
const LONGEST_FORWARD: usize = 255;

/// The next argument, which must be there and not empty.
pub(super) fn argument(arguments: &mut Arguments) -> Result<Vec<u8>, String> {
    arguments
        .next()
        .filter(|a| !a.is_empty())
        .ok_or_else(|| "missing argument".to_owned())
}

/// A duration in seconds; -1 for `none`.
pub(super) fn time(text: &[u8]) -> Result<i64, String> {
    match text {
        b"none" => Ok(-1),
        _ => number::duration(text).ok_or_else(|| format!("invalid time value {}", shown(text))),
    }
}

/// All arguments, none of them empty; the words in `alone` must stand alone.
pub(super) fn alone_if_none(
    arguments: &mut Arguments,
    alone: &[&[u8]],
) -> Result<Vec<Vec<u8>>, String> {
    let words: Vec<Vec<u8>> = arguments.collect();
    for word in &words {
        if word.is_empty() {
            return Err("empty argument".to_owned());
        }
        if words.len() > 1 && alone.iter().any(|a| a.eq_ignore_ascii_case(word)) {
            return Err(format!("\"{}\" argument must appear alone", shown(word)));
        }
    }
    Ok(words)
}

fn consume(arguments: &mut Arguments) {
    arguments.by_ref().for_each(drop);
}

fn not_on_command_line(place: &Place) -> Result<(), String> {
    match place.is_command_line() {
        true => Err("Host and Match are not supported on the command line".to_owned()),
        false => Ok(()),
    }
}
