//! The room of a file system.

use super::{Garbled, decimal};
use crate::sftp::Statvfs;

/// From `stat -f` with the format `%S %b %f %a %c %d %l` of GNU and busybox: the size of a block, all,
/// free and available blocks, all and free files, the longest name.
///
/// # Errors
/// [`Garbled`] for what it does not print.
pub fn room_by_stat(output: &[u8]) -> Result<Statvfs, Garbled> {
    let garbled = Garbled("what was printed about a file system");
    let line = output.strip_suffix(b"\n").unwrap_or(output);
    let words: Vec<u64> = line
        .split(|byte| *byte == b' ')
        .map(|word| decimal(word).ok_or(garbled))
        .collect::<Result<_, _>>()?;
    let [
        size,
        blocks,
        free,
        available,
        files,
        files_free,
        longest_name,
    ] = words[..]
    else {
        return Err(garbled);
    };
    Ok(Statvfs {
        block_size: size,
        fragment_size: size,
        blocks,
        free,
        available,
        files,
        files_free,
        files_available: files_free,
        longest_name,
        ..Statvfs::default()
    })
}

/// From `df -Pk` (POSIX, `df`, "STDOUT"), which knows nothing of files and names: a line of titles,
/// and one with the file system, all, used and available KiB, and more.
///
/// # Errors
/// [`Garbled`] for what it does not print.
pub fn room_by_df(output: &[u8]) -> Result<Statvfs, Garbled> {
    let garbled = Garbled("what df printed");
    let mut lines = output.splitn(2, |byte| *byte == b'\n');
    let line = lines.nth(1).ok_or(garbled)?;
    let words: Vec<&[u8]> = line
        .split(|byte| byte.is_ascii_whitespace())
        .filter(|word| !word.is_empty())
        .collect();
    // The name of a file system may have spaces in it: the numbers are where the percentage ends them.
    let percent = words
        .iter()
        .position(|word| matches!(word, [digits @ .., b'%'] if decimal::<u64>(digits).is_some()))
        .filter(|at| *at >= 4)
        .ok_or(garbled)?;
    let number = |at: usize| decimal::<u64>(words[at]).ok_or(garbled);
    let (blocks, used) = (number(percent - 3)?, number(percent - 2)?);
    Ok(Statvfs {
        block_size: 1024,
        fragment_size: 1024,
        blocks,
        free: blocks.saturating_sub(used),
        available: number(percent - 1)?,
        // The least that POSIX has for a system, where nobody tells.
        longest_name: 255,
        ..Statvfs::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_tell_the_room() {
        let room = room_by_stat(b"4096 100 50 40 9 8 255\n").unwrap();
        assert_eq!((room.blocks, room.available), (100, 40));
        assert_eq!((room.files, room.files_available), (9, 8));
        assert!(room_by_stat(b"4096 100 50 40 9 8\n").is_err());
        assert!(room_by_stat(b"4096 100 50 40 9 8 -1\n").is_err());
        let df = b"Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                   my disk 1000 400 500 45% /mnt\n";
        let room = room_by_df(df).unwrap();
        assert_eq!((room.blocks, room.free, room.available), (1000, 600, 500));
        for bad in [
            &b""[..],
            b"one line",
            b"titles\nx 1 2\n",
            b"titles\n1 2 3 4%\n",
        ] {
            assert!(room_by_df(bad).is_err());
        }
    }
}
