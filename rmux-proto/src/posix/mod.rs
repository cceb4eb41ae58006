//! What the POSIX tools of a host print about its files, for hosts without SFTP.
//!
//! All of it comes from the other side, so that every line is read strictly or refused, and nothing
//! is kept on the word of a number. Knows no command lines and no channel.
//!
//! POSIX has no tool that tells attributes by number. There are three ways ([`StatStyle`]): the
//! `stat -c` of GNU, busybox and toybox, the `stat -f` of the BSDs and macOS, and else `ls -lnd`, which
//! leaves the times out.

mod failure;
mod listing;
mod room;

pub use failure::failure;
pub use listing::{attributes, listing};
pub use room::{room_by_df, room_by_stat};

/// What a tool printed is not what it prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} cannot be made sense of")]
pub struct Garbled(
    /// What it was to be.
    pub &'static str,
);

/// How a host tells the attributes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatStyle {
    /// `stat -c` with `%f %s %u %g %X %Y`: the mode in hexadecimal, the rest in decimal.
    Gnu,
    /// `stat -f` with `%Xp %z %u %g %a %m`, which is the same.
    Bsd,
    /// `ls -lnd`.
    Ls,
}

/// What is known of a host's tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tools {
    /// How it tells attributes.
    pub stat: StatStyle,
    /// `mv -T`: a link to a directory can be replaced.
    pub moves_onto: bool,
    /// `dd conv=fsync`: one file can be written to the disk, and not all of them.
    pub syncs_one: bool,
    /// `find -exec … {} +`: many names for one program.
    pub finds_many: bool,
}

impl Tools {
    /// Reads the answer to the question for them: `rmux`, a letter for the style (`c`, `f` or `l`)
    /// and a `y` or `n` for each of the others in the order above.
    ///
    /// # Errors
    /// [`Garbled`] for anything else.
    pub fn decode(line: &[u8]) -> Result<Self, Garbled> {
        let garbled = Garbled("the answer to the question for tools");
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let [b'r', b'm', b'u', b'x', b' ', stat, moves, syncs, finds] = *line else {
            return Err(garbled);
        };
        let yes = |letter| match letter {
            b'y' => Ok(true),
            b'n' => Ok(false),
            _ => Err(garbled),
        };
        Ok(Self {
            stat: match stat {
                b'c' => StatStyle::Gnu,
                b'f' => StatStyle::Bsd,
                b'l' => StatStyle::Ls,
                _ => return Err(garbled),
            },
            moves_onto: yes(moves)?,
            syncs_one: yes(syncs)?,
            finds_many: yes(finds)?,
        })
    }
}

/// A number in decimal: digits only, and not too many.
fn decimal<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    let digits = word.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(word).ok().filter(|_| digits)?;
    text.parse().ok()
}

/// Seconds since 1970 as `touch -t` takes them, in universal time: `CCYYMMDDhhmm.SS`.
pub fn touch_time(seconds: u32) -> String {
    let (days, left) = (i64::from(seconds / 86_400), seconds % 86_400);
    // Years begin in March here, so that the odd day is the last one.
    let from_march = days + 719_468;
    let (era, day) = (from_march / 146_097, from_march % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (left / 3600, left / 60 % 60, left % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}.{second:02}")
}

/// The entry for fuzzers: reads `data` as each of the answers. Must return for any input.
pub fn fuzz_posix(data: &[u8]) {
    const TOKEN: &[u8] = b"0123456789abcdef";
    let _ = Tools::decode(data);
    let _ = failure(data);
    let _ = (room_by_df(data), room_by_stat(data));
    for style in [StatStyle::Gnu, StatStyle::Bsd, StatStyle::Ls] {
        let _ = attributes(style, data);
        // What a server can send at all has the token in it, which a fuzzer would not find.
        let marked: Vec<u8> = data
            .split(|byte| *byte == 0xff)
            .flat_map(|piece| [TOKEN, b" ", piece].concat())
            .collect();
        if let Ok(names) = listing(style, TOKEN, &marked) {
            for name in names {
                assert!(!name.name.is_empty() && !name.name.contains(&b'/'));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_read_strictly() {
        let tools = Tools::decode(b"rmux cynn\n").unwrap();
        assert_eq!(tools.stat, StatStyle::Gnu);
        assert!(tools.moves_onto && !tools.syncs_one && !tools.finds_many);
        for bad in [
            &b"rmux cyn"[..],
            b"rmux xyyy",
            b"rmux cyyz",
            b"rmux cyyy\n\n",
            b"",
        ] {
            assert!(Tools::decode(bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn times_are_spelled_as_touch_takes_them() {
        assert_eq!(touch_time(0), "197001010000.00");
        assert_eq!(touch_time(951_827_696), "200002291234.56");
        assert_eq!(touch_time(1_709_251_199), "202402292359.59");
        assert_eq!(touch_time(1_709_251_200), "202403010000.00");
        assert_eq!(touch_time(u32::MAX), "210602070628.15");
    }
}
