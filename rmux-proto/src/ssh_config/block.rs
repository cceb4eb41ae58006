//! `Host` and `Match`: whether the lines that follow hold for this host.
//!
//! Knows the criteria; what the lines do is in [`super::directive`].

use super::address;
use super::error::shown;
use super::expand::{self, TokenValues};
use super::gather::{Gatherer, Place};
use super::keyword::Field;
use super::lexer;
use super::pattern::{self, ListMatch};

/// The port that tokens stand for while none is set.
const DEFAULT_PORT: u16 = 22;

impl Gatherer<'_> {
    /// Whether one of the patterns of a `Host` line matches and no negated one does. Case counts,
    /// unlike in `Match host`.
    pub(super) fn host_matches(&self, patterns: &[Vec<u8>], inert: bool) -> Result<bool, String> {
        let mut matched = false;
        for pattern in patterns {
            if pattern.is_empty() {
                return Err("keyword host empty argument".to_owned());
            }
            if inert {
                return Ok(false);
            }
            match pattern.strip_prefix(b"!") {
                Some(negated) if pattern::matches(&self.host, negated) => return Ok(false),
                Some(_) => {}
                None => matched |= pattern::matches(&self.host, pattern),
            }
        }
        Ok(matched)
    }

    /// Whether the criteria of a `Match` line hold. Criteria after one that fails are still
    /// checked for errors, but run nothing.
    pub(super) fn match_holds(&mut self, text: &[u8], place: &Place) -> Result<bool, String> {
        let host = self.host_for_match()?;
        let mut rest = Some(text);
        let mut holds = true;
        let mut count = 0;
        while let Some(word) = lexer::next_word(&mut rest).filter(|w| !w.is_empty()) {
            if word[0] == b'#' {
                rest = None;
                break;
            }
            let (negated, name) = match word.strip_prefix(b"!") {
                Some(name) => (true, name),
                None => (false, &word[..]),
            };
            let name = name.to_ascii_lowercase();
            if name == b"all" {
                let more = lexer::next_word(&mut rest).filter(|w| !w.is_empty());
                let is_comment = more.as_ref().is_some_and(|w| w[0] == b'#');
                if count > 1 || more.is_some() && !is_comment {
                    return Err("'all' cannot be combined with other Match attributes".to_owned());
                }
                if rest.is_some_and(|r| !r.is_empty()) && !is_comment {
                    return Err("keyword match extra arguments at end of line".to_owned());
                }
                return Ok(holds && !negated);
            }
            count += 1;
            let matched = match &name[..] {
                b"final" | b"canonical" => {
                    self.wants_final_pass |= name == b"final" && !self.is_final_pass;
                    self.is_final_pass
                }
                _ => {
                    let argument = criterion_argument(&name, &mut rest)?;
                    self.criterion(&name, &argument, &host, holds, place)?
                }
            };
            holds &= matched != negated;
        }
        if count == 0 {
            return Err("one or more attributes required for Match".to_owned());
        }
        if rest.is_some_and(|r| !r.is_empty()) {
            return Err("keyword match extra arguments at end of line".to_owned());
        }
        Ok(holds)
    }

    fn criterion(
        &mut self,
        name: &[u8],
        argument: &[u8],
        host: &[u8],
        holds: bool,
        place: &Place,
    ) -> Result<bool, String> {
        let in_list = |text: &[u8]| pattern::matches_list(text, argument, false) == ListMatch::Yes;
        // Text that is not there matches the empty argument and nothing else.
        let in_list_or_both_empty = |text: &[u8]| match text {
            b"" => argument.is_empty(),
            _ => in_list(text),
        };
        Ok(match name {
            b"host" => pattern::matches_hostname(host, argument) == ListMatch::Yes,
            b"originalhost" => {
                pattern::matches_hostname(&self.query.host, argument) == ListMatch::Yes
            }
            b"user" => in_list(self.options.text(Field::User).unwrap_or(&self.local.user)),
            b"localuser" => in_list(&self.local.user),
            b"tagged" => in_list_or_both_empty(self.options.text(Field::Tag).unwrap_or_default()),
            b"command" => in_list_or_both_empty(&self.query.command),
            b"version" => in_list(&self.query.release),
            b"sessiontype" => in_list(match self.options.integer(Field::SessionType) {
                Some(0) => b"none",
                Some(1) => b"subsystem",
                _ if !self.query.command.is_empty() => b"exec",
                _ => b"shell",
            }),
            b"localnetwork" => address::in_networks(&self.environment.local_addresses(), argument)?,
            b"exec" => {
                let command = expand::tokens(argument, &self.match_tokens(host).tokens())?;
                holds && self.environment.match_exec(&command, &place.origin)?
            }
            _ => return Err(format!("unsupported Match attribute {}", shown(name))),
        })
    }

    /// The host that `Match host` sees: HostName as far as it is known by now.
    fn host_for_match(&self) -> Result<Vec<u8>, String> {
        match self.options.text(Field::Hostname) {
            Some(name) if self.is_final_pass => Ok(name.to_vec()),
            Some(name) => expand::tokens(name, &[(b'h', self.host.clone())]),
            None => Ok(self.host.clone()),
        }
    }

    fn match_tokens<'b>(&'b self, host: &'b [u8]) -> TokenValues<'b> {
        let port = self
            .options
            .integer(Field::Port)
            .and_then(|p| u16::try_from(p).ok());
        TokenValues {
            local: self.local,
            host,
            original_host: &self.query.host,
            key_alias: self.options.text(Field::HostKeyAlias).unwrap_or(host),
            port: port.unwrap_or(DEFAULT_PORT),
            user: self.options.text(Field::User).unwrap_or(&self.local.user),
        }
    }
}

fn criterion_argument(name: &[u8], rest: &mut Option<&[u8]>) -> Result<Vec<u8>, String> {
    let missing = || format!("missing Match criteria for {}", shown(name));
    let may_be_empty = matches!(name, b"tagged" | b"command");
    let is_quoted = rest.is_some_and(|r| r.starts_with(b"\""));
    match lexer::next_word(rest) {
        Some(word) if word.is_empty() && may_be_empty && is_quoted => Ok(word),
        Some(word) if !word.is_empty() && word[0] != b'#' => Ok(word),
        _ => Err(missing()),
    }
}
