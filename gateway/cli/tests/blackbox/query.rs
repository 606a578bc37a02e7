//! Queries: byte for byte up, by a list of names or past the guard (T6, E1, E7, C9, M7).

use serde_json::json;

use crate::samples::CALLS;
use crate::support::answer::refusal;
use crate::support::{Config, Directory, Gateway, Key, Upstream};

const LEADS: &str = r#"{"data":[{"id":1,"agent":"asst_1","raw":{"secret":1},"is_private":false}]}"#;

fn serving(upstream: &Upstream) -> (Gateway, Key) {
    let key = Key::new("k", &["calls:read", "leads:read"]);
    let directory = Directory::of([key.clone()])
        .acme("columns", json!({ "calls": ["created_at", "assistant_id"] }))
        .acme("assistants", json!({ "names": { "asst_1": "Front desk" } }));
    (Gateway::start(&Config::with_upstream(upstream), &directory), key)
}

/// T6, E1, E7, M7: what is accepted goes on byte for byte, odd spellings and all.
#[test]
fn an_accepted_query_goes_on_byte_for_byte() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    for query in [
        "limit=100&offset=0&start_date=2026-08-01T00:00:00Z&end_date=2026-08-31",
        "start_date=2026-08-01T00%3a00%3A00%2B02:00",
        "a=1&a=2&&b&=c&d==",
        "",
        "q=%e2%82%ac+%20/?:@!$'()*,",
        "include_test_teams=true&include_test_numbers=false",
        "status=open%26close&x=%7e",
        "limit=10&limit=20",
        "agent_id=asst_1",
        "q=phone_number",
    ] {
        let answer = gateway.get(&format!("/api/calls?{query}")).bearer(&key).send();
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        assert_eq!(upstream.last().target, format!("/api/calls?{query}"));
    }
}

/// A route with `query` takes these names and no other; the name is told.
#[test]
fn a_list_of_parameters_admits_no_other() {
    let upstream = Upstream::answering(200, LEADS);
    let (gateway, key) = serving(&upstream);
    for query in ["limit=1", "offset=2&limit=1", "limit=1&limit=2", "include_raw=true", "", "limit"]
    {
        let answer = gateway.get(&format!("/api/leads?{query}")).bearer(&key).send();
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        assert_eq!(upstream.last().target, format!("/api/leads?{query}"));
    }
    upstream.forget();
    for (query, name) in [
        ("status=open", "status"),
        ("limit=1&type=web", "type"),
        ("Limit=1", "Limit"),
        ("limit[]=1", "limit[]"),
        ("limit%20=1", ""),
        ("%6cimit=1", ""),
        ("limit=1;fields=raw", ""),
        ("=1", ""),
    ] {
        let answer = gateway.get(&format!("/api/leads?{query}")).bearer(&key).send();
        assert_eq!(answer.verdict(), refusal(400, "unknown_parameter"), "{query}");
        assert!(answer.text().contains(name), "{query}: {}", answer.text());
    }
    assert_eq!(upstream.requests_seen(), 0);
}

/// C9: what a client asks the upstream to include is filtered afterwards all the same.
#[test]
fn a_parameter_cannot_widen_the_answer() {
    let upstream = Upstream::answering(200, LEADS);
    let (gateway, key) = serving(&upstream);
    let answer = gateway.get("/api/leads?include_raw=true").bearer(&key).send();
    assert_eq!(answer.json(), json!({ "data": [{ "id": 1, "agent": "Front desk" }] }));
}

/// The guard: no parameter names a column that this key cannot see, in any spelling that an
/// upstream might understand.
#[test]
fn a_parameter_that_names_a_hidden_column_is_refused() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    for query in [
        "phone_number=%2B15550100",
        "phone_number__startswith=%2B1",
        "filter[phone_number]=1",
        "filter%5Bphone_number%5D=1",
        "customer.name=Zo",
        "customer[name]=Zo",
        "customer__name__icontains=Zo",
        "where(phone_number)=1",
        "-phone_number=1",
        "%70hone_number=1",
        "limit=1&phone_number.gt=1",
        "user_email=ann@acme.test",
        "sort=phone_number",
        "sort=-phone_number",
        "sort=created_at,phone_number",
        "order_by=customer.name",
        "order=phone_number:desc",
        "fields=call_id,phone_number",
        "fields[]=phone_number",
        "fields[calls]=phone_number",
        "select=phone_number",
        "select=*",
        "include=customer",
        "group_by=user_email",
        "filter=phone_number",
        "sort=%70hone_number",
        "sort=unknown_column",
    ] {
        let answer = gateway.get(&format!("/api/calls?{query}")).bearer(&key).send();
        assert_eq!(answer.verdict(), refusal(400, "column_not_allowed"), "{query}");
    }
    assert_eq!(upstream.requests_seen(), 0);
    for query in [
        "created_at__gte=2026-01-01",
        "filter[created_at]=1",
        "sort=created_at",
        "sort=-created_at,call_id",
        "fields=call_id,created_at",
        "order_by=created_at:desc",
        "duration=5",
    ] {
        let answer = gateway.get(&format!("/api/calls?{query}")).bearer(&key).send();
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    }
}

