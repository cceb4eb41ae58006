//! What a host resolved to: every setting, where it comes from, and what `-G` prints.
//!
//! Knows nothing of how it came about.

use super::choice;
use super::environment::Environment;
use super::error::{ConfigError, Origin, shown};
use super::expand::{self, Tokens};
use super::forward::Forward;
use super::gather::Note;
use super::jump::Jump;
use super::words;

/// One line of `ssh -G`: a key, its value, and who set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    key: &'static str,
    value: Vec<u8>,
    /// The value as text where it is not UTF-8 as it stands.
    lossy: Option<String>,
    origin: Origin,
}

impl Setting {
    pub(super) fn new(key: &'static str, value: impl Into<Vec<u8>>, origin: Origin) -> Self {
        let value = value.into();
        let lossy = match std::str::from_utf8(&value) {
            Ok(_) => None,
            Err(_) => Some(String::from_utf8_lossy(&value).into_owned()),
        };
        Self {
            key,
            value,
            lossy,
            origin,
        }
    }

    /// The key as `ssh -G` prints it: lower case, but for `canonicalizePermittedcnames`.
    pub fn key(&self) -> &str {
        self.key
    }

    /// The value, with bytes that are not UTF-8 replaced. A path is better taken from
    /// [`bytes`](Self::bytes).
    pub fn value(&self) -> &str {
        match &self.lossy {
            Some(text) => text,
            None => std::str::from_utf8(&self.value).unwrap_or_default(),
        }
    }

    /// The value as it stands in the file.
    pub fn bytes(&self) -> &[u8] {
        &self.value
    }

    /// Who set it.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether the key may stand on several lines, each of which counts.
    pub fn may_repeat(&self) -> bool {
        REPEATING.contains(&self.key)
    }
}

/// The keys that `ssh -G` prints a line each for every value.
const REPEATING: &[&str] = &[
    "certificatefile",
    "dynamicforward",
    "identityfile",
    "localforward",
    "remoteforward",
    "sendenv",
    "setenv",
];

/// A file named by IdentityFile or CertificateFile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpandedFile {
    /// Its path with `~`, tokens and variables expanded, or why that cannot be done.
    pub path: Result<Vec<u8>, ConfigError>,
    /// Who named it; [`Origin::Default`] for the files that are tried unless one is named.
    pub origin: Origin,
}

/// A resolved host.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub(super) settings: Vec<Setting>,
    pub(super) host: Vec<u8>,
    pub(super) port: u16,
    pub(super) tokens: Tokens,
    pub(super) jumps: Vec<Jump>,
    pub(super) local_forwards: Vec<Forward>,
    pub(super) remote_forwards: Vec<Forward>,
    pub(super) identity_files: Vec<ExpandedFile>,
    pub(super) certificate_files: Vec<ExpandedFile>,
    pub(super) user_known_hosts: Vec<Vec<u8>>,
    pub(super) global_known_hosts: Vec<Vec<u8>>,
    pub(super) escape_char: Option<u8>,
    pub(super) host_key_order_fixed: bool,
    pub(super) notes: Vec<Note>,
}

/// A value whose last tokens are known only when it is used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Template {
    text: Vec<u8>,
    tokens: Tokens,
    origin: Origin,
}

impl Template {
    /// The value with the tokens of its host and these expanded.
    pub fn expand(&self, extra: &[(u8, &[u8])]) -> Result<Vec<u8>, ConfigError> {
        let expanded = expand::tokens(&self.text, &with(extra, &self.tokens));
        expanded.map_err(|error| ConfigError::new(self.origin.clone(), error))
    }

    /// The value as a command that no shell runs: split into its words first, and each word but
    /// the program's name expanded then, `${VARIABLES}` included, so that no token's value becomes
    /// several words. This is how ssh runs KnownHostsCommand.
    pub fn words(
        &self,
        extra: &[(u8, &[u8])],
        environment: &mut dyn Environment,
    ) -> Result<Vec<Vec<u8>>, ConfigError> {
        let wrong = |message: String| ConfigError::new(self.origin.clone(), message);
        let unclosed = || wrong(format!("\"{}\" holds an open quote", shown(&self.text)));
        let mut words = words::split(&self.text).ok_or_else(unclosed)?;
        let tokens = with(extra, &self.tokens);
        for word in words.iter_mut().skip(1) {
            *word = expand::tokens_and_variables(word, &tokens, environment).map_err(wrong)?;
        }
        Ok(words)
    }
}

/// The tokens of one use before those of the host.
fn with(extra: &[(u8, &[u8])], tokens: &Tokens) -> Tokens {
    let own = extra.iter().map(|(letter, text)| (*letter, text.to_vec()));
    own.chain(tokens.iter().cloned()).collect()
}

