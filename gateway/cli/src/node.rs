//! What the admin API asks of the process that it runs in: a gateway that serves, or a command.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use gateway_admin::{
    AdminToken, ColumnNotes, DirectoryStatus, KeyRules, KeyText, NewKey, NoRandomness, Permission,
    Preview, PreviewAsk, ReloadOutcome, ResourceNotes, ServerStatus, Status, ThisNode, Tokens,
    UpstreamStatus,
};
use gateway_policy::{Digest, Published, Rules, UnixMs};
use gateway_proxy::{Clock, FoundServer, FoundUpstream, Gateway, Serving};
use gateway_settings::{Alphabet, KeyForm, Loaded, Settings};
use tokio::sync::{mpsc, oneshot};

use crate::counting::Counting;
use crate::feed::Feed;
use crate::serve::Reload;
use crate::{mint, preview};

/// A gateway that serves.
pub(crate) struct ServingNode {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) published: Arc<Published<Serving>>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) settings: Arc<Mutex<Arc<Settings>>>,
    pub(crate) tokens: Arc<Mutex<Vec<gateway_settings::AdminToken>>>,
    /// The token of the environment.
    pub(crate) token: Option<AdminToken>,
    pub(crate) outcome: Arc<Mutex<ReloadOutcome>>,
    pub(crate) reloads: mpsc::Sender<Reload>,
    /// The store and what goes there; none of a directory file.
    pub(crate) store: Option<(Feed, Arc<Counting>)>,
}

impl ServingNode {
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn outcome(&self) -> ReloadOutcome {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl ThisNode for ServingNode {
    fn tokens(&self) -> Tokens {
        let configured = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        Tokens(configured.iter().map(token).chain(self.token.clone()).collect())
    }

    fn status(&self) -> Status {
        let serving = self.published.current();
        let snapshot = &serving.snapshot;
        let last_reload = self.outcome();
        let directory = DirectoryStatus {
            kind: self.store.as_ref().map_or("file", |(feed, _)| feed.store.kind()),
            revision: self.store.as_ref().map(|(feed, _)| feed.revision()),
            from_snapshot: self.store.as_ref().is_some_and(|(feed, _)| feed.is_from_snapshot()),
            left_out: last_reload.left_out.clone(),
        };
        Status {
            node: self.store.as_ref().map_or_else(String::new, |(feed, _)| feed.node.clone()),
            version: env!("CARGO_PKG_VERSION"),
            revision: snapshot.revision,
            keys: snapshot.keys.len(),
            draining: self.gateway.is_draining(),
            last_reload,
            directory,
            upstreams: serving.upstreams.found().map(upstream).collect(),
        }
    }

    async fn reload(&self) -> ReloadOutcome {
        let (answer, outcome) = oneshot::channel();
        let _ = self.reloads.send(answer).await;
        outcome.await.unwrap_or_default()
    }

    fn now(&self) -> UnixMs {
        self.clock.wall()
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.published.current().snapshot.rules)
    }

    fn key_rules(&self) -> KeyRules {
        key_rules(&self.settings().keys)
    }

    fn resource_notes(&self) -> Vec<ResourceNotes> {
        notes(&self.settings())
    }

    fn new_key(&self) -> Result<NewKey, NoRandomness> {
        new_key(&self.settings().keys, &self.rules())
    }

    async fn served(&self, revision: u64) {
        if let Some((feed, _)) = &self.store {
            feed.serves(revision).await;
        }
    }

    async fn flush_usage(&self) {
        if let Some((_, counting)) = &self.store {
            // Who asks for usage learns from the store itself that it is away.
            let _ = counting.flush(self.now()).await;
        }
    }

    fn preview(&self, ask: &PreviewAsk) -> Result<Preview, String> {
        preview::preview(&self.rules(), ask, self.now())
    }
}

/// A command, which serves nothing: what it changes is served by gateways that read the same store.
pub(crate) struct Offline {
    rules: Arc<Rules>,
    settings: Settings,
    token: AdminToken,
    clock: Clock,
}

impl Offline {
    /// With a token that may do everything.
    pub(crate) fn new(loaded: Loaded, text: &str) -> Offline {
        Offline {
            rules: Arc::new(loaded.rules),
            settings: loaded.settings,
            token: all_permissions("cli", text),
            clock: Clock::default(),
        }
    }
}

#[async_trait]
impl ThisNode for Offline {
    fn tokens(&self) -> Tokens {
        Tokens(vec![self.token.clone()])
    }

