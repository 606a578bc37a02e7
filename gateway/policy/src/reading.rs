//! What a clock showed when a request was judged.

use gateway_limits::UnixMs;

/// Two instants, for a clock may be set back: what has ended stays ended, and what counts by windows goes
/// on with the time that everybody else has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The time of day, which limits count by.
    pub now: UnixMs,
    /// The latest that the clock ever showed, by which keys, graces and raised limits end. Never before
    /// `now`.
    pub latest: UnixMs,
}

impl From<UnixMs> for Reading {
    /// Of a clock that was never set back.
    fn from(now: UnixMs) -> Reading {
        Reading { now, latest: now }
    }
}
