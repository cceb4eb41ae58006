//! The picture for README: for a few of the figures a bar for each peer, as long as it is slow.
//!
//! Written by hand: some rectangles and words need no library. Colours hold on light and dark pages.

use std::fmt::Write as _;

use crate::figure::{Figure, Unit};
use crate::peer::PEERS;
use crate::table::times;

/// The figures that are drawn, by how their names begin and end, and what is written above.
const DRAWN: &[(&str, &str, &str)] = &[
    ("exec p50", ", 0 ms", "a command, loopback"),
    ("exec p50", ", 100 ms", "a command, 100 ms round trip"),
    (
        "64 execs",
        ", 100 ms",
        "64 commands at once, 100 ms round trip",
    ),
    ("stream down", ", 0 ms", "a command's output, loopback"),
    ("put ", "MiB, 0 ms", "putting a large file, loopback"),
    ("get ", "MiB, 0 ms", "getting a large file, loopback"),
    (
        "put ",
        "MiB, 100 ms",
        "putting a large file, 100 ms round trip",
    ),
    (
        "get ",
        "MiB, 100 ms",
        "getting a large file, 100 ms round trip",
    ),
    (
        "put a tree",
        "",
        "putting 1,000 small files, 100 ms round trip",
    ),
    (
        "get a tree",
        "",
        "getting 1,000 small files, 100 ms round trip",
    ),
];

const COLUMNS: usize = 2;
const COLUMN: f64 = 430.0;
const LABEL: f64 = 105.0;
const BAR: f64 = 215.0;
const LINE: f64 = 17.0;
const HEAD: f64 = 34.0;
const GAP: f64 = 16.0;
/// Longer bars are cut here, so that the short ones can be told apart.
const LONGEST: f64 = 10.0;

/// The picture, if there is something to draw.
pub(crate) fn svg(figures: &[Figure]) -> Option<String> {
    let drawn: Vec<(&str, &Figure)> = DRAWN
        .iter()
        .filter_map(|(begins, ends, title)| {
            let found = figures.iter().find(|figure| {
                figure.what.starts_with(begins)
                    && figure.what.ends_with(ends)
                    && !figure.what.contains("one by one")
                    && (!begins.ends_with(' ') || figure.unit == Unit::Rate)
            });
            Some((
                *title,
                found.filter(|figure| figure.value(PEERS[0].name).is_some())?,
            ))
        })
        .collect();
    let mut heights = [0.0; COLUMNS];
    let mut body = String::new();
    for (title, figure) in &drawn {
        // The shorter column goes on.
        let column = usize::from(heights[1] < heights[0]);
        let height = chart(
            &mut body,
            title,
            figure,
            column as f64 * COLUMN,
            heights[column],
        );
        heights[column] += height + GAP;
    }
    let (width, height) = (COLUMN * COLUMNS as f64, heights[0].max(heights[1]) + LINE);
    let foot =
        "Bars: time or memory as a multiple of rmux's; shorter is better. Arrows are cut at 10 x.";
    let _ = write!(
        body,
        "<text class=\"s\" x=\"0\" y=\"{:.0}\">{foot}</text>",
        height - 4.0
    );
    (!drawn.is_empty()).then(|| {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <title>The speed of rmux beside other SSH software</title>\n<style>{STYLE}</style>\n{body}\n</svg>\n"
        )
    })
}

const STYLE: &str = "text{fill:#24292f}.h{font-weight:bold;font-size:13px}.s{fill:#6e7781}\
.o{fill:#2da44e}.p{fill:#8c959f}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#8d96a0}.o{fill:#3fb950}.p{fill:#6e7681}}";

/// One figure; returns its height.
fn chart(body: &mut String, title: &str, figure: &Figure, x: f64, top: f64) -> f64 {
    let own = figure.value(PEERS[0].name).unwrap_or(0.0);
    let own = figure.unit.shown(own);
    let _ = writeln!(
        body,
        "<text class=\"h\" x=\"{x:.0}\" y=\"{:.0}\">{title}</text>",
        top + 16.0
    );
    let mut y = top + HEAD - 10.0;
    for peer in PEERS {
        let Some(ratio) = figure.ratio(peer.name) else {
            continue;
        };
        let length = ratio.min(LONGEST) / LONGEST * BAR;
        let class = if peer.is_ours() { "o" } else { "p" };
        let label = match peer.name == PEERS[0].name {
            true => own.clone(),
            false => times(ratio),
        };
        let (bar_x, text_y) = (x + LABEL, y + 12.0);
        let bar = match ratio > LONGEST {
            // An arrow: it goes on.
            true => format!(
                "<path class=\"{class}\" d=\"M{bar_x:.0} {:.0}h{:.0}l6 5.5l-6 5.5h-{:.0}z\"/>",
                y + 2.0,
                BAR - 6.0,
                BAR - 6.0
            ),
            false => format!(
                "<rect class=\"{class}\" x=\"{bar_x:.0}\" y=\"{:.0}\" width=\"{:.1}\" height=\"11\" rx=\"1.5\"/>",
                y + 2.0,
                length.max(1.5)
            ),
        };
        let _ = writeln!(
            body,
            "<text x=\"{:.0}\" y=\"{text_y:.0}\" text-anchor=\"end\">{}</text>{bar}\
             <text class=\"s\" x=\"{:.0}\" y=\"{text_y:.0}\">{label}</text>",
            bar_x - 6.0,
            peer.name,
            bar_x + length + 6.0
        );
        y += LINE;
    }
    y - top
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Cell;

    #[test]
    fn a_bar_is_as_long_as_the_peer_is_slow() {
        let mut figure = Figure::new("exec", "exec p50, 0 ms", Unit::Seconds);
        figure.cells = vec![
            ("rmux", Cell::Value(0.002, 3)),
            ("ssh", Cell::Value(0.006, 3)),
            ("paramiko", Cell::Value(0.1, 3)),
        ];
        let svg = svg(&[figure]).unwrap();
        assert!(svg.contains("width=\"21.5\"") && svg.contains(">2.00 ms<"));
        assert!(svg.contains("width=\"64.5\"") && svg.contains(">3.00 x<"));
        // Fifty times as long is an arrow.
        assert!(svg.contains("<path") && svg.contains(">50.0 x<"));
        assert!(super::svg(&[]).is_none());
    }
}
