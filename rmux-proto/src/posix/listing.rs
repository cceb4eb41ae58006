//! Attributes, of one file and of all in a directory.

use bytes::Bytes;

use super::{Garbled, StatStyle, decimal};
use crate::sftp::{Attributes, Name};

/// The bits of a mode.
const MODE: u32 = 0o177_777;

/// The attributes of a file, from the line that was printed about it.
///
/// # Errors
/// [`Garbled`] for what no tool prints.
pub fn attributes(style: StatStyle, output: &[u8]) -> Result<Attributes, Garbled> {
    let garbled = Garbled("what was printed about a file");
    match style {
        StatStyle::Gnu | StatStyle::Bsd => {
            let line = output.strip_suffix(b"\n").unwrap_or(output);
            let (attributes, rest) = numbers(line).ok_or(garbled)?;
            rest.is_empty().then_some(attributes).ok_or(garbled)
        }
        StatStyle::Ls => ls_line(output).ok_or(garbled),
    }
}

/// The names in a directory, each with its attributes.
///
/// Names may hold newlines, and anything that tools print. So each begins behind `token` and a space,
/// which must be a text that nobody could know when the names were given. What `find` printed
/// stands behind the numbers or, with [`StatStyle::Ls`], in front of them and a NUL.
///
/// # Errors
/// [`Garbled`] for what no tool prints.
pub fn listing(style: StatStyle, token: &[u8], output: &[u8]) -> Result<Vec<Name>, Garbled> {
    let garbled = Garbled("the listing of a directory");
    let mark = [token, b" "].concat();
    let mut names = Vec::new();
    let mut rest = match output.strip_prefix(&mark[..]) {
        Some(rest) => rest,
        None if output.is_empty() => return Ok(names),
        None => return Err(garbled),
    };
    loop {
        let end = find(rest, &mark).unwrap_or(rest.len());
        names.push(entry(style, &rest[..end]).ok_or(garbled)?);
        match rest.get(end + mark.len()..) {
            Some(next) => rest = next,
            None => return Ok(names),
        }
    }
}

fn entry(style: StatStyle, record: &[u8]) -> Option<Name> {
    let (name, attributes) = match style {
        StatStyle::Gnu | StatStyle::Bsd => {
            let (attributes, rest) = numbers(record)?;
            let name = rest.strip_prefix(b" ")?.strip_suffix(b"\n")?;
            (name, attributes)
        }
        StatStyle::Ls => {
            let nul = record.iter().position(|byte| *byte == 0)?;
            (&record[..nul], ls_line(&record[nul + 1..])?)
        }
    };
    let name = name.strip_prefix(b"./")?;
    let is_name = !name.is_empty() && !name.iter().any(|byte| matches!(byte, b'/' | 0));
    is_name.then(|| Name {
        name: Bytes::copy_from_slice(name),
        long: Bytes::new(),
        attributes,
    })
}

/// Six numbers with a space between, and what stands behind them.
fn numbers(line: &[u8]) -> Option<(Attributes, &[u8])> {
    let mut rest = line;
    let mut word = || {
        let end = rest
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(rest.len());
        let word = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        word
    };
    let mode = std::str::from_utf8(word()).ok()?;
    let mode = mode
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then_some(mode)?;
    let mode = u32::from_str_radix(mode, 16).ok()?;
    let (size, user, group) = (decimal(word())?, decimal(word())?, decimal(word())?);
    let (accessed, modified) = (seconds(word())?, seconds(word())?);
    let at = line.len() - rest.len();
    // The space belongs to what comes behind.
    let rest = if rest.is_empty() && !line.ends_with(b" ") {
        rest
    } else {
        &line[at - 1..]
    };
    let attributes = Attributes {
        size: Some(size),
        owner: Some((user, group)),
        permissions: Some(mode & MODE),
        times: Some((accessed, modified)),
        ..Attributes::default()
    };
    Some((attributes, rest))
}

/// Seconds since 1970; SFTP has no word for what is before or long after, and neither has it here.
fn seconds(word: &[u8]) -> Option<u32> {
    if let Some(before) = word.strip_prefix(b"-") {
        return decimal::<u64>(before).map(|_| 0);
    }
    decimal::<u64>(word).map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// The beginning of a line of `ls -lnd`: type and permissions, links, user, group, and the length.
fn ls_line(line: &[u8]) -> Option<Attributes> {
    let mut words = line
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty());
    let permissions = ls_mode(words.next()?)?;
    let _links: u64 = decimal(words.next()?)?;
    let owner = (decimal(words.next()?)?, decimal(words.next()?)?);
    let is_device = matches!(permissions >> 12, 0o2 | 0o6);
    let size = match is_device {
        // Two numbers stand there.
        true => 0,
        false => decimal(words.next()?)?,
    };
    Some(Attributes {
        size: Some(size),
        owner: Some(owner),
        permissions: Some(permissions),
        ..Attributes::default()
    })
}

