//! The one place that reads a clock.
//!
//! Wall time is an anchor plus monotonic time, and a tick each second follows the system clock: forward
//! at once, back only when it stays behind. So a system clock that trembles tears no window; one that is
//! set begins a new window early, once. It is never ahead of the system clock by the length of a pause
//! between two readings: a key would expire before its time.
//!
//! What has ended does not live again when the system clock is set back: ends are judged by the latest
//! reading. A clock that was far ahead by mistake has then ended keys before their time, until another
//! process takes over, which does not know of it; the metric `colonnade_clock_behind_seconds` tells.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gateway_policy::{Reading, UnixMs};

/// Less than this behind the anchor is held, not followed.
const SLACK_US: i64 = 2_000_000;
/// Ticks in a row that must see the system clock behind before it is followed back.
const BEHIND_TICKS: u32 = 3;

/// Monotonic wall time.
#[derive(Debug)]
pub struct Clock {
    origin: Instant,
    /// Unix microseconds at `origin`.
    anchor_us: AtomicI64,
    behind: AtomicU32,
    /// Unix microseconds that the clock had reached when it last went back from further than ever.
    latest_us: AtomicI64,
}

impl Default for Clock {
    fn default() -> Self {
        let origin = Instant::now();
        Clock {
            origin,
            anchor_us: AtomicI64::new(anchor_us(system_us, || elapsed_us(origin))),
            behind: AtomicU32::new(0),
            latest_us: AtomicI64::new(0),
        }
    }
}

impl Clock {
    /// Now, once for a whole request.
    pub(crate) fn now(&self) -> (UnixMs, Stopwatch) {
        let watch = Stopwatch::start();
        (self.wall_at(watch.0), watch)
    }

    /// Wall time alone.
    pub fn wall(&self) -> UnixMs {
        self.wall_at(Instant::now())
    }

    /// Unix microseconds at which a span began.
    pub(crate) fn began_us(&self, watch: Stopwatch) -> u64 {
        self.wall_us_at(watch.0)
    }

    fn wall_at(&self, instant: Instant) -> UnixMs {
        UnixMs(self.wall_us_at(instant) / 1_000)
    }

    fn wall_us_at(&self, instant: Instant) -> u64 {
        let elapsed_us = instant.duration_since(self.origin).as_micros() as i64;
        // With the store in `follow`: who reads an anchor that went back sees what had been reached.
        let wall_us = self.anchor_us.load(Ordering::Acquire) + elapsed_us;
        u64::try_from(wall_us).unwrap_or(0)
    }

    /// A reading of this clock, and the latest that it ever showed.
    pub(crate) fn reading(&self, now: UnixMs) -> Reading {
        let latest = unix_ms(self.latest_us.load(Ordering::Relaxed));
        Reading { now, latest: now.max(latest) }
    }

    /// Follows the system clock; called about once a second by one task. Whole seconds for which it is
    /// behind its latest reading.
    pub(crate) fn tick(&self) -> u64 {
        if let Some(back_us) = self.follow(anchor_us(system_us, || elapsed_us(self.origin))) {
            let seconds = back_us / 1_000_000;
            tracing::warn!(seconds, "the system clock was set back; what has ended stays ended");
        }
        let now = self.wall();
        self.reading(now).latest.seconds() - now.seconds()
    }

    /// The microseconds by which it went back, if it did.
    fn follow(&self, target: i64) -> Option<i64> {
        let anchor = self.anchor_us.load(Ordering::Relaxed);
        let behind = anchor - target;
        if behind > 0 {
            let lasting = behind > SLACK_US
                && self.behind.fetch_add(1, Ordering::Relaxed) + 1 >= BEHIND_TICKS;
            if !lasting {
                return None;
            }
            self.latest_us.fetch_max(anchor + elapsed_us(self.origin), Ordering::Relaxed);
        }
        self.behind.store(0, Ordering::Relaxed);
        self.anchor_us.store(target, Ordering::Release);
        (behind > 0).then_some(behind)
    }
}

