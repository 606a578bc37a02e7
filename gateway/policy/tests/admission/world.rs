//! A small world of rules and records, built from the same specifications as a real one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gateway_policy::{
    AccountRecord, Carrier, Compiled, CredentialRules, DataScope, Digest, Directory, KeyRecord,
    Meters, Pattern, Plan, QueryRule, Quota, QuotaKind, Quotas, Resource, ResourceId, Route,
    RouteConflict, RouteId, RouteTable, RowVisibility, Rules, ScopeRule, ScopeTable, Shape, Shown,
    Snapshot, TeamNaming, TeamRule, UnixMs, UpstreamId, UserRecord, compile,
};
use gateway_rewrite::{
    Catalogue, CatalogueSpec, ColumnSpec, ColumnsSpec, Unmapped, VisibilitySpec,
};
use http::{HeaderName, Method};

pub(crate) const NOW: UnixMs = UnixMs(1_795_000_000_000);
pub(crate) const EXPIRY: UnixMs = UnixMs(1_795_000_100_000);

pub(crate) struct World {
    rules: Arc<Rules>,
    directory: Directory,
    meters: Meters,
}

impl World {
    pub(crate) fn new() -> World {
        World { rules: Arc::new(rules()), directory: directory(), meters: Meters::new() }
    }

    pub(crate) fn compiled(&self) -> Compiled {
        compile(&self.directory, &self.rules, &self.meters)
    }

    pub(crate) fn snapshot(&self) -> (Snapshot, &Meters) {
        let keys = self.compiled().keys;
        (Snapshot { revision: 1, rules: Arc::clone(&self.rules), keys }, &self.meters)
    }
}

const SCOPES: [(&str, &str); 6] = [
    ("calls:read", "Calls"),
    ("contacts:read", "See contacts"),
    ("contacts:write", "Change contacts"),
    ("webhooks:manage", "Webhooks"),
    ("read:plain", "Plain"),
    ("other:read", "Nothing here"),
];

fn rules() -> Rules {
    let scopes = ScopeTable::new(SCOPES).unwrap();
    let routes = routes(&scopes);
    Rules {
        credentials: CredentialRules {
            accept: vec![Carrier::Bearer, Carrier::XApiKey],
            pepper: None,
        },
        resources: resources(),
        plans: HashMap::from([("standard".into(), plan())]),
        routes: RouteTable::build(routes).unwrap(),
        teams: TeamNaming {
            header: Some(HeaderName::from_static("x-team-id")),
            query: Some("team_id".into()),
            param: Some("teamId".into()),
        },
        errors: Default::default(),
        bounds: Default::default(),
        reserved: Default::default(),
        data_scope_required: false,
        scopes,
    }
}

fn plan() -> Plan {
    Plan { name: "standard".into(), quotas: Arc::new(Quotas::new(vec![minute(1_000)]).unwrap()) }
}

fn minute(requests: u32) -> Quota {
    Quota { name: "minute".into(), requests, window_ms: 60_000, kind: QuotaKind::Window }
}

/// Without a list of columns, all of them.
fn resource(name: &str, visibility: RowVisibility, columns: &[&str]) -> Resource {
    let spec = |path: &&str| ColumnSpec {
        path: (*path).to_owned(),
        whole: false,
        assistant: *path == "assistant_id",
    };
    let judged = VisibilitySpec {
        private: Some("is_private".to_owned()),
        owner: vec!["user_email".to_owned()],
        team: Some("team_id".to_owned()),
    };
    let catalogue = Catalogue::compile(&CatalogueSpec {
        columns: match columns {
            [] => ColumnsSpec::All { assistants: Vec::new() },
            _ => ColumnsSpec::Listed(columns.iter().map(spec).collect()),
        },
        visibility: if visibility == RowVisibility::Columns { judged } else { Default::default() },
        unmapped: Unmapped::Null,
    })
    .unwrap();
    Resource {
        name: name.into(),
        visibility,
        defaults: Arc::new(Shown::all(&catalogue)),
        always: catalogue.column("call_id").into_iter().collect(),
        catalogue: Arc::new(catalogue),
    }
}

