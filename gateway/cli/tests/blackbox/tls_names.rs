//! Which certificate a client is shown, in which version, and what `check` says of certificates.

use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, SupportedProtocolVersion};

use crate::commands::findings;
use crate::response_h2::Http2;
use crate::samples::CALLS;
use crate::support::certificates::{Caller, Pair, shown};
use crate::support::gateway::Launch;
use crate::support::{Config, Directory, Gateway, Key, Upstream, waiting};

pub(crate) fn reader() -> Key {
    Key::new("k", &["calls:read"])
}

/// A configuration with one listener whose `tls` has these members beside `main`.
pub(crate) fn config(upstream: &Upstream, members: &str) -> Config {
    let listener = format!(
        "\n  - {{ address: \"127.0.0.1:0\", tls: {{ certificate: main.crt, key: main.key{members} }} }}"
    );
    Config::with_upstream(upstream).section("listeners", &listener)
}

/// Files of these names beside the configuration.
pub(crate) fn launch(config: &Config, pairs: &[(&str, &Pair)]) -> Launch {
    let launch = Launch::files(&config.text(), &Directory::of([reader()]).text());
    for (name, pair) in pairs {
        launch.write(&format!("{name}.crt"), &pair.certificate);
        launch.write(&format!("{name}.key"), &pair.key);
    }
    launch
}

const FURTHER: &str =
    ", certificates: [{ certificate: a.crt, key: a.key }, { certificate: b.crt, key: b.key }]";

struct Three {
    main: Pair,
    a: Pair,
    b: Pair,
}

fn three() -> Three {
    Three {
        main: Pair::of(&["main.test"]),
        a: Pair::of(&["A.test", "*.wild.test"]),
        b: Pair::of(&["b.test", "x.wild.test", "a.test"]),
    }
}

fn serving_three(upstream: &Upstream, members: &str) -> (Gateway, Three) {
    let all = three();
    let config = config(upstream, &format!("{FURTHER}{members}"));
    let launch = launch(&config, &[("main", &all.main), ("a", &all.a), ("b", &all.b)]);
    (launch.start(), all)
}

const VERSIONS: [(&SupportedProtocolVersion, ProtocolVersion); 2] =
    [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)];

#[test]
fn a_client_is_shown_the_certificate_for_the_name_it_asks_for() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, all) = serving_three(&upstream, "");
    for (version, spoken) in VERSIONS {
        let caller = Caller::of_version(version);
        for (name, pair) in [
            ("main.test", &all.main),
            ("a.test", &all.a),
            ("A.TEST", &all.a),
            ("one.wild.test", &all.a),
            ("x.wild.test", &all.b),
            ("b.test", &all.b),
            // Nobody's, and no name at all.
            ("wild.test", &all.main),
            ("two.one.wild.test", &all.main),
            ("unknown.test", &all.main),
            ("127.0.0.1", &all.main),
        ] {
            let stream = caller.call(&gateway, name).unwrap();
            assert!(shown(&stream) == pair.der(), "{name} {spoken:?}");
            assert_eq!(stream.conn.protocol_version(), Some(spoken), "{name}");
        }
    }
}

/// There are no virtual hosts: a request may name another than its handshake did.
#[test]
fn http_2_is_spoken_under_each_certificate_and_requests_may_name_another_host() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, _) = serving_three(&upstream, "");
    for name in ["main.test", "a.test", "one.wild.test", "127.0.0.1"] {
        let stream = Caller::new().offering(&["h2"]).call(&gateway, name).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]), "{name}");
        let mut client = Http2::over(stream);
        let asked = client.get("/api/calls", &reader().text);
        let answer = client.answer(asked);
        assert!(answer.is_ended && answer.body.starts_with(b"{"), "{name}: {answer:?}");
    }
}

#[test]
fn an_older_version_than_the_least_is_refused() {
    let upstream = Upstream::answering(200, CALLS);
    for (members, older) in
        [("", true), (", min_version: \"1.2\"", true), (", min_version: \"1.3\"", false)]
    {
        let (gateway, _) = serving_three(&upstream, members);
        assert_eq!(Caller::of_version(&TLS12).call(&gateway, "a.test").is_ok(), older, "{members}");
        assert!(Caller::of_version(&TLS13).call(&gateway, "a.test").is_ok(), "{members}");
        for (result, expected) in [("failed", u8::from(!older)), ("ok", 1 + u8::from(older))] {
            // Counted a moment after the client has its part.
            waiting::until(result, || {
                let count = gateway.metric("colonnade_tls_handshakes_total", &[("result", result)]);
                (count == f64::from(expected)).then_some(())
            });
        }
    }
}

