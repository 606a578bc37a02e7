//! Keys, plans and their limits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Named;
use super::scalar::{Duration, Secret, secret_schema};

/// What new keys look like and how clients present them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KeysSettings {
    /// What every new key begins with, so that people and secret scanners know it. Letters, digits, `_` and `-`.
    #[schemars(length(max = 32))]
    pub(crate) prefix: String,
    /// What follows the prefix. Says no more than what new keys look like, and which texts are keys
    /// that must not stand in a name: any key is known by its digest alone.
    pub(crate) body: BodySettings,
    /// Keys come as CLIENT_KEY:CLIENT_SECRET, both of that body, the prefix on the first.
    pub(crate) pair: bool,
    /// Where a key may stand in a request: `Authorization: Bearer`, `X-API-Key`, or HTTP Basic. Never the query string.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub(crate) accept: Vec<CarrierSettings>,
    /// Live keys an account may hold; an account may override it. Held against keys that are made or
    /// imported one by one; those of a directory, a file or one that is imported whole, are not.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) live_max: u32,
    /// Whether every key must say what rows it sees. When required, a record without a data scope is a fault.
    pub(crate) data_scope: DataScopeSettings,
    /// A secret of 16 bytes or more under which `hmac-sha256:` digests are made: `"${file:pepper}"`.
    /// Who has them but not it cannot try guesses against them; changing it makes their keys
    /// unknown. `sha256:` digests are accepted beside them, and not protected by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "secret_schema")]
    pub(crate) pepper: Option<Secret>,
}

impl Default for KeysSettings {
    fn default() -> Self {
        KeysSettings {
            prefix: "avoca_".into(),
            body: BodySettings::default(),
            pair: false,
            accept: vec![CarrierSettings::Bearer, CarrierSettings::XApiKey],
            live_max: 10,
            data_scope: DataScopeSettings::Optional,
            pepper: None,
        }
    }
}

/// The random part of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BodySettings {
    /// Which characters.
    pub(crate) alphabet: AlphabetSettings,
    /// How many, checksum included: at least 32 of `hex` or 28 of `base62`, which is 128 random bits.
    #[schemars(range(min = 28, max = 128))]
    pub(crate) length: u32,
}

impl Default for BodySettings {
    fn default() -> Self {
        BodySettings { alphabet: AlphabetSettings::Hex, length: 64 }
    }
}

/// The characters of a key's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AlphabetSettings {
    /// `0-9a-f`.
    Hex,
    /// `0-9A-Za-z`, of which the last six are a CRC-32 of the others.
    Base62,
}

/// Where a key may stand in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CarrierSettings {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `X-API-Key: KEY`.
    XApiKey,
    /// `Authorization: Basic` with `KEY:SECRET`.
    Basic,
}

/// Whether every key must have a data scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DataScopeSettings {
    Optional,
    Required,
}

/// A commercial plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanSettings {
    /// Limits of each key, by name; a request must be within all of them. `X-RateLimit-*` shows the
    /// one named `minute`, else the first.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 4))]
    pub(crate) limits: Named<LimitSettings>,
}

/// Requests one key may make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitSettings {
    /// Most requests in a window; beyond that 429.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) requests: u32,
    /// Length of the window.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "31d"))]
    pub(crate) window: Duration,
    /// How requests are counted.
    #[serde(default)]
    pub(crate) kind: LimitKind,
    /// How many requests may come at once; for `kind: gcra`, and needed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) burst: Option<u32>,
}

/// How requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LimitKind {
    /// Exact, in windows that begin at a phase of their own for each key.
    #[default]
    Window,
    /// The last window's length at every instant, by two counts.
    Sliding,
    /// Evenly spread, with a burst.
    Gcra,
}
