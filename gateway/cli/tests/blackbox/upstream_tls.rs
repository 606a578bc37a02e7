//! TLS towards upstreams: who is believed, and that nobody else is told anything.

use crate::samples::CALLS;
use crate::support::answer::refusal;
use crate::support::certificates::{Authority, Pair};
use crate::support::gateway::Launch;
use crate::support::modern::{Answering, Modern, Speech};
use crate::support::{Config, Directory, Gateway, Key, waiting};

const NAME: &str = "calls.internal";

fn key() -> Key {
    Key::new("k", &["calls:read"])
}

/// One upstream with these members, and PEM files beside the configuration.
fn started(upstream: &Modern, members: &str, files: &[(&str, &str)]) -> (Gateway, Key) {
    let key = key();
    let directory = Directory::of([key.clone()]);
    let launch = Launch::files(&config(upstream, members).text(), &directory.text());
    files.iter().for_each(|(name, text)| launch.write(name, text));
    let mut gateway = launch.start();
    gateway.keep_secret(&directory);
    (gateway, key)
}

fn config(upstream: &Modern, members: &str) -> Config {
    ["calls", "coach", "leads"]
        .iter()
        .fold(Config::new(), |config, name| config.upstream_with(name, upstream.address(), members))
}

fn ask(gateway: &Gateway, key: &Key) -> (u16, String) {
    gateway.get("/api/calls").bearer(key).send().verdict()
}

fn http1(certified: Pair) -> Modern {
    Modern::tls(certified, &["http/1.1"], CALLS)
}

/// The right name from the right authority is answered for; every other server is sent nothing.
#[test]
fn only_a_server_that_proves_its_name_is_asked() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (what, certified, believed) in [
        ("right", authority.certify(NAME), true),
        ("another name", authority.certify("coach.internal"), false),
        ("its address", authority.certify("127.0.0.1"), false),
        ("unknown authority", stranger.certify(NAME), false),
        ("self-signed", Pair::of(&[NAME]), false),
        ("expired", authority.certify_expired(NAME), false),
    ] {
        let upstream = http1(certified);
        let members = format!("tls: {{ sni: {NAME}, ca: ca.pem }}");
        let (gateway, key) = started(&upstream, &members, &[("ca.pem", &authority.pem())]);
        let verdict = ask(&gateway, &key);
        if believed {
            assert_eq!(verdict, (200, String::new()), "{what}");
            assert_eq!(upstream.names(), [Some(NAME.to_owned())], "{what}");
        } else {
            assert_eq!(verdict, refusal(502, "upstream_unavailable"), "{what}");
            assert_eq!(upstream.asked().len(), 0, "{what}");
        }
    }
}

/// Its own certificate alone is believed where it is the authority.
#[test]
fn a_self_signed_server_is_believed_by_its_own_certificate() {
    let certified = Pair::of(&[NAME]);
    let upstream = http1(certified.clone());
    let members = format!("tls: {{ sni: {NAME}, ca: ca.pem }}");
    let (gateway, key) = started(&upstream, &members, &[("ca.pem", &certified.certificate)]);
    assert_eq!(ask(&gateway, &key).0, 200);
}

/// An address is verified like a name, and is not told, since no server name may be one.
#[test]
fn an_address_can_be_what_a_certificate_is_for() {
    let authority = Authority::new();
    for (certified_for, status) in [("127.0.0.1", 200), ("127.0.0.2", 502), (NAME, 502)] {
        let upstream = http1(authority.certify(certified_for));
        let members = "tls: { sni: 127.0.0.1, ca: ca.pem }";
        let (gateway, key) = started(&upstream, members, &[("ca.pem", &authority.pem())]);
        assert_eq!(ask(&gateway, &key).0, status, "{certified_for}");
        if status == 200 {
            assert_eq!(upstream.names(), [None]);
        }
    }
}

