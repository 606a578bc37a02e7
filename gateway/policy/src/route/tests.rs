#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::pattern::SEGMENTS_MAX;
use super::*;
use crate::scope::ScopeTable;

const UUID: &str = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";

/// `GET|POST /path`, as in a configuration.
fn route(text: &str) -> Route {
    let (methods, pattern) = text.split_once(' ').unwrap();
    let methods: Vec<Method> = methods.split('|').map(|method| method.parse().unwrap()).collect();
    let scopes = ScopeTable::new([("calls:read", "")]).unwrap();
    Route {
        id: RouteId(0),
        label: text.into(),
        scope: ScopeRule::compile(&scopes, "calls:read", &methods).unwrap(),
        methods,
        pattern: Pattern::parse(pattern).unwrap(),
        upstream: UpstreamId(0),
        resource: ResourceId(0),
        shape: Arc::new(Shape::compile("$", &[], false).unwrap()),
        query: QueryRule::Allow(Vec::new()),
        team: TeamRule::None,
        reach_account: false,
        account_param: None,
        errors_pass: false,
        forward_headers: Vec::new(),
        return_headers: Vec::new(),
    }
}

fn table(routes: &[&str]) -> RouteTable {
    RouteTable::build(routes.iter().map(|text| route(text)).collect()).unwrap()
}

/// What answers, as text: the route's label, or `404`, or `405` and the methods.
fn answer(table: &RouteTable, method: &str, path: &str) -> String {
    match table.find(&method.parse().unwrap(), path) {
        Ok(found) => found.route.label.to_string(),
        Err(RouteError::NotFound) => "404".to_owned(),
        Err(RouteError::MethodNotAllowed { allow }) => format!("405 {allow}"),
    }
}

/// E2, E5, E6: literal siblings come first, types keep words out, whatever the order in the file.
#[test]
fn the_more_special_segment_wins_in_any_order() {
    let mut routes = vec![
        "GET /api/calls/{id:uuid}",
        "GET /api/calls/latest-by-phone",
        "GET /api/calls/{id:uuid}/transcript",
        "GET /api/coach/{id:int}",
        "GET /api/coach/rubrics",
        "GET /api/leads/{id:int}",
        "GET /api/leads/{id}",
        "GET /api/leads/**",
        "GET /**",
    ];
    let cases = [
        (format!("/api/calls/{UUID}"), "GET /api/calls/{id:uuid}"),
        (format!("/api/calls/{}", UUID.to_uppercase()), "GET /api/calls/{id:uuid}"),
        (format!("/api/calls/{UUID}/transcript"), "GET /api/calls/{id:uuid}/transcript"),
        ("/api/calls/latest-by-phone".into(), "GET /api/calls/latest-by-phone"),
        ("/api/calls/not-a-uuid".into(), "GET /**"),
        ("/api/coach/200".into(), "GET /api/coach/{id:int}"),
        ("/api/coach/word".into(), "GET /**"),
        ("/api/coach/rubrics".into(), "GET /api/coach/rubrics"),
        ("/api/leads/7".into(), "GET /api/leads/{id:int}"),
        ("/api/leads/seven".into(), "GET /api/leads/{id}"),
        ("/api/leads/7/notes".into(), "GET /api/leads/**"),
        ("/".into(), "404"),
    ];
    for _ in 0..routes.len() {
        routes.rotate_left(1);
        let table = table(&routes);
        for (path, expected) in &cases {
            assert_eq!(answer(&table, "GET", path), *expected, "{path} in {routes:?}");
        }
    }
}

#[test]
fn a_branch_that_leads_nowhere_is_left_again() {
    let table = table(&[
        "GET /a/b/c",
        "GET /a/{x}/d",
        "GET /{x}/b/e",
        "GET /a/{n:int}/f/g",
        "GET /a/{x}/f/**",
        "GET /a/**",
        "GET /**",
    ]);
    for (path, expected) in [
        ("/a/b/c", "GET /a/b/c"),
        ("/a/b/d", "GET /a/{x}/d"),
        ("/a/b/e", "GET /a/**"),
        ("/z/b/e", "GET /{x}/b/e"),
        ("/a/1/f/g", "GET /a/{n:int}/f/g"),
        ("/a/1/f/h", "GET /a/{x}/f/**"),
        ("/a/1/f", "GET /a/**"),
        ("/z/b/f", "GET /**"),
    ] {
        assert_eq!(answer(&table, "GET", path), expected, "{path}");
    }
}