fn ls_mode(word: &[u8]) -> Option<u32> {
    // An access list or a label may show behind it.
    let (word, behind) = word.split_at_checked(10)?;
    if !matches!(behind, b"" | b"+" | b"." | b"@") {
        return None;
    }
    let kind = match word[0] {
        b'-' => 0o100_000,
        b'd' => 0o040_000,
        b'l' => 0o120_000,
        b'p' => 0o010_000,
        b's' => 0o140_000,
        b'b' => 0o060_000,
        b'c' => 0o020_000,
        _ => return None,
    };
    let mut mode = kind;
    for (who, letters) in word[1..].chunks(3).enumerate() {
        let shift = 6 - 3 * who as u32;
        let (special, name) = [(0o4000, b's'), (0o2000, b's'), (0o1000, b't')][who];
        mode |= match letters[0] {
            b'r' => 4 << shift,
            b'-' => 0,
            _ => return None,
        };
        mode |= match letters[1] {
            b'w' => 2 << shift,
            b'-' => 0,
            _ => return None,
        };
        mode |= match letters[2] {
            b'x' => 1 << shift,
            b'-' => 0,
            letter if letter == name => special | 1 << shift,
            letter if letter == name.to_ascii_uppercase() => special,
            _ => return None,
        };
    }
    Some(mode)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|there| there == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_stat_are_read_strictly() {
        let known = attributes(StatStyle::Gnu, b"81a4 5 0 7 1 4000000000\n").unwrap();
        assert_eq!(known.permissions, Some(0o100_644));
        assert_eq!((known.size, known.owner), (Some(5), Some((0, 7))));
        assert_eq!(known.times, Some((1, 4_000_000_000)));
        // Before 1970, and after what SFTP can say.
        let odd = attributes(StatStyle::Bsd, b"41ed 5 0 0 -1 99999999999\n").unwrap();
        assert_eq!(odd.times, Some((0, u32::MAX)));
        for bad in [
            &b""[..],
            b"81a4 5 0 7 1",
            b"81a4 5 0 7 1 2 \n",
            b"81a4 5 0 7 1 2 3\n",
            b"+1a4 5 0 7 1 2\n",
            b"81a4 +5 0 7 1 2\n",
            b"81a4 99999999999999999999 0 7 1 2\n",
            b"81a4  5 0 7 1 2\n",
        ] {
            assert!(
                attributes(StatStyle::Gnu, bad).is_err(),
                "{}",
                bad.escape_ascii()
            );
        }
    }

    #[test]
    fn names_may_hold_newlines_and_look_like_records() {
        let output = b"T 81a4 1 0 0 1 2 ./a\nb\nT 41ed 2 0 0 1 2 ./T\n 81a4 1 0 0 1 2 ./x\n";
        let names = listing(StatStyle::Gnu, b"T", output);
        // A token that a name can hold would be of no use.
        assert!(names.is_err());
        let output = b"K7 81a4 1 0 0 1 2 ./a\nb\nK7 41ed 2 0 0 1 2 ./\xff 81a4 1 0 0 1 2 ./x\n";
        let names = listing(StatStyle::Gnu, b"K7", output);
        // Only `find` gives names, and it has no `/` in them.
        assert!(names.is_err());
        let output = b"K7 81a4 1 0 0 1 2 ./a\nb\nK7 41ed 2 0 0 1 2 ./ \xff\n";
        let names = listing(StatStyle::Gnu, b"K7", output).unwrap();
        assert_eq!(&names[0].name[..], b"a\nb");
        assert_eq!(&names[1].name[..], b" \xff");
        assert_eq!(listing(StatStyle::Gnu, b"K7", b""), Ok(Vec::new()));
        for bad in [
            &b"noise"[..],
            b"K7 81a4 1 0 0 1 2 ./a",
            b"K7 81a4 1 0 0 1 2 ./\n",
            b"K7 81a4 1 0 0 1 2 ../a\n",
        ] {
            assert!(listing(StatStyle::Gnu, b"K7", bad).is_err());
        }
    }

    #[test]
    fn a_line_of_ls_tells_all_but_the_times() {
        let of = |line: &str| attributes(StatStyle::Ls, line.as_bytes()).unwrap();
        let file = of("-rwsr-x--T.  1 1000 100   12345 Jan  1 00:00 a b\nc\n");
        assert_eq!(file.permissions, Some(0o105_750));
        assert_eq!((file.size, file.times), (Some(12_345), None));
        assert_eq!(file.owner, Some((1000, 100)));
        let device = of("crw-rw-rw- 1 0 0 1, 3 Jan  1 00:00 null\n");
        assert_eq!(device.permissions, Some(0o020_666));
        let names =
            b"K7 ./a\nb\0-rw------- 1 0 0 3 Jan 1 1970 ./a\nb\nK7 ./c\0drwx------ 2 0 0 4 x";
        let names = listing(StatStyle::Ls, b"K7", names).unwrap();
        assert_eq!(&names[0].name[..], b"a\nb");
        assert_eq!(names[1].attributes.permissions, Some(0o040_700));
        for bad in ["", "total 4", "-rwxrwxrwy 1 0 0 1", "-rw------- 1 root 0 1"] {
            assert!(attributes(StatStyle::Ls, bad.as_bytes()).is_err());
        }
    }
}
