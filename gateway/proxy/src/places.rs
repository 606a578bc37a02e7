//! The places of one upstream: how many requests are under way to it, and how many wait to be.
//!
//! A request that finds none free is refused, or waits where `pending_max` lets it: so many at most, in
//! the order in which they came, and no longer than `pending_time`. A queue before a service that is too
//! slow makes it no faster, so none is kept unless it is asked for.
//!
//! Cost: a compare-and-swap to take a place, a lock held for a moment to give it back.
//! Sources: Envoy's circuit breakers (`max_connections`, `max_pending_requests`), Little's law.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pingora::time::timeout;
use tokio::sync::Semaphore;

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// All are taken, and all that may wait are waiting.
    Full,
    /// None became free in time.
    Waited,
}

#[derive(Debug)]
pub(crate) struct Places {
    free: Semaphore,
    max: usize,
    pending: AtomicUsize,
    pending_max: usize,
    pending_time: Duration,
}

impl Places {
    pub(crate) fn new(max: usize, pending_max: usize, pending_time: Duration) -> Places {
        let max = max.min(Semaphore::MAX_PERMITS);
        Places {
            free: Semaphore::new(max),
            max,
            pending: AtomicUsize::new(0),
            pending_max,
            pending_time,
        }
    }

    /// Takes a place that [`Places::give_back`] must get again.
    pub(crate) async fn take(&self) -> Result<(), NoPlace> {
        if let Ok(place) = self.free.try_acquire() {
            place.forget();
            return Ok(());
        }
        let _waiting = self.wait().ok_or(NoPlace::Full)?;
        match timeout(self.pending_time, self.free.acquire()).await {
            Ok(Ok(place)) => {
                place.forget();
                Ok(())
            }
            _ => Err(NoPlace::Waited),
        }
    }

    pub(crate) fn give_back(&self) {
        self.free.add_permits(1);
    }

    pub(crate) fn taken(&self) -> usize {
        self.max.saturating_sub(self.free.available_permits())
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    fn wait(&self) -> Option<Waiting<'_>> {
        let counted = self.pending.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |pending| {
            (pending < self.pending_max).then_some(pending + 1)
        });
        counted.ok().map(|_| Waiting(self))
    }
}

/// One of those that wait; it counts until it goes, whatever ends it.
struct Waiting<'a>(&'a Places);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn without_a_queue_the_next_one_is_refused_at_once() {
        let places = Places::new(2, 0, LONG);
        assert_eq!((places.take().await, places.take().await), (Ok(()), Ok(())));
        assert_eq!((places.take().await, places.taken()), (Err(NoPlace::Full), 2));
        places.give_back();
        assert_eq!(places.take().await, Ok(()));
    }

    #[tokio::test]
    async fn so_many_wait_in_their_order_and_no_more() {
        let places = Arc::new(Places::new(1, 2, LONG));
        places.take().await.unwrap();
        let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for number in 0..2 {
            let (waits, order) = (Arc::clone(&places), Arc::clone(&order));
            let before = places.pending();
            waiting.push(tokio::spawn(async move {
                waits.take().await.unwrap();
                order.lock().push(number);
            }));
            while places.pending() == before {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(places.take().await, Err(NoPlace::Full), "the third does not wait");
        for waited in waiting {
            places.give_back();
            waited.await.unwrap();
        }
        assert_eq!((&*order.lock(), places.pending(), places.taken()), (&vec![0, 1], 0, 1));
    }

    #[tokio::test]
    async fn who_waited_in_vain_leaves_no_trace() {
        let places = Places::new(1, 1, Duration::from_millis(1));
        places.take().await.unwrap();
        assert_eq!(places.take().await, Err(NoPlace::Waited));
        assert_eq!((places.pending(), places.taken()), (0, 1));
        places.give_back();
        assert_eq!(places.take().await, Ok(()));
    }
}
