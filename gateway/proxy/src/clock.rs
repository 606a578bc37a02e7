//! The one place that reads a clock.
//!
//! Wall time is an anchor plus monotonic time, so a jump of the system clock tears no window. A
//! tick each second follows the system clock: forward at once, back only when it stays behind.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gateway_policy::UnixMs;

/// Less than this behind the anchor is held, not followed.
const SLACK_MS: i64 = 2_000;
/// Ticks in a row that must see the system clock behind before it is followed back.
const BEHIND_TICKS: u32 = 3;

/// Monotonic wall time.
#[derive(Debug)]
pub struct Clock {
    origin: Instant,
    /// Unix milliseconds at `origin`.
    anchor_ms: AtomicI64,
    behind: AtomicU32,
}

impl Default for Clock {
    fn default() -> Self {
        Clock {
            origin: Instant::now(),
            anchor_ms: AtomicI64::new(system_ms()),
            behind: AtomicU32::new(0),
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

    fn wall_at(&self, instant: Instant) -> UnixMs {
        let elapsed = instant.duration_since(self.origin).as_millis() as i64;
        UnixMs(u64::try_from(self.anchor_ms.load(Ordering::Relaxed) + elapsed).unwrap_or(0))
    }

    /// Follows the system clock; called about once a second by one task.
    pub fn tick(&self) {
        let elapsed = self.origin.elapsed().as_millis() as i64;
        self.follow(system_ms() - elapsed);
    }

    fn follow(&self, target: i64) {
        let behind = self.anchor_ms.load(Ordering::Relaxed) - target;
        if behind > 0 {
            let lasting = behind > SLACK_MS
                && self.behind.fetch_add(1, Ordering::Relaxed) + 1 >= BEHIND_TICKS;
            if !lasting {
                return;
            }
        }
        self.behind.store(0, Ordering::Relaxed);
        self.anchor_ms.store(target, Ordering::Relaxed);
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

fn system_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_is_followed_only_when_it_lasts() {
        let clock = Clock::default();
        let start = clock.anchor_ms.load(Ordering::Relaxed);
        for (target, expected) in [
            (start + 5_000, start + 5_000),
            (start + 4_000, start + 5_000),
            (start, start + 5_000),
            (start, start + 5_000),
            (start, start),
        ] {
            clock.follow(target);
            assert_eq!(clock.anchor_ms.load(Ordering::Relaxed), expected, "target {target}");
        }
    }
}
