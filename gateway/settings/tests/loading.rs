//! What a configuration that stands comes to, and what hostile text comes to.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gateway_policy::{Carrier, DataScope, QueryRule, RowVisibility, TeamRule};
use gateway_settings::{
    AccessLog, Alphabet, Balance, Fault, KeyForm, Loaded, LookUp, Permissions, Store, load,
    load_directory,
};
use http::Method;

/// Variables, and files by the path that was asked for.
#[derive(Default)]
struct Table(HashMap<&'static str, &'static str>);

impl LookUp for Table {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| value.to_string())
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        let value = path.to_str().and_then(|path| self.0.get(path));
        value.map(|value| value.to_string()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn print(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

fn loaded_with(text: &str, variables: &[(&'static str, &'static str)]) -> Loaded {
    let table = Table(variables.iter().copied().collect());
    load(text, Path::new("etc/gateway.yaml"), &table)
        .unwrap_or_else(|faults| panic!("{}", print(&faults)))
}

fn loaded(text: &str) -> Loaded {
    loaded_with(text, &[])
}

fn faults(text: &str) -> Vec<Fault> {
    load(text, Path::new("gateway.yaml"), &Table::default()).err().unwrap_or_default()
}

const CONTRACT: &str = include_str!("good/contract.yaml");

#[test]
fn the_contracts_sample_is_read_as_it_says() {
    let Loaded { settings, rules, .. } = loaded(CONTRACT);
    assert_eq!(settings.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.admin.address.to_string(), "127.0.0.1:8081");
    assert_eq!(settings.telemetry.access_log, AccessLog::Stdout);
    assert_eq!(settings.store, Store::Sqlite(PathBuf::from("etc/colonnade.db")));
    let names: Vec<&str> =
        settings.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    assert_eq!(names, ["calls", "coach", "leads"], "the order of the file is the order of ids");
    let calls = &settings.upstreams[0];
    assert_eq!((calls.servers[0].weight, calls.servers[1].weight), (1, 2));
    assert_eq!(calls.servers[1].address, "127.0.0.1:9111");
    assert_eq!((calls.balance, calls.timeouts.first_byte_ms), (Balance::RoundRobin, 30_000));
    assert!(settings.upstreams[1].health.is_none(), "a health check is asked for");
    assert_eq!(
        (settings.keys.alphabet, settings.keys.length, settings.keys.live_max),
        (Alphabet::Hex, 64, 10)
    );
    assert_eq!((settings.drain.delay_ms, settings.drain.grace_ms), (5_000, 20_000));

    assert_eq!(rules.credentials.accept, [Carrier::Bearer, Carrier::XApiKey]);
    assert_eq!(rules.scopes.iter().count(), 5);
    assert_eq!(rules.plans["starter"].quotas.iter().count(), 2);
    let visibility: Vec<RowVisibility> =
        rules.resources.iter().map(|resource| resource.visibility).collect();
    assert_eq!(
        visibility,
        [
            RowVisibility::Columns,
            RowVisibility::Unstated,
            RowVisibility::Unstated,
            RowVisibility::Upstream
        ]
    );
    let calls = &rules.resources[0];
    let shown = |path| calls.defaults.contains(calls.catalogue.column(path).unwrap());
    assert!(shown("call_id") && shown("assistant_id") && !shown("customer.name"));
    assert_eq!(calls.always, [calls.catalogue.column("call_id").unwrap()]);
    assert!(rules.resources[2].catalogue.is_all());

    let routes = rules.routes.routes();
    assert_eq!(routes.len(), 5);
    assert_eq!(&*routes[4].label, "GET|POST /api/contacts");
    assert_eq!((routes[0].team, routes[4].team), (TeamRule::Optional, TeamRule::None));
    assert_eq!(
        (routes[0].upstream.index(), routes[4].upstream.index(), routes[4].resource.index()),
        (0, 2, 3)
    );
    assert!(routes[1].shape.is_single() && !routes[0].shape.is_single());
    assert!(rules.routes.find(&Method::GET, "/api/calls/c1/transcript").is_ok());
    assert_eq!(rules.bounds, gateway_policy::Bounds::default());
    assert_eq!(rules.reserved, gateway_policy::Reserved::default());
}

/// A route that takes a team takes the query parameter that names it.
#[test]
fn the_parameter_that_names_the_team_is_allowed_where_teams_are() {
    let Loaded { rules, .. } = loaded(CONTRACT);
    let QueryRule::Allow(names) = &rules.routes.routes()[0].query else { panic!("a list") };
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    assert_eq!(names, ["limit", "offset", "start_date", "end_date", "team_id"]);
}

#[test]
fn json_loads_too_and_numbers_as_keys_are_text() {
    let text = r#"{"version":1,"plans":{"101":{"limits":{"minute":{"requests":60,"window":"1m"}}}},
        "routes":[],"upstreams":{"calls":{"servers":["127.0.0.1:9101"]}}}"#;
    assert!(loaded(text).rules.plans.contains_key("101"));
    let text = "version: 1\nplans: { 101: { limits: { minute: { requests: 60, window: 1m } } } }\n";
    assert!(loaded(text).rules.plans.contains_key("101"));
    let twice = "version: 1\nplans:\n  101: { limits: {} }\n  \"101\": { limits: {} }\n";
    assert!(
        print(&faults(twice)).contains("4:3: plans.101: `101` is here twice"),
        "{}",
        print(&faults(twice))
    );
}

#[test]
fn an_expanded_scalar_is_what_its_place_asks_for() {
    let text = r#"
version: 1
listeners: [{ address: "127.0.0.1:${PORT:-8080}" }]
upstreams:
  calls: { servers: [{ address: "${CALLS}", weight: "${WEIGHT}" }], connections_max: ${MANY:-64}, host: ${HOST} }
keys:
  pair: ${PAIR}
  prefix: "$$"
"#;
    let faulty = faults(text);
    assert!(print(&faulty).contains("`CALLS` is not set"), "{}", print(&faulty));
    let text = text.replace("\"$$\"", "${PREFIX}");
    let variables = [
        ("CALLS", "10.0.0.1:80"),
        ("WEIGHT", "3"),
        ("PAIR", "true"),
        ("HOST", "9101"),
        ("PREFIX", "123"),
    ];
    let settings = loaded_with(&text, &variables).settings;
    assert_eq!(settings.listeners[0].address.port(), 8080);
    assert_eq!(settings.upstreams[0].servers[0].weight, 3);
    assert_eq!(settings.upstreams[0].connections_max, 64);
    assert_eq!(settings.upstreams[0].host.as_deref(), Some("9101"));
    assert_eq!(settings.keys.prefix, "123");
    assert!(settings.keys.pair);
}

#[test]
fn paths_are_relative_to_the_file_that_names_them() {
    let text = r#"
version: 1
listeners:
  - address: "127.0.0.1:8443"
    tls:
      certificate: tls.crt
      key: /abs/tls.key
      certificates: [{ certificate: /abs/more.crt, key: more.key }]
      client_certificates: { ca: clients.pem }
telemetry: { access_log: logs/access.log }
store: { file: directory.yaml }
keys: { pepper: "${file:secrets/pepper}" }
"#;
    let settings = loaded_with(text, &[("etc/secrets/pepper", "0123456789abcdef\n")]).settings;
    let tls = settings.listeners[0].tls.as_ref().unwrap();
    let files: Vec<_> = tls.certificates().map(|pair| (&*pair.certificate, &*pair.key)).collect();
    let expected = [("etc/tls.crt", "/abs/tls.key"), ("/abs/more.crt", "etc/more.key")];
    assert_eq!(files, expected.map(|(certificate, key)| (Path::new(certificate), Path::new(key))));
    let clients = tls.clients.as_ref().unwrap();
    assert_eq!((&*clients.ca, clients.required), (Path::new("etc/clients.pem"), true));
    assert_eq!(settings.telemetry.access_log, AccessLog::File("etc/logs/access.log".into()));
    assert_eq!(settings.store, Store::File("etc/directory.yaml".into()));
    assert_eq!(settings.keys.pepper.as_ref().unwrap().reveal(), "0123456789abcdef");
    assert!(!format!("{settings:?}").contains("0123456789abcdef"));
}

#[test]
fn admin_tokens_come_with_their_permissions() {
    let text = format!(
        "version: 1\nadmin: {{ tokens: {{ ops: {{ digest: \"sha256:{}\", permissions: [keys, read] }} }} }}\n",
        "ab".repeat(32)
    );
    let admin = loaded(&text).settings.admin;
    assert_eq!(admin.tokens[0].name, "ops");
    assert_eq!(
        admin.tokens[0].permissions,
        Permissions { keys: true, data: false, accounts: false }
    );
}

#[test]
fn a_route_that_lets_everything_pass_needs_no_rows_unless_rows_are_judged() {
    let route = |resource: &str| {
        format!(
            "version: 1\nupstreams: {{ a: {{ servers: [\"h:1\"] }} }}\nscopes: {{ a:read: A }}\nresources: {{ a: {resource} }}\n\
             routes: [{{ match: GET /a, upstream: a, scope: a:read, resource: a }}]\n"
        )
    };
    for (resource, needed) in [
        ("{ columns: all }", false),
        ("{ columns: all, visibility: upstream }", false),
        ("{ columns: all, assistants: [agent.id] }", true),
        ("{ columns: all, visibility: { private: p } }", true),
        ("{ columns: { id: {} } }", true),
    ] {
        let missing = print(&faults(&route(resource))).contains("routes[0].rows: is missing");
        assert_eq!(missing, needed, "{resource}");
    }
}

/// A validator or a coding speaks of the upstream's own body; only where that passes it may, too.
#[test]
fn validators_and_codings_may_pass_only_where_nothing_is_filtered() {
    let route = |resource: &str, headers: &str| {
        format!(
            "version: 1\nupstreams: {{ a: {{ servers: [\"h:1\"] }} }}\nscopes: {{ a:read: A }}\nresources: {{ a: {resource} }}\n\
             routes: [{{ match: GET /a, upstream: a, scope: a:read, resource: a, rows: \"$\", {headers} }}]\n"
        )
    };
    let whole = ["{ columns: all }", "{ columns: all, visibility: upstream }"];
    let filtered = [
        "{ columns: { id: {} } }",
        "{ columns: all, assistants: [agent.id] }",
        "{ columns: all, visibility: { private: p } }",
    ];
    for (header, direction, where_whole) in [
        ("ETag", "return", true),
        ("Last-Modified", "return", true),
        ("Digest", "return", true),
        ("Accept-Ranges", "return", true),
        ("Content-Range", "return", false),
        ("Content-Length", "return", false),
        ("X-RateLimit-Limit", "return", false),
        ("If-None-Match", "forward", true),
        ("If-Modified-Since", "forward", true),
        ("Accept-Encoding", "forward", true),
        ("Range", "forward", false),
        ("If-Range", "forward", false),
        ("Authorization", "forward", false),
        ("X-Colonnade-Team", "forward", false),
    ] {
        let headers = format!("{direction}_headers: [{header}]");
        for resource in whole {
            let found = faults(&route(resource, &headers));
            assert_eq!(found.is_empty(), where_whole, "{header} {resource}: {}", print(&found));
        }
        for resource in filtered {
            let found = print(&faults(&route(resource, &headers)));
            assert!(found.contains(&format!("routes[0].{direction}_headers[0]")), "{found}");
        }
    }
}

#[test]
fn unmapped_null_needs_no_quotes() {
    for unmapped in ["null", "\"null\"", "keep"] {
        loaded(&format!(
            "version: 1\nresources: {{ a: {{ columns: {{ id: }}, unmapped: {unmapped} }} }}\n"
        ));
    }
    assert!(
        !faults("version: 1\nresources: { a: { columns: { id: }, unmapped: ~ } }\n").is_empty()
    );
}

/// The short form needs both of its scopes; `manage`, which covers every method, replaces neither.
#[test]
fn the_short_form_of_a_scope_needs_both_of_its_scopes() {
    for (scopes, good) in [
        ("a:read: A, a:write: A", true),
        ("read:a: A, write:a: A", true),
        ("a:read: A, a:write: A, a:manage: A", true),
        ("a:manage: A", false),
        ("a:manage: A, a:read: A", false),
        ("a:read: A", false),
        ("a:write: A", false),
        ("b:read: B", false),
    ] {
        let text = format!(
            "version: 1\nupstreams: {{ a: {{ servers: [\"h:1\"] }} }}\nscopes: {{ {scopes} }}\nresources: {{ a: {{ columns: all }} }}\n\
             routes: [{{ match: GET /a, upstream: a, scope: a, resource: a }}]\n"
        );
        let found = faults(&text);
        assert_eq!(found.is_empty(), good, "{scopes}: {}", print(&found));
    }
}

#[test]
fn a_name_whose_declaration_is_faulty_is_not_reported_again() {
    let text = r#"
version: 1
upstreams: { a: { servers: [] } }
scopes: { a:read: 5 }
resources: { a: { columns: some } }
routes: [{ match: GET /a, upstream: a, scope: a:read, resource: a }]
"#;
    let paths: Vec<String> = faults(text).into_iter().map(|fault| fault.path).collect();
    assert_eq!(paths, ["upstreams.a.servers", "scopes.a:read", "resources.a.columns"]);
}

#[test]
fn places_after_a_faulty_item_of_a_list_are_still_those_of_the_file() {
    let text = "version: 1\nroutes:\n  - 5\n  - { match: GET /a, upstream: x, scope: a:read, resource: a, rows: data }\n";
    let paths: Vec<String> = faults(text).into_iter().map(|fault| fault.path).collect();
    assert_eq!(paths, ["routes[0]", "routes[1].upstream", "routes[1].scope", "routes[1].resource"]);
}

/// Bounded: text that aims at the parser is refused, and fast.
#[test]
fn hostile_text_is_a_fault_and_a_fast_one() {
    let nested_flow = "[".repeat(20_000);
    let nested_map = "{a: ".repeat(20_000);
    let nested_block =
        (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>();
    let dashes = "- ".repeat(20_000);
    let bomb: String = std::iter::once("a0: &a0 [x, x]\n".to_string())
        .chain((1..30).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1)))
        .collect();
    let merge = "a: &a { b: 1 }\nc: { <<: *a }\n".to_string();
    let twins = "version: 1\n".repeat(50_000);
    let huge = format!("version: 1\n# {}", "x".repeat(5 << 20));
    let long_line = format!("version: 1\nlisteners: [{}]\n", "5, ".repeat(100_000));
    let unknown: String = (0..50_000).map(|n| format!("key{n}: 1\n")).collect();
    let braces = "a{".repeat(200_000);
    let quotes = "\"".repeat(200_001);
    for (name, text) in [
        ("20 000 [", nested_flow),
        ("20 000 {", nested_map),
        ("deep blocks", nested_block),
        ("dashes", dashes),
        ("bomb", bomb),
        ("merge", merge),
        ("twins", twins),
        ("5 MiB", huge),
        ("one long line of faults", long_line),
        ("unknown keys", unknown),
        ("braces", braces),
        ("quotes", quotes),
        ("two documents", "version: 1\n---\nversion: 1\n".into()),
        ("tab", "version: 1\nkeys:\n\tlive_max: 1\n".into()),
        ("NUL", "version: 1\nkeys: { prefix: a\0b }\n".into()),
        ("escape", "version: 1\nkeys: { prefix: \u{1b}[31m }\n".into()),
        ("BOM inside", "version: 1\n\u{feff}keys: {}\n".into()),
        ("stand-in", "version: 1\nkeys: { prefix: \u{e000} }\n".into()),
        ("alias alone", "*a".into()),
        ("directive", "%TAG ! x\n---\nversion: 1\n".into()),
        ("comma", ",".into()),
        ("colon", ":".into()),
        ("question", "? ? ?".into()),
    ] {
        let began = Instant::now();
        let found = faults(&text);
        // Unoptimised, on a busy machine; what is guarded against takes minutes.
        assert!(began.elapsed() < Duration::from_secs(20), "{name} took {:?}", began.elapsed());
        assert!(!found.is_empty(), "{name} loads");
        for fault in found.iter().take(100) {
            let text = fault.to_string();
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{name}: {text:?}");
            assert!(fault.line >= 1 && fault.column >= 1, "{name}");
        }
    }
}