fn resources() -> Vec<Resource> {
    vec![
        resource(
            "calls",
            RowVisibility::Columns,
            &["call_id", "created_at", "assistant_id", "email"],
        ),
        resource("contacts", RowVisibility::Upstream, &["id", "name"]),
        resource("plain", RowVisibility::Unstated, &["id"]),
        resource("open", RowVisibility::Columns, &[]),
    ]
}

fn route(scopes: &ScopeTable, text: &str, scope: &str, resource: u16) -> Route {
    let (methods, path) = text.split_once(' ').unwrap();
    let methods: Vec<Method> = methods.split('|').map(|method| method.parse().unwrap()).collect();
    Route {
        id: RouteId(0),
        label: text.into(),
        pattern: Pattern::parse(path).unwrap(),
        upstream: UpstreamId(0),
        scope: ScopeRule::compile(scopes, scope, &methods).unwrap(),
        resource: ResourceId(resource),
        shape: Arc::new(Shape::compile("data[]", &[], false).unwrap()),
        query: QueryRule::Guard { columns: Vec::new() },
        team: TeamRule::Optional,
        reach_account: false,
        account_param: None,
        errors_pass: false,
        forward_headers: Vec::new(),
        return_headers: Vec::new(),
        methods,
    }
}

fn routes(scopes: &ScopeTable) -> Vec<Route> {
    vec![
        route(scopes, "GET /api/calls", "calls:read", 0),
        Route { team: TeamRule::None, ..route(scopes, "GET /api/free", "calls:read", 0) },
        Route { team: TeamRule::Required, ..route(scopes, "GET /api/strict", "calls:read", 0) },
        route(scopes, "GET /api/v1/teams/{teamId}/calls", "calls:read", 0),
        Route { reach_account: true, ..route(scopes, "GET /api/whole", "calls:read", 0) },
        Route {
            account_param: Some("e".into()),
            ..route(scopes, "GET /api/enterprise/{e}", "calls:read", 0)
        },
        Route {
            team: TeamRule::None,
            ..route(scopes, "GET|POST|PUT|PATCH|DELETE /api/contacts", "contacts", 1)
        },
        Route { team: TeamRule::None, ..route(scopes, "GET|POST /api/webhooks", "webhooks", 1) },
        route(scopes, "GET /api/plain", "calls:read", 2),
        route(scopes, "GET /api/open", "calls:read", 3),
        Route {
            query: QueryRule::Allow(vec!["limit".into()]),
            ..route(scopes, "GET /api/listed", "calls:read", 0)
        },
    ]
}

pub(crate) fn conflicting_routes() -> Result<RouteTable, Vec<RouteConflict>> {
    let scopes = ScopeTable::new(SCOPES).unwrap();
    RouteTable::build(vec![
        route(&scopes, "GET|POST /api/{a}", "contacts", 1),
        route(&scopes, "POST /api/{b}", "contacts", 1),
    ])
}

fn key(text: &str, scopes: &[&str]) -> KeyRecord {
    KeyRecord::new(text, Digest::sha256(text.as_bytes()), scopes)
}

fn from(nets: &[&str], text: &str) -> KeyRecord {
    let allowed_ips = nets.iter().map(|net| net.parse().unwrap()).collect();
    KeyRecord { allowed_ips, ..key(text, &["calls:read"]) }
}

fn of_scope(scope: DataScope) -> KeyRecord {
    let user = scope.is_user().then(|| "u_ann".to_owned());
    let scopes = ["calls:read", "contacts:read"];
    KeyRecord { data_scope: Some(scope), user, ..key(scope.as_str(), &scopes) }
}

fn teams(teams: &[&str]) -> Option<Vec<String>> {
    Some(teams.iter().map(|team| (*team).to_owned()).collect())
}