/// Without `ca` the system's authorities are believed, and they alone.
#[test]
fn the_systems_authorities_are_believed_where_no_other_is_named() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (of, status) in [(&authority, 200), (&stranger, 502)] {
        let upstream = http1(of.certify(NAME));
        let key = key();
        let directory = Directory::of([key.clone()]);
        let config = config(&upstream, &format!("tls: {{ sni: {NAME} }}"));
        let launch = Launch::files(&config.text(), &directory.text());
        launch.write("system.pem", &authority.pem());
        let place = launch.directory_path().with_file_name("system.pem");
        let gateway = launch.variable("SSL_CERT_FILE", place.display()).start();
        assert_eq!(ask(&gateway, &key).0, status);
    }
}

/// Health checks verify as requests do: a server that nobody may believe gets unhealthy.
#[test]
fn a_health_check_believes_whom_requests_believe() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (of, result) in [(&authority, "passed"), (&stranger, "failed")] {
        let upstream = http1(of.certify(NAME));
        let members = format!(
            "tls: {{ sni: {NAME}, ca: ca.pem }}, health: {{ path: /up, interval: 100ms, unhealthy_after: 1 }}"
        );
        let (gateway, _) = started(&upstream, &members, &[("ca.pem", &authority.pem())]);
        let labels = [("upstream", "calls"), ("result", result)];
        waiting::until("a check", || {
            (gateway.metric("colonnade_upstream_checks_total", &labels) > 0.0).then_some(())
        });
        let paths: Vec<String> = upstream.asked().into_iter().map(|asked| asked.uri).collect();
        assert_eq!(paths.is_empty(), result == "failed", "{paths:?}");
        assert!(paths.iter().all(|path| path == "/up"), "{paths:?}");
    }
}

/// The contents of `ca` count, not its name: renewed, it is in force after a reload; broken, the reload changes
/// nothing.
#[test]
fn a_renewed_authority_is_in_force_after_a_reload() {
    let (first, second) = (Authority::new(), Authority::new());
    let upstream = http1(second.certify(NAME));
    let members = format!("tls: {{ sni: {NAME}, ca: ca.pem }}");
    let (mut gateway, key) = started(&upstream, &members, &[("ca.pem", &first.pem())]);
    let config = config(&upstream, &members);
    let directory = Directory::of([key.clone()]);
    assert_eq!(ask(&gateway, &key).0, 502);
    let mut reload = |text: &str| {
        gateway.write_file("ca.pem", text);
        gateway.reload(&config, &directory);
        ask(&gateway, &key).0
    };
    assert_eq!(reload(&second.pem()), 200);
    assert_eq!(reload(&first.pem()), 502);
    assert_eq!(reload(&second.pem()), 200);
    gateway.reload_refused("ca.pem", "nothing", "upstreams.calls.tls.ca: there is no certificate");
    let answer = gateway.admin("POST", "/admin/v1/reload").send();
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(ask(&gateway, &key).0, 200);
}

/// A start believes nobody's word for a file that it cannot use.
#[test]
fn a_start_without_its_authority_is_refused() {
    let upstream = http1(Authority::new().certify(NAME));
    let members = format!("tls: {{ sni: {NAME}, ca: missing.pem }}");
    let launch = Launch::files(&config(&upstream, &members).text(), &Directory::empty().text());
    let (code, text) = launch.refused();
    assert_eq!(code, Some(78), "{text}");
    assert!(text.contains("upstreams.calls.tls.ca"), "{text}");
}

/// A renewed file is found without a signal, and without any other change.
#[test]
fn a_renewed_authority_needs_no_other_change() {
    let (first, second) = (Authority::new(), Authority::new());
    let upstream = http1(second.certify(NAME));
    let members =
        format!("tls: {{ sni: {NAME}, ca: ca.pem }}, breaker: {{ consecutive_failures: 0 }}");
    let (gateway, key) = started(&upstream, &members, &[("ca.pem", &first.pem())]);
    assert_eq!(ask(&gateway, &key).0, 502);
    gateway.write_file("ca.pem", &second.pem());
    waiting::until("the new authority", || (ask(&gateway, &key).0 == 200).then_some(()));
}