#[test]
fn a_byte_order_mark_at_the_start_and_windows_line_ends_are_no_fault() {
    assert_eq!(
        loaded("\u{feff}version: 1\r\nkeys:\r\n  live_max: 3\r\n").settings.keys.live_max,
        3
    );
    let found = faults("\u{feff}version: 1\r\nkeys:\r\n  live_max: x\r\n");
    let fault = found.iter().find(|fault| !fault.warning).unwrap();
    assert_eq!((fault.line, fault.column, fault.source.as_str()), (3, 13, "  live_max: x"));
}

/// Inside `[…]` and `{…}` YAML itself would stop at these brackets.
/// A fault's line is the line that is shown with it, whatever ends lines.
#[test]
fn a_character_that_cannot_stand_is_placed_as_its_line_is_cut_out() {
    for (text, line, column, source) in [
        ("version: 1\nkeys: \u{1}\n", 2, 7, "keys: ·"),
        ("version: 1\r\nkeys: \u{1}\r\n", 2, 7, "keys: ·"),
        ("version: 1\r\u{1}keys: {}", 2, 1, "·keys: {}"),
        ("version: 1\r\n\r\n\r\u{1}", 4, 1, "·"),
        ("\u{feff}a\u{1}", 1, 2, "a·"),
    ] {
        let found = &faults(text)[0];
        let shown = (found.line, found.column, found.caret, found.source.as_str());
        assert_eq!(shown, (line, column, column, source), "{text:?}");
    }
}

