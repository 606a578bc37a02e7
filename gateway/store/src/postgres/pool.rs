//! A bounded number of connections, each with one caller at a time.
//!
//! A connection comes back only from a call that ended well or was refused by a rule. From any other
//! it is closed, with whatever transaction was on it: nothing that a caller left halfway is ever met by
//! the next one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::{Client, Statement};

use super::CALL_MAX;
use super::address::{Address, Driver};
use super::schema::{STEPS_MAX, Steps};
use super::session::{Kind, Session, silent};
use crate::store::StoreError;

/// Callers at the same time. PostgreSQL takes 100 connections by default, of all gateways.
const WIDTH: usize = 4;

/// Bounds what a lost client can hold up, and keeps what was acknowledged.
const SETTINGS: &str = "\
set statement_timeout = '5s'; \
set lock_timeout = '5s'; \
set idle_in_transaction_session_timeout = '10s'; \
select set_config('synchronous_commit', 'on', false) \
where current_setting('synchronous_commit') = 'off'";

pub(super) struct Pool {
    address: Address,
    /// Of the schema; seen to by the first calls that the server answers.
    steps: Steps,
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Link>>>,
}

/// A connection with the statements that it knows.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) statements: HashMap<String, Statement>,
}

impl Pool {
    pub(super) fn new(address: Address) -> Pool {
        Pool {
            address,
            steps: Steps::default(),
            turns: Arc::new(Semaphore::new(WIDTH)),
            idle: Arc::new(Mutex::new(Vec::with_capacity(WIDTH))),
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Waits until the schema is this program's, for as long as its steps may take.
    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        timeout(STEPS_MAX + CALL_MAX, self.steps_taken()).await.map_err(silent)?
    }

    /// The same, without a bound of its own.
    pub(super) async fn steps_taken(&self) -> Result<(), StoreError> {
        self.steps.taken(&self.address).await
    }

    /// A connection with a transaction begun. Everything up to its end is within one bound.
    pub(super) async fn begin(&self, kind: Kind) -> Result<Session, StoreError> {
        let deadline = Instant::now() + CALL_MAX;
        timeout_at(deadline, self.steps_taken()).await.map_err(silent)??;
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = match timeout_at(deadline, turn).await {
            Ok(Ok(turn)) => turn,
            _ => return Err(StoreError::Unreachable("all connections are in use".to_owned())),
        };
        let link = match self.known() {
            Some(link) => link,
            None => timeout_at(deadline, connect(&self.address)).await.map_err(silent)??,
        };
        let place = Place { idle: Arc::clone(&self.idle), _turn: turn };
        Session::begin(link, place, kind, deadline).await
    }

    fn known(&self) -> Option<Link> {
        let mut idle = self.idle.lock();
        idle.retain(|link| !link.client.is_closed());
        idle.pop()
    }
}

/// Where a connection goes back to.
pub(super) struct Place {
    idle: Arc<Mutex<Vec<Link>>>,
    _turn: OwnedSemaphorePermit,
}

impl Place {
    pub(super) fn take_back(self, link: Link) {
        self.idle.lock().push(link);
    }
}

async fn connect(address: &Address) -> Result<Link, StoreError> {
    let (client, driver) = address.connect().await?;
    tokio::spawn(drive(driver));
    client.batch_execute(SETTINGS).await.map_err(super::session::fault)?;
    Ok(Link { client, statements: HashMap::new() })
}

/// Why it ended is told to whoever uses the connection.
pub(super) async fn drive(driver: Driver) {
    let _ = match driver {
        Driver::Plain(connection) => connection.await,
        Driver::Tls(connection) => connection.await,
    };
}