/// E11: the method decides among patterns too; 405 only when no matching pattern serves it.
#[test]
fn a_better_pattern_with_another_method_does_not_hide_a_worse_one() {
    let table = table(&[
        "GET /api/calls/latest",
        "POST /api/calls/{id}",
        "DELETE|PATCH /api/calls/**",
        "POST /api/contacts",
        "HEAD /api/contacts",
        "GET|OPTIONS /api/teams",
    ]);
    for (method, path, expected) in [
        ("GET", "/api/calls/latest", "GET /api/calls/latest"),
        ("HEAD", "/api/calls/latest", "GET /api/calls/latest"),
        ("POST", "/api/calls/latest", "POST /api/calls/{id}"),
        ("PATCH", "/api/calls/latest", "DELETE|PATCH /api/calls/**"),
        ("PUT", "/api/calls/latest", "405 DELETE, GET, HEAD, PATCH, POST"),
        ("GET", "/api/calls/other", "405 DELETE, PATCH, POST"),
        ("HEAD", "/api/calls/other", "405 DELETE, PATCH, POST"),
        ("GET", "/api/contacts", "405 HEAD, POST"),
        ("OPTIONS", "/api/teams", "GET|OPTIONS /api/teams"),
        ("OPTIONS", "/api/contacts", "405 HEAD, POST"),
        ("get", "/api/teams", "405 GET, HEAD, OPTIONS"),
        ("PUT", "/api/nope", "404"),
        ("GET", "/api/calls", "404"),
    ] {
        assert_eq!(answer(&table, method, path), expected, "{method} {path}");
    }
}

#[test]
fn head_of_its_own_beats_get_at_the_same_pattern_only() {
    let table = table(&["GET /a", "HEAD /a", "GET /{x}", "HEAD /**", "GET /b/c"]);
    for (path, expected) in
        [("/a", "HEAD /a"), ("/z", "GET /{x}"), ("/b/c", "GET /b/c"), ("/z/z", "HEAD /**")]
    {
        assert_eq!(answer(&table, "HEAD", path), expected, "{path}");
    }
}

/// S17: case and a trailing slash count; nothing is tidied.
#[test]
fn a_trailing_slash_and_letter_case_count() {
    let table =
        table(&["GET /v1/calls/", "GET /v1/{name}", "GET /v2/**", "GET /v3/{a}/", "POST /"]);
    for (path, expected) in [
        ("/v1/calls/", "GET /v1/calls/"),
        ("/v1/calls", "GET /v1/{name}"),
        ("/v1/Calls", "GET /v1/{name}"),
        ("/v1/Calls/", "404"),
        ("/V1/calls/", "404"),
        ("/v1/", "404"),
        ("/v1", "404"),
        ("/v2", "404"),
        ("/v2/", "404"),
        ("/v2/a", "GET /v2/**"),
        ("/v2/a/", "GET /v2/**"),
        ("/v2/a/b/c", "GET /v2/**"),
        ("/v3/x/", "GET /v3/{a}/"),
        ("/v3/x", "404"),
        ("/v3//", "404"),
        ("/", "405 POST"),
        ("", "404"),
        ("v1/calls/", "404"),
        ("//v1/calls/", "404"),
    ] {
        assert_eq!(answer(&table, "GET", path), expected, "{path}");
    }
}