#[test]
fn braces_and_brackets_inside_a_word_need_no_quotes() {
    let text = r#"
version: 1
upstreams: { a: { servers: [${SERVER}] } }
scopes: { a:read: A }
resources: { a: { columns: { id: {} } } }
routes: [{ match: GET /a/{id:int}/{b}, upstream: a, scope: a:read, resource: a, rows: data[], query: [] }]
"#;
    let Loaded { settings, rules, .. } = loaded_with(text, &[("SERVER", "h:1")]);
    assert_eq!(settings.upstreams[0].servers[0].address, "h:1");
    let route = &rules.routes.routes()[0];
    assert_eq!(&*route.label, "GET /a/{id:int}/{b}");
    assert!(!route.shape.is_single());
}

const DIRECTORY: &str = include_str!("directory/good/contract.yaml");

#[test]
fn the_contracts_directory_is_read_as_it_says() {
    let loaded = load_directory(
        DIRECTORY,
        Path::new("directory.yaml"),
        &Table::default(),
        &KeyForm::default(),
    )
    .unwrap_or_else(|faults| panic!("{}", print(&faults)));
    assert!(loaded.left_out.is_empty(), "{}", print(&loaded.left_out));
    let account = &loaded.directory.accounts[0];
    assert_eq!(
        (account.id.as_str(), account.name.as_str(), account.plan.as_str()),
        ("acme", "Acme Heating", "professional")
    );
    assert_eq!(account.teams.as_deref().unwrap(), ["101", "102"]);
    assert_eq!(account.columns["calls"], ["call_id", "created_at", "assistant_id"]);
    assert_eq!(account.team_columns["102"]["calls"], ["call_id"]);
    assert_eq!(account.assistants.names, [("asst_1".to_owned(), "Front desk".to_owned())]);
    assert_eq!(account.assistants.fallback.as_deref(), Some("AI assistant"));
    assert_eq!(account.users[0].email.as_deref(), Some("ann@acme.test"));
    let key = &account.keys[0];
    assert_eq!((key.id.as_str(), key.display.as_str()), ("key_crm", "avoca_ab12…9f0c"));
    assert_eq!(key.data_scope, Some(DataScope::OrgFull));
    assert_eq!(key.teams.as_deref().unwrap(), ["101"]);
    assert_eq!(key.expires_at.unwrap().0, 1_798_761_600_000);
    assert_eq!(key.allowed_ips[0].to_string(), "203.0.113.0/24");
    assert_eq!(key.limits.as_ref().unwrap()[0].requests, 10);
}

