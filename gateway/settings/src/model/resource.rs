//! Resources: the catalogue of columns, and how rows are hidden.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Named;

/// What a body looks like, and what of it may ever be shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResourceSettings {
    /// What passes of the envelope beside the rows, by dotted path, with all that is in it; the rest is dropped.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub(crate) beside: Vec<String>,
    /// The columns that may be shown, by dotted path, or `all`. A column that is not here is never
    /// shown.
    pub(crate) columns: ColumnsSettings,
    /// With `columns: all` only: columns whose values are rewritten by the account's assistant names.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub(crate) assistants: Vec<String>,
    /// What becomes of an assistant id without a name when the account has no fallback: `"null"` or `keep`.
    #[serde(default)]
    pub(crate) unmapped: UnmappedSettings,
    /// How rows are hidden from keys that may not see them: by columns, or `upstream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) visibility: Option<VisibilitySettings>,
}

/// The catalogue of a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ColumnsSettings {
    /// Everything passes.
    All(AllWord),
    /// Just these.
    Listed(Named<Option<ColumnSettings>>),
}

/// The word `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AllWord {
    All,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ColumnSettings {
    /// What people read instead of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<String>,
    /// Is about a person: `check` warns when it is shown to accounts that never asked for it.
    pub(crate) personal: bool,
    /// Whether accounts without a list of their own show it. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shown: Option<bool>,
    /// Shown whatever an account's list says.
    pub(crate) always: bool,
    /// The value is an assistant's id and is replaced by the account's name for it.
    pub(crate) assistant: bool,
    /// An object or array passes as it is, with all that is in it.
    pub(crate) whole: bool,
}

/// What becomes of an assistant id without a name and without a fallback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnmappedSettings {
    /// It becomes null.
    #[default]
    Null,
    /// It passes.
    Keep,
}

/// How rows are hidden.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum VisibilitySettings {
    /// The upstream does it, by `X-Colonnade-Data-Scope` and `X-Colonnade-User`.
    Upstream(UpstreamWord),
    /// The gateway does it, by columns of the row.
    Columns(VisibilityColumns),
}

/// The word `upstream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UpstreamWord {
    Upstream,
}

/// Columns that say who may see a row. They need not be visible, and may be dotted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1))]
pub(crate) struct VisibilityColumns {
    /// Only JSON `false` here makes a row not private.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) private: Option<String>,
    /// One or more columns, of which one must equal the user's id or email.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<OneOrMany>,
    /// Rows of teams that are not the key's are hidden, whatever its data scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) team: Option<String>,
}

/// One text or a list of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    /// One.
    One(String),
    /// One or more.
    Many(#[schemars(length(min = 1))] Vec<String>),
}

impl OneOrMany {
    pub(crate) fn as_slice(&self) -> &[String] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }
}
