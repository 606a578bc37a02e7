//! A panic in one request ends that request, and nothing beside it.
//!
//! Nothing here is meant to panic; this is for what nobody thought of. The task of a connection would die
//! of it: its client would see a connection that ends, and nobody a count. What unwinds gives back what it
//! held, for places, permits and gauges are guards.
//!
//! Not here: panics beside requests, which end their task. The log names their place (`cli/logging.rs`), and
//! not what they say: a panic may quote what it was about.
//!
//! Cost: none on the way that is taken; to catch an unwinding is a table the compiler writes.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// The work panicked.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Awaits `work`, which may panic.
///
/// To assert that this is sound is to say what may be left half-made. What the work owns is dropped, by the
/// unwinding or with it, and is not polled again. What it borrows is the exchange, of which only facts for
/// the record are read afterwards, and the session, which is written to only when nothing was begun and is
/// never used for another request. What all requests share is made of atomics, of snapshots that are
/// swapped whole, and of locks that no panic poisons, held for moments in which nothing is called that is
/// not ours.
pub(crate) async fn contained<F: Future>(mut work: Pin<&mut F>) -> Result<F::Output, Panicked> {
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

#[cfg(test)]
pub(crate) mod tests;
