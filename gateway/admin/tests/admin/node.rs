//! A node without a gateway: a clock that tests move, keys that they can look for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use gateway_admin::{
    AdminToken, ColumnNotes, DirectoryStatus, KeyRules, KeyText, NewKey, NoRandomness, Permission,
    Preview, PreviewAsk, ReloadOutcome, ResourceNotes, ServerStatus, Status, ThisNode, Tokens,
    UpstreamStatus,
};
use gateway_limits::UnixMs;
use gateway_policy::{Digest, Rules};
use gateway_store::{Node, Store, UsageFlush};
use tokio::sync::Notify;

/// A moment to begin at: 2026-11-21T10:00:00Z.
pub(crate) const BEGAN: u64 = 1_795_255_200_000;

pub(crate) struct TestNode {
    pub(crate) rules: Arc<Rules>,
    pub(crate) key_rules: Mutex<KeyRules>,
    pub(crate) resources: Vec<ResourceNotes>,
    pub(crate) store: Option<Arc<dyn Store>>,
    pub(crate) now: AtomicU64,
    /// Every key that was made.
    pub(crate) made: Mutex<Vec<String>>,
    /// Counted, and not yet in the store.
    pub(crate) counted: Mutex<Vec<UsageFlush>>,
    /// Nothing is served until this is set and notified.
    pub(crate) serves: AtomicBool,
    pub(crate) serving: Notify,
    pub(crate) tokens: Mutex<Tokens>,
    pub(crate) asked: Mutex<Option<PreviewAsk>>,
    number: AtomicU64,
}

pub(crate) const TOKENS: [(&str, &[Permission]); 5] = [
    ("root", &[Permission::Keys, Permission::Data, Permission::Accounts, Permission::Read]),
    ("keys", &[Permission::Keys]),
    ("data", &[Permission::Data]),
    ("accounts", &[Permission::Accounts]),
    ("read", &[Permission::Read]),
];

impl TestNode {
    pub(crate) fn new(text: &str, store: Option<Arc<dyn Store>>) -> TestNode {
        let loaded = gateway_settings::load(text, "gateway.yaml".as_ref(), &Nothing).unwrap();
        let token = |(name, permissions): &(&str, &[Permission])| AdminToken {
            name: (*name).to_owned(),
            digest: Digest::sha256(name.as_bytes()),
            permissions: permissions.to_vec(),
        };
        let column = |notes: &gateway_settings::ColumnNotes| ColumnNotes {
            path: notes.path.clone(),
            label: notes.label.clone(),
            personal: notes.personal,
            shown_by_default: notes.shown_by_default,
            always: notes.always,
            assistant: notes.assistant,
        };
        let resources = loaded.settings.resources.iter().map(|notes| ResourceNotes {
            name: notes.name.clone(),
            columns: notes.columns.iter().map(column).collect(),
        });
        TestNode {
            resources: resources.collect(),
            rules: Arc::new(loaded.rules),
            key_rules: Mutex::new(KeyRules {
                prefix: "avoca_".to_owned(),
                regex: "avoca_[0-9a-f]{64}".to_owned(),
                live_max: 10,
                data_scope_required: false,
            }),
            store,
            now: AtomicU64::new(BEGAN),
            made: Mutex::default(),
            counted: Mutex::default(),
            serves: AtomicBool::new(true),
            serving: Notify::new(),
            tokens: Mutex::new(Tokens(TOKENS.iter().map(token).collect())),
            asked: Mutex::default(),
            number: AtomicU64::new(0),
        }
    }

    pub(crate) fn pass(&self, ms: u64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    /// Another node of the fleet says what it serves.
    pub(crate) async fn hear(&self, id: &str, revision: u64) {
        let node =
            Node { id: id.to_owned(), revision, seen_at: self.now(), version: "1".to_owned() };
        self.store.as_ref().unwrap().heartbeat(&node).await.unwrap();
    }
}

/// Nothing is in the surroundings.
struct Nothing;

impl gateway_settings::LookUp for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &std::path::Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

#[async_trait]
impl ThisNode for TestNode {
    fn tokens(&self) -> Tokens {
        self.tokens.lock().unwrap().clone()
    }

    fn status(&self) -> Status {
        Status {
            node: "n1".to_owned(),
            version: "1",
            revision: 7,
            keys: 3,
            draining: false,
            last_reload: ReloadOutcome { ok: true, at_ms: BEGAN, ..ReloadOutcome::default() },
            directory: DirectoryStatus {
                kind: self.store.as_ref().map_or("file", |store| store.kind()),
                revision: self.store.as_ref().map(|_| 2),
                from_snapshot: false,
                left_out: Vec::new(),
            },
            upstreams: vec![UpstreamStatus {
                name: "calls".to_owned(),
                breaker_open: false,
                servers: vec![ServerStatus {
                    server: "calls.internal:80".to_owned(),
                    address: None,
                    state: "unresolved",
                }],
            }],
        }
    }

    async fn reload(&self) -> ReloadOutcome {
        let faults = vec!["gateway.yaml:1:1: version: is missing".to_owned()];
        ReloadOutcome { ok: false, at_ms: BEGAN, faults, left_out: Vec::new() }
    }

    fn now(&self) -> UnixMs {
        UnixMs(self.now.load(Ordering::Relaxed))
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules)
    }

    fn key_rules(&self) -> KeyRules {
        self.key_rules.lock().unwrap().clone()
    }

    fn resource_notes(&self) -> Vec<ResourceNotes> {
        self.resources.clone()
    }

    fn new_key(&self) -> Result<NewKey, NoRandomness> {
        // Digits as mixed as random ones, and others for each key.
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let seed = Digest::sha256(&number.to_be_bytes()).to_string();
        let text = format!("avoca_{}", seed.trim_start_matches("sha256:"));
        self.made.lock().unwrap().push(text.clone());
        let display = format!("{}…{}", &text[..10], &text[text.len() - 4..]);
        let digest = Digest::sha256(text.as_bytes());
        Ok(NewKey { text: KeyText::new(text), digest, display })
    }

    async fn served(&self, _: u64) {
        let notified = self.serving.notified();
        if !self.serves.load(Ordering::Acquire) {
            notified.await;
        }
    }

    async fn flush_usage(&self) {
        let flushes = std::mem::take(&mut *self.counted.lock().unwrap());
        for flush in flushes {
            self.store.as_ref().unwrap().add_usage(&flush).await.unwrap();
        }
    }

    fn preview(&self, ask: &PreviewAsk) -> Result<Preview, String> {
        *self.asked.lock().unwrap() = Some(ask.clone());
        Ok(Preview {
            body: br#"{"data":[{"call_id":"c1"}]}"#.to_vec(),
            columns_hidden: vec!["phone".to_owned()],
            rows_hidden: 1,
            mapped: 2,
            fallback: 3,
        })
    }
}
