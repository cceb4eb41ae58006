//! The figures as a table of ratios: how many times as good as each peer rmux is.

use crate::figure::{Cell, Figure};
use crate::peer::PEERS;

/// The lines of the table, those of commands and those of files apart, since other peers have those.
pub(crate) fn lines(figures: &[Figure]) -> Vec<String> {
    let is_of_files = |figure: &&Figure| ["files", "trees", "read"].contains(&figure.section);
    let (files, commands): (Vec<_>, Vec<_>) = figures.iter().partition(is_of_files);
    let mut lines = Vec::new();
    for group in [commands, files] {
        if !group.is_empty() {
            lines.extend(table(&group));
            lines.push(String::new());
        }
    }
    lines
}

fn table(figures: &[&Figure]) -> Vec<String> {
    let takes_part = |name: &str| figures.iter().any(|figure| figure.cell(name).is_some());
    let names = PEERS.iter().map(|peer| peer.name);
    let peers: Vec<&str> = names.filter(|name| takes_part(name)).collect();
    let mut rows = vec![heads(&peers)];
    for figure in figures {
        let mut row = vec![figure.what.clone()];
        row.extend(peers.iter().map(|peer| shown(figure, peer)));
        rows.push(row);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..=peers.len()).map(|at| width(at).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(at, (cell, width))| match at {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect()
}

fn heads(peers: &[&str]) -> Vec<String> {
    let mut heads = vec![String::new()];
    heads.extend(peers.iter().map(|peer| (*peer).to_owned()));
    heads
}

/// rmux's own value, and for the others the ratio; where rmux has none, theirs.
fn shown(figure: &Figure, peer: &str) -> String {
    let value = match figure.cell(peer) {
        Some(Cell::Value(value, _)) => *value,
        _ => return "-".to_owned(),
    };
    match figure.ratio(peer) {
        Some(ratio) if peer != PEERS[0].name => times(ratio),
        _ => figure.unit.shown(value),
    }
}

/// A ratio for people.
pub(crate) fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 10.0 => format!("{ratio:.2} x"),
        ratio if ratio < 100.0 => format!("{ratio:.1} x"),
        ratio => format!("{ratio:.0} x"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Unit;

    #[test]
    fn the_first_column_is_a_value_and_the_others_ratios() {
        let mut figure = Figure::new("exec", "exec p50, 0 ms", Unit::Seconds);
        figure.cells = vec![
            ("rmux", Cell::Value(0.002, 3)),
            ("ssh", Cell::Value(0.006, 3)),
            ("scp", Cell::None("it runs nothing".to_owned())),
        ];
        let lines = lines(&[figure]);
        assert_eq!(lines[0], "                   rmux     ssh  scp");
        assert_eq!(lines[1], "exec p50, 0 ms  2.00 ms  3.00 x    -");
    }
}