/// Mutual TLS: the gateway shows its certificate to a server that wants one, and without it is not let in.
#[test]
fn the_gateway_is_known_by_its_own_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let client = clients.certify("gateway.internal");
    let stranger = authority.certify("gateway.internal");
    for (shown, status) in [(Some(&client), 200), (Some(&stranger), 502), (None, 502)] {
        let speech = Speech {
            tls: Some(authority.certify(NAME)),
            protocols: vec!["http/1.1"],
            clients: Some(clients.pem()),
            streams_max: None,
        };
        let upstream = Modern::speaking(speech, |_| Answering::json(CALLS));
        let more = if shown.is_some() { ", certificate: client.pem, key: client.key" } else { "" };
        let members = format!("tls: {{ sni: {NAME}, ca: ca.pem{more} }}");
        let mut files = vec![("ca.pem", authority.pem())];
        if let Some(shown) = shown {
            files.push(("client.pem", shown.certificate.clone()));
            files.push(("client.key", shown.key.clone()));
        }
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let (gateway, key) = started(&upstream, &members, &files);
        assert_eq!(ask(&gateway, &key).0, status, "{}", more);
        assert_eq!(upstream.asked().len(), usize::from(status == 200));
    }
}

/// The handshake is within `connect`.
#[test]
fn a_handshake_that_does_not_end_is_answered_504() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let members = format!("tls: {{ sni: {NAME} }}, timeouts: {{ connect: 200ms }}");
    let address = listener.local_addr().unwrap();
    let config = ["calls", "coach", "leads"]
        .iter()
        .fold(Config::new(), |config, name| config.upstream_with(name, address, &members));
    let key = key();
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    assert_eq!(ask(&gateway, &key), refusal(504, "upstream_timeout"));
}

/// `check` reads the files that a start would be without, and tells of settings that cannot be meant.
#[test]
fn what_cannot_be_verified_with_is_found_by_check() {
    let authority = Authority::new();
    let (one, other) = (authority.certify(NAME), authority.certify(NAME));
    let upstream = http1(one.clone());
    let cases: [(&str, &[&str]); 8] = [
        ("tls: { sni: a.test, ca: gone.pem }", &["gone.pem"]),
        ("tls: { sni: a.test, ca: client.key }", &["upstreams.calls.tls.ca"]),
        (
            "tls: { sni: a.test, certificate: client.pem, key: other.key }",
            &["upstreams.calls.tls.key"],
        ),
        (
            "tls: { sni: a.test, certificate: client.key, key: client.key }",
            &["upstreams.calls.tls.certificate"],
        ),
        (
            "tls: { sni: a.test, ca: junk.pem, certificate: client.pem, key: other.key }",
            &["upstreams.calls.tls.ca", "upstreams.calls.tls.key"],
        ),
        ("tls: { sni: \"\" }", &["upstreams.calls.tls.sni"]),
        ("tls: { sni: 10.0.0.256 }", &["upstreams.calls.tls.sni"]),
        ("http2: auto", &["upstreams.calls.http2"]),
    ];
    for (members, faults) in cases {
        let launch = Launch::files(&config(&upstream, members).text(), "");
        launch.write("client.pem", &one.certificate);
        launch.write("client.key", &one.key);
        launch.write("other.key", &other.key);
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        launch.write("junk.pem", junk);
        let output = launch.command(&["check"], b"");
        assert_ne!(output.code, Some(0), "{members}: {}", output.text);
        for fault in faults {
            assert!(output.text.contains(fault), "{members}: {}", output.text);
        }
        assert!(!output.text.contains("PRIVATE"), "{}", output.text);
    }
}