fn keys() -> Vec<KeyRecord> {
    let calls = ["calls:read"];
    let user = |id: &str| (Some(DataScope::UserFull), Some(id.to_owned()));
    let (ann, bob) = (user("u_ann"), user("u_bob"));
    let mut keys = vec![
        key("full", &["read:calls", "contacts:read", "contacts:write"]),
        key("reader", &["contacts:read"]),
        key("writer", &["write:contacts"]),
        key("manager", &["webhooks:manage"]),
        key("scopeless", &["other:read"]),
        KeyRecord { teams: teams(&["101"]), ..key("anchored", &calls) },
        KeyRecord { teams: teams(&["101", "102"]), ..key("two", &calls) },
        KeyRecord { teams: teams(&["101", "101"]), ..key("one_twice", &calls) },
        KeyRecord { teams: teams(&["103", "101", "102"]), ..key("each", &calls) },
        KeyRecord { teams: teams(&["101", "103"]), ..key("two_plain", &calls) },
        KeyRecord { revoked_at: Some(UnixMs(NOW.0 + 1_000_000)), ..key("revoked", &calls) },
        KeyRecord { expires_at: Some(UnixMs(1)), ..key("expired", &calls) },
        KeyRecord { expires_at: Some(EXPIRY), ..key("expires", &calls) },
        KeyRecord {
            data_scope: ann.0,
            user: ann.1,
            teams: teams(&["101", "102"]),
            ..key("ann", &calls)
        },
        KeyRecord { data_scope: bob.0, user: bob.1, ..key("bob", &calls) },
        from(&["203.0.113.0/24"], "office"),
        from(&["203.0.113.64/26", "2001:db8:aa::/48"], "offices"),
        from(&["203.0.113.7/24"], "host_bits"),
        from(&["203.0.113.7/32"], "one_host"),
        from(&["::ffff:203.0.113.0/120"], "mapped"),
        from(&["0.0.0.0/0"], "any_v4"),
        from(&["::/0"], "any_v6"),
        KeyRecord { limits: Some(vec![minute(2)]), ..key("poor", &calls) },
        key("broken_empty", &[]),
        key("broken_scope", &["callz:read"]),
        KeyRecord { teams: teams(&["999"]), ..key("broken_team", &calls) },
        KeyRecord { data_scope: Some(DataScope::UserFull), ..key("broken_user", &calls) },
        KeyRecord { digest: Digest::sha256(b"full"), ..key("broken_twin", &calls) },
    ];
    keys.extend(DataScope::ALL.map(of_scope));
    keys
}

fn columns(columns: &[&str]) -> BTreeMap<String, Vec<String>> {
    BTreeMap::from([(
        "calls".to_owned(),
        columns.iter().map(|column| (*column).to_owned()).collect(),
    )])
}

fn account(id: &str, keys: Vec<KeyRecord>) -> AccountRecord {
    AccountRecord {
        teams: teams(&["101", "102", "103"]),
        columns: columns(&["created_at", "assistant_id"]),
        // 102 shows what the account does not; 103 shows nothing that another team hides.
        team_columns: BTreeMap::from([
            ("102".to_owned(), columns(&["email"])),
            ("103".to_owned(), columns(&[])),
        ]),
        users: vec![
            UserRecord {
                id: "u_ann".to_owned(),
                email: Some("ann@acme.test".to_owned()),
                active: true,
            },
            UserRecord { id: "u_bob".to_owned(), email: None, active: false },
        ],
        keys,
        ..AccountRecord::new(id, "standard")
    }
}

fn directory() -> Directory {
    let some_of_any =
        KeyRecord { teams: teams(&["101", "102"]), ..key("some_of_any", &["calls:read"]) };
    let two_of_uniform =
        KeyRecord { teams: teams(&["101", "102"]), ..key("two_of_uniform", &["calls:read"]) };
    Directory {
        accounts: vec![
            account("acme", keys()),
            AccountRecord {
                columns: columns(&["call_id", "nonsense"]),
                ..account("broken_columns", vec![key("of_broken_columns", &["calls:read"])])
            },
            AccountRecord {
                teams: None,
                ..account("open", vec![key("any_team", &["calls:read"]), some_of_any])
            },
            AccountRecord {
                team_columns: BTreeMap::new(),
                ..account("uniform", vec![two_of_uniform])
            },
            AccountRecord {
                plan: "none".to_owned(),
                ..account("broken_plan", vec![key("of_broken_plan", &["calls:read"])])
            },
        ],
    }
}
