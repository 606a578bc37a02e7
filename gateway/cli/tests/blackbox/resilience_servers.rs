//! Several servers of one upstream: who is asked, who is taken out, and who comes back (E13).

use crate::resilience::calls;
use crate::samples::{CALLS, CONTACT, CONTACTS};
use crate::support::answer::refusal;
use crate::support::upstream::Seen;
use crate::support::{Answer, Config, Directory, Gateway, Key, Reply, Upstream, waiting};

const HEALTHZ: &str = "/healthz";
/// Quick, as settings go.
const CHECKS: &str = "health: { interval: 100ms, unhealthy_after: 2, healthy_after: 2 }";

/// Two servers of `calls` with these members, and one key.
struct Pair {
    one: Upstream,
    other: Upstream,
    gateway: Gateway,
    key: Key,
}

fn config(one: &Upstream, other: &Upstream, members: &str) -> Config {
    let servers = format!("[\"{}\", \"{}\"]", one.address(), other.address());
    Config::with_upstream(one)
        .upstream_of("calls", &servers, members)
        .upstream_of("leads", &servers, members)
}

impl Pair {
    fn with(members: &str) -> Pair {
        let (one, other) = (Upstream::answering(200, CALLS), Upstream::answering(200, CALLS));
        let key = Key::new("k", &["calls:read", "contacts:read", "contacts:write"]);
        let config = config(&one, &other, members);
        let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
        Pair { one, other, gateway, key }
    }

    fn ask(&self) -> Answer {
        self.gateway.get("/api/calls").bearer(&self.key).send()
    }

    /// How many requests of clients each got of so many.
    fn shares(&self, requests: usize) -> (usize, usize) {
        self.one.forget();
        self.other.forget();
        (0..requests).for_each(|_| drop(self.ask()));
        (clients(&self.one), clients(&self.other))
    }

    /// Waits until so many servers get requests.
    fn await_in_service(&self, count: f64) {
        waiting::until(&format!("{count} servers in service"), || {
            (calls(&self.gateway, "colonnade_upstream_healthy") == count).then_some(())
        });
    }
}

fn clients(upstream: &Upstream) -> usize {
    upstream.requests().iter().filter(|seen| seen.target != HEALTHZ).count()
}

/// Answers checks with this status, and clients well.
fn checked(status: u16) -> impl Fn(&Seen) -> Reply + Send + Sync {
    move |seen| match seen.target.as_str() {
        HEALTHZ => Reply::status(status, "well?"),
        _ => Reply::json(CALLS),
    }
}

#[test]
fn requests_are_spread_by_weight() {
    let (one, other) = (Upstream::answering(200, CALLS), Upstream::answering(200, CALLS));
    let key = Key::new("k", &["calls:read"]);
    let servers = format!(
        "[{{ address: \"{}\", weight: 30 }}, {{ address: \"{}\", weight: 10 }}]",
        one.address(),
        other.address()
    );
    for (balance, shares) in [("round_robin", Some((30, 10))), ("random", None)] {
        one.forget();
        other.forget();
        let config = Config::with_upstream(&one).upstream_of(
            "calls",
            &servers,
            &format!("balance: {balance}"),
        );
        let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
        for _ in 0..40 {
            assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
        }
        let seen = (one.requests_seen(), other.requests_seen());
        assert!(shares.is_none_or(|shares| shares == seen), "{balance}: {seen:?}");
        assert!(seen.0 > seen.1 && seen.1 > 0, "{balance}: {seen:?}");
    }
}

/// It refuses to serve, and the other one takes all; back from its ejection it serves again.
#[test]
fn a_server_that_fails_is_ejected_and_comes_back() {
    for (what, bad) in [
        ("gateway errors", Reply::status(503, "{}")),
        ("deaths", Reply::nothing()),
        ("broken heads", Reply::raw("HTTP/1.1 nonsense\r\n\r\n").then_close()),
    ] {
        let pair = Pair::with(
            "outlier: { consecutive_failures: 3, base_ejection: 1h, max_ejection: 1h }, retries: { max: 0 }",
        );
        pair.one.now_replies(bad);
        let statuses: Vec<u16> = (0..6).map(|_| pair.ask().status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 3, "{what}");
        assert_eq!(pair.shares(20), (0, 20), "{what}");
        pair.await_in_service(1.0);
        assert_eq!(calls(&pair.gateway, "colonnade_upstream_ejections_total"), 1.0, "{what}");
    }
    let pair = Pair::with("outlier: { consecutive_failures: 3, base_ejection: 100ms }");
    pair.one.now_replies(Reply::status(502, "{}"));
    waiting::until("an ejection", || {
        pair.ask();
        (calls(&pair.gateway, "colonnade_upstream_ejections_total") > 0.0).then_some(())
    });
    pair.one.now_replies(Reply::json(CALLS));
    waiting::until("requests at the server that is back", || (pair.shares(2).0 > 0).then_some(()));
    assert_eq!(pair.shares(20), (10, 10));
}

