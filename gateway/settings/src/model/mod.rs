//! The configuration as written: one struct a section, one file a group of sections.
//!
//! A field's comment is its manual: it becomes the JSON Schema that editors show, and the help of
//! faults. A field's default is what an absent key means. What the values mean together is in
//! `compile`.

pub(crate) mod directory;
pub(crate) mod format;
mod keys;
mod listen;
mod named;
mod resource;
mod route;
pub(crate) mod scalar;
mod traces;
mod upstream;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use keys::{
    AlphabetSettings, CarrierSettings, DataScopeSettings, KeysSettings, LimitKind, LimitSettings,
    PlanSettings,
};
pub(crate) use listen::{
    AccessLogSettings, AdminSettings, ClusterSettings, DrainSettings, ListenerSettings,
    PermissionSettings, SnapshotSettings, StoreSettings, TelemetrySettings, TlsSettings,
    TlsVersionSettings,
};
pub(crate) use named::Named;
pub(crate) use resource::{
    AllWord, ColumnSettings, ColumnsSettings, ResourceSettings, UnmappedSettings,
    VisibilitySettings,
};
pub(crate) use route::{
    BoundsSettings, ErrorStyleSettings, ErrorsSettings, ReachSettings, ReservedSettings,
    RouteErrorsSettings, RouteSettings, TeamRuleSettings, TeamsSettings,
};
pub(crate) use traces::TracesSettings;
pub(crate) use upstream::{
    BalanceSettings, Http2Settings, ServerSettings, UpstreamSettings, UpstreamTlsSettings,
};

/// Configuration of Colonnade, an API-key gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["version"]))]
pub(crate) struct GatewaySettings {
    /// Version of this file's form; always 1.
    #[schemars(range(min = 1, max = 1))]
    pub(crate) version: u32,
    /// Where the customers' API is served.
    #[schemars(length(min = 1))]
    pub(crate) listeners: Vec<ListenerSettings>,
    /// The admin API and who may use it. The dashboard is not in this version.
    pub(crate) admin: AdminSettings,
    /// Metrics, health and the access log.
    pub(crate) telemetry: TelemetrySettings,
    /// Where accounts, users and keys are kept: exactly one of `sqlite`, `file` and `postgres`.
    pub(crate) store: StoreSettings,
    /// What the gateway starts from while a shared store is away.
    pub(crate) snapshot: SnapshotSettings,
    /// What several gateways share; without it each counts limits for itself. Read and checked, not
    /// yet carried out by this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cluster: Option<ClusterSettings>,
    /// The services behind the gateway, by name.
    #[schemars(extend("maxProperties" = 1000))]
    pub(crate) upstreams: Named<UpstreamSettings>,
    /// What new keys look like and how clients present them.
    pub(crate) keys: KeysSettings,
    /// What accounts have bought, by name; every account has one.
    pub(crate) plans: Named<PlanSettings>,
    /// Every permission that exists, `resource:action`, and what a person reads about it.
    pub(crate) scopes: Named<String>,
    /// What bodies look like, and what of them may ever be shown, by name.
    #[schemars(extend("maxProperties" = 1000))]
    pub(crate) resources: Named<ResourceSettings>,
    /// Where a request may name its team; without it no route has teams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) teams: Option<TeamsSettings>,
    /// What is served. The order does not matter: the more literal pattern wins.
    #[schemars(length(max = 10_000))]
    pub(crate) routes: Vec<RouteSettings>,
    /// Query parameters that select, sort, group or filter by columns: on routes without `query`
    /// their values must be columns that the key sees. Letter case and separators do not count:
    /// `order_by` is also `orderBy` and `$orderby`. Add what the services call theirs, such as
    /// `sort_by`, `ordering`, `columns` or `expand`.
    pub(crate) query_columns: Vec<String>,
    /// The form of the gateway's own errors.
    pub(crate) errors: ErrorsSettings,
    /// The bounds of one exchange, and of how many there may be.
    pub(crate) bounds: BoundsSettings,
    /// What happens on SIGTERM.
    pub(crate) drain: DrainSettings,
    /// Paths of the proxy listeners that the gateway answers itself.
    pub(crate) reserved: ReservedSettings,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        GatewaySettings {
            version: 1,
            listeners: vec![ListenerSettings::default()],
            admin: AdminSettings::default(),
            telemetry: TelemetrySettings::default(),
            store: StoreSettings::default(),
            snapshot: SnapshotSettings::default(),
            cluster: None,
            upstreams: Named::default(),
            keys: KeysSettings::default(),
            plans: Named::default(),
            scopes: Named::default(),
            resources: Named::default(),
            teams: None,
            routes: Vec::new(),
            query_columns: gateway_policy::QUERY_COLUMNS_DEFAULT.map(String::from).to_vec(),
            errors: ErrorsSettings::default(),
            bounds: BoundsSettings::default(),
            drain: DrainSettings::default(),
            reserved: ReservedSettings::default(),
        }
    }
}
