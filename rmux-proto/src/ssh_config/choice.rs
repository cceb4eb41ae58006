//! Settings that take one of a few words, and the word that `-G` prints for each value.
//!
//! Several words may mean one value; the first in a table is the one printed.

/// A table of words, in any case, and their values.
pub(super) type Choices = &'static [(&'static str, i64)];

/// Printed as `yes` and `no`, although `true` and `false` come first for reading.
pub(super) const FLAG: Choices = &[("yes", 1), ("no", 0), ("true", 1), ("false", 0)];
pub(super) const YES_NO_ASK: Choices =
    &[("true", 1), ("false", 0), ("yes", 1), ("no", 0), ("ask", 2)];
pub(super) const ADD_KEYS: Choices = &[
    ("true", 1),
    ("false", 0),
    ("yes", 1),
    ("no", 0),
    ("ask", 2),
    ("confirm", 3),
];
pub(super) const STRICT: Choices = &[
    ("true", 2),
    ("false", 0),
    ("yes", 2),
    ("no", 0),
    ("ask", 3),
    ("off", 0),
    ("accept-new", 1),
];
pub(super) const FAMILY: Choices = &[("inet", 4), ("inet6", 6), ("any", 0)];
pub(super) const CONTROL_MASTER: Choices = &[
    ("true", 1),
    ("yes", 1),
    ("false", 0),
    ("no", 0),
    ("auto", 2),
    ("ask", 3),
    ("autoask", 4),
];
pub(super) const TUNNEL: Choices = &[
    ("ethernet", 2),
    ("point-to-point", 1),
    ("true", 1),
    ("yes", 1),
    ("false", 0),
    ("no", 0),
];
pub(super) const REQUEST_TTY: Choices = &[
    ("true", 2),
    ("yes", 2),
    ("false", 1),
    ("no", 1),
    ("force", 3),
    ("auto", 0),
];
pub(super) const SESSION_TYPE: Choices = &[("none", 0), ("subsystem", 1), ("default", 2)];
pub(super) const CANONICALIZE: Choices = &[
    ("true", 1),
    ("false", 0),
    ("yes", 1),
    ("no", 0),
    ("always", 2),
];
pub(super) const PUBKEY: Choices = &[
    ("true", 3),
    ("false", 0),
    ("yes", 3),
    ("no", 0),
    ("unbound", 1),
    ("host-bound", 2),
];
/// Unlike other flags, `true` and `false` are not accepted.
pub(super) const COMPRESSION: Choices = &[("yes", 1), ("no", 0)];
pub(super) const FINGERPRINT: Choices = &[
    ("MD5", 0),
    ("SHA1", 1),
    ("SHA256", 2),
    ("SHA384", 3),
    ("SHA512", 4),
];
/// `SILENT` is Debian's, whose `-G` prints it for `QUIET`.
pub(super) const LOG_LEVEL: Choices = &[
    ("SILENT", 0),
    ("QUIET", 0),
    ("FATAL", 1),
    ("ERROR", 2),
    ("INFO", 3),
    ("VERBOSE", 4),
    ("DEBUG", 5),
    ("DEBUG1", 5),
    ("DEBUG2", 6),
    ("DEBUG3", 7),
];
pub(super) const LOG_FACILITY: Choices = &[
    ("DAEMON", 0),
    ("USER", 1),
    ("AUTH", 2),
    ("AUTHPRIV", 3),
    ("LOCAL0", 4),
    ("LOCAL1", 5),
    ("LOCAL2", 6),
    ("LOCAL3", 7),
    ("LOCAL4", 8),
    ("LOCAL5", 9),
    ("LOCAL6", 10),
    ("LOCAL7", 11),
];
pub(super) const IP_QOS: Choices = &[
    ("none", 0x7fff_ffff),
    ("af11", 0x28),
    ("af12", 0x30),
    ("af13", 0x38),
    ("af21", 0x48),
    ("af22", 0x50),
    ("af23", 0x58),
    ("af31", 0x68),
    ("af32", 0x70),
    ("af33", 0x78),
    ("af41", 0x88),
    ("af42", 0x90),
    ("af43", 0x98),
    ("cs0", 0x00),
    ("cs1", 0x20),
    ("cs2", 0x40),
    ("cs3", 0x60),
    ("cs4", 0x80),
    ("cs5", 0xa0),
    ("cs6", 0xc0),
    ("cs7", 0xe0),
    ("ef", 0xb8),
    ("le", 0x04),
    ("lowdelay", 0x10),
    ("throughput", 0x08),
    ("reliability", 0x04),
];

/// The value of a word, in any case.
pub(super) fn value(choices: Choices, word: &[u8]) -> Option<i64> {
    let found = choices
        .iter()
        .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word));
    found.map(|(_, value)| *value)
}

/// The word printed for a value.
pub(super) fn word(choices: Choices, value: i64) -> Option<&'static str> {
    choices
        .iter()
        .find(|(_, v)| *v == value)
        .map(|(name, _)| *name)
}

/// The type of service of IPQoS: a name or a number.
pub(super) fn ip_qos(text: &[u8]) -> Option<i64> {
    value(IP_QOS, text).or_else(|| super::number::any_base(text).filter(|n| (0..=255).contains(n)))
}

/// How a type of service is printed.
pub(super) fn ip_qos_word(value: i64) -> String {
    word(IP_QOS, value).map_or_else(|| format!("0x{value:02x}"), str::to_owned)
}
