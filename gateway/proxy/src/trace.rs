//! Request ids and trace context.
//!
//! A client's id is kept when it is plain text; a trace is continued when its header is well
//! formed. Ids are unique, not secret: a keyed hash of a counter, no system call.
//!
//! Source: W3C Trace Context, level 2.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::plain_text::push_hex;

/// Longest request id taken from a client.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// Length of a `traceparent` of version 00.
const HEADER_BYTES: usize = 55;

/// The client's id if it matches `[A-Za-z0-9._-]{1,128}`, else a new one of 32 hex digits.
pub(crate) fn request_id<'a>(mut offered: impl Iterator<Item = &'a [u8]>) -> String {
    let first = offered.next().filter(|_| offered.next().is_none());
    match first.and_then(|id| std::str::from_utf8(id).ok()).filter(|id| is_plain(id)) {
        Some(id) => id.to_owned(),
        None => {
            let mut id = String::with_capacity(32);
            push_hex(&mut id, random());
            push_hex(&mut id, random());
            id
        }
    }
}

fn is_plain(id: &str) -> bool {
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// What goes up as `traceparent`, and the trace id for the log.
#[derive(Debug)]
pub(crate) struct TraceContext {
    parent: String,
}

/// The ids of a sampled exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanIds {
    pub(crate) trace_id: u128,
    /// The caller's span.
    pub(crate) parent: Option<u64>,
    pub(crate) server: u64,
    /// What goes up.
    pub(crate) client: u64,
}

impl TraceContext {
    /// Continues a well-formed trace, starts a new one otherwise. Whether it is sampled is not ours to say.
    pub(crate) fn continued(offered: Option<&[u8]>) -> TraceContext {
        let known = offered.and_then(Offered::parse);
        let (mut context, _) = TraceContext::of(known);
        context.end(fresh_id(), known.map_or("00", |known| known.flags));
        context
    }

    /// The same, where we say it; asked with the last 64 bits of the trace id.
    pub(crate) fn judged(
        known: Option<Offered<'_>>,
        is_sampled: impl FnOnce(u64) -> bool,
    ) -> (TraceContext, Option<SpanIds>) {
        let (mut context, trace_id) = TraceContext::of(known);
        let is_sampled = is_sampled(trace_id as u64);
        let client = fresh_id();
        // Whether the trace id is random stays as it was said (level 2).
        let is_random = known.is_some_and(|known| known.has(RANDOM));
        context.end(
            client,
            match (is_random, is_sampled) {
                (false, false) => "00",
                (false, true) => "01",
                (true, false) => "02",
                (true, true) => "03",
            },
        );
        let parent = known.and_then(|known| u64::from_str_radix(known.span, 16).ok());
        let ids = SpanIds { trace_id, parent, server: 0, client };
        (context, is_sampled.then(|| SpanIds { server: fresh_id(), ..ids }))
    }

    /// Up to the trace id.
    fn of(known: Option<Offered<'_>>) -> (TraceContext, u128) {
        let mut parent = String::with_capacity(HEADER_BYTES);
        parent.push_str("00-");
        if let Some(Offered { trace, .. }) = known {
            parent.push_str(trace);
            return (TraceContext { parent }, u128::from_str_radix(trace, 16).unwrap_or_default());
        }
        let (high, low) = (random(), fresh_id());
        push_hex(&mut parent, high);
        push_hex(&mut parent, low);
        (TraceContext { parent }, u128::from(high) << 64 | u128::from(low))
    }

    fn end(&mut self, span: u64, flags: &str) {
        self.parent.push('-');
        push_hex(&mut self.parent, span);
        self.parent.push('-');
        self.parent.push_str(flags);
    }

    pub(crate) fn header(&self) -> &str {
        &self.parent
    }

    pub(crate) fn trace_id(&self) -> &str {
        self.parent.get(3..35).unwrap_or("")
    }
}

/// Flags of a `traceparent`.
const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;

/// A `traceparent` of version 00 that is well formed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offered<'a> {
    trace: &'a str,
    span: &'a str,
    flags: &'a str,
}

impl Offered<'_> {
    pub(crate) fn parse(value: &[u8]) -> Option<Offered<'_>> {
        let text = std::str::from_utf8(value).ok().filter(|text| text.len() == HEADER_BYTES)?;
        let mut parts = text.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |part: &str, length: usize| {
            part.len() == length
                && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let nonzero = |part: &str| part.bytes().any(|b| b != b'0');
        let good = version == "00"
            && hex(trace, 32)
            && hex(span, 16)
            && hex(flags, 2)
            && nonzero(trace)
            && nonzero(span);
        good.then_some(Offered { trace, span, flags })
    }

    pub(crate) fn is_sampled(&self) -> bool {
        self.has(SAMPLED)
    }

    fn has(&self, flag: u8) -> bool {
        u8::from_str_radix(self.flags, 16).is_ok_and(|flags| flags & flag != 0)
    }
}

/// An id of a span: never zero.
pub(crate) fn fresh_id() -> u64 {
    random() | 1
}

fn random() -> u64 {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    static SEED: OnceLock<[u64; 2]> = OnceLock::new();
    let seed = SEED.get_or_init(|| {
        let mut bytes = [0; 16];
        // Ids stay unique in this process even without the system's entropy.
        let _ = getrandom::fill(&mut bytes);
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        [word(0), word(8)]
    });
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    mix(mix(seed[0] ^ count).wrapping_add(seed[1]))
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection, so a counter never repeats.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_id_is_kept_and_any_other_replaced() {
        let long = "a".repeat(129);
        for (offered, kept) in [
            (&["req-1_A.b"][..], true),
            (&["a b"], false),
            (&["a\"b"], false),
            (&[""], false),
            (&[long.as_str()], false),
            (&[&long[..128]], true),
            (&["a", "b"], false),
            (&[], false),
        ] {
            let id = request_id(offered.iter().map(|id| id.as_bytes()));
            assert_eq!(offered.first() == Some(&id.as_str()), kept, "{offered:?}");
            assert!(is_plain(&id));
        }
    }

    #[test]
    fn a_trace_is_continued_only_when_well_formed() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for (offered, continued) in [
            (good, true),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
            ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false),
            ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x", false),
            ("", false),
        ] {
            let trace = TraceContext::continued(Some(offered.as_bytes()));
            assert_eq!(trace.trace_id() == &good[3..35], continued, "{offered}");
            assert!(Offered::parse(trace.header().as_bytes()).is_some());
            assert_ne!(trace.header(), offered, "the span is the gateway's own");
        }
    }
}
