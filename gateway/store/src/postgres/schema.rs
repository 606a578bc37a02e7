//! Brings a database to the form that this program knows.
//!
//! Gateways that start at the same time come one after the other, by an advisory lock. One that
//! finds nothing to do needs no right to make tables.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Client;

use super::address::Address;
use super::pool::drive;
use super::session::fault;
use crate::relational::schema;
use crate::store::StoreError;

/// All steps together, and the wait for another gateway that takes them.
const STEPS_MAX: Duration = Duration::from_secs(60);
/// "Clnd", as in the SQLite file.
const LOCK: i64 = 1_131_179_620;

mod steps {
    refinery::embed_migrations!("migrations/postgres");
}

pub(super) async fn migrate(address: &Address) -> Result<(), StoreError> {
    let connect = timeout(super::CALL_MAX, address.connect()).await;
    let (mut client, driver) = connect.map_err(super::session::silent)??;
    tokio::spawn(drive(driver));
    let done = timeout(STEPS_MAX, take_steps(&mut client)).await;
    done.unwrap_or_else(|_| {
        let text = format!("its schema was not ready within {} s", STEPS_MAX.as_secs());
        Err(StoreError::Unreachable(text))
    })
}

async fn take_steps(client: &mut Client) -> Result<(), StoreError> {
    let runner = steps::migrations::runner().set_grouped(true);
    if !schema::is_behind(&runner, step(client).await?)? {
        return Ok(());
    }
    client.execute("select pg_advisory_lock($1)", &[&LOCK]).await.map_err(fault)?;
    // Another gateway may have taken them meanwhile.
    if !schema::is_behind(&runner, step(client).await?)? {
        return Ok(());
    }
    let taken = runner.run_async(client).await;
    taken.map(drop).map_err(|error| StoreError::Schema(reason(&error)))
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
