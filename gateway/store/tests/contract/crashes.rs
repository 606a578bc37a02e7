//! A process that is killed between two instructions, whichever they are.
//!
//! The process is this test binary again, with an address in its environment. It tells each change that
//! was acknowledged to it on its standard error, where the harness does not write.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use gateway_policy::AccountRecord;
use gateway_store::{Change, Store};

use crate::place::{Place, reopen};
use crate::records::{all, write};

const ADDRESS: &str = "COLONNADE_TEST_WRITER";
const ROUNDS: u32 = 200;
const ACKNOWLEDGED_MAX: u32 = 12;

/// Whoever was told that a change is made finds it made.
pub(crate) async fn no_acknowledged_change_is_lost_when_its_process_is_killed(place: Place) {
    let store = place.open().await;
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        // Spread over the first changes, in a fixed order that looks like none.
        let killed_after = round * 7 % ACKNOWLEDGED_MAX;
        acknowledged.extend(killed(&place.address(), round, killed_after));
        assert!(acknowledged.len() > killed_after as usize);
        if round % 20 == 0 {
            all_there(&*store, &acknowledged).await;
        }
    }
    all_there(&*store, &acknowledged).await;
    all_there(&*place.open().await, &acknowledged).await;
    // What was not acknowledged was made wholly or not at all, and the next change goes through.
    let revision = store.load().await.unwrap().revision;
    let newest = store.audit(None, all(1)).await.unwrap().items.remove(0);
    assert_eq!(newest.revision, revision);
    let after = AccountRecord::new("after", "starter");
    let written = write(&*store, Change::CreateAccount(Box::new(after))).await;
    assert_eq!(written.revision, revision + 1);
}

async fn all_there(store: &dyn Store, acknowledged: &[String]) {
    let loaded = store.load().await.unwrap();
    let known: Vec<&str> = loaded.accounts.iter().map(|account| account.id.as_str()).collect();
    assert_eq!(loaded.revision, known.len() as u64, "an account a revision");
    for id in acknowledged {
        assert!(known.contains(&id.as_str()), "{id} was acknowledged");
    }
}

/// Ids that a process told before it was killed.
fn killed(address: &str, round: u32, killed_after: u32) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crashes::writes_until_it_is_killed", "--nocapture"])
        .env(ADDRESS, format!("{round} {address}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut told = Vec::new();
    for line in lines.by_ref() {
        told.push(line.unwrap());
        if told.len() as u32 > killed_after {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it told until it was dead counts too, save a line that it did not end.
    told.extend(lines.map_while(Result::ok).filter(|line| line.ends_with('.')));
    told.into_iter().map(|line| line.trim_end_matches('.').to_owned()).collect()
}

/// The process that is killed; by itself, a test of nothing.
#[test]
fn writes_until_it_is_killed() {
    let Ok(given) = std::env::var(ADDRESS) else { return };
    let (round, address) = given.split_once(' ').unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = reopen(address).await;
        for number in 0..10_000 {
            let id = format!("r{round}_{number}");
            write(&*store, Change::CreateAccount(Box::new(AccountRecord::new(&id, "starter")))).await;
            std::io::stderr().write_all(format!("{id}.\n").as_bytes()).unwrap();
        }
    });
}
