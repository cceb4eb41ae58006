//! What was measured: a line for each thing, a value for each peer.

use rmux_benches::measure::Samples;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::peer::{PEERS, Peer};

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "MiB/s")]
    Rate,
    #[serde(rename = "KiB")]
    Kib,
}

impl Unit {
    fn more_is_better(self) -> bool {
        self == Self::Rate
    }

    /// The value for people.
    pub(crate) fn shown(self, value: f64) -> String {
        let digits = |value: f64| match value {
            value if value < 10.0 => format!("{value:.2}"),
            value if value < 100.0 => format!("{value:.1}"),
            value => format!("{value:.0}"),
        };
        match self {
            Self::Seconds if value < 1e-3 => format!("{} µs", digits(value * 1e6)),
            Self::Seconds if value < 1.0 => format!("{} ms", digits(value * 1e3)),
            Self::Seconds => format!("{} s", digits(value)),
            Self::Rate => format!("{} MiB/s", digits(value)),
            Self::Kib if value >= 1024.0 => format!("{} MiB", digits(value / 1024.0)),
            Self::Kib => format!("{} KiB", digits(value)),
        }
    }
}

/// What a peer reached.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    /// The value, and from how many samples.
    Value(f64, usize),
    /// Why there is none.
    None(String),
}

/// One thing that was measured.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) section: &'static str,
    /// What, as the table has it.
    pub(crate) what: String,
    pub(crate) unit: Unit,
    /// One for each peer that takes part, by its name.
    pub(crate) cells: Vec<(&'static str, Cell)>,
}

impl Figure {
    pub(crate) fn new(section: &'static str, what: impl Into<String>, unit: Unit) -> Self {
        Self {
            section,
            what: what.into(),
            unit,
            cells: Vec::new(),
        }
    }

    pub(crate) fn set(&mut self, peer: &Peer, cell: Cell) {
        self.cells.push((peer.name, cell));
    }

    /// The value of a peer, where it has one.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        match self.cell(name)? {
            Cell::Value(value, _) => Some(*value),
            Cell::None(_) => None,
        }
    }

    pub(crate) fn cell(&self, name: &str) -> Option<&Cell> {
        let found = self.cells.iter().find(|(peer, _)| *peer == name);
        found.map(|(_, cell)| cell)
    }

    /// How many times as good as this peer rmux is.
    pub(crate) fn ratio(&self, name: &str) -> Option<f64> {
        let (ours, theirs) = (self.value(PEERS[0].name)?, self.value(name)?);
        Some(match self.unit.more_is_better() {
            true => ours / theirs,
            false => theirs / ours,
        })
    }

    /// The same, for the best of the peers that are not rmux, and which that is.
    pub(crate) fn best_peer(&self) -> Option<(&'static str, f64)> {
        let peers = PEERS.iter().filter(|peer| !peer.is_ours());
        let ratios = peers.filter_map(|peer| Some((peer.name, self.ratio(peer.name)?)));
        ratios.min_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// For the file that keeps it.
    pub(crate) fn json(&self) -> Value {
        let mut values = Map::new();
        for (peer, cell) in &self.cells {
            let value = match cell {
                Cell::Value(value, samples) => json!({ "value": value, "samples": samples }),
                Cell::None(why) => json!({ "none": why }),
            };
            values.insert((*peer).to_owned(), value);
        }
        json!({
            "section": self.section,
            "what": self.what,
            "unit": self.unit,
            "values": values,
        })
    }
}

/// The median of samples.
pub(crate) fn median(seconds: &[f64]) -> f64 {
    Samples::from(seconds.to_vec()).median()
}

/// What 99 of 100 take at most.
pub(crate) fn p99(seconds: &[f64]) -> f64 {
    Samples::from(seconds.to_vec()).p99()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(unit: Unit, values: &[(&'static str, f64)]) -> Figure {
        let mut figure = Figure::new("exec", "exec", unit);
        figure.cells = values
            .iter()
            .map(|(name, value)| (*name, Cell::Value(*value, 1)))
            .collect();
        figure
    }

    #[test]
    fn a_ratio_says_how_many_times_as_good_rmux_is() {
        let seconds = figure(
            Unit::Seconds,
            &[("rmux", 2.0), ("ssh", 6.0), ("russh", 1.0)],
        );
        assert_eq!(seconds.ratio("ssh"), Some(3.0));
        assert_eq!(seconds.best_peer(), Some(("russh", 0.5)));
        let rate = figure(Unit::Rate, &[("rmux", 900.0), ("ssh", 300.0)]);
        assert_eq!(rate.ratio("ssh"), Some(3.0));
        assert_eq!(rate.ratio("paramiko"), None);
    }

    #[test]
    fn rmux_in_another_language_is_no_peer_of_rmux() {
        let figure = figure(
            Unit::Seconds,
            &[("rmux", 2.0), ("rmux (Node)", 1.0), ("ssh", 4.0)],
        );
        assert_eq!(figure.best_peer(), Some(("ssh", 2.0)));
    }
}
