//! What is shown of each host: its lines with its name before them, whole lines only.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use rmux_core::HostOutput;

use super::screen::Stream;
use crate::message::printable;

/// The longest line that is waited for until it is whole. A longer one comes in pieces, each of them
/// a line.
const LONGEST: usize = 1 << 20;

/// Text for one of our streams.
pub(super) type Text = (Stream, Vec<u8>);

/// Begins of lines whose rest has not come yet, by host and stream.
#[derive(Debug)]
pub(super) struct Lines {
    prefix: bool,
    begun: HashMap<(usize, Stream), Vec<u8>>,
}

impl Lines {
    pub(super) fn new(prefix: bool) -> Self {
        Self {
            prefix,
            begun: HashMap::new(),
        }
    }

    /// The lines that are whole with this piece.
    pub(super) fn piece(
        &mut self,
        index: usize,
        host: &Arc<str>,
        stream: Stream,
        piece: &Bytes,
    ) -> Text {
        let begun = self.begun.entry((index, stream)).or_default();
        begun.extend_from_slice(piece);
        let whole = begun.iter().rposition(|byte| *byte == b'\n');
        let whole = match whole {
            Some(end) => begun.drain(..=end).collect(),
            None if begun.len() > LONGEST => std::mem::take(begun),
            None => Vec::new(),
        };
        (stream, prefixed(self.prefix, host, &whole))
    }

    /// The lines of a host that has ended, which may lack their ends.
    pub(super) fn finish(&mut self, index: usize, host: &Arc<str>) -> Vec<Text> {
        let streams = [Stream::Out, Stream::Err].into_iter();
        streams
            .filter_map(|stream| {
                let rest = self.begun.remove(&(index, stream))?;
                Some((stream, prefixed(self.prefix, host, &rest)))
            })
            .collect()
    }
}

/// All that a host wrote, under its name where there are several.
pub(super) fn group(prefix: bool, output: &HostOutput) -> Vec<Text> {
    let Ok(done) = &output.result else {
        return Vec::new();
    };
    let mut out = Vec::new();
    if prefix {
        out.extend_from_slice(format!("==> {} <==\n", name(&output.host)).as_bytes());
    }
    out.extend_from_slice(&done.stdout);
    end_line(&mut out);
    let mut err = Vec::new();
    if prefix && !done.stderr.is_empty() {
        err.extend_from_slice(format!("==> {} <==\n", name(&output.host)).as_bytes());
    }
    err.extend_from_slice(&done.stderr);
    end_line(&mut err);
    vec![(Stream::Out, out), (Stream::Err, err)]
}

/// A host as it is shown.
pub(super) fn name(host: &str) -> String {
    printable(host, |_| false)
}

/// Whole lines, each with the host before it.
fn prefixed(prefix: bool, host: &str, lines: &[u8]) -> Vec<u8> {
    let before = match prefix {
        true => format!("{}: ", name(host)),
        false => String::new(),
    };
    let mut text = Vec::with_capacity(lines.len() + before.len());
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        text.extend_from_slice(before.as_bytes());
        text.extend_from_slice(line);
    }
    end_line(&mut text);
    text
}

/// What comes next is another host's, and begins a line.
fn end_line(text: &mut Vec<u8>) {
    if text.last().is_some_and(|byte| *byte != b'\n') {
        text.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(lines: &mut Lines, index: usize, text: &'static str) -> String {
        let host: Arc<str> = format!("h{index}").into();
        let (_, text) = lines.piece(
            index,
            &host,
            Stream::Out,
            &Bytes::from_static(text.as_bytes()),
        );
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn lines_are_shown_when_they_are_whole() {
        let mut lines = Lines::new(true);
        assert_eq!(piece(&mut lines, 1, "a"), "");
        assert_eq!(piece(&mut lines, 2, "x\ny\nz"), "h2: x\nh2: y\n");
        assert_eq!(piece(&mut lines, 1, "b\n\nc"), "h1: ab\nh1: \n");
        let host: Arc<str> = "h1".into();
        assert_eq!(lines.finish(1, &host), [(Stream::Out, b"h1: c\n".to_vec())]);
        assert!(lines.finish(1, &host).is_empty());
        let mut plain = Lines::new(false);
        assert_eq!(piece(&mut plain, 1, "a\nb"), "a\n");
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let mut lines = Lines::new(true);
        let host: Arc<str> = "h".into();
        let piece = Bytes::from(vec![b'x'; LONGEST + 1]);
        let (_, text) = lines.piece(0, &host, Stream::Out, &piece);
        assert_eq!(text.len(), LONGEST + 1 + "h: ".len() + 1);
        assert!(lines.begun[&(0, Stream::Out)].is_empty());
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(name("web\u{1b}[2J\u{202e}1"), "web?[2J?1");
    }
}