impl Resolved {
    /// Every setting in the order of `ssh -G`. A key that may repeat does.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The first or only value of a key, which may be in any case.
    pub fn first(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    /// All values of a key, which may be in any case.
    pub fn all<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        self.under(key).map(Setting::value)
    }

    /// Whether somebody set this key: the command line or a file, not a default.
    pub fn is_set(&self, key: &str) -> bool {
        self.under(key).any(|s| s.origin != Origin::Default)
    }

    /// Who set the first value of this key.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.under(key).next().map(Setting::origin)
    }

    /// What `ssh -G` prints.
    pub fn render(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for setting in &self.settings {
            out.extend_from_slice(setting.key.as_bytes());
            out.push(b' ');
            out.extend_from_slice(&setting.value);
            out.push(b'\n');
        }
        out
    }

    /// The host to connect to, after HostName and canonicalization.
    pub fn hostname(&self) -> &[u8] {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The hops of ProxyJump, in the order in which they are passed; empty without a jump.
    pub fn jumps(&self) -> &[Jump] {
        &self.jumps
    }

    /// The local and dynamic forwards.
    pub fn local_forwards(&self) -> &[Forward] {
        &self.local_forwards
    }

    /// The remote forwards.
    pub fn remote_forwards(&self) -> &[Forward] {
        &self.remote_forwards
    }

    /// The identity files to try, without `none`.
    pub fn identity_files(&self) -> &[ExpandedFile] {
        &self.identity_files
    }

    /// The certificate files to offer, without `none`.
    pub fn certificate_files(&self) -> &[ExpandedFile] {
        &self.certificate_files
    }

    /// The user's `known_hosts` files, in order: what the one line of `ssh -G` cannot tell apart
    /// where a path holds a space. None for `none`.
    pub fn user_known_hosts_files(&self) -> &[Vec<u8>] {
        &self.user_known_hosts
    }

    /// The system's `known_hosts` files, in order. None for `none`.
    pub fn global_known_hosts_files(&self) -> &[Vec<u8>] {
        &self.global_known_hosts
    }

    /// Lines that were accepted without having an effect.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Expands the `%` tokens of a value that `-G` prints as it stands, such as LocalCommand.
    /// `extra` adds tokens that only this key has (`T` for LocalCommand).
    pub fn expand(&self, value: &[u8], extra: &[(u8, &[u8])]) -> Result<Vec<u8>, ConfigError> {
        expand::tokens(value, &with(extra, &self.tokens))
            .map_err(|e| ConfigError::new(Origin::Default, e))
    }

    /// A value with tokens that are known only later, such as KnownHostsCommand's; `None` where it
    /// is not set or `none`.
    pub fn template(&self, key: &str) -> Option<Template> {
        let setting = self.under(key).next()?;
        (!setting.value.eq_ignore_ascii_case(b"none")).then(|| Template {
            text: setting.value.clone(),
            tokens: self.tokens.clone(),
            origin: setting.origin.clone(),
        })
    }

    /// IPQoS: the type of service of interactive sessions, and of others. `None` for `none`.
    pub fn ip_qos(&self) -> [Option<u8>; 2] {
        let mut words = self.first("ipqos").unwrap_or_default().split(' ');
        let mut next = || choice::ip_qos(words.next()?.as_bytes())?.try_into().ok();
        [next(), next()]
    }

    /// EscapeChar; `None` for `none`.
    pub fn escape_char(&self) -> Option<u8> {
        self.escape_char
    }

    /// Whether HostKeyAlgorithms was given as a list of its own, or with `^`: ssh then offers it as
    /// it stands. Else it puts those in front whose keys are known for the host.
    pub fn host_key_order_is_fixed(&self) -> bool {
        self.host_key_order_fixed
    }

    /// ProxyCommand with its tokens expanded, which are fewer than those of other keys.
    pub fn proxy_command(&self) -> Option<Result<Vec<u8>, ConfigError>> {
        let setting = self.under("proxycommand").next()?;
        let allowed = |letter: u8| b"hknpr".contains(&letter);
        let tokens: Tokens = self
            .tokens
            .iter()
            .filter(|t| allowed(t.0))
            .cloned()
            .collect();
        let expanded = expand::tokens(&setting.value, &tokens);
        Some(expanded.map_err(|e| ConfigError::new(setting.origin.clone(), e)))
    }

    fn under<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a Setting> {
        self.settings
            .iter()
            .filter(move |s| s.key.eq_ignore_ascii_case(key))
    }
}
