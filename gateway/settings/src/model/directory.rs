//! The records of a directory file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{DigestText, DisplayName, Id, Network, Time};
use super::{AllWord, LimitSettings, Named};

/// An account without its users and keys, which are records of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountSettings {
    /// What people call it. Default: its id.
    #[serde(default)]
    pub(crate) name: Option<Id>,
    /// Name of a plan of the configuration.
    pub(crate) plan: String,
    /// The account's teams, by id.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub(crate) teams: Option<Teams>,
    /// Live keys the account may hold, instead of the configuration's number.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) live_max: Option<u32>,
    /// Columns that are shown, by resource. An absent resource shows its defaults.
    #[serde(default)]
    pub(crate) columns: Named<Vec<String>>,
    /// By team; a team's own list replaces the account's.
    #[serde(default)]
    pub(crate) team_columns: Named<Named<Vec<String>>>,
    /// What assistants are called.
    #[serde(default)]
    pub(crate) assistants: AssistantsSettings,
}

/// At least one team.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Teams(#[schemars(length(min = 1))] pub(crate) Vec<Id>);

/// What an account's assistants are called.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AssistantsSettings {
    /// Name by id.
    pub(crate) names: Named<DisplayName>,
    /// Stands in for ids without a name.
    pub(crate) fallback: Option<DisplayName>,
}

/// A user of an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UserSettings {
    pub(crate) email: Option<String>,
    /// Keys that were issued to a user who is not active are refused.
    pub(crate) active: bool,
}

impl Default for UserSettings {
    fn default() -> Self {
        UserSettings { email: None, active: true }
    }
}

/// A key, by its digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeySettings {
    /// What people call it. Default: its id.
    #[serde(default)]
    pub(crate) name: Option<Id>,
    /// `sha256:` (or `hmac-sha256:` under a pepper) and 64 hex digits, of the whole key text.
    pub(crate) digest: DigestText,
    /// The masked key, such as `avoca_ab12…9f0c`.
    #[serde(default)]
    pub(crate) display: Option<String>,
    /// What the key may do.
    #[schemars(length(min = 1))]
    pub(crate) scopes: Vec<String>,
    /// Which rows the key sees.
    #[serde(default)]
    pub(crate) data_scope: Option<RecordDataScope>,
    /// Whom it was issued to.
    #[serde(default)]
    pub(crate) user: Option<Id>,
    /// Who made it; for audit.
    #[serde(default)]
    pub(crate) owner: Option<Id>,
    /// The teams it reaches, or `all`.
    #[serde(default)]
    pub(crate) teams: Option<KeyTeams>,
    #[serde(default)]
    pub(crate) expires_at: Option<Time>,
    #[serde(default)]
    pub(crate) revoked_at: Option<Time>,
    /// Networks it may be used from; absent: from anywhere.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(crate) allowed_ips: Option<Vec<Network>>,
    /// Instead of the plan's limits.
    #[serde(default)]
    pub(crate) limits: Option<Limits>,
}

/// At least one limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Limits(
    #[schemars(extend("minProperties" = 1, "maxProperties" = 4))] pub(crate) Named<LimitSettings>,
);

/// The teams a key reaches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum KeyTeams {
    /// All of the account's.
    All(AllWord),
    /// Just these.
    Only(Teams),
}

/// Which rows a key sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecordDataScope {
    UserNonPrivate,
    UserFull,
    OrgNonPrivate,
    OrgFull,
    Legacy,
}
