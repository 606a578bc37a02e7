//! A bounded number of connections that are used one call at a time, off the asynchronous threads.
//!
//! A call goes on to its end even if nobody waits for it any more: a connection always comes back
//! without a transaction on it. One whose call panicked does not come back, and a new one is opened.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connection;
use crate::store::StoreError;

/// How long a call waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Lane {
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
    path: PathBuf,
}

impl Lane {
    pub(super) fn new(path: &Path, width: usize, first: Option<Connection>) -> Lane {
        Lane {
            turns: Arc::new(Semaphore::new(width)),
            idle: Arc::new(Mutex::new(first.into_iter().collect())),
            path: path.to_owned(),
        }
    }

    /// Runs a call on a connection of its own.
    pub(super) async fn run<T, E>(
        &self,
        call: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let turn = timeout(TURN_WAIT, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let text = format!("too many calls wait, this one for {} s", TURN_WAIT.as_secs());
            return Err(StoreError::Unreachable(text).into());
        };
        let (idle, path) = (Arc::clone(&self.idle), self.path.clone());
        let work = move || {
            let _turn = turn;
            let known = idle.lock().pop();
            let mut connection = known.map_or_else(|| connection::open(&path), Ok)?;
            let result = call(&mut connection);
            // One whose transaction could not be ended ends it by being closed.
            if connection.is_autocommit() {
                idle.lock().push(connection);
            }
            result
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| {
            Err(StoreError::Unreachable(format!("a call ended early: {error}")).into())
        })
    }
}

/// The outcome of a future that never waits, as those on this database.
pub(super) fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
