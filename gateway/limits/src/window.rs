//! The arithmetic of one limit on one 64-bit word. Pure: word, phase and time in, verdict out.
//!
//! | kind | word, high bits first |
//! | --- | --- |
//! | window | window number 44, count 20 |
//! | sliding | window number modulo 2^24, count of the window before 20, count 20 |
//! | gcra | theoretical arrival time in 2^-20 ms |
//!
//! A word of zero is a key that never asked. Window numbers count from the epoch, shifted by the
//! key's phase, so that all nodes agree and clients do not all retry at second 00.
//!
//! Time may step. A reading older than the word is judged in the word's window, so a thread that
//! was put to sleep cannot reopen a window. Only a word that lies more than one window *and* more
//! than [`LATE_MS_MAX`] ahead is taken for a clock that was wrong: it moves back to the present and
//! keeps its count, but for one request whose admission writes the correction down.
//!
//! Not here: atomics (`meters`), several limits at once (`meters`), names.
//!
//! Cost: one division a limit; a sliding window one more, a bucket two.
//! Sources: ITU-T I.371 annex A for the generic cell rate algorithm; the two-window estimate is the
//! widely used approximation of a sliding log under evenly spread load.

use crate::allowance::LimitState;
use crate::quota::{Quota, QuotaKind, Sign};
use crate::time::UnixMs;

/// How late a reading may be, beyond one window, and still be judged in the word's window.
pub(crate) const LATE_MS_MAX: u64 = 10_000;
/// Times are judged as at most this: the year 2248, and what a bucket's word can hold.
pub(crate) const AT_MS_MAX: u64 = 1 << 43;

const COUNT_BITS: u32 = 20;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const SLIDING_BITS: u32 = 24;
const SLIDING_MASK: u64 = (1 << SLIDING_BITS) - 1;
/// Fraction bits of a bucket's time: steps of about a nanosecond, so that rounding the interval
/// between two requests up costs less than a thousandth at the fastest rate.
const FINE_BITS: u32 = 20;

/// One limit, with what each decision needs computed beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    requests: u32,
    window_ms: u64,
    pace: Pace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Window,
    Sliding,
    /// Time a request costs and time a full bucket holds, in 2^-20 ms.
    Gcra {
        step: u64,
        depth: u64,
    },
}

/// What becomes of one request at one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may pass once `next` has replaced the word; then `after` holds.
    Admit { next: u64, after: LimitState },
    /// The word stays. `wait_ms` ≥ 1 later it would pass.
    Refuse { wait_ms: u64, state: LimitState },
}

/// A place in time: one window of one key.
#[derive(Debug, Clone, Copy)]
struct Span {
    number: u64,
    start_ms: u64,
    end_ms: u64,
}

/// Where a count word stands relative to a reading.
enum Place {
    /// The reading's own window is newer.
    Behind,
    /// Same window, or ahead within tolerance: judge in this one.
    Here(Span),
    /// Ahead beyond tolerance.
    Astray,
}

impl Rule {
    pub(crate) fn of(quota: &Quota) -> Rule {
        let pace = match quota.kind {
            QuotaKind::Window => Pace::Window,
            QuotaKind::Sliding => Pace::Sliding,
            QuotaKind::Gcra { burst } => {
                let step =
                    (quota.window_ms << FINE_BITS).div_ceil(u64::from(quota.requests.max(1)));
                Pace::Gcra { step, depth: step.saturating_mul(u64::from(burst)) }
            }
        };
        Rule { requests: quota.requests, window_ms: quota.window_ms, pace }
    }

    /// A key's phase for this limit: whole seconds below the window, so that resets of windows of
    /// whole seconds fall on exact Unix seconds.
    pub(crate) fn phase_ms(&self, seed: u32) -> u64 {
        let window_s = (self.window_ms / 1_000).max(1) as u32;
        u64::from(seed % window_s) * 1_000
    }

    /// Judges one request. `at_ms` ≤ [`AT_MS_MAX`]. Any word is safe to judge.
    #[inline]
    pub(crate) fn judge(&self, word: u64, phase_ms: u64, at_ms: u64) -> Verdict {
        match self.pace {
            Pace::Window => self.judge_window(word, phase_ms, at_ms),
            Pace::Sliding => self.judge_sliding(word, phase_ms, at_ms),
            Pace::Gcra { step, depth } => self.judge_bucket(step, depth, word, at_ms),
        }
    }

    /// The limit as it stands, without a request.
    pub(crate) fn look(&self, word: u64, phase_ms: u64, at_ms: u64) -> LimitState {
        match self.pace {
            Pace::Window => {
                let (span, count) = self.settle_window(word, phase_ms, at_ms);
                self.count_state(count, span.end_ms, at_ms)
            }
            Pace::Sliding => {
                let (span, prev, count) = self.settle_sliding(word, phase_ms, at_ms);
                let estimate = self.estimate(&span, prev, count, at_ms);
                self.count_state(estimate, span.end_ms + self.window_ms, at_ms)
            }
            Pace::Gcra { step, depth } => {
                let now = at_ms << FINE_BITS;
                let full_at = settle_bucket(step, depth, word, now).max(now);
                self.bucket_state(step, depth, full_at, at_ms)
            }
        }
    }