#[test]
fn what_a_record_leaves_out_has_its_default_and_null_is_nothing() {
    let text = format!(
        "version: 1\naccounts:\n  7:\n    plan: starter\n    users: {{ u: {{}} }}\n    keys:\n      k:\n        digest: \"sha256:{}\"\n        scopes: [a:read]\n        teams: all\n        expires_at: null\n        owner: 5\n",
        "0".repeat(64)
    );
    let loaded =
        load_directory(&text, Path::new("d.yaml"), &Table::default(), &KeyForm::default()).unwrap();
    assert!(loaded.left_out.is_empty(), "{}", print(&loaded.left_out));
    let account = &loaded.directory.accounts[0];
    assert_eq!((account.id.as_str(), account.name.as_str()), ("7", "7"));
    assert!(account.teams.is_none() && account.users[0].active);
    let key = &account.keys[0];
    assert_eq!((key.name.as_str(), key.display.as_str()), ("k", "…"));
    assert!(
        key.teams.is_none()
            && key.data_scope.is_none()
            && key.expires_at.is_none()
            && key.allowed_ips.is_empty()
    );
    assert_eq!(key.owner.as_deref(), Some("5"));
}

/// X12: what `gateway_policy::compile` says of a record gets its place in the file.
#[test]
fn faults_of_records_find_their_place_even_when_ids_have_dots() {
    let text = format!(
        "version: 1\naccounts:\n  acme:\n    plan: starter\n  acme.keys:\n    plan: gold\n    keys:\n      a.b: {{ digest: \"sha256:{}\", scopes: [calls:read, calls:sing] }}\n",
        "0".repeat(64)
    );
    let loaded =
        load_directory(&text, Path::new("d.yaml"), &Table::default(), &KeyForm::default()).unwrap();
    let rules = self::loaded("version: 1").rules;
    let fault = |path: &str| gateway_policy::RecordFault {
        path: path.into(),
        message: "is wrong".into(),
        help: Some("mend it".into()),
    };
    for (path, place) in [
        ("accounts.acme.keys.keys.a.b.scopes[1]", (8, 118)),
        ("accounts.acme.keys.keys.a.b.user", (8, 7)),
        ("accounts.acme.keys.plan", (6, 11)),
        ("accounts.acme.columns.calls[0]", (3, 3)),
        ("accounts.nobody", (1, 1)),
    ] {
        let placed = loaded.faults(&[fault(path)], &rules);
        assert_eq!((placed[0].line, placed[0].column), place, "{path}: {}", placed[0]);
        assert!(!placed[0].source.contains("0000"), "digests are masked");
    }
}

/// Linear: twice the keys, twice the time, also when every one of them is at fault.
#[test]
fn a_directory_of_many_broken_keys_is_reported_in_linear_time() {
    let began = Instant::now();
    let keys: String =
        (0..10_000).map(|n| format!("k{n}: {{ digest: plain{n}, scopes: [] }}, ")).collect();
    let text = format!("{{ version: 1, accounts: {{ a: {{ plan: p, keys: {{ {keys} }} }} }} }}");
    let loaded =
        load_directory(&text, Path::new("d.yaml"), &Table::default(), &KeyForm::default()).unwrap();
    assert_eq!(loaded.left_out.len(), 1_001);
    assert_eq!(loaded.left_out[1_000].message, "and 19000 more faults");
    assert!(loaded.directory.accounts[0].keys.is_empty(), "what is not shown is left out too");
    assert!(loaded.left_out.iter().all(|fault| !fault.source.contains("plain")));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}
