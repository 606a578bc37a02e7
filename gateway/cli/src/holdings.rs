//! What this node knows of a store, and what becomes of it when a part changes.
//!
//! Records are kept beside the compiled index so that a new configuration can be applied while the
//! store is away. A change of one key compiles that key alone; a change of its account, or of one of
//! its users, compiles the account's keys.
//!
//! Cost: about a kilobyte a key beside the index; a change of one key copies one shard of that.

use std::collections::{BTreeMap, HashMap};

use gateway_policy::{
    AccountRecord, CompiledAccount, Digest, Entries, KeyIndex, KeyRecord, Meters, RecordFault,
    Rules, compile_account, compile_key,
};
use gateway_store::{Delta, Unreadable};

/// All accounts that the store has, as of a revision.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    accounts: HashMap<String, Held>,
    /// Of records that the store could not read.
    unreadable: Vec<Unreadable>,
    faults: Faults,
    revision: u64,
}

/// What is left out, by the place of the record.
type Faults = BTreeMap<String, Vec<RecordFault>>;

#[derive(Debug)]
struct Held {
    /// With all of its users and keys.
    record: AccountRecord,
    /// `None`: it has faults, and none of its keys is served.
    compiled: Option<CompiledAccount>,
    /// By key id.
    keys: HashMap<String, HeldKey>,
}

#[derive(Debug, Default)]
struct HeldKey {
    /// Where it is in the record's list.
    place: usize,
    /// The digests that it is served under.
    digests: Vec<Digest>,
}

/// What compiling needs and changes.
struct Compiling<'a> {
    rules: &'a Rules,
    meters: &'a Meters,
    faults: &'a mut Faults,
    turn: Turn,
}

/// What an index has to forget and to learn.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    gone: Vec<Digest>,
    come: Entries,
}

impl Turn {
    pub(crate) fn apply(self, index: &KeyIndex) -> KeyIndex {
        index.changed(self.gone, self.come)
    }
}

impl Holdings {
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Records that the store could not read.
    pub(crate) fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }

    /// Whether changes are of records that cannot be read, or could not be: then they do not tell all
    /// that has changed. Of an account that can be read again they lack the keys that stayed as they were.
    pub(crate) fn is_hidden_by(&self, delta: &Delta) -> bool {
        let is_again = |record: &AccountRecord| {
            self.unreadable.iter().filter(|known| known.account == record.id).any(|known| {
                known.key.as_ref().is_none_or(|id| record.keys.iter().any(|key| key.id == *id))
            })
        };
        !delta.unreadable.is_empty()
            || (!self.unreadable.is_empty() && delta.accounts.iter().any(is_again))
    }

    /// In no order.
    pub(crate) fn records(&self) -> impl Iterator<Item = &AccountRecord> {
        self.accounts.values().map(|held| &held.record)
    }

    /// What is left out, by account and key.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &RecordFault> {
        let unreadable = self.unreadable.iter().map(|known| &known.fault);
        unreadable.chain(self.faults.values().flatten())
    }

    pub(crate) fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.accounts.values().flat_map(|held| held.keys.keys().map(String::as_str))
    }

    /// Takes what is new, for [`compile`](Holdings::compile) to be called.
    pub(crate) fn fill(&mut self, delta: Delta) {
        self.unreadable = delta.unreadable;
        for record in delta.accounts {
            self.held(&record.id).merge(record);
        }
        self.revision = self.revision.max(delta.revision);
    }

    /// Takes what is new, and says what it changes.
    pub(crate) fn take(&mut self, delta: Delta, rules: &Rules, meters: &Meters) -> Turn {
        let mut faults = std::mem::take(&mut self.faults);
        let mut compiling = Compiling { rules, meters, faults: &mut faults, turn: Turn::default() };
        for record in delta.accounts {
            let held = self.held(&record.id);
            match held.merge(record) {
                Some(keys) if held.compiled.is_some() => {
                    keys.iter().for_each(|id| held.compile_one(id, &mut compiling));
                }
                _ => held.compile_all(&mut compiling),
            }
        }
        let turn = compiling.turn;
        self.faults = faults;
        self.revision = self.revision.max(delta.revision);
        turn
    }

    /// Compiles everything anew.
    pub(crate) fn compile(&mut self, rules: &Rules, meters: &Meters) -> KeyIndex {
        self.faults.clear();
        let mut compiling =
            Compiling { rules, meters, faults: &mut self.faults, turn: Turn::default() };
        self.accounts.values_mut().for_each(|held| held.compile_all(&mut compiling));
        KeyIndex::build(compiling.turn.come)
    }

    fn held(&mut self, id: &str) -> &mut Held {
        self.accounts.entry(id.to_owned()).or_insert_with(|| Held {
            // No account of the store is like it, so that the first one is another.
            record: AccountRecord::new(id, ""),
            compiled: None,
            keys: HashMap::new(),
        })
    }
}

impl Held {
    /// Takes the record's fields and users as they are, and its keys instead of those of their ids.
    /// The ids of these, if nothing else has changed.
    fn merge(&mut self, mut new: AccountRecord) -> Option<Vec<String>> {
        let changed = std::mem::take(&mut new.keys);
        let keys = std::mem::take(&mut self.record.keys);
        let is_same = self.record == new;
        self.record = AccountRecord { keys, ..new };
        let ids = changed.iter().map(|key| key.id.clone()).collect();
        changed.into_iter().for_each(|key| self.put(key));
        is_same.then_some(ids)
    }

    fn put(&mut self, key: KeyRecord) {
        match self.keys.get(&key.id).and_then(|held| self.record.keys.get_mut(held.place)) {
            Some(record) => *record = key,
            None => {
                let held = HeldKey { place: self.record.keys.len(), ..HeldKey::default() };
                self.keys.insert(key.id.clone(), held);
                self.record.keys.push(key);
            }
        }
    }

    fn compile_all(&mut self, compiling: &mut Compiling<'_>) {
        let place = format!("accounts.{}", self.record.id);
        self.compiled = match compile_account(&self.record, compiling.rules) {
            Ok(compiled) => {
                compiling.faults.remove(&place);
                Some(compiled)
            }
            Err(faults) => {
                compiling.faults.insert(place, faults);
                None
            }
        };
        for key in 0..self.record.keys.len() {
            let id = self.record.keys[key].id.clone();
            self.compile_one(&id, compiling);
        }
    }

    fn compile_one(&mut self, id: &str, compiling: &mut Compiling<'_>) {
        let Some(held) = self.keys.get_mut(id) else { return };
        let turn = &mut compiling.turn;
        turn.gone.append(&mut held.digests);
        let place = || format!("accounts.{}.keys.{id}", self.record.id);
        if !compiling.faults.is_empty() {
            compiling.faults.remove(&place());
        }
        let (Some(compiled), Some(key)) = (&self.compiled, self.record.keys.get(held.place)) else {
            return;
        };
        match compile_key(compiled, &self.record, key, compiling.rules, compiling.meters) {
            Ok(entries) => {
                held.digests.extend(entries.iter().map(|(digest, _)| *digest));
                turn.come.extend(entries);
            }
            Err(faults) => {
                compiling.faults.insert(place(), faults);
            }
        }
    }
}

#[cfg(test)]
mod tests;
