//! Exact request limits on one node: so many requests a window, counted per key, without a lock.
//!
//! [`Quotas`] say what a key may do, [`Meters`] remember what it did, [`Meters::take`] decides one
//! request and answers with the numbers for the rate-limit headers. Meters live outside every
//! configuration snapshot, so a reload, a rename or an index swap never refills anything.
//!
//! | file | holds |
//! | --- | --- |
//! | `time` | the one time type; the clock itself is read elsewhere and passed in |
//! | `quota` | limits as used, validated |
//! | `window` | the arithmetic of one limit on one 64-bit word; pure |
//! | `meters` | the words: one cache line a key, compare-and-swap, all limits or none |
//! | `book` | which key holds which line and word; cold path, behind a mutex |
//! | `carried` | counts on their way to the process that goes on |
//! | `allowance` | what a decision tells the caller |
//! | `usage` | how often each key was used |
//! | `throttle` | failed authentications by address; behind the locks of its shards, failures only |
//!
//! Not here: whose key it is (`gateway-policy`), YAML (`gateway-settings`), headers and statuses,
//! other nodes, reading a clock.
//!
//! Cost: an admission is one compare-and-swap a limit on one cache line; a refusal is plain loads
//! and writes nothing, so a flood of refusals slows nobody.

mod allowance;
mod book;
mod carried;
mod meters;
mod quota;
mod throttle;
mod time;
mod usage;
mod window;

pub use allowance::{Allowance, LimitState, Spent};
pub use book::MetersFull;
pub use carried::Count;
pub use meters::{Meters, Slot};
pub use quota::{
    BURST_MAX, LIMITS_PER_KEY_MAX, NAME_BYTES_MAX, Quota, QuotaError, QuotaKind, Quotas,
    REFILL_MS_MAX, REQUESTS_MAX, WINDOW_MS_MAX, WINDOW_MS_MIN,
};
pub use throttle::{ADDRESSES_MAX, Throttle, network};
pub use time::UnixMs;
pub use usage::{Use, Used};
