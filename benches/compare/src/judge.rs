//! What rmux promises of these figures, as lines with a limit each.

use rmux_benches::verdict::{Limit, Verdict};

use crate::figure::{Figure, Unit};
use crate::peer::PEERS;

/// The lines of all promises whose figures were taken.
pub(crate) fn judge(figures: &[Figure], is_judged: bool) -> Vec<Verdict> {
    let judge = Judge(figures);
    let lines = [
        judge.round_trips("exec p50, 100 ms", 1.1),
        judge.round_trips("cold connect to first output, 100 ms", 6.5),
        judge.against("exec p50, 0 ms", "russh", Limit::AtMost(1.1)),
        judge.against("stream down, 0 ms", "ssh", Limit::AtLeast(2.0)),
        // As fast as the best is a tie, which a few percent of noise must not decide.
        judge.against_best("stream down, 0 ms", 0.95),
        judge.against_best("put ", 1.5),
        judge.against_best("get ", 1.5),
        judge.against_openssh("put ", 4.0),
        judge.against_openssh("get ", 4.0),
        judge.of_one_by_one("put", 0.02),
        judge.of_one_by_one("get", 0.02),
        judge.against_best_at_most("put a tree", 0.5),
        judge.against_best_at_most("get a tree", 0.5),
        judge.round_trips("read one file of 4 KiB, 100 ms", 2.1),
        judge.beside("exec p99 beside a stalled channel", 1.5),
        judge.beside("exec p99 beside a busy channel", 3.0),
        judge.mib("memory of a transfer, 0 ms", 96.0),
        judge.mib("memory of a transfer, 100 ms", 96.0),
    ];
    let mut lines: Vec<Verdict> = lines.into_iter().flatten().collect();
    if !is_judged {
        lines.iter_mut().for_each(|line| line.limit = Limit::None);
    }
    lines
}

struct Judge<'a>(&'a [Figure]);

const OURS: &str = PEERS[0].name;

impl Judge<'_> {
    /// The figure whose name begins so, and ends so.
    fn find(&self, begins: &str, ends: &str) -> Option<&Figure> {
        self.0
            .iter()
            .find(|figure| figure.what.starts_with(begins) && figure.what.ends_with(ends))
    }

    fn round_trips(&self, what: &str, most: f64) -> Option<Verdict> {
        let figure = self.find(what, "")?;
        let seconds = figure.value(OURS)?;
        Some(line(
            format!("{what}, rmux"),
            seconds / 0.1,
            "round trips",
            Limit::AtMost(most),
            shown(figure, OURS),
        ))
    }

    fn against(&self, what: &str, peer: &str, limit: Limit) -> Option<Verdict> {
        let figure = self.find(what, "")?;
        let value = against(figure, peer)?;
        let what = format!("{what}, rmux / {peer}");
        let detail = format!("{}; {peer} {}", shown(figure, OURS), shown(figure, peer));
        Some(line(what, value, "x", limit, detail))
    }

    /// A rate on loopback against that of the fastest.
    fn against_best(&self, what: &str, least: f64) -> Option<Verdict> {
        let figure = self.find(what, ", 0 ms")?;
        let (peer, _) = figure.best_peer()?;
        let exact = figure.what.clone();
        self.against(&exact, peer, Limit::AtLeast(least))
    }

    fn against_best_at_most(&self, what: &str, most: f64) -> Option<Verdict> {
        let figure = self.find(what, "")?;
        let (peer, _) = figure.best_peer()?;
        let exact = figure.what.clone();
        self.against(&exact, peer, Limit::AtMost(most))
    }

    /// A rate over the long link against the faster of OpenSSH's two.
    fn against_openssh(&self, way: &str, least: f64) -> Option<Verdict> {
        let mut figures = self.0.iter();
        let figure = figures.find(|figure| {
            figure.unit == Unit::Rate
                && figure.what.starts_with(way)
                && figure.what.ends_with(", 100 ms")
        })?;
        let peers = ["sftp", "scp"].into_iter();
        let peer = peers.max_by(|a, b| {
            let rate = |name| figure.value(name).unwrap_or(0.0);
            rate(a).total_cmp(&rate(b))
        })?;
        let exact = figure.what.clone();
        self.against(&exact, peer, Limit::AtLeast(least))
    }

    /// A tree against rmux itself, one file after the other.
    fn of_one_by_one(&self, way: &str, most: f64) -> Option<Verdict> {
        let tree = self.find(&format!("{way} a tree"), "")?;
        let each = self
            .0
            .iter()
            .find(|figure| figure.what.starts_with(way) && figure.what.contains("one by one"))?;
        Some(line(
            format!("{}, / one by one", tree.what),
            tree.value(OURS)? / each.value(OURS)?,
            "x",
            Limit::AtMost(most),
            format!("{}; {}", shown(tree, OURS), shown(each, OURS)),
        ))
    }

    fn beside(&self, what: &str, most: f64) -> Option<Verdict> {
        let figure = self.find(what, "")?;
        let idle = self.find("exec p99 beside nothing", "")?;
        Some(line(
            format!("{what}, / idle"),
            figure.value(OURS)? / idle.value(OURS)?,
            "x",
            Limit::AtMost(most),
            format!("{}, idle {}", shown(figure, OURS), shown(idle, OURS)),
        ))
    }

    fn mib(&self, what: &str, most: f64) -> Option<Verdict> {
        let figure = self.find(what, "")?;
        Some(line(
            format!("{what}, rmux"),
            figure.value(OURS)? / 1024.0,
            "MiB",
            Limit::AtMost(most),
            "the most that the process grew by".to_owned(),
        ))
    }
}

/// rmux's value over the peer's: of times less is better, of rates more.
fn against(figure: &Figure, peer: &str) -> Option<f64> {
    Some(figure.value(OURS)? / figure.value(peer)?)
}

fn shown(figure: &Figure, peer: &str) -> String {
    figure
        .value(peer)
        .map_or_else(|| "-".to_owned(), |value| figure.unit.shown(value))
}

fn line(what: String, value: f64, unit: &'static str, limit: Limit, detail: String) -> Verdict {
    Verdict {
        what,
        value,
        unit,
        limit,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Cell;

    fn figure(what: &str, unit: Unit, values: &[(&'static str, f64)]) -> Figure {
        let mut figure = Figure::new("any", what, unit);
        figure.cells = values
            .iter()
            .map(|(name, value)| (*name, Cell::Value(*value, 1)))
            .collect();
        figure
    }

    #[test]
    fn limits_are_those_of_the_figures_that_were_taken() {
        let figures = [
            figure("exec p50, 100 ms", Unit::Seconds, &[("rmux", 0.12)]),
            figure(
                "put 256 MiB, 0 ms",
                Unit::Rate,
                &[("rmux", 400.0), ("sftp", 200.0)],
            ),
            figure(
                "put 256 MiB, 100 ms",
                Unit::Rate,
                &[("rmux", 70.0), ("sftp", 20.0), ("scp", 10.0)],
            ),
        ];
        let lines = judge(&figures, true);
        let kept: Vec<_> = lines.iter().map(|line| (line.value, line.kept())).collect();
        // 1.2 round trips of 1.1; twice the best peer of 1.5; 3.5 times sftp of 4.
        assert_eq!(kept.len(), 3);
        assert!((kept[0].0 - 1.2).abs() < 1e-9 && !kept[0].1);
        assert_eq!(kept[1..], [(2.0, true), (3.5, false)]);
        assert!(judge(&figures, false).iter().all(Verdict::kept));
    }
}
