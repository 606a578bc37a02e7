//! Counts on their way to the process that goes on, when the binary is exchanged under load.
//!
//! A count travels as its word and what the word means: kind and window. The process that takes it may have
//! other limits by then; a count that none of them means is kept beside them, as a reload does.
//! What a request can no longer meet, a window that is over or a bucket that is full again, stays behind:
//! of a million keys those that are in use are few.
//!
//! Not here: how it travels. Requests that are judged between [`Meters::counts`] and [`Meters::resume`] are
//! counted by one side alone; the caller sees to it that there are none.
//!
//! Cost: a look at every word of every key that is known, under the lock of the book.

use crate::book::MetersFull;
use crate::meters::Meters;
use crate::quota::Sign;
use crate::time::UnixMs;
use crate::window::is_over;

/// One limit's count of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count<'a> {
    pub key_id: &'a str,
    /// Kind and window, as [`Meters::counts`] tells them.
    pub sign: u64,
    pub word: u64,
}

impl Meters {
    /// Tells all counts that may still matter at `at`. `tell` runs under the lock: it must not call these
    /// meters.
    pub fn counts(&self, at: UnixMs, mut tell: impl FnMut(Count<'_>)) {
        self.each_word(|key_id, sign, word| {
            if word != 0 && !is_over(sign, word, at) {
                tell(Count { key_id, sign: sign.to_bits(), word });
            }
        });
    }

    /// Goes on with a count of another process. A key that is not known yet finds it when it is.
    ///
    /// # Errors
    /// There is no line left for such a key.
    pub fn resume(&self, count: Count<'_>) -> Result<(), MetersFull> {
        self.set_word(count.key_id, Sign::from_bits(count.sign), count.word)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::meters::Slot;
    use crate::quota::{Quota, QuotaKind, Quotas};

    const NOW: UnixMs = UnixMs(1_711_700_012_345);
    const KINDS: [QuotaKind; 3] =
        [QuotaKind::Window, QuotaKind::Sliding, QuotaKind::Gcra { burst: 60 }];

    fn quotas(kind: QuotaKind, window_ms: u64) -> Quotas {
        let quota = Quota { name: "limit".into(), requests: 60, window_ms, kind };
        Quotas::new(vec![quota]).unwrap()
    }

    fn later(ms: u64) -> UnixMs {
        UnixMs(NOW.0 + ms)
    }

    /// How many more are admitted at `at`.
    fn admitted(meters: &Meters, slot: Slot, quotas: &Quotas, at: UnixMs) -> usize {
        std::iter::from_fn(|| meters.take(slot, quotas, at).ok()).count()
    }

    /// All counts of `from` at `at`, in new meters. How many they were.
    fn carried(from: &Meters, to: &Meters, at: UnixMs) -> usize {
        let mut counts = 0;
        from.counts(at, |count| {
            to.resume(count).unwrap();
            counts += 1;
        });
        counts
    }

    /// R7: exchanging the process admits neither one more nor one less, whichever came first at the new one,
    /// the key or its count.
    #[test]
    fn a_limit_goes_on_where_it_stood() {
        for kind in KINDS {
            for knows_the_key_first in [true, false] {
                let (old, new, quotas) = (Meters::new(), Meters::new(), quotas(kind, 60_000));
                let slot = old.assign("k", &quotas).unwrap();
                for _ in 0..25 {
                    old.take(slot, &quotas, NOW).unwrap();
                }
                let mut there = knows_the_key_first.then(|| new.assign("k", &quotas).unwrap());
                assert_eq!(carried(&old, &new, NOW), 1);
                let there = *there.get_or_insert_with(|| new.assign("k", &quotas).unwrap());
                assert_eq!(admitted(&new, there, &quotas, NOW), 35, "{kind:?}");
                let again = later(200_000);
                assert_eq!(admitted(&new, there, &quotas, again), 60, "{kind:?}");
            }
        }
    }

    #[test]
    fn a_count_means_what_it_meant_or_waits() {
        let (old, new) = (Meters::new(), Meters::new());
        let (minute, hour) =
            (quotas(QuotaKind::Window, 60_000), quotas(QuotaKind::Window, 3_600_000));
        let slot = old.assign("k", &minute).unwrap();
        assert_eq!(admitted(&old, slot, &minute, NOW), 60);
        let there = new.assign("k", &hour).unwrap();
        carried(&old, &new, NOW);
        assert_eq!(admitted(&new, there, &hour, NOW), 60, "another window has a count of its own");
        let there = new.assign("k", &minute).unwrap();
        assert_eq!(admitted(&new, there, &minute, NOW), 0, "and the former is remembered");
    }

    #[test]
    fn what_nobody_can_meet_again_stays_behind() {
        for kind in KINDS {
            let (old, quotas) = (Meters::new(), quotas(kind, 60_000));
            let slot = old.assign("k", &quotas).unwrap();
            old.assign("never asked", &quotas).unwrap();
            assert_eq!(admitted(&old, slot, &quotas, NOW), 60);
            for ms in [0, 1_000, 60_000, 69_000] {
                assert_eq!(carried(&old, &Meters::new(), later(ms)), 1, "{kind:?} {ms}");
            }
            assert_eq!(
                carried(&old, &Meters::new(), UnixMs(NOW.0 - 60_000)),
                1,
                "{kind:?}: earlier"
            );
            for ms in [4 * 60_000 + 10_000, 86_400_000] {
                assert_eq!(carried(&old, &Meters::new(), later(ms)), 0, "{kind:?} {ms}");
            }
        }
    }

    #[test]
    fn numbers_that_no_version_wrote_harm_nobody() {
        let (meters, quotas) = (Meters::new(), quotas(QuotaKind::Window, 60_000));
        for sign in [0, 3 << 2, u64::MAX, u64::MAX << 4] {
            for word in [1, u64::MAX] {
                meters.resume(Count { key_id: "k", sign, word }).unwrap();
            }
        }
        meters.counts(NOW, |_| ());
        let slot = meters.assign("k", &quotas).unwrap();
        assert_eq!(admitted(&meters, slot, &quotas, NOW), 60);
    }
}
