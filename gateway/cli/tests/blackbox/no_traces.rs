//! A build without traces says so to who asks for some, and is not disturbed by a fleet's environment.

use crate::samples::CALLS;
use crate::support::gateway::Launch;
use crate::support::{Config, Directory, Key, Upstream};

fn launch(telemetry: &str) -> (Launch, Key, Upstream) {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read"]);
    let config = Config::with_upstream(&upstream).section("telemetry", telemetry);
    let launch = Launch::files(&config.text(), &Directory::of([key.clone()]).text());
    (launch, key, upstream)
}

#[test]
fn a_configuration_with_traces_is_refused_and_its_headers_are_not_shown() {
    let (launch, ..) = launch(
        "{ address: 127.0.0.1:0, traces: { endpoint: \"http://127.0.0.1:4318\", headers: { authorization: \"hunter2\" } } }",
    );
    let check = launch.command(&["check"], b"");
    let (code, run) = launch.refused();
    for (code, said) in [(check.code, check.text), (code, run)] {
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains("telemetry.traces: this build has no traces"), "{said}");
        assert!(said.contains("help: remove the section, or take a build"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_variable_that_names_a_collector_is_worth_a_warning() {
    let (launch, key, _upstream) = launch("{ address: 127.0.0.1:0 }");
    let gateway = launch.variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318").start();
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
    gateway.log.await_json("a word about it", |line| {
        let said = line["fields"]["message"].as_str().unwrap_or_default();
        line["level"] == "WARN" && said.contains("this build has no traces")
    });
}
