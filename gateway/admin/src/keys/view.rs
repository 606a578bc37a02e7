//! A key as it is shown: everything but what could be used as one.

use gateway_limits::UnixMs;
use gateway_policy::{AccountRecord, DataScope, KeyRecord, Rules};
use gateway_store::{StoredKey, Usage, is_live};
use serde::Serialize;
use utoipa::ToSchema;

use crate::limits::Limits;
use crate::scalar::Instant;
use crate::write::Applied;

/// A key.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyView {
    /// Stays through rename and regenerate.
    id: String,
    account: String,
    name: String,
    /// Masked.
    display: String,
    status: KeyState,
    scopes: Vec<String>,
    data_scope: &'static str,
    /// From before scopes: it can be seen and revoked, nothing else.
    legacy: bool,
    /// Whom it was issued to.
    user: Option<String>,
    /// The admin token that made it; for audit.
    owner: Option<String>,
    teams: TeamsView,
    created_at: Option<Instant>,
    expires_at: Option<Instant>,
    revoked_at: Option<Instant>,
    /// Up to when the key before the last regeneration is accepted too.
    grace_until: Option<Instant>,
    /// Null: anywhere.
    allowed_ips: Option<Vec<String>>,
    /// In force now.
    limits: Option<Limits>,
    limits_from: LimitsFrom,
    /// When the raised limits end.
    limits_until: Option<Instant>,
    last_used: Option<Instant>,
    /// Requests ever; null where no usage is kept.
    usage_total: Option<u64>,
}

/// Teams that a key reaches.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
enum TeamsView {
    #[schema(example = "all")]
    All(&'static str),
    Only(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum KeyState {
    Active,
    Revoked,
    Expired,
}

/// Where a key's limits come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum LimitsFrom {
    Plan,
    Key,
    /// For a period.
    Raised,
}

/// A key after a change of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedKey {
    #[serde(flatten)]
    pub(crate) view: KeyView,
    #[serde(flatten)]
    pub(crate) applied: Applied,
}

/// A new key, and the only answer that has its text.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedKey {
    /// The whole key. It is not kept here and cannot be shown again.
    pub(crate) key: String,
    #[serde(flatten)]
    pub(crate) view: KeyView,
    #[serde(flatten)]
    pub(crate) applied: Applied,
}

/// Keys of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    pub(crate) items: Vec<KeyView>,
    /// What `?cursor=` of the next page says; null on the last.
    pub(crate) next: Option<String>,
}

impl KeyView {
    pub(crate) fn of(
        stored: &StoredKey,
        account: &AccountRecord,
        rules: &Rules,
        usage: Option<Usage>,
        now: UnixMs,
    ) -> KeyView {
        let StoredKey { record, .. } = stored;
        let (limits, limits_from) = limits(record, account, rules, now);
        let raised = record.raised.as_ref().filter(|raised| raised.until > now);
        let grace = record.previous.as_ref().filter(|previous| previous.until > now);
        let networks: Vec<String> = record.allowed_ips.iter().map(ToString::to_string).collect();
        let data_scope = record.data_scope.unwrap_or(DataScope::OrgFull);
        KeyView {
            id: record.id.clone(),
            account: stored.account.clone(),
            name: record.name.clone(),
            display: record.display.clone(),
            status: state(record, now),
            scopes: record.scopes.clone(),
            data_scope: data_scope.as_str(),
            legacy: data_scope == DataScope::Legacy,
            user: record.user.clone(),
            owner: record.owner.clone(),
            teams: match &record.teams {
                None => TeamsView::All("all"),
                Some(teams) => TeamsView::Only(teams.clone()),
            },
            created_at: record.created_at.map(Instant::from),
            expires_at: record.expires_at.map(Instant::from),
            revoked_at: record.revoked_at.map(Instant::from),
            grace_until: grace.map(|previous| previous.until.into()),
            allowed_ips: (!networks.is_empty()).then_some(networks),
            limits,
            limits_from,
            limits_until: raised.map(|raised| raised.until.into()),
            last_used: usage.as_ref().and_then(|usage| usage.last_used).map(Instant::from),
            usage_total: usage.as_ref().map(|usage| usage.total.total()),
        }
    }
}

fn state(record: &KeyRecord, now: UnixMs) -> KeyState {
    if record.revoked_at.is_some() {
        KeyState::Revoked
    } else if is_live(record, now) {
        KeyState::Active
    } else {
        KeyState::Expired
    }
}

fn limits(
    record: &KeyRecord,
    account: &AccountRecord,
    rules: &Rules,
    now: UnixMs,
) -> (Option<Limits>, LimitsFrom) {
    if let Some(raised) = record.raised.as_ref().filter(|raised| raised.until > now) {
        return (Some(Limits::of(&raised.limits)), LimitsFrom::Raised);
    }
    if let Some(own) = &record.limits {
        return (Some(Limits::of(own)), LimitsFrom::Key);
    }
    let plan = rules.plans.get(account.plan.as_str());
    (plan.map(|plan| Limits::of(plan.quotas.iter())), LimitsFrom::Plan)
}
