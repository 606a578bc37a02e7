//! How often keys are used: counted by gateways, added up by the store.

use gateway_limits::UnixMs;

/// What one gateway counted of one key since its last flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    pub key: String,
    pub counts: Counts,
    pub last_used: UnixMs,
}

/// Requests of a live key, told apart. All three are requests; 401s are nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Went on, or were answered here.
    pub admitted: u64,
    /// Refused by a limit: 429.
    pub limited: u64,
    /// Refused behind the limit: route, query, scope, team, data scope.
    pub refused: u64,
}

impl Counts {
    pub fn total(self) -> u64 {
        self.admitted + self.limited + self.refused
    }

    pub fn is_nothing(self) -> bool {
        self == Counts::default()
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Counts) {
        self.admitted += more.admitted;
        self.limited += more.limited;
        self.refused += more.refused;
    }
}

/// All that one gateway counted in one interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageFlush {
    /// The gateway's id, chosen at its start, and the number of its flush.
    pub node: String,
    pub number: u64,
    pub at: UnixMs,
    /// Each key once, by key.
    pub rows: Vec<UsageRow>,
}

/// A key's usage, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    pub key: String,
    pub total: Counts,
    pub last_used: Option<UnixMs>,
    /// The last 24 hours: the current hour and the 24 full ones before it.
    pub day: Counts,
    /// The last 7 days, by hours as above.
    pub week: Counts,
    /// The last 30 days: today and the 30 full UTC days before it.
    pub month: Counts,
}