/// E2, E5: what a type takes, with its edges.
#[test]
fn a_typed_parameter_takes_its_type_only() {
    let table = table(&["GET /i/{n:int}", "GET /u/{n:uuid}"]);
    for (path, matches) in [
        ("/i/0".to_owned(), true),
        ("/i/7".to_owned(), true),
        ("/i/1234567890123456789".to_owned(), true),
        ("/i/12345678901234567890".to_owned(), false),
        ("/i/007".to_owned(), false),
        ("/i/00".to_owned(), false),
        ("/i/-1".to_owned(), false),
        ("/i/+1".to_owned(), false),
        ("/i/1.0".to_owned(), false),
        ("/i/0x1".to_owned(), false),
        ("/i/%D9%A1".to_owned(), false),
        (format!("/u/{UUID}"), true),
        (format!("/u/{}", UUID.to_uppercase()), true),
        (format!("/u/{}", UUID.replace('-', "")), false),
        (format!("/u/{{{UUID}}}"), false),
        (format!("/u/{}", UUID.replace('f', "g")), false),
        (format!("/u/{UUID}0"), false),
        (format!("/u/{}", UUID.replace("-b42d-", "b42d--")), false),
    ] {
        assert_eq!(table.find(&Method::GET, &path).is_ok(), matches, "{path}");
    }
}

#[test]
fn parameters_are_those_of_the_route_that_answered() {
    let table = table(&[
        "GET /{a}/x/{b:int}/end",
        "GET /{first}/{second}/{third}",
        "POST /{other}/{names}/{here}",
        "GET /{1}/{2}/{3}/{4}/{5}/{6}/{7}/{8}/**",
    ]);
    for (method, path, expected) in [
        ("GET", "/p/x/3/end", &[("a", "p"), ("b", "3")][..]),
        ("GET", "/p/x/3", &[("first", "p"), ("second", "x"), ("third", "3")]),
        ("POST", "/p/x/%C3%A9", &[("other", "p"), ("names", "x"), ("here", "%C3%A9")]),
        (
            "GET",
            "/a/b/c/d/e/f/g/h/i/j",
            &[
                ("1", "a"),
                ("2", "b"),
                ("3", "c"),
                ("4", "d"),
                ("5", "e"),
                ("6", "f"),
                ("7", "g"),
                ("8", "h"),
            ],
        ),
    ] {
        let found = table.find(&method.parse().unwrap(), path).unwrap();
        assert_eq!(found.params.iter().collect::<Vec<_>>(), expected, "{method} {path}");
        for (name, value) in expected {
            assert_eq!(found.params.find(name), Some(*value), "{method} {path}");
        }
        assert_eq!(found.params.find("absent"), None);
    }
}

#[test]
fn routes_that_nothing_tells_apart_are_a_conflict() {
    let conflict = |first, second, method: &str| RouteConflict {
        first,
        second,
        method: method.parse().unwrap(),
    };
    for (routes, expected) in [
        (&["GET /a", "GET /a"][..], vec![conflict(0, 1, "GET")]),
        (&["GET /a/{x}", "GET /a/{y}"], vec![conflict(0, 1, "GET")]),
        (&["GET /a/{x:int}", "GET /a/{y:int}"], vec![conflict(0, 1, "GET")]),
        (&["GET /a/**", "GET|PUT /a/**"], vec![conflict(0, 1, "GET")]),
        (
            &["GET|PUT /a", "POST /a", "PUT|GET|POST /a"],
            vec![conflict(0, 2, "PUT"), conflict(0, 2, "GET"), conflict(1, 2, "POST")],
        ),
        (
            &["GET /a", "GET /b", "GET /a", "GET /a"],
            vec![conflict(0, 2, "GET"), conflict(0, 3, "GET")],
        ),
        (&["GET /a", "POST /a"], vec![]),
        (&["GET /a", "HEAD /a"], vec![]),
        (&["GET|GET /a"], vec![]),
        (&["GET /a", "GET /a/"], vec![]),
        (&["GET /a", "GET /A"], vec![]),
        (&["GET /a/{x}", "GET /a/{x:int}", "GET /a/{x:uuid}", "GET /a/**", "GET /a/x"], vec![]),
        (&["GET /{x}/b", "GET /a/{x}"], vec![]),
    ] {
        let built = RouteTable::build(routes.iter().map(|text| route(text)).collect());
        assert_eq!(built.err().unwrap_or_default(), expected, "{routes:?}");
    }
}

