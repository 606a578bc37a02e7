//! A store whose changes are taken as they come.

use std::collections::HashSet;
use std::sync::Arc;

use gateway_admin::ReloadOutcome;
use gateway_policy::{KeyIndex, Meters, RecordFault, Rules};
use gateway_store::{Delta, SnapshotError, SnapshotFile, Unreadable};

use super::{Publisher, Source, Text};
use crate::holdings::Holdings;

/// What a store, or the snapshot of one that is away, had at the start.
pub(crate) struct StoreStart {
    pub(crate) deltas: Vec<Delta>,
    /// Where what is known is kept for the next start; none for a store of this node alone.
    pub(crate) snapshot: Option<SnapshotFile>,
    /// The store was away.
    pub(crate) is_stale: bool,
}

/// What became of changes.
pub(crate) enum Taken {
    /// This revision is served.
    Served(u64),
    /// Nothing: they do not tell all that has changed, which is to be read whole.
    NeedsWhole,
}

/// The records, and where they are kept for the next start.
pub(crate) struct StoreSource {
    holdings: Holdings,
    snapshot: Option<SnapshotFile>,
}

impl StoreSource {
    pub(super) fn start(
        start: StoreStart,
        rules: &Rules,
        meters: &Meters,
    ) -> (Source, KeyIndex, Vec<String>) {
        let mut holdings = Holdings::default();
        start.deltas.into_iter().for_each(|delta| holdings.fill(delta));
        let keys = holdings.compile(rules, meters);
        let faults = told(holdings.faults());
        tell_new(&faults, &[]);
        let mut source = StoreSource { holdings, snapshot: start.snapshot };
        if !start.is_stale {
            source.save_whole();
        }
        (Source::Store(Box::new(source)), keys, faults)
    }

    /// Puts a delta on disk before it is served.
    fn save(&mut self, delta: &Delta) {
        let Some(snapshot) = self.snapshot.as_mut().filter(|snapshot| !snapshot.is_due()) else {
            return;
        };
        if let Err(error) = snapshot.append(delta) {
            give_up(snapshot, &error);
        }
    }

    /// Writes all that is known, if nothing can be appended or too much was.
    fn save_whole(&mut self) {
        let Some(snapshot) = self.snapshot.as_mut().filter(|snapshot| snapshot.is_due()) else {
            return;
        };
        if let Err(error) = snapshot.write(self.holdings.revision(), self.holdings.records()) {
            give_up(snapshot, &error);
        }
    }
}

/// Takes a file away that could not be kept up: a start from it could bring back what was revoked.
fn give_up(snapshot: &mut SnapshotFile, error: &SnapshotError) {
    tracing::error!(%error, "the snapshot cannot be kept; a start without the store is not possible");
    if let Err(error) = snapshot.remove() {
        tracing::error!(%error, "the snapshot is out of date and cannot be taken away");
    }
}

impl Publisher {
    /// Takes what the store has that is new, and serves it.
    pub(crate) fn take_delta(&mut self, delta: Delta) -> Option<Taken> {
        let (rules, meters) = (Arc::clone(&self.rules), Arc::clone(&self.meters));
        self.store_lags(0);
        let source = self.store_source()?;
        if delta.accounts.is_empty() && delta.revision <= source.holdings.revision() {
            source.save_whole();
            return Some(Taken::Served(source.holdings.revision()));
        }
        if source.holdings.is_hidden_by(&delta) {
            return Some(Taken::NeedsWhole);
        }
        source.save(&delta);
        let turn = source.holdings.take(delta, &rules, &meters);
        source.save_whole();
        let before = self.published.current();
        let keys = turn.apply(&before.snapshot.keys);
        self.put(keys, Arc::clone(&before.upstreams), Arc::clone(&before.docs));
        // What is left out is told, but not waited for: the change is served already.
        let source = self.store_source()?;
        let (left_out, revision) = (told(source.holdings.faults()), source.holdings.revision());
        self.show_left_out(left_out);
        Some(Taken::Served(revision))
    }

    /// Replaces all that is known by what the store has: after a time in which it could not be asked
    /// for changes alone.
    pub(crate) fn take_whole(&mut self, delta: Delta) -> Option<u64> {
        let (rules, meters) = (Arc::clone(&self.rules), Arc::clone(&self.meters));
        let source = self.store_source()?;
        source.holdings = Holdings::default();
        source.holdings.fill(delta);
        let keys = source.holdings.compile(&rules, &meters);
        if let Some(snapshot) = &mut source.snapshot {
            // Whatever it has holds no more, also if it cannot be written anew.
            snapshot.forget();
        }
        source.save_whole();
        let live: HashSet<String> = source.holdings.key_ids().map(str::to_owned).collect();
        let (left_out, revision) = (told(source.holdings.faults()), source.holdings.revision());
        self.publish(keys, &live);
        self.show_left_out(left_out);
        Some(revision)
    }

    /// Some of the records that could not be read, other ones each turn.
    pub(crate) fn unreadable(&mut self, turn: usize, max: usize) -> Vec<Unreadable> {
        let Some(source) = self.store_source() else { return Vec::new() };
        let all = source.holdings.unreadable();
        all.chunks(max).nth(turn % all.len().div_ceil(max).max(1)).unwrap_or_default().to_vec()
    }

    /// The store has not answered for so long.
    pub(crate) fn store_lags(&mut self, seconds: u64) {
        self.metrics.store_lag.set(seconds as i64);
    }

    /// Publishes all keys under a configuration that has changed, or says why not.
    pub(super) fn take_configuration(&mut self, config: &Text) -> ReloadOutcome {
        let left_out = self.shown().left_out;
        let text = match config {
            Ok(Some(text)) => text,
            Ok(None) => return self.outcome_of(Vec::new(), left_out),
            Err(faults) => return self.outcome_of(faults.clone(), left_out),
        };
        match self.load(text) {
            Ok((next, certificates)) => self.adopt(next, certificates, text),
            Err(faults) => return self.outcome_of(faults, left_out),
        }
        let (rules, meters) = (Arc::clone(&self.rules), Arc::clone(&self.meters));
        let Some(source) = self.store_source() else {
            return self.outcome_of(Vec::new(), left_out);
        };
        let keys = source.holdings.compile(&rules, &meters);
        let faults = told(source.holdings.faults());
        tell_new(&faults, &left_out);
        let live: HashSet<String> = source.holdings.key_ids().map(str::to_owned).collect();
        self.publish(keys, &live);
        self.outcome_of(Vec::new(), faults)
    }

    fn show_left_out(&mut self, left_out: Vec<String>) {
        let before = self.shown().left_out;
        if before == left_out {
            return;
        }
        tell_new(&left_out, &before);
        let mut outcome = self.outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        outcome.left_out = left_out;
    }

    fn store_source(&mut self) -> Option<&mut StoreSource> {
        match &mut self.source {
            Source::Store(source) => Some(source),
            Source::File(_) => None,
        }
    }
}

/// Logs what is left out and was not before.
fn tell_new(left_out: &[String], before: &[String]) {
    let before: HashSet<&String> = before.iter().collect();
    for fault in left_out.iter().filter(|fault| !before.contains(fault)) {
        tracing::error!(%fault, "record left out");
    }
}

fn told<'a>(faults: impl Iterator<Item = &'a RecordFault>) -> Vec<String> {
    faults.map(|fault| format!("{}: {}", fault.path, fault.message)).collect()
}