    /// The word without one reservation that was made by replacing `before` with `written`, given
    /// that it now reads `seen`. `None` where nothing is to be done.
    ///
    /// Exact for counts: the reservation is taken out of the window it was made in, wherever that
    /// stands now. A bucket is put back only if nobody has touched it since; otherwise its own
    /// passing of time could be credited twice, and it regains the request by itself.
    pub(crate) fn give_back(&self, before: u64, written: u64, seen: u64) -> Option<u64> {
        match self.pace {
            Pace::Window => {
                let same = seen >> COUNT_BITS == written >> COUNT_BITS && seen & COUNT_MASK > 0;
                same.then(|| seen - 1)
            }
            Pace::Sliding => {
                let rolled = (seen >> (2 * COUNT_BITS)).wrapping_sub(written >> (2 * COUNT_BITS))
                    & SLIDING_MASK;
                match rolled {
                    0 if seen & COUNT_MASK > 0 => Some(seen - 1),
                    1 if seen >> COUNT_BITS & COUNT_MASK > 0 => Some(seen - (1 << COUNT_BITS)),
                    _ => None,
                }
            }
            Pace::Gcra { .. } => (seen == written).then_some(before),
        }
    }

    #[inline]
    fn judge_window(&self, word: u64, phase_ms: u64, at_ms: u64) -> Verdict {
        let (span, count) = self.settle_window(word, phase_ms, at_ms);
        if count >= u64::from(self.requests) {
            let state = self.count_state(count, span.end_ms, at_ms);
            return Verdict::Refuse { wait_ms: span.end_ms - at_ms, state };
        }
        let count = count + 1;
        Verdict::Admit {
            next: span.number << COUNT_BITS | count,
            after: self.count_state(count, span.end_ms, at_ms),
        }
    }

    fn judge_sliding(&self, word: u64, phase_ms: u64, at_ms: u64) -> Verdict {
        let (span, prev, count) = self.settle_sliding(word, phase_ms, at_ms);
        let estimate = self.estimate(&span, prev, count, at_ms);
        let reset_ms = span.end_ms + self.window_ms;
        if estimate >= u64::from(self.requests) {
            let wait_ms = self.sliding_wait(&span, prev, count, at_ms);
            return Verdict::Refuse { wait_ms, state: self.count_state(estimate, reset_ms, at_ms) };
        }
        let number = (span.number & SLIDING_MASK) << (2 * COUNT_BITS);
        Verdict::Admit {
            next: number | prev << COUNT_BITS | (count + 1),
            after: self.count_state(estimate + 1, reset_ms, at_ms),
        }
    }

    fn judge_bucket(&self, step: u64, depth: u64, word: u64, at_ms: u64) -> Verdict {
        let now = at_ms << FINE_BITS;
        let full_at = settle_bucket(step, depth, word, now).max(now);
        let next = full_at + step;
        if next > now + depth {
            let wait_ms = fine_to_ms(next - depth - now);
            return Verdict::Refuse {
                wait_ms,
                state: self.bucket_state(step, depth, full_at, at_ms),
            };
        }
        Verdict::Admit { next, after: self.bucket_state(step, depth, next, at_ms) }
    }

    #[inline]
    fn settle_window(&self, word: u64, phase_ms: u64, at_ms: u64) -> (Span, u64) {
        let mine = self.span_at(phase_ms, at_ms);
        let count = word & COUNT_MASK;
        let distance = (word >> COUNT_BITS) as i64 - mine.number as i64;
        match self.place(mine, distance, phase_ms, at_ms) {
            Place::Behind => (mine, 0),
            Place::Here(span) => (span, count),
            Place::Astray => (mine, self.kept(count)),
        }
    }

    fn settle_sliding(&self, word: u64, phase_ms: u64, at_ms: u64) -> (Span, u64, u64) {
        let mine = self.span_at(phase_ms, at_ms);
        if word == 0 {
            return (mine, 0, 0);
        }
        let (prev, count) = (word >> COUNT_BITS & COUNT_MASK, word & COUNT_MASK);
        // Modulo 2^24, sign extended: half the circle is past, half is future.
        let circle = 64 - SLIDING_BITS;
        let distance = (word.wrapping_sub(mine.number << circle) as i64) >> circle;
        match self.place(mine, distance, phase_ms, at_ms) {
            Place::Behind if distance == -1 => (mine, count, 0),
            Place::Behind => (mine, 0, 0),
            Place::Here(span) => (span, prev, count),
            Place::Astray => (mine, 0, self.kept(count)),
        }
    }