#[test]
fn the_table_keeps_the_order_of_the_file() {
    let routes = ["GET /z", "GET /a/{x}", "POST /z"];
    let table = table(&routes);
    let labels: Vec<&str> = table.routes().iter().map(|route| &*route.label).collect();
    assert_eq!(labels, routes);
    assert_eq!(answer(&self::table(&[]), "GET", "/"), "404");
}

#[test]
fn a_faulty_pattern_is_named() {
    let deep = "/a".repeat(SEGMENTS_MAX);
    let text = |text: &str| Box::<str>::from(text);
    for (pattern, expected) in [
        ("/", Ok(())),
        ("/api/calls/{id:uuid}/", Ok(())),
        ("/caf%C3%A9/a.b/{team-id}/{x.y}/**", Ok(())),
        (&*deep, Ok(())),
        (&*format!("{deep}/a"), Err(PatternError::TooManySegments)),
        ("", Err(PatternError::NoSlash)),
        ("api", Err(PatternError::NoSlash)),
        ("//", Err(PatternError::EmptySegment)),
        ("/a//b", Err(PatternError::EmptySegment)),
        ("/**/a", Err(PatternError::RestNotLast)),
        ("/**/", Err(PatternError::RestNotLast)),
        ("/a*", Err(PatternError::Star { segment: text("a*") })),
        ("/*", Err(PatternError::Star { segment: text("*") })),
        ("/a{x}", Err(PatternError::PartOfSegment { segment: text("a{x}") })),
        ("/{x", Err(PatternError::PartOfSegment { segment: text("{x") })),
        ("/a?b=c", Err(PatternError::Query { segment: text("a?b=c") })),
        ("/{}", Err(PatternError::Name { name: text("") })),
        ("/{a}{b}", Err(PatternError::Name { name: text("a}{b") })),
        ("/{:int}", Err(PatternError::Name { name: text("") })),
        ("/{id:}", Err(PatternError::UnknownType { kind: text("") })),
        ("/{id:Int}", Err(PatternError::UnknownType { kind: text("Int") })),
        ("/{id}/{id:int}", Err(PatternError::NameTwice { name: text("id") })),
        ("/{1}/{2}/{3}/{4}/{5}/{6}/{7}/{8}", Ok(())),
        ("/{1}/{2}/{3}/{4}/{5}/{6}/{7}/{8}/{9}", Err(PatternError::TooManyParams)),
    ] {
        assert_eq!(Pattern::parse(pattern).map(drop), expected, "{pattern}");
    }
    for segment in ["..", "%41", "a b", "é", "a;b", "a#b", "%c3%a9", "%2F"] {
        let error = Pattern::parse(&format!("/a/{segment}")).unwrap_err();
        assert!(matches!(error, PatternError::Literal { .. }), "{segment}: {error}");
    }
    let pattern = Pattern::parse("/a/{x:int}/{y}/**").unwrap();
    assert_eq!(
        (pattern.as_str(), pattern.params().collect::<Vec<_>>()),
        ("/a/{x:int}/{y}/**", vec!["x", "y"])
    );
}

/// Every pattern is tried; of those that match and serve the method, the one whose ranks compare
/// smallest from the left answers. Slow, obvious.
mod naive {
    /// Rank of each segment, if the pattern matches: literal 0, typed 1, parameter 2, `**` 3.
    fn ranks(pattern: &str, path: &str) -> Option<Vec<u8>> {
        let (pattern, path): (Vec<&str>, Vec<&str>) =
            (pattern.split('/').collect(), path.split('/').collect());
        let mut ranks = Vec::new();
        for (at, wanted) in pattern.iter().enumerate() {
            let segment = *path.get(at)?;
            ranks.push(match *wanted {
                "**" if !segment.is_empty() => return Some([ranks, vec![3]].concat()),
                "{i:int}" if !segment.is_empty() && segment.chars().all(|c| c.is_ascii_digit()) => {
                    1
                }
                "{u:uuid}" if segment == super::UUID => 1,
                "{p}" if !segment.is_empty() => 2,
                literal if literal == segment => 0,
                _ => return None,
            });
        }
        (path.len() == pattern.len()).then_some(ranks)
    }

