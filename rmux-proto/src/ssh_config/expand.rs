//! `%` tokens, `${VARIABLES}` and `~` in values (ssh_config(5), TOKENS and ENVIRONMENT VARIABLES).
//!
//! Knows how each is replaced; which key allows which is for its callers.

use sha1::{Digest as _, Sha1};

use super::environment::Environment;
use super::error::shown;
use super::query::Local;

/// The values of the `%` tokens: a letter each.
pub(super) type Tokens = Vec<(u8, Vec<u8>)>;

/// Replaces `%` tokens. A token that is not in the list is an error.
pub(super) fn tokens(text: &[u8], tokens: &[(u8, Vec<u8>)]) -> Result<Vec<u8>, String> {
    Ok(expand(text, Some(tokens), None)?.unwrap_or_default())
}

/// Replaces `%` tokens and `${VARIABLES}`. A variable that is not set is an error.
pub(super) fn tokens_and_variables(
    text: &[u8],
    tokens: &[(u8, Vec<u8>)],
    environment: &mut dyn Environment,
) -> Result<Vec<u8>, String> {
    let missing = || format!("a variable in \"{}\" is not set", shown(text));
    expand(text, Some(tokens), Some(environment))?.ok_or_else(missing)
}

/// Replaces `${VARIABLES}`; `None` if one of them is not set.
pub(super) fn variables(
    text: &[u8],
    environment: &mut dyn Environment,
) -> Result<Option<Vec<u8>>, String> {
    expand(text, None, Some(environment))
}

fn expand(
    text: &[u8],
    tokens: Option<&[(u8, Vec<u8>)]>,
    mut environment: Option<&mut dyn Environment>,
) -> Result<Option<Vec<u8>>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut all_set = true;
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        if let (Some(environment), true) = (&mut environment, text[at..].starts_with(b"${")) {
            let name = &text[at + 2..];
            let end = name.iter().position(|&c| c == b'}');
            let end = end.ok_or_else(|| format!("\"{}\" lacks a closing '}}'", shown(text)))?;
            if end == 0 {
                return Err(format!(
                    "\"{}\" holds a variable without a name",
                    shown(text)
                ));
            }
            match environment.variable(&name[..end]) {
                Some(value) => out.extend_from_slice(&value),
                None => all_set = false,
            }
            at += end + 3;
            continue;
        }
        let Some(tokens) = tokens.filter(|_| c == b'%') else {
            out.push(c);
            at += 1;
            continue;
        };
        match text.get(at + 1) {
            None => return Err(format!("\"{}\" ends in a single '%'", shown(text))),
            Some(b'%') => out.push(b'%'),
            Some(letter) => {
                let token = tokens.iter().find(|(t, _)| t == letter);
                let (_, value) = token.ok_or_else(|| {
                    format!(
                        "the token %{} is not allowed in \"{}\"",
                        shown(&[*letter]),
                        shown(text)
                    )
                })?;
                out.extend_from_slice(value);
            }
        }
        at += 2;
    }
    Ok(all_set.then_some(out))
}

/// Replaces `~` and `~user` in front of a path.
pub(super) fn tilde(
    text: &[u8],
    local: &Local,
    environment: &mut dyn Environment,
) -> Result<Vec<u8>, String> {
    let Some(rest) = text.strip_prefix(b"~") else {
        return Ok(text.to_vec());
    };
    let end = rest.iter().position(|&c| c == b'/').unwrap_or(rest.len());
    let user = &rest[..end];
    let home = if user.is_empty() {
        local.home.clone()
    } else {
        let unknown = || format!("there is no user \"{}\"", shown(user));
        environment.home_of(user).ok_or_else(unknown)?
    };
    let path = &rest[end..];
    let path = &path[path.iter().take_while(|&&c| c == b'/').count()..];
    let slash: &[u8] = if home.ends_with(b"/") { b"" } else { b"/" };
    Ok([&home[..], slash, path].concat())
}

/// Whether a name can be that of an environment variable.
pub(super) fn is_variable_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_')
}

/// What the tokens stand for, except those of single keys.
pub(super) struct TokenValues<'a> {
    pub(super) local: &'a Local,
    /// `%h`
    pub(super) host: &'a [u8],
    /// `%n`
    pub(super) original_host: &'a [u8],
    /// `%k`
    pub(super) key_alias: &'a [u8],
    /// `%p`
    pub(super) port: u16,
    /// `%r`
    pub(super) user: &'a [u8],
}

impl TokenValues<'_> {
    /// The tokens that most keys allow.
    pub(super) fn tokens(&self) -> Tokens {
        let local = self.local;
        let port = self.port.to_string().into_bytes();
        let short = local
            .hostname
            .split(|&c| c == b'.')
            .next()
            .unwrap_or_default();
        let hash = connection_hash(&local.hostname, self.host, &port, self.user);
        vec![
            (b'C', hash.into_bytes()),
            (b'L', short.to_vec()),
            (b'd', local.home.clone()),
            (b'h', self.host.to_vec()),
            (b'i', local.uid.to_string().into_bytes()),
            (b'k', self.key_alias.to_vec()),
            (b'l', local.hostname.clone()),
            (b'n', self.original_host.to_vec()),
            (b'p', port),
            (b'r', self.user.to_vec()),
            (b'u', local.user.clone()),
        ]
    }
}

/// `%C`: the SHA-1 of `%l%h%p%r` in hexadecimal.
fn connection_hash(local: &[u8], host: &[u8], port: &[u8], user: &[u8]) -> String {
    let mut hash = Sha1::new();
    for part in [local, host, port, user] {
        hash.update(part);
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
