//! Hostname canonicalization: CanonicalizeHostname and its companions.
//!
//! Knows the rules; every look-up is a request to the caller.

use super::address;
use super::environment::{AddressFamily, NameAnswer};
use super::error::{ConfigError, Origin, shown};
use super::gather::Gatherer;
use super::jump;
use super::keyword::Field;
use super::pattern::{self, ListMatch};

const NO: i64 = 0;
const ALWAYS: i64 = 2;

impl Gatherer<'_> {
    /// Replaces the host by its canonical name or address where the configuration says so.
    pub(super) fn canonicalize(&mut self) -> Result<(), ConfigError> {
        // Set now, so that the second pass cannot change what the first one went by.
        for (field, value) in [
            (Field::CanonicalizeMaxDots, 1),
            (Field::CanonicalizeFallbackLocal, 1),
            (Field::CanonicalizeHostname, NO),
        ] {
            self.options.set_integer(field, value, &Origin::Default);
        }
        let family = self.family();
        let is_address = address::looks_numeric(&self.host)
            || address::canonical(&self.host, family, self.environment).is_some();
        if !is_address {
            self.host.make_ascii_lowercase();
        }
        let mode = self.canonicalize_mode();
        let mut found = false;
        if mode != NO || is_address {
            found = self.canonicalize_name()?;
        }
        if !found && self.has_permitted_cnames() && (self.is_direct() || mode == ALWAYS) {
            self.follow_bare_name()?;
        }
        if mode != NO {
            self.wants_final_pass = true;
        }
        Ok(())
    }

    /// Which addresses are wanted.
    pub(super) fn family(&self) -> AddressFamily {
        match self.options.integer(Field::AddressFamily) {
            Some(4) => AddressFamily::Inet,
            Some(6) => AddressFamily::Inet6,
            _ => AddressFamily::Any,
        }
    }

    fn canonicalize_mode(&self) -> i64 {
        self.options
            .integer(Field::CanonicalizeHostname)
            .unwrap_or(NO)
    }

    /// Whether the host is reached without a proxy. Names that a proxy resolves are left alone.
    fn is_direct(&self) -> bool {
        self.options.is_none(Field::ProxyCommand) && self.options.jump.is_none()
    }

    /// Tries the host as an address, then with each canonical domain. Whether it was found.
    fn canonicalize_name(&mut self) -> Result<bool, ConfigError> {
        let family = self.family();
        if let Some(printed) = address::canonical(&self.host, family, self.environment) {
            if !printed.as_bytes().eq_ignore_ascii_case(&self.host) {
                self.host = printed.into_bytes();
            }
            return Ok(true);
        }
        let mode = self.canonicalize_mode();
        if address::looks_numeric(&self.host) || mode == NO || !self.is_direct() && mode != ALWAYS {
            return Ok(false);
        }
        if self.host.ends_with(b".") {
            if self.try_name(self.host.clone()) {
                return Ok(true);
            }
            return self.not_found();
        }
        let dots = self.host.iter().filter(|&&c| c == b'.').count() as i64;
        if dots
            > self
                .options
                .integer(Field::CanonicalizeMaxDots)
                .unwrap_or(1)
        {
            return Ok(false);
        }
        let domains: Vec<Vec<u8>> = self
            .options
            .list(Field::CanonicalDomains)
            .iter()
            .map(|s| s.value.clone())
            .collect();
        for domain in domains {
            if domain == b"none" {
                break;
            }
            if self.try_name([&self.host[..], b".", &domain, b"."].concat()) {
                return Ok(true);
            }
        }
        self.not_found()
    }

    /// Takes a name with a dot at its end, if it exists, and follows its alias.
    fn try_name(&mut self, anchored: Vec<u8>) -> bool {
        let Some(answer) = self.environment.look_up(&anchored, self.family()) else {
            return false;
        };
        self.host = anchored[..anchored.len() - 1].to_vec();
        self.follow_cname(&answer);
        true
    }

    fn not_found(&self) -> Result<bool, ConfigError> {
        if self.options.integer(Field::CanonicalizeFallbackLocal) == Some(0) {
            let message = format!("could not resolve host \"{}\"", shown(&self.host));
            return Err(ConfigError::new(Origin::Default, message));
        }
        Ok(false)
    }

    /// Looks the name up as it is, to follow its alias.
    fn follow_bare_name(&mut self) -> Result<(), ConfigError> {
        match self.environment.look_up(&self.host.clone(), self.family()) {
            Some(answer) => self.follow_cname(&answer),
            None if self.is_direct() => {
                let message = format!("could not resolve hostname {}", shown(&self.host));
                return Err(ConfigError::new(Origin::Default, message));
            }
            None => {}
        }
        Ok(())
    }

    /// Whether CanonicalizePermittedCNAMEs is set to anything but `none`.
    fn has_permitted_cnames(&self) -> bool {
        match self.options.list(Field::CanonicalizePermittedCnames) {
            [only] => !only.value.eq_ignore_ascii_case(b"none:"),
            rules => !rules.is_empty(),
        }
    }

    fn follow_cname(&mut self, answer: &NameAnswer) {
        let Some(cname) = answer
            .canonical_name
            .as_deref()
            .and_then(jump::valid_domain)
        else {
            return;
        };
        let mode = self.canonicalize_mode();
        if !self.has_permitted_cnames()
            || self.host == cname
            || mode == NO
            || !self.is_direct() && mode != ALWAYS
        {
            return;
        }
        let in_list =
            |name: &[u8], list: &[u8]| pattern::matches_list(name, list, true) == ListMatch::Yes;
        let permitted = self
            .options
            .list(Field::CanonicalizePermittedCnames)
            .iter()
            .any(|rule| {
                let colon = rule
                    .value
                    .iter()
                    .position(|&c| c == b':')
                    .unwrap_or(rule.value.len() - 1);
                let (source, target) = rule.value.split_at(colon);
                in_list(&self.host, source) && in_list(&cname, &target[1..])
            });
        if permitted {
            self.host = cname;
        }
    }
}
