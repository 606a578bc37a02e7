//! Looks again at records that could not be read.
//!
//! A change of such a record comes with its revision, and everything is read anew. What a hand mends in
//! the database has none: it is asked for by itself, ever more rarely, and only when it can be read
//! everything is. So a record that stays as it is costs the changes beside it nothing.

use std::time::{Duration, Instant};

use gateway_store::{Store, StoreError, Unreadable};

use super::Feed;
use crate::serve::{SharedPublisher, blocking};

/// Between two looks: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Records asked for at one look, each by itself; a change waits for so many at most.
const RECORDS_MAX: usize = 32;

pub(super) struct Rereads {
    next: Instant,
    pause: Duration,
    turn: usize,
}

impl Default for Rereads {
    fn default() -> Self {
        Rereads { next: Instant::now() + PAUSE.0, pause: PAUSE.0, turn: 0 }
    }
}

impl Rereads {
    /// Where it is time to: brings everything if a record can be read again.
    ///
    /// # Errors
    /// The store does not answer.
    pub(super) async fn look(
        &mut self,
        feed: &Feed,
        publisher: &SharedPublisher,
    ) -> Result<(), StoreError> {
        if Instant::now() < self.next {
            return Ok(());
        }
        let turn = self.turn;
        let some = blocking(publisher, move |publisher| publisher.unreadable(turn, RECORDS_MAX));
        let some = some.await.unwrap_or_default();
        self.turn = turn.wrapping_add(1);
        self.pause = if some.is_empty() { PAUSE.0 } else { (self.pause * 2).min(PAUSE.1) };
        self.next = Instant::now() + self.pause;
        for record in &some {
            if is_readable(&*feed.store, record).await? {
                return feed.bring_whole(publisher).await;
            }
        }
        Ok(())
    }
}

/// Whether all of the store is worth to be read for it. What is gone is not in the way any more, either.
async fn is_readable(store: &dyn Store, record: &Unreadable) -> Result<bool, StoreError> {
    let read = match &record.key {
        Some(key) => store.key(key).await.map(drop),
        None => store.account(&record.account).await.map(drop),
    };
    match read {
        Ok(()) => Ok(true),
        Err(error @ StoreError::Unreachable(_)) => Err(error),
        Err(_) => Ok(false),
    }
}
