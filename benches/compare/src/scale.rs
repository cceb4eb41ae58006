//! How much is measured.

/// Counts and sizes of a run.
pub(crate) struct Scale {
    /// Connects of each peer on loopback, at 20 and at 100 ms.
    pub(crate) cold: [usize; 3],
    /// Turns, and commands in each, in the same order.
    pub(crate) exec: [(usize, usize); 3],
    pub(crate) many: [usize; 3],
    /// Rounds, and bytes in each.
    pub(crate) streams: [(usize, u64); 3],
    /// Commands beside each company.
    pub(crate) beside: usize,
    pub(crate) sessions: usize,
    pub(crate) channels: usize,
    pub(crate) imports: usize,
    /// Rounds on loopback.
    pub(crate) file_rounds: usize,
    pub(crate) file: u64,
    /// What those get to move at 100 ms that are not what rmux is judged by; their rate counts.
    pub(crate) far_file: u64,
    pub(crate) tree: usize,
    /// What those get that take several round trips for each file; the time is scaled.
    pub(crate) slow_tree: usize,
    pub(crate) reads: usize,
    /// Whether the limits are judged.
    pub(crate) judged: bool,
}

/// What the figures are from: some ten minutes.
pub(crate) const WHOLE: Scale = Scale {
    cold: [9, 3, 3],
    exec: [(20, 10), (6, 4), (4, 4)],
    many: [5, 2, 2],
    streams: [(3, 256 << 20), (1, 64 << 20), (1, 64 << 20)],
    beside: 300,
    sessions: 10,
    channels: 50,
    imports: 7,
    file_rounds: 2,
    file: 256 << 20,
    far_file: 64 << 20,
    tree: 1000,
    slow_tree: 20,
    reads: 5,
    judged: true,
};

/// Each thing once, to see that the comparison itself works.
pub(crate) const QUICK: Scale = Scale {
    cold: [1, 1, 1],
    exec: [(1, 2), (1, 1), (1, 1)],
    many: [1, 1, 1],
    streams: [(1, 8 << 20), (1, 1 << 20), (1, 1 << 20)],
    beside: 10,
    sessions: 2,
    channels: 4,
    imports: 1,
    file_rounds: 1,
    file: 8 << 20,
    far_file: 2 << 20,
    tree: 40,
    slow_tree: 3,
    reads: 1,
    judged: false,
};