/// C9, P1: what hides rows is no way to ask for them. `is_private` is no column of the catalogue, and a
/// client who filters or sorts by it learns of rows that nobody shows it.
#[test]
fn what_hides_rows_cannot_be_asked_by() {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read"]).with("data_scope", "org_non_private");
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of([key.clone()]));
    for query in [
        "is_private=true",
        "filter[is_private]=true",
        "isPrivate=1",
        "IS_PRIVATE__in=1",
        "limit=1&%69s_private=true",
        "sort=is_private",
        "sort=-is_private,created_at",
        "user_email=ann@acme.test",
        "filter[team_id]=102",
        "team_id__in=101,102",
    ] {
        let answer = gateway.get(&format!("/api/calls?{query}")).bearer(&key).send();
        assert_eq!(answer.verdict(), refusal(400, "column_not_allowed"), "{query}");
    }
    assert_eq!(upstream.requests_seen(), 0);
    for query in ["team_id=101", "is_privateer=1", "teams=1", "include_test_teams=true"] {
        let answer = gateway.get(&format!("/api/calls?{query}")).bearer(&key).send();
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    }
}

/// The guard judges by what this key sees: the same query, two accounts.
#[test]
fn the_guard_knows_whose_columns_they_are() {
    let upstream = Upstream::answering(200, CALLS);
    let plain = Key::new("plain", &["calls:read"]);
    let rich = Key::new("rich", &["calls:read"]);
    let directory = Directory::of([plain.clone()])
        .account(
            "rich",
            json!({
                "plan": "enterprise", "teams": [101], "columns": { "calls": ["phone_number"] },
            }),
        )
        .key("rich", rich.clone());
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &directory);
    for query in ["phone_number=1", "sort=phone_number"] {
        let target = format!("/api/calls?{query}");
        assert_eq!(
            gateway.get(&target).bearer(&plain).send().verdict(),
            refusal(400, "column_not_allowed")
        );
        assert_eq!(gateway.get(&target).bearer(&rich).send().status, 200, "{query}");
    }
}

/// The names of selecting parameters can be set, and a refused parameter is named.
#[test]
fn selecting_parameters_are_configured() {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read"]);
    let config = Config::with_upstream(&upstream).section("query_columns", "[show]");
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    let refused = gateway.get("/api/calls?show=phone_number").bearer(&key).send();
    assert_eq!(refused.verdict(), refusal(400, "column_not_allowed"));
    assert!(refused.text().contains("show"), "{}", refused.text());
    assert_eq!(gateway.get("/api/calls?show=created_at").bearer(&key).send().status, 200);
    assert_eq!(
        gateway.get("/api/calls?sort=phone_number").bearer(&key).send().status,
        200,
        "no longer one of them"
    );
}

/// The query is judged before the scope, and the decision's order shows in the code.
#[test]
fn the_order_of_the_decision_shows_in_the_code() {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["coach:read"]).with("teams", json!([101]));
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of([key.clone()]));
    let with =
        |target: &str| gateway.get(target).header("x-team-id", "999").bearer(&key).send().verdict();
    assert_eq!(with("/api/nope?phone_number=1"), refusal(404, "not_found"), "route before query");
    assert_eq!(
        with("/api/calls?phone_number=1"),
        refusal(400, "column_not_allowed"),
        "query before scope"
    );
    assert_eq!(with("/api/calls"), refusal(403, "insufficient_scope"), "scope before team");
    assert_eq!(with("/api/coach/rubrics"), refusal(403, "team_not_allowed"), "team last");
    assert_eq!(upstream.requests_seen(), 0);
}