/// An alert can be made of it: the end of each certificate by its first name.
#[test]
fn the_end_of_each_certificate_is_told() {
    let upstream = Upstream::answering(200, CALLS);
    let config = config(&upstream, ", certificates: [{ certificate: a.crt, key: a.key }]");
    let (main, a) =
        (Pair::between(&[], 2020, 2030), Pair::between(&["a.test", "b.test"], 2020, 2031));
    let gateway = launch(&config, &[("main", &main), ("a", &a)]).start();
    for (certificate, at_s) in [("0", 1_893_456_000.0), ("a.test", 1_924_992_000.0)] {
        let labels = [("listener", "127.0.0.1:0"), ("certificate", certificate)];
        let told = gateway.metric("colonnade_tls_certificate_expiry_timestamp_seconds", &labels);
        assert_eq!(told, at_s, "{certificate}");
    }
}

/// What a start would fail over is a fault, and what clients will not like is a warning.
#[test]
fn check_judges_every_pair_and_the_authorities_of_clients() {
    let upstream = Upstream::answering(200, "{}");
    let (good, other) = (Pair::of(&["main.test"]), Pair::of(&["other.test"]));
    let (old, new) =
        (Pair::between(&["old.test"], 2001, 2002), Pair::between(&["new.test"], 2901, 2902));
    let crossed = Pair { key: other.key.clone(), ..good.clone() };
    let nameless = Pair::of(&[]);
    let wild = Pair::of(&["*.main.test"]);
    let pairs = [
        ("main", &good),
        ("other", &other),
        ("old", &old),
        ("new", &new),
        ("crossed", &crossed),
        ("nameless", &nameless),
        ("wild", &wild),
        ("again", &good),
    ];
    let launch = launch(&config(&upstream, ""), &pairs);
    let many = good.certificate.repeat(101);
    launch.write("many.pem", &many);
    let further = |names: &[&str]| {
        let all: Vec<String> = names
            .iter()
            .map(|name| format!("{{ certificate: {name}.crt, key: {name}.key }}"))
            .collect();
        format!(", certificates: [{}]", all.join(", "))
    };
    let clients = |ca: &str| format!(", client_certificates: {{ ca: {ca} }}");
    let at = |end: &str| format!("listeners[0].tls.{end}");
    for (members, severity, expected) in [
        (further(&["other", "wild"]), "", vec![]),
        (
            further(&["other", "crossed", "none"]),
            "fault",
            vec![
                (at("certificates[1].key"), "not this certificate's"),
                (at("certificates[2].certificate"), "cannot read"),
                (at("certificates[2].key"), "cannot read"),
            ],
        ),
        (
            further(&["old", "new"]),
            "warning",
            vec![
                (at("certificates[0].certificate"), "has ended at 2002-01-01T00:00:00Z"),
                (at("certificates[1].certificate"), "not good before 2901-01-01T00:00:00Z"),
            ],
        ),
        (
            further(&["nameless", "again", "wild", "wild"]),
            "warning",
            vec![
                (at("certificates[0].certificate"), "for no DNS name"),
                (
                    at("certificates[1].certificate"),
                    "`main.test`, for which `tls.certificate` is served",
                ),
                (
                    at("certificates[3].certificate"),
                    "`*.main.test`, for which `certificates[2]` is served",
                ),
            ],
        ),
        (clients("main.crt"), "", vec![]),
        (clients("main.key"), "fault", vec![(at("client_certificates.ca"), "no certificate")]),
        (clients("none.pem"), "fault", vec![(at("client_certificates.ca"), "cannot read")]),
        (clients("many.pem"), "fault", vec![(at("client_certificates.ca"), "more authorities")]),
    ] {
        launch.write("gateway.yaml", &config(&upstream, &members).text());
        let output = launch.command(&["check", "--format", "json"], b"");
        let code = if severity == "fault" { 78 } else { 0 };
        assert_eq!(output.code, Some(code), "{members}: {}", output.text);
        let mut found = findings(&output);
        found.retain(|found| found["path"].as_str().unwrap().contains(".tls."));
        assert_eq!(found.len(), expected.len(), "{members}: {}", output.text);
        for (found, (path, told)) in found.iter().zip(&expected) {
            assert_eq!(
                (&found["path"], &found["severity"]),
                (&path.as_str().into(), &severity.into())
            );
            assert!(found["message"].as_str().unwrap().contains(told), "{members}: {found:?}");
            assert!(found["line"].as_u64().unwrap() > 1 && found["help"].is_string(), "{found:?}");
        }
        if severity == "fault" {
            let (code, text) = launch.refused();
            assert_eq!(code, Some(78), "{text}");
            assert!(expected.iter().all(|(path, _)| text.contains(path.as_str())), "{text}");
        }
    }
}