    pub(super) fn answer(routes: &[(String, String)], method: &str, path: &str) -> String {
        let mut matching: Vec<(Vec<u8>, &str, &str)> = routes
            .iter()
            .filter_map(|(methods, pattern)| Some((ranks(pattern, path)?, &**methods, &**pattern)))
            .collect();
        matching.sort();
        let has = |methods: &str, method: &str| methods.split('|').any(|known| known == method);
        for (ranks, methods, pattern) in &matching {
            // A route of the same pattern with a HEAD of its own is better than one with GET.
            let own_head =
                matching.iter().any(|(r, m, p)| r == ranks && p == pattern && has(m, "HEAD"));
            if has(methods, method) || (method == "HEAD" && has(methods, "GET") && !own_head) {
                return format!("{methods} {pattern}");
            }
        }
        let mut allow: Vec<&str> =
            matching.iter().flat_map(|(_, methods, _)| methods.split('|')).collect();
        if allow.contains(&"GET") {
            allow.push("HEAD");
        }
        allow.sort_unstable();
        allow.dedup();
        if allow.is_empty() { "404".to_owned() } else { format!("405 {}", allow.join(", ")) }
    }
}

fn joined(segments: Vec<&str>) -> String {
    segments.iter().fold(String::new(), |text, segment| text + "/" + segment)
}

/// Parameters get one name each, so that equal text is an equal pattern; a second one of a kind
/// becomes a literal.
fn arb_pattern() -> impl Strategy<Value = String> {
    let segment = proptest::sample::select(vec!["a", "b", "7", "{i:int}", "{u:uuid}", "{p}"]);
    let end = proptest::sample::select(vec!["", "**", "a", "{p}"]);
    (proptest::collection::vec(segment, 0..4), proptest::option::of(end)).prop_map(
        |(segments, end)| {
            let mut kept: Vec<&str> = Vec::new();
            for segment in segments.into_iter().chain(end) {
                let again = segment.starts_with('{') && kept.contains(&segment);
                kept.push(if again { "a" } else { segment });
            }
            if kept.is_empty() { "/".to_owned() } else { joined(kept) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// E2, E5, E6, E11, for any table and any path that a proxy may hand over.
    #[test]
    fn the_table_agrees_with_trying_every_pattern(
        patterns in proptest::collection::vec((arb_pattern(), 1..16_usize), 1..10),
        paths in proptest::collection::vec(
            proptest::collection::vec(proptest::sample::select(vec!["a", "b", "c", "7", "42", UUID]), 1..5), 1..6),
        slash in any::<bool>(),
    ) {
        const METHODS: [&str; 4] = ["GET", "POST", "HEAD", "PUT"];
        let mut taken = std::collections::HashSet::new();
        let mut routes: Vec<(String, String)> = Vec::new();
        for (pattern, bits) in patterns {
            let free = |at: &usize| bits >> at & 1 == 1 && taken.insert((pattern.clone(), *at));
            let methods: Vec<&str> = (0..4).filter(free).map(|at| METHODS[at]).collect();
            if !methods.is_empty() {
                routes.push((methods.join("|"), pattern));
            }
        }
        let texts: Vec<String> = routes.iter().map(|(methods, pattern)| format!("{methods} {pattern}")).collect();
        let table = table(&texts.iter().map(|text| &**text).collect::<Vec<_>>());
        for path in paths {
            let path = joined(path) + if slash { "/" } else { "" };
            for method in METHODS.into_iter().chain(["DELETE"]) {
                prop_assert_eq!(answer(&table, method, &path), naive::answer(&routes, method, &path), "{} {}", method, path);
            }
        }
    }
}
