//! Hears of changes that others have made.
//!
//! Notifications that came while nobody listened are lost, so after each connect the revision is read
//! once. A connection that is dead without anybody saying so is found out by TCP's keepalives; until
//! then polling tells (`Store::news`).

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_postgres::AsyncMessage;

use super::CALL_MAX;
use super::address::Driver;
use super::pool::Pool;
use super::session::{fault, silent};
use crate::relational::tell;
use crate::store::StoreError;

pub(super) const CHANNEL: &str = "colonnade";
/// Between two tries; doubled with each that fails.
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(8);
/// Messages that wait to be looked at. Only the last one counts, so more need not.
const WAITING_MAX: usize = 64;

/// Tells `seen` of each revision, for as long as the store lives.
pub(super) async fn listen(pool: Arc<Pool>, seen: watch::Sender<u64>) {
    let mut wait = WAIT_MIN;
    loop {
        match timeout(CALL_MAX, connect(&pool)).await.map_err(silent).flatten() {
            Ok(mut listening) => {
                wait = WAIT_MIN;
                tell(&seen, listening.revision);
                while let Some(revision) = listening.notified.recv().await {
                    tell(&seen, revision);
                }
                tracing::warn!("the connection that listens to PostgreSQL has ended");
            }
            Err(error) => tracing::warn!(%error, "cannot listen to PostgreSQL"),
        }
        sleep(wait).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

struct Listening {
    /// The connection ends with it.
    _client: tokio_postgres::Client,
    revision: u64,
    notified: mpsc::Receiver<u64>,
}

async fn connect(pool: &Pool) -> Result<Listening, StoreError> {
    // Before the first step there is no revision to read.
    pool.steps_taken().await?;
    let (client, driver) = pool.address().connect().await?;
    let (notify, notified) = mpsc::channel(WAITING_MAX);
    tokio::spawn(drive(driver, notify));
    client.batch_execute(&format!("listen {CHANNEL}")).await.map_err(fault)?;
    let row = client.query_one("select revision from meta", &[]).await.map_err(fault)?;
    let revision: i64 = row.try_get(0).map_err(fault)?;
    Ok(Listening { _client: client, revision: revision.unsigned_abs(), notified })
}

/// Drives a connection to its end, and passes on what it is notified of.
async fn drive(mut driver: Driver, notify: mpsc::Sender<u64>) {
    loop {
        let message = poll_fn(|context| match &mut driver {
            Driver::Plain(connection) => connection.poll_message(context),
            Driver::Tls(connection) => connection.poll_message(context),
        });
        match message.await {
            Some(Ok(AsyncMessage::Notification(told))) if told.channel() == CHANNEL => {
                if let Ok(revision) = told.payload().parse() {
                    // Full: what waits is looked at later than this, and polling tells the rest.
                    let _ = notify.try_send(revision);
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}
