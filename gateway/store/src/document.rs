//! Records as JSON: what is written beside the columns of a database, into snapshots, and into audit.
//!
//! Times are Unix milliseconds and windows milliseconds, as in the records. An unknown member is an
//! error: it could be one that takes a right away.

use std::collections::BTreeMap;

use gateway_limits::{Quota, QuotaKind, UnixMs};
use gateway_policy::{
    AccountRecord, AssistantNames, DataScope, Digest, KeyRecord, PreviousDigest, RaisedLimits,
    UserRecord,
};
use serde::{Deserialize, Serialize};

/// Why a document is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("the digest is none")]
    Digest,
    #[error("there is no data scope `{0}`")]
    DataScope(String),
    #[error("`{0}` is no network")]
    Network(String),
    #[error("there is no kind of limit `{0}`")]
    Kind(String),
}

/// An account with its users and keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountDocument {
    pub id: String,
    pub name: String,
    pub plan: String,
    pub teams: Option<Vec<String>>,
    pub live_max: Option<u32>,
    pub columns: BTreeMap<String, Vec<String>>,
    pub team_columns: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    pub assistants: AssistantsDocument,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyDocument>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssistantsDocument {
    /// Id and name, in the order that they were given.
    pub names: Vec<(String, String)>,
    pub fallback: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserDocument {
    pub id: String,
    pub email: Option<String>,
    pub active: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyDocument {
    pub id: String,
    pub name: String,
    /// Left out for audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    pub display: String,
    pub scopes: Vec<String>,
    pub data_scope: Option<String>,
    pub user: Option<String>,
    pub owner: Option<String>,
    pub teams: Option<Vec<String>>,
    pub created_at: Option<u64>,
    pub expires_at: Option<u64>,
    pub revoked_at: Option<u64>,
    pub allowed_ips: Vec<String>,
    pub limits: Option<Vec<LimitDocument>>,
    pub raised: Option<RaisedDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousDocument>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RaisedDocument {
    pub limits: Vec<LimitDocument>,
    pub until: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviousDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    pub until: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitDocument {
    pub name: String,
    pub requests: u32,
    pub window_ms: u64,
    /// `window`, `sliding` or `gcra`.
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

impl From<&AccountRecord> for AccountDocument {
    fn from(record: &AccountRecord) -> AccountDocument {
        AccountDocument {
            id: record.id.clone(),
            name: record.name.clone(),
            plan: record.plan.clone(),
            teams: record.teams.clone(),
            live_max: record.live_max,
            columns: record.columns.clone(),
            team_columns: record.team_columns.clone(),
            assistants: AssistantsDocument {
                names: record.assistants.names.clone(),
                fallback: record.assistants.fallback.clone(),
            },
            users: record.users.iter().map(UserDocument::from).collect(),
            keys: record.keys.iter().map(KeyDocument::from).collect(),
        }
    }
}

impl TryFrom<AccountDocument> for AccountRecord {
    type Error = DocumentError;

    fn try_from(document: AccountDocument) -> Result<AccountRecord, DocumentError> {
        let AssistantsDocument { names, fallback } = document.assistants;
        let keys = document.keys.into_iter().map(KeyRecord::try_from);
        Ok(AccountRecord {
            id: document.id,
            name: document.name,
            plan: document.plan,
            teams: document.teams,
            live_max: document.live_max,
            columns: document.columns,
            team_columns: document.team_columns,
            assistants: AssistantNames { names, fallback },
            users: document.users.into_iter().map(UserRecord::from).collect(),
            keys: keys.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&UserRecord> for UserDocument {
    fn from(record: &UserRecord) -> UserDocument {
        let UserRecord { id, email, active } = record;
        UserDocument { id: id.clone(), email: email.clone(), active: *active }
    }
}

impl From<UserDocument> for UserRecord {
    fn from(UserDocument { id, email, active }: UserDocument) -> UserRecord {
        UserRecord { id, email, active }
    }
}

impl From<&KeyRecord> for KeyDocument {
    fn from(record: &KeyRecord) -> KeyDocument {
        KeyDocument {
            id: record.id.clone(),
            name: record.name.clone(),
            digest: Some(record.digest.to_string()),
            display: record.display.clone(),
            scopes: record.scopes.clone(),
            data_scope: record.data_scope.map(|scope| scope.as_str().to_owned()),
            user: record.user.clone(),
            owner: record.owner.clone(),
            teams: record.teams.clone(),
            created_at: record.created_at.map(|at| at.0),
            expires_at: record.expires_at.map(|at| at.0),
            revoked_at: record.revoked_at.map(|at| at.0),
            allowed_ips: record.allowed_ips.iter().map(ToString::to_string).collect(),
            limits: record.limits.as_deref().map(limits),
            raised: record.raised.as_ref().map(|raised| RaisedDocument {
                limits: limits(&raised.limits),
                until: raised.until.0,
            }),
            previous: record.previous.as_ref().map(|previous| PreviousDocument {
                digest: Some(previous.digest.to_string()),
                until: previous.until.0,
            }),
        }
    }
}

impl KeyDocument {
    /// For eyes that must not see digests.
    #[must_use]
    pub fn without_digests(self) -> KeyDocument {
        let previous = self.previous.map(|previous| PreviousDocument { digest: None, ..previous });
        KeyDocument { digest: None, previous, ..self }
    }
}

impl TryFrom<KeyDocument> for KeyRecord {
    type Error = DocumentError;

    fn try_from(document: KeyDocument) -> Result<KeyRecord, DocumentError> {
        let data_scope = match document.data_scope {
            None => None,
            Some(text) => Some(DataScope::parse(&text).ok_or(DocumentError::DataScope(text))?),
        };
        let networks = document.allowed_ips.into_iter();
        let allowed_ips =
            networks.map(|text| text.parse().map_err(|_| DocumentError::Network(text)));
        let raised = match document.raised {
            None => None,
            Some(RaisedDocument { limits, until }) => {
                Some(RaisedLimits { limits: quotas(limits)?, until: UnixMs(until) })
            }
        };
        let previous = match document.previous {
            None => None,
            Some(PreviousDocument { digest: text, until }) => {
                Some(PreviousDigest { digest: digest(text)?, until: UnixMs(until) })
            }
        };
        Ok(KeyRecord {
            digest: digest(document.digest)?,
            id: document.id,
            name: document.name,
            display: document.display,
            scopes: document.scopes,
            data_scope,
            user: document.user,
            owner: document.owner,
            teams: document.teams,
            expires_at: document.expires_at.map(UnixMs),
            revoked_at: document.revoked_at.map(UnixMs),
            allowed_ips: allowed_ips.collect::<Result<_, _>>()?,
            limits: document.limits.map(quotas).transpose()?,
            raised,
            previous,
            created_at: document.created_at.map(UnixMs),
        })
    }
}

fn digest(text: Option<String>) -> Result<Digest, DocumentError> {
    text.and_then(|text| Digest::parse(&text).ok()).ok_or(DocumentError::Digest)
}

/// Limits as documents, in their order.
pub fn limits(quotas: &[Quota]) -> Vec<LimitDocument> {
    let document = |quota: &Quota| {
        let (kind, burst) = match quota.kind {
            QuotaKind::Window => ("window", None),
            QuotaKind::Sliding => ("sliding", None),
            QuotaKind::Gcra { burst } => ("gcra", Some(burst)),
        };
        LimitDocument {
            name: quota.name.to_string(),
            requests: quota.requests,
            window_ms: quota.window_ms,
            kind: kind.to_owned(),
            burst,
        }
    };
    quotas.iter().map(document).collect()
}

/// The limits of documents.
///
/// # Errors
/// A kind that does not exist, or one whose burst is missing or too much.
pub fn quotas(limits: Vec<LimitDocument>) -> Result<Vec<Quota>, DocumentError> {
    let quota = |limit: LimitDocument| {
        let kind = match (limit.kind.as_str(), limit.burst) {
            ("window", None) => QuotaKind::Window,
            ("sliding", None) => QuotaKind::Sliding,
            ("gcra", Some(burst)) => QuotaKind::Gcra { burst },
            _ => return Err(DocumentError::Kind(limit.kind)),
        };
        Ok(Quota {
            name: limit.name.into(),
            requests: limit.requests,
            window_ms: limit.window_ms,
            kind,
        })
    };
    limits.into_iter().map(quota).collect()
}