    fn status(&self) -> Status {
        let last_reload = ReloadOutcome { ok: true, ..ReloadOutcome::default() };
        let directory = DirectoryStatus {
            kind: "file",
            revision: None,
            from_snapshot: false,
            left_out: Vec::new(),
        };
        Status {
            node: String::new(),
            version: env!("CARGO_PKG_VERSION"),
            revision: 0,
            keys: 0,
            draining: false,
            last_reload,
            directory,
            upstreams: Vec::new(),
        }
    }

    async fn reload(&self) -> ReloadOutcome {
        ReloadOutcome::default()
    }

    fn now(&self) -> UnixMs {
        self.clock.wall()
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules)
    }

    fn key_rules(&self) -> KeyRules {
        key_rules(&self.settings.keys)
    }

    fn resource_notes(&self) -> Vec<ResourceNotes> {
        notes(&self.settings)
    }

    fn new_key(&self) -> Result<NewKey, NoRandomness> {
        new_key(&self.settings.keys, &self.rules)
    }

    async fn served(&self, _: u64) {}

    async fn flush_usage(&self) {}

    fn preview(&self, ask: &PreviewAsk) -> Result<Preview, String> {
        preview::preview(&self.rules, ask, self.now())
    }
}

/// A token that may do everything.
pub(crate) fn all_permissions(name: &str, text: &str) -> AdminToken {
    AdminToken {
        name: name.to_owned(),
        digest: Digest::sha256(text.as_bytes()),
        permissions: vec![
            Permission::Keys,
            Permission::Data,
            Permission::Accounts,
            Permission::Read,
        ],
    }
}

fn upstream(found: FoundUpstream) -> UpstreamStatus {
    let server = |found: FoundServer| ServerStatus {
        server: found.server,
        address: found.address.map(|address| address.to_string()),
        state: found.state.label(),
    };
    UpstreamStatus {
        name: found.name,
        breaker_open: found.breaker_open,
        servers: found.servers.into_iter().map(server).collect(),
    }
}

fn token(settings: &gateway_settings::AdminToken) -> AdminToken {
    let granted = &settings.permissions;
    let permissions = [
        (granted.keys, Permission::Keys),
        (granted.data, Permission::Data),
        (granted.accounts, Permission::Accounts),
        (true, Permission::Read),
    ];
    AdminToken {
        name: settings.name.clone(),
        digest: settings.digest,
        permissions: permissions.into_iter().filter(|(may, _)| *may).map(|(_, of)| of).collect(),
    }
}

fn key_rules(form: &KeyForm) -> KeyRules {
    KeyRules {
        prefix: form.prefix.clone(),
        regex: regex(form),
        live_max: form.live_max,
        data_scope_required: form.data_scope_required,
    }
}

/// What new keys look like. A prefix has nothing that a regular expression reads as more than itself.
fn regex(form: &KeyForm) -> String {
    let letters = match form.alphabet {
        Alphabet::Hex => "[0-9a-f]",
        Alphabet::Base62 => "[0-9A-Za-z]",
    };
    let body = format!("{letters}{{{}}}", form.length);
    let second = if form.pair { format!(":{body}") } else { String::new() };
    format!("{}{body}{second}", form.prefix)
}

fn notes(settings: &Settings) -> Vec<ResourceNotes> {
    let column = |column: &gateway_settings::ColumnNotes| ColumnNotes {
        path: column.path.clone(),
        label: column.label.clone(),
        personal: column.personal,
        shown_by_default: column.shown_by_default,
        always: column.always,
        assistant: column.assistant,
    };
    let resources = settings.resources.iter().map(|resource| ResourceNotes {
        name: resource.name.clone(),
        columns: resource.columns.iter().map(column).collect(),
    });
    resources.collect()
}

fn new_key(form: &KeyForm, rules: &Rules) -> Result<NewKey, NoRandomness> {
    let minted = mint::key(form, rules.credentials.pepper.as_ref()).map_err(|_| NoRandomness)?;
    let text = KeyText::new(minted.text);
    Ok(NewKey { text, digest: minted.digest, display: minted.display })
}