/// Though both fail, one always goes on getting requests, and serves as soon as it can.
#[test]
fn the_last_server_is_never_ejected() {
    let pair = Pair::with(
        "outlier: { consecutive_failures: 1, base_ejection: 1h, max_ejection: 1h, max_ejected_percent: 100 }",
    );
    pair.one.now_replies(Reply::status(503, "{}"));
    pair.other.now_replies(Reply::status(503, "{}"));
    for _ in 0..20 {
        assert_eq!(pair.ask().verdict(), refusal(503, "upstream_error"));
    }
    assert_eq!(calls(&pair.gateway, "colonnade_upstream_ejections_total"), 1.0);
    pair.await_in_service(1.0);
    let (one, other) = pair.shares(10);
    assert_eq!((one.min(other), one.max(other)), (0, 10));
    let status = pair.gateway.admin("GET", "/admin/v1/status").send().json();
    let upstreams = status["upstreams"].as_array().unwrap();
    let shown = upstreams.iter().find(|upstream| upstream["name"] == "calls").unwrap();
    assert_eq!(shown["breaker_open"], false);
    let state =
        |server: usize| (&shown["servers"][server]["address"], &shown["servers"][server]["state"]);
    let states = if one == 0 { ["ejected", "in_service"] } else { ["in_service", "ejected"] };
    for (server, upstream) in [&pair.one, &pair.other].into_iter().enumerate() {
        let address = upstream.address().to_string();
        assert_eq!(state(server), (&address.into(), &states[server].into()));
    }
    pair.one.now_replies(Reply::json(CALLS));
    pair.other.now_replies(Reply::json(CALLS));
    assert_eq!(pair.ask().status, 200);
}

/// A reload that leaves the upstream as it was forgets nothing of it.
#[test]
fn an_ejection_survives_a_reload() {
    let members = "outlier: { consecutive_failures: 1, base_ejection: 1h, max_ejection: 1h }";
    let mut pair = Pair::with(members);
    pair.one.now_replies(Reply::status(503, "{}"));
    waiting::until("an ejection", || {
        pair.ask();
        (calls(&pair.gateway, "colonnade_upstream_ejections_total") > 0.0).then_some(())
    });
    let directory = Directory::of([pair.key.clone()]);
    let next = config(&pair.one, &pair.other, members).section("errors", "{ style: flat }");
    pair.gateway.reload(&next, &directory);
    assert_eq!(pair.shares(10), (0, 10));
    let next = config(&pair.one, &pair.other, "");
    pair.gateway.reload(&next, &directory);
    assert_eq!(pair.shares(2).0, 1, "another upstream begins anew");
    assert_eq!(calls(&pair.gateway, "colonnade_upstream_ejections_total"), 1.0);
}

/// A server that does not accept costs no request anything, whatever the method, and gets none later.
#[test]
fn another_server_is_asked_where_one_does_not_accept() {
    let dead = Upstream::replying_on([2, 1], Reply::nothing()).address();
    let alive = Upstream::answering(200, CONTACT);
    let key = Key::new("k", &["contacts:write"]);
    let servers = format!("[\"{dead}\", \"{}\"]", alive.address());
    let config =
        Config::with_upstream(&alive).upstream_of("leads", &servers, "retries: { max: 0 }");
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    for (number, method) in ["POST", "PATCH"].into_iter().cycle().take(30).enumerate() {
        let target = if method == "POST" { "/api/contacts" } else { "/api/contacts/contact_1" };
        alive.now_replies(Reply::json(if method == "POST" { CONTACTS } else { CONTACT }));
        let answer = gateway.request(method, target).bearer(&key).body("{}").send();
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        assert_eq!(alive.requests_seen(), number + 1, "each goes up once");
    }
    let of = |name, label| gateway.metric(name, &[("upstream", "leads"), label]);
    let refused = of("colonnade_upstream_failures_total", ("reason", "not_accepted"));
    assert_eq!(refused, 5.0, "then it is ejected");
    assert_eq!(of("colonnade_upstream_retries_total", ("kind", "another_server")), refused);
}

/// A server that fails its checks gets no request before one is lost on it; when it passes, it does.
#[test]
fn checks_take_a_server_out_and_back() {
    let pair = Pair::with(CHECKS);
    pair.await_in_service(2.0);
    for status in [500, 404, 302] {
        pair.one.now_plays(checked(status));
        pair.await_in_service(1.0);
        assert_eq!(pair.shares(10), (0, 10), "{status}");
        pair.one.now_plays(checked(204));
        pair.await_in_service(2.0);
        assert_eq!(pair.shares(10), (5, 5), "{status}");
    }
    let check = waiting::until("a check", || {
        pair.one.requests().into_iter().find(|seen| seen.target == HEALTHZ)
    });
    assert_eq!(check.method, "GET");
    assert_eq!(check.header("host"), Some(pair.one.address().to_string()));
    assert_eq!(check.header_names(), ["accept", "connection", "host", "user-agent"]);
    let failed = [("upstream", "calls"), ("result", "failed")];
    assert!(pair.gateway.metric("colonnade_upstream_checks_total", &failed) >= 6.0);
}

/// Silence is a failed check too, and where nobody passes nobody is asked.
#[test]
fn where_no_server_passes_requests_are_refused_at_once() {
    let pair = Pair::with(CHECKS);
    for upstream in [&pair.one, &pair.other] {
        upstream.now_plays(|seen| match seen.target.as_str() {
            HEALTHZ => Reply::silence(),
            _ => Reply::json(CALLS),
        });
    }
    pair.await_in_service(0.0);
    let answer = pair.ask();
    assert_eq!(answer.verdict(), refusal(503, "overloaded"));
    assert_eq!(answer.number("retry-after"), 1);
    assert_eq!(pair.shares(10), (0, 0));
    let unhealthy = [("upstream", "calls"), ("reason", "unhealthy")];
    assert_eq!(pair.gateway.metric("colonnade_upstream_shed_total", &unhealthy), 11.0);
    pair.other.now_plays(checked(200));
    pair.await_in_service(1.0);
    assert_eq!(pair.shares(10), (0, 10));
}
