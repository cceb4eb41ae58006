//! Keywords whose arguments are like those of no other.
//!
//! Continues [`super::directive`].

use std::collections::HashSet;

use super::choice;
use super::directive::{ANY_TUNNEL, Arguments, alone_if_none, argument, time};
use super::error::shown;
use super::gather::{Gatherer, Place};
use super::jump;
use super::keyword::{Field, Kind};
use super::number;
use super::options::MOST_WORDS;

impl Gatherer<'_> {
    pub(super) fn apply_special(
        &mut self,
        kind: Kind,
        arguments: &mut Arguments,
        active: bool,
        place: &Place,
    ) -> Result<(), String> {
        match kind {
            Kind::AddKeys => self.add_keys(arguments, active, place),
            Kind::CanonicalDomains => self.canonical_domains(arguments, active, place),
            Kind::ControlPersist => {
                let word = argument(arguments)?;
                let (value, seconds) = match &word[..] {
                    b"no" | b"false" => (0, 0),
                    b"yes" | b"true" => (1, 0),
                    _ => (
                        1,
                        number::duration(&word).ok_or("bad ControlPersist argument")?,
                    ),
                };
                let timeout = (Field::ControlPersistTimeout, seconds);
                self.set_pair(active, (Field::ControlPersist, value), timeout, place);
                Ok(())
            }
            Kind::EscapeChar => {
                let value = number::escape_char(&argument(arguments)?);
                let value = value.ok_or("bad escape character")?;
                self.set_if(active, Field::EscapeChar, value, place);
                Ok(())
            }
            Kind::IpQos => {
                let mut read = |word: Vec<u8>| {
                    choice::ip_qos(&word)
                        .ok_or_else(|| format!("bad IPQoS value: {}", shown(&word)))
                };
                let interactive = read(argument(arguments)?)?;
                let bulk = arguments.next().map_or(Ok(interactive), &mut read)?;
                self.set_pair(
                    active,
                    (Field::IpQos, interactive),
                    (Field::IpQosBulk, bulk),
                    place,
                );
                Ok(())
            }
            Kind::LogVerbose => {
                for word in alone_if_none(arguments, &[b"none"])? {
                    // Only the first word of the first line counts.
                    if active && self.options.list(Field::LogVerbose).is_empty() {
                        self.options.push(Field::LogVerbose, word, &place.origin);
                    }
                }
                Ok(())
            }
            Kind::PermitRemoteOpen => self.permit_remote_open(arguments, active, place),
            Kind::PermittedCnames => self.permitted_cnames(arguments, active, place),
            Kind::RefuseConnection => {
                let message = argument(arguments)?;
                match active {
                    true => Err(format!("RefuseConnection: {}", shown(&message))),
                    false => Ok(()),
                }
            }
            Kind::RekeyLimit => self.rekey_limit(arguments, active, place),
            Kind::StreamLocalBindMask => {
                // Unlike other settings the last one counts, even in a block that does not hold.
                let mask = number::octal_mask(&argument(arguments)?).ok_or("bad mask")?;
                self.options
                    .put_integer(Field::StreamLocalBindMask, mask, place.origin.clone());
                Ok(())
            }
            Kind::SyslogFacility => {
                let word = arguments.next().unwrap_or_default();
                let value = choice::value(choice::LOG_FACILITY, &word);
                let value =
                    value.ok_or_else(|| format!("unsupported log facility '{}'", shown(&word)))?;
                // Counts even in a block that does not hold.
                self.set_if(true, Field::SyslogFacility, value, place);
                Ok(())
            }
            Kind::TunnelDevice => {
                let (here, there) = tunnel(&argument(arguments)?).ok_or("bad tun device")?;
                let there = (Field::TunnelRemote, there);
                self.set_pair(active, (Field::TunnelDevice, here), there, place);
                Ok(())
            }
            other => Err(format!("no arguments are known for {other:?}")),
        }
    }

    pub(super) fn send_env(
        &mut self,
        arguments: &mut Arguments,
        active: bool,
        place: &Place,
    ) -> Result<(), String> {
        for name in arguments {
            if name.is_empty() || name.contains(&b'=') {
                return Err("invalid environment name".to_owned());
            }
            match name.strip_prefix(b"-") {
                _ if !active => {}
                Some(pattern) => self.options.remove_variables(pattern),
                None => self.options.add_variable(name, &place.origin)?,
            }
        }
        Ok(())
    }

    pub(super) fn set_env(
        &mut self,
        arguments: &mut Arguments,
        active: bool,
        place: &Place,
    ) -> Result<(), String> {
        let first_line = self.options.list(Field::SetEnv).is_empty();
        let mut seen = HashSet::new();
        for assignment in arguments {
            let equals = assignment.iter().position(|&c| c == b'=');
            let name = &assignment[..equals.ok_or("invalid SetEnv")?];
            if active && first_line && seen.insert(name.to_vec()) {
                self.options.push(Field::SetEnv, assignment, &place.origin);
            }
        }
        Ok(())
    }

    fn add_keys(
        &mut self,
        arguments: &mut Arguments,
        active: bool,
        place: &Place,
    ) -> Result<(), String> {
        let word = argument(arguments)?;
        let lifetime = arguments.next();
        let seconds = |text: &[u8]| number::duration(text).ok_or("invalid time value");
        let (value, lifetime) = match (choice::value(choice::ADD_KEYS, &word), lifetime) {
            (Some(3), Some(lifetime)) => (3, seconds(&lifetime)?),
            (Some(value), None) => (value, 0),
            (None, None) => (1, seconds(&word)?),
            (_, Some(_)) => return Err("unsupported option".to_owned()),
        };
        let lifetime = (Field::AddKeysLifetime, lifetime);
        self.set_pair(active, (Field::AddKeysToAgent, value), lifetime, place);
        Ok(())
    }

    fn canonical_domains(
        &mut self,
        arguments: &mut Arguments,
        active: bool,
        place: &Place,
    ) -> Result<(), String> {
        let first_line = self.options.list(Field::CanonicalDomains).is_empty();
        for (index, word) in alone_if_none(arguments, &[b"none"])?
            .into_iter()
            .enumerate()
        {
            let domain = jump::valid_domain(&word)
                .ok_or_else(|| format!("\"{}\" is no domain name", shown(&word)))?;
            if active && first_line {
                if index >= MOST_WORDS {
                    return Err("too many hostname suffixes".to_owned());
                }
                let domain = domain.to_ascii_lowercase();
                self.options
                    .push(Field::CanonicalDomains, domain, &place.origin);
            }
        }
        Ok(())
    }

    fn permitted_cnames(
        &mut self,
        arguments: &mut Arguments,
        active: bool,
        place: &Place,
    ) -> Result<(), String> {
        let field = Field::CanonicalizePermittedCnames;
        let first_line = self.options.list(field).is_empty();
        let words: Vec<Vec<u8>> = arguments.collect();
        let alone = words.len() == 1;
        for (index, word) in words.into_iter().enumerate() {
            let rule = if word.eq_ignore_ascii_case(b"none") {
                if !alone {
                    return Err("\"none\" argument must appear alone".to_owned());
                }
                [&word[..], b":"].concat()
            } else if word == b"*" {
                b"*:*".to_vec()
            } else {
                let rule = word.to_ascii_lowercase();
                let colon = rule.iter().position(|&c| c == b':');
                if colon.is_none_or(|at| at + 1 == rule.len()) {
                    return Err(format!("invalid permitted CNAME \"{}\"", shown(&word)));
                }
                rule
            };
            if active && first_line {
                if index >= MOST_WORDS {
                    return Err("too many permitted CNAMEs".to_owned());
                }
                self.options.push(field, rule, &place.origin);
            }
        }
        Ok(())
    }

    fn permit_remote_open(
        &mut self,
        arguments: &mut Arguments,
        active: bool,
        place: &Place,
    ) -> Result<(), String> {
        let first_line = self.options.list(Field::PermitRemoteOpen).is_empty();
        let words: Vec<Vec<u8>> = arguments.collect();
        if words.is_empty() {
            return Err("missing specification".to_owned());
        }
        for word in &words {
            if word.eq_ignore_ascii_case(b"none") || word.eq_ignore_ascii_case(b"any") {
                if words.len() > 1 {
                    return Err(format!("\"{}\" argument must appear alone", shown(word)));
                }
                continue;
            }
            let (_, port) = jump::split_host_port(word).ok_or("missing host")?;
            let port = port.ok_or("missing port number")?;
            let is_port = number::port(port, self.environment).is_some_and(|p| p != 0);
            if port != b"*" && !is_port {
                return Err(format!("bad port number in \"{}\"", shown(word)));
            }
        }
        if active && first_line {
            for word in words {
                self.options
                    .push(Field::PermitRemoteOpen, word, &place.origin);
            }
        }
        Ok(())
    }

    fn rekey_limit(
        &mut self,
        arguments: &mut Arguments,
        active: bool,
        place: &Place,
    ) -> Result<(), String> {
        let word = argument(arguments)?;
        let bytes = match &word[..] {
            b"default" => 0,
            _ => {
                let explain = |reason| format!("bad number '{}': {reason}", shown(&word));
                let bytes = number::size(&word).map_err(explain)?;
                if bytes != 0 && bytes < 16 {
                    return Err("RekeyLimit too small".to_owned());
                }
                bytes
            }
        };
        self.set_if(active, Field::RekeyLimit, bytes, place);
        match arguments.next() {
            None => {}
            Some(interval) if interval == b"none" => {}
            Some(interval) if interval.is_empty() => return Err("missing time value".to_owned()),
            Some(interval) => {
                self.set_if(active, Field::RekeyInterval, time(&interval)?, place);
            }
        }
        Ok(())
    }
}

/// The devices on both sides of `here[:there]`.
pub(super) fn tunnel(text: &[u8]) -> Option<(i64, i64)> {
    let mut sides = text.splitn(2, |&c| c == b':');
    let mut side = || match sides.next() {
        None => Some(ANY_TUNNEL),
        Some(text) => number::tunnel(text).map(|n| n.unwrap_or(ANY_TUNNEL)),
    };
    Some((side()?, side()?))
}
