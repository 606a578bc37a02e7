//! Brings a database to the form that this program knows.
//!
//! Gateways that start at the same time come one after the other, by an advisory lock. One that
//! finds nothing to do needs no right to make tables.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::CALL_MAX;
use super::address::Address;
use super::pool::drive;
use super::session::{fault, silent};
use crate::relational::schema;
use crate::store::StoreError;

/// All steps together, and the wait for another gateway that takes them.
pub(super) const STEPS_MAX: Duration = Duration::from_secs(60);
/// "Clnd", as in the SQLite file.
const LOCK: i64 = 1_131_179_620;

mod steps {
    refinery::embed_migrations!("migrations/postgres");
}

/// Whether the steps are taken, and the task that takes them.
///
/// A task of its own, for a caller waits for seconds only and a step may take longer: it goes on when
/// nobody waits, and who asks next waits for the same one.
#[derive(Default)]
pub(super) struct Steps {
    are_taken: AtomicBool,
    running: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
}

impl Steps {
    /// Waits for as long as the caller does.
    pub(super) async fn taken(&self, address: &Address) -> Result<(), StoreError> {
        if self.are_taken.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut running = self.running.lock().await;
        if self.are_taken.load(Ordering::Acquire) {
            return Ok(());
        }
        let task = running.get_or_insert_with(|| tokio::spawn(migrate(address.clone())));
        let ended = task.await;
        *running = None;
        // Of a table of steps that somebody has written into, refinery knows nothing to say.
        let unread = |_| Err(StoreError::Schema("its table of steps cannot be read".to_owned()));
        ended.unwrap_or_else(unread)?;
        self.are_taken.store(true, Ordering::Release);
        Ok(())
    }
}

async fn migrate(address: Address) -> Result<(), StoreError> {
    let looked = timeout(CALL_MAX, look(&address)).await.map_err(silent)??;
    let Some(mut client) = looked else {
        return Ok(());
    };
    let taken = timeout(STEPS_MAX, take_steps(&mut client)).await;
    taken.unwrap_or_else(|_| {
        let text = format!("its schema was not ready within {} s", STEPS_MAX.as_secs());
        Err(StoreError::Unreachable(text))
    })
}

/// A connection, where steps are missing.
async fn look(address: &Address) -> Result<Option<Client>, StoreError> {
    let (client, driver) = address.connect().await?;
    tokio::spawn(drive(driver));
    let is_behind = schema::is_behind(&runner(), step(&client).await?)?;
    Ok(is_behind.then_some(client))
}

async fn take_steps(client: &mut Client) -> Result<(), StoreError> {
    client.execute("select pg_advisory_lock($1)", &[&LOCK]).await.map_err(fault)?;
    // Another gateway may have taken them meanwhile.
    if !schema::is_behind(&runner(), step(client).await?)? {
        return Ok(());
    }
    let taken = runner().run_async(client).await;
    taken.map(drop).map_err(|error| StoreError::Schema(reason(&error)))
}

/// All missing steps in one transaction.
fn runner() -> refinery::Runner {
    steps::migrations::runner().set_grouped(true)
}

/// Which step was taken last.
async fn step(client: &Client) -> Result<Option<i64>, StoreError> {
    let kept = "select to_regclass('refinery_schema_history') is not null";
    let row = client.query_one(kept, &[]).await.map_err(fault)?;
    if !row.try_get(0).map_err(fault)? {
        return Ok(None);
    }
    let row = client.query_one(schema::LAST_STEP, &[]).await.map_err(fault)?;
    Ok(row.try_get::<_, Option<i32>>(0).map_err(fault)?.map(i64::from))
}

/// With what the server said.
fn reason(error: &refinery::Error) -> String {
    let mut source = std::error::Error::source(error);
    let mut text = error.to_string();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
