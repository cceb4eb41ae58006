//! The lines that a bench ends with: what was measured, its limit, and whether it is kept.

use std::fmt;

/// What a value must not cross.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// Less is better.
    AtMost(f64),
    /// More is better.
    AtLeast(f64),
    /// For information.
    None,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What was measured.
    pub what: String,
    /// The value.
    pub value: f64,
    /// What the value counts, as `round trips`; `x` for a ratio.
    pub unit: &'static str,
    /// Its limit.
    pub limit: Limit,
    /// From how many samples, and how far they lie apart.
    pub detail: String,
}

impl Verdict {
    /// Whether the limit is kept.
    pub fn kept(&self) -> bool {
        match self.limit {
            Limit::AtMost(limit) => self.value <= limit,
            Limit::AtLeast(limit) => self.value >= limit,
            Limit::None => true,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what, value, unit, ..
        } = self;
        let value = format!("{value:.2} {unit}");
        let verdict = match (self.limit, self.kept()) {
            (Limit::None, _) => String::new(),
            (Limit::AtMost(limit), kept) => format!("limit <= {limit:<4} {}", word(kept)),
            (Limit::AtLeast(limit), kept) => format!("limit >= {limit:<4} {}", word(kept)),
        };
        let detail = &self.detail;
        write!(f, "{what:<44} {value:<17} {verdict:<21} ({detail})")
    }
}

fn word(kept: bool) -> &'static str {
    if kept { "kept" } else { "MISSED" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_crossed_is_missed() {
        let verdict = |value, limit| Verdict {
            what: "exec".into(),
            value,
            unit: "x",
            limit,
            detail: "p50 of 3".into(),
        };
        assert!(verdict(1.15, Limit::AtMost(1.15)).kept());
        assert!(!verdict(1.16, Limit::AtMost(1.15)).kept());
        assert!(!verdict(0.89, Limit::AtLeast(0.9)).kept());
        assert!(verdict(9.0, Limit::None).kept());
        assert!(
            verdict(1.2, Limit::AtMost(1.15))
                .to_string()
                .contains("MISSED")
        );
    }
}