    /// Where a word stands whose window is `distance` windows after the reading's own.
    #[inline]
    fn place(&self, mine: Span, distance: i64, phase_ms: u64, at_ms: u64) -> Place {
        let Ok(ahead) = u64::try_from(distance) else {
            return Place::Behind;
        };
        let span = self.span(mine.number + ahead, phase_ms);
        if ahead >= 2 && span.start_ms > at_ms + LATE_MS_MAX {
            return Place::Astray;
        }
        Place::Here(span)
    }

    /// What a word that moves back keeps of its count: all, but room for one request, whose
    /// admission writes the move down. Without it a full word would refuse until the clock had
    /// caught up.
    fn kept(&self, count: u64) -> u64 {
        count.min(u64::from(self.requests).saturating_sub(1))
    }

    #[inline]
    fn span_at(&self, phase_ms: u64, at_ms: u64) -> Span {
        self.span((at_ms + phase_ms) / self.window_ms, phase_ms)
    }

    #[inline]
    fn span(&self, number: u64, phase_ms: u64) -> Span {
        let start = number.saturating_mul(self.window_ms);
        Span {
            number,
            start_ms: start.saturating_sub(phase_ms),
            end_ms: start.saturating_add(self.window_ms).saturating_sub(phase_ms),
        }
    }

    /// Requests that weigh now: all of this window, and of the one before the share that the last
    /// `window_ms` still cover, rounded up.
    fn estimate(&self, span: &Span, prev: u64, count: u64, at_ms: u64) -> u64 {
        let left_ms = (span.end_ms - at_ms).min(self.window_ms);
        count + (prev * left_ms).div_ceil(self.window_ms)
    }

    /// The first moment at which one more request would fit, from the estimate solved for time.
    fn sliding_wait(&self, span: &Span, prev: u64, count: u64, at_ms: u64) -> u64 {
        let requests = u64::from(self.requests);
        let free_ms =
            |room: u64, weight: u64| (self.window_ms * room).checked_div(weight).unwrap_or(0);
        let passes_at_ms = if count < requests {
            // This window's own count leaves room; the window before must weigh no more than that.
            span.end_ms.saturating_sub(free_ms(requests - count - 1, prev))
        } else {
            // This count will weigh as the window before the next one.
            (span.end_ms + self.window_ms).saturating_sub(free_ms(requests - 1, count))
        };
        passes_at_ms.saturating_sub(at_ms).max(1)
    }

    #[inline]
    fn count_state(&self, used: u64, reset_ms: u64, at_ms: u64) -> LimitState {
        let left = u64::from(self.requests).saturating_sub(used);
        state(self.requests, left, reset_ms, at_ms)
    }

    fn bucket_state(&self, step: u64, depth: u64, full_at: u64, at_ms: u64) -> LimitState {
        let room = ((at_ms << FINE_BITS) + depth).saturating_sub(full_at);
        state(self.requests, room / step.max(1), fine_to_ms(full_at), at_ms)
    }
}

/// Whether a word says nothing of any request from `at` on, with a window and a clock's lateness to spare.
pub(crate) fn is_over(sign: Sign, word: u64, at: UnixMs) -> bool {
    let at_ms = at.0.min(AT_MS_MAX).saturating_sub(LATE_MS_MAX);
    let Some(mine) = at_ms.checked_div(sign.window_ms()) else { return true };
    match sign.kind() {
        Some(QuotaKind::Window) => (word >> COUNT_BITS).saturating_add(2) <= mine,
        Some(QuotaKind::Sliding) => {
            let passed = mine.wrapping_sub(word >> (2 * COUNT_BITS)) & SLIDING_MASK;
            // The second half of the circle is future.
            (3..=SLIDING_MASK / 2).contains(&passed)
        }
        Some(QuotaKind::Gcra { .. }) => word >> FINE_BITS < at_ms,
        None => true,
    }
}

/// A bucket's word, with a clock's error taken out: never fuller than lateness explains, and one
/// that is has room for one request, whose admission writes the correction down.
fn settle_bucket(step: u64, depth: u64, word: u64, now: u64) -> u64 {
    let latest = now + depth + (LATE_MS_MAX << FINE_BITS);
    if word > latest { now + depth - step } else { word }
}

#[inline]
fn state(limit: u32, left: u64, reset_ms: u64, at_ms: u64) -> LimitState {
    LimitState {
        limit,
        remaining: u32::try_from(left).unwrap_or(u32::MAX),
        reset_at_s: reset_ms.div_ceil(1_000),
        resets_in_s: reset_ms.saturating_sub(at_ms).div_ceil(1_000),
    }
}

fn fine_to_ms(fine: u64) -> u64 {
    fine.div_ceil(1 << FINE_BITS)
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
