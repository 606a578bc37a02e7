//! The time every decision is given.
//!
//! Milliseconds since the Unix epoch, UTC, as one integer: small enough to be copied along with a
//! request, and an argument everywhere, so that tests own the time and all stages of one request
//! agree on it.
//!
//! Not here: reading a clock. The caller reads it once a request.

use std::fmt;

/// An instant in milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMs(pub u64);

impl UnixMs {
    /// Whole seconds since the epoch, rounded down, as a `Date` header shows them.
    pub fn seconds(self) -> u64 {
        self.0 / 1_000
    }
}

/// Seconds and milliseconds since the epoch: `1711700000.250`.
impl fmt::Display for UnixMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_reads_as_seconds_with_three_decimals() {
        for (ms, text, seconds) in [
            (0, "0.000", 0),
            (999, "0.999", 0),
            (1_000, "1.000", 1),
            (1_711_700_000_050, "1711700000.050", 1_711_700_000),
        ] {
            assert_eq!(UnixMs(ms).to_string(), text);
            assert_eq!(UnixMs(ms).seconds(), seconds, "{ms}");
        }
    }
}