/// Measures a span on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Awaits `work` and says how long that took; what is ready at once took no time and no clock.
pub(crate) async fn waited<F: Future>(work: F) -> (F::Output, Duration) {
    let mut work = pin!(work);
    match poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        Poll::Ready(done) => (done, Duration::ZERO),
        Poll::Pending => {
            let watch = Stopwatch::start();
            let done = work.await;
            (done, watch.elapsed())
        }
    }
}

/// The `Date` header of an instant (RFC 9110 §5.6.7).
pub(crate) fn http_date(at: UnixMs) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(at.0))
}

fn system_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

/// Pairs of readings of which the best is taken: a thread may be put aside between the two.
const READINGS: usize = 4;

/// What the wall clock showed at the origin, in microseconds. The wall is read first, so that a pause
/// makes the result too small, never too great.
fn anchor_us(mut wall_us: impl FnMut() -> i64, mut elapsed_us: impl FnMut() -> i64) -> i64 {
    (0..READINGS).map(|_| wall_us() - elapsed_us()).max().unwrap_or_default()
}

fn unix_ms(us: i64) -> UnixMs {
    UnixMs(u64::try_from(us).unwrap_or(0) / 1_000)
}

fn elapsed_us(origin: Instant) -> i64 {
    origin.elapsed().as_micros() as i64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_step_back_is_followed_only_when_it_lasts() {
        let clock = Clock::default();
        let start = clock.anchor_us.load(Ordering::Relaxed);
        for (target, expected) in [
            (start + 5_000_000, start + 5_000_000),
            (start + 4_000_000, start + 5_000_000),
            (start, start + 5_000_000),
            (start, start + 5_000_000),
            (start, start),
        ] {
            clock.follow(target);
            assert_eq!(clock.anchor_us.load(Ordering::Relaxed), expected, "target {target}");
        }
    }

    #[test]
    fn what_has_ended_stays_ended_when_the_clock_goes_back() {
        const HOUR_US: i64 = 3_600_000_000;
        let clock = Clock::default();
        let start = clock.anchor_us.load(Ordering::Relaxed);
        clock.follow(start + HOUR_US);
        let end = clock.wall();
        assert_eq!(clock.reading(end), Reading { now: end, latest: end }, "it was never set back");
        let went_back = (0..BEHIND_TICKS).filter_map(|_| clock.follow(start)).collect::<Vec<_>>();
        assert_eq!(went_back, [HOUR_US]);
        let Reading { now, latest } = clock.reading(clock.wall());
        assert!(
            now.0 + 3_590_000 < end.0,
            "windows go on with the time of day: {now} and not {end}"
        );
        assert!(latest >= end, "an end at {end} is judged at {latest}");
        // Another mistake, a smaller one, forgets nothing; a time beyond it is simply the time.
        clock.follow(start + HOUR_US / 2);
        for _ in 0..BEHIND_TICKS {
            clock.follow(start);
        }
        assert_eq!(clock.reading(clock.wall()).latest, latest);
        clock.follow(start + 2 * HOUR_US);
        let now = clock.wall();
        assert_eq!(clock.reading(now).latest, now);
    }

    #[test]
    fn a_pause_between_two_readings_does_not_put_the_clock_ahead() {
        const ORIGIN_US: i64 = 1_000_000;
        for pauses_us in [[0; READINGS], [900; READINGS], [900, 40, 0, 900], [900, 900, 40, 900]] {
            // One clock behind both readings, put forward by the pause between them.
            let now = std::cell::Cell::new(0);
            let mut pauses = pauses_us.into_iter();
            let elapsed_us = || {
                now.set(now.get() + pauses.next().unwrap());
                now.get()
            };
            let anchor = anchor_us(|| ORIGIN_US + now.get(), elapsed_us);
            assert_eq!(anchor, ORIGIN_US - pauses_us.iter().min().unwrap(), "{pauses_us:?}");
        }
    }
}
