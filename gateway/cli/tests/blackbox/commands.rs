//! Commands that end by themselves: `explain`, `check`, and how arguments are refused.

use serde_json::Value;

use crate::support::gateway::{Launch, Output};
use crate::support::upstream::nobody;
use crate::support::{Config, Directory, Key, Upstream};

fn reader() -> Key {
    Key::new("k", &["calls:read"])
}

fn launch(keys: impl IntoIterator<Item = Key>) -> Launch {
    let upstream = Upstream::answering(200, "{}");
    Launch::files(&Config::with_upstream(&upstream).text(), &Directory::of(keys).text())
}

fn explain(launch: &Launch, format: &str, body: &str) -> Output {
    let arguments = ["explain", "--format", format, "--key-id", "k", "GET", "/api/calls"];
    launch.command(&arguments, body.as_bytes())
}

/// A6: a key that is put where another argument belongs is refused without being repeated.
#[test]
fn no_argument_that_is_refused_is_repeated() {
    let launch = launch([reader()]);
    let key = reader().text;
    let key = key.as_str();
    let with = |flag: &str| format!("{flag}={key}");
    let (key_is, client_is, format_is, unknown_is) =
        (with("--key"), with("--client"), with("--format"), with("--token"));
    let header = format!("{key}: x\u{1}");
    for arguments in [
        &["explain", "--key", key, "GET", "/api/calls"] as &[&str],
        &["explain", &key_is, "GET", "/api/calls"],
        &["explain", "--key-id", "k", "--key", key, "GET", "/api/calls"],
        &["explain", "--key-id", "k", "--client", key, "GET", "/api/calls"],
        &["explain", "--key-id", "k", &client_is, "GET", "/api/calls"],
        &["explain", "--key-id", "k", &format_is, "GET", "/api/calls"],
        &["explain", "--key-id", "k", &unknown_is, "GET", "/api/calls"],
        &["explain", "--key-id", "k", "-H", key, "GET", "/api/calls"],
        &["explain", "--key-id", "k", "-H", &header, "GET", "/api/calls"],
        &["explain", "--key-id", "k", "-H", "x y: z", "GET", "/api/calls"],
        &["explain", "--key-id", "k", "GET", "/api/calls", key],
        &["explain", "--key-id", "k", "G T", "/api/calls"],
        &["explain", "GET", key],
        &["check", key],
        &["check", &format_is],
        &["health", &unknown_is],
        &["run", key],
        &[key],
        &[],
    ] {
        let output = launch.command(arguments, b"");
        assert_eq!(output.code, Some(2), "{arguments:?}: {}", output.text);
        assert!(!output.text.trim().is_empty(), "{arguments:?}");
        assert!(!output.text.contains(&key[6..30]), "{arguments:?}: {}", output.text);
    }
    for arguments in [
        &["explain", "--key-id", key, "GET", "/api/calls"] as &[&str],
        &["explain", "--key-id", "k", "GET", &format!("/api/{key}")],
        &["explain", "--key-id", "k", "GET", &format!("/api/calls?limit={key}")],
    ] {
        let output = launch.command(arguments, b"");
        assert!(!output.text.contains(&key[6..30]), "{arguments:?}: {}", output.text);
    }
}

/// What is wrong is still said, and `--help` still helps.
#[test]
fn a_refused_argument_is_named() {
    let launch = launch([reader()]);
    for (arguments, code, told) in [
        (&["explain", "--key", "x", "GET", "/"] as &[&str], 2, "standard input"),
        (&["explain", "--key-id", "k", "--client", "x", "GET", "/"], 2, "--client"),
        (&["check", "--format", "xml"], 2, "text, json"),
        (&["check", "--fromat", "json"], 2, "--format"),
        (&["explain", "GET", "/"], 2, "--key-id"),
        (&["cheque"], 2, "check"),
        (&["--help"], 0, "explain"),
        (&["--version"], 0, "colonnade"),
    ] {
        let output = launch.command(arguments, b"");
        assert_eq!(output.code, Some(code), "{arguments:?}: {}", output.text);
        assert!(output.text.contains(told), "{arguments:?}: {}", output.text);
    }
    let output = launch.command(
        &["explain", "--key", "-", "GET", "/api/calls"],
        format!("{}\n", reader().text).as_bytes(),
    );
    assert_eq!(output.code, Some(0), "{}", output.text);
}

/// Text of an upstream or of a file never acts on the terminal, and means the same in JSON.
#[test]
fn what_explain_prints_never_acts_on_a_terminal() {
    let launch = launch([reader().with("name", "CRM \u{202e}2J")]);
    let acts = |text: &str| {
        text.contains(|c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        })
    };
    for body in [
        "{\"data\":[{\"team_id\":101,\"call_id\":\"\u{9b}31m\u{202e}\",\"\u{202e}evil\":1}]}",
        "{\"data\":[{\"call_id\":1,\"\\u001b[31m\":1,\"x\\u0000\":2}]}",
        "{\"data\":[{\"\u{1b}[31m\":1}]}",
    ] {
        for format in ["text", "json"] {
            let output = explain(&launch, format, body);
            assert!(!acts(&output.text), "{format} {body:?}: {:?}", output.text);
            assert!(output.text.contains("data") || output.code == Some(1), "{}", output.text);
        }
    }
    let output =
        explain(&launch, "json", "{\"data\":[{\"team_id\":101,\"call_id\":\"\u{9b}31m\"}]}");
    let said: Value = serde_json::from_str(&output.said).unwrap();
    assert_eq!(said["body"]["after"], "{\"data\":[{\"call_id\":\"\u{9b}31m\"}]}");
    let output =
        explain(&launch, "text", "{\"data\":[{\"team_id\":101,\"call_id\":\"\u{9b}31m\"}]}");
    assert!(output.said.ends_with("{\"data\":[{\"call_id\":\"\\u009b31m\"}]}"), "{}", output.said);
    let odd = ["explain", "--key-id", "\u{1b}[31m", "GET", "/api/calls"];
    assert!(!acts(&launch.command(&odd, b"").text));
}

/// Names of any length and any number of them fit a screen's scrollback.
#[test]
fn what_explain_lists_is_bounded() {
    let launch = launch([reader()]);
    let long = "n".repeat(100_000);
    let output = explain(&launch, "text", &format!("{{\"data\":[{{\"{long}\":1}}]}}"));
    assert!(output.said.len() < 4_000, "{} bytes", output.said.len());
    assert!(output.said.contains("more characters)"), "{}", output.said);
    let many: Vec<String> = (0..20_000).map(|n| format!("\"n{n}\":1")).collect();
    let output = explain(&launch, "text", &format!("{{\"data\":[{{{}}}]}}", many.join(",")));
    assert!(output.said.contains("and 19500 more"), "{} bytes", output.said.len());
}

/// A pipe or a device in a file's place is a fault, and a fast one.
#[test]
fn check_of_what_is_no_regular_file_does_not_hang() {
    let config = Config::with_upstream(&Upstream::answering(200, "{}"));
    let launch = launch([reader()]);
    let pipe = launch.directory_path().with_file_name("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let good = std::fs::read_to_string(pipe.with_file_name("gateway.yaml")).unwrap();
    for path in ["/dev/zero", "/dev/random", "pipe", "."] {
        let pepper = format!("{{ pepper: \"${{file:{path}}}\" }}");
        launch.write("gateway.yaml", &config.clone().section("keys", &pepper).text());
        let output = launch.command(&["check"], b"");
        assert_eq!(output.code, Some(78), "{path}: {}", output.text);
        assert!(output.text.contains("it is a "), "{path}: {}", output.text);
        launch.write("gateway.yaml", &good.replace("directory.yaml", path));
        let output = launch.command(&["check"], b"");
        assert_eq!(output.code, Some(78), "{path}: {}", output.text);
        assert!(output.text.contains("it is a "), "{path}: {}", output.text);
        let output = launch.command(&["check", "--config", path], b"");
        assert_eq!(output.code, Some(78), "{path}: {}", output.text);
        let output = launch.command(&["explain", "--key-id", "k", "GET", "/"], b"");
        assert_eq!(output.code, Some(69), "{path}: {}", output.text);
    }
}

pub(crate) fn findings(output: &Output) -> Vec<Value> {
    let said: Value = serde_json::from_str(&output.said).unwrap_or_else(|error| {
        panic!("{error}: {}", output.text);
    });
    assert_eq!(said["ok"], output.code == Some(0), "{said}");
    said["findings"].as_array().unwrap().clone()
}

fn faults(output: &Output) -> Vec<Value> {
    findings(output).into_iter().filter(|finding| finding["severity"] == "fault").collect()
}

/// S15: the faults of both files at once, whichever is at fault.
#[test]
fn check_looks_at_the_directory_of_a_faulty_configuration_too() {
    let config = Config::with_upstream(&Upstream::answering(200, "{}"));
    let broken = Directory::of([reader().with("expiers_at", "2030-01-01T00:00:00Z")]).text();
    let launch =
        Launch::files(&config.text().replace("scope: calls:read", "scope: cals:read"), &broken);
    let check = |launch: &Launch| launch.command(&["check", "--format", "json"], b"");
    let paths = |launch: &Launch| -> Vec<String> {
        let faults = faults(&check(launch));
        faults.iter().map(|fault| fault["path"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        paths(&launch),
        ["routes[0].scope", "routes[1].scope", "accounts.acme.keys.k.expiers_at"]
    );
    let prefix = config.clone().section("keys", "{ prefix: zzz_, bogus: 1 }").text();
    launch.write("gateway.yaml", &prefix);
    let named = Directory::of([reader().with("name", "zzz_0123456789abcdef")]).text();
    launch.write("directory.yaml", &named);
    assert_eq!(paths(&launch), ["keys.bogus", "accounts.acme.keys.k.name"]);
    launch.write("gateway.yaml", "version: [1");
    assert_eq!(paths(&launch), ["version[0]"]);
}

/// `--format json` prints JSON whatever happened.
#[test]
fn check_prints_json_of_what_cannot_be_read_too() {
    let launch = launch([reader()]);
    let missing = launch.command(&["check", "--format", "json", "--config", "none.yaml"], b"");
    let found = faults(&missing);
    assert_eq!((missing.code, found.len()), (Some(78), 1), "{}", missing.text);
    assert_eq!(found[0]["file"], "none.yaml");
    std::fs::remove_file(launch.directory_path()).unwrap();
    let missing = launch.command(&["check", "--format", "json"], b"");
    let found = faults(&missing);
    assert_eq!((missing.code, found.len()), (Some(78), 1), "{}", missing.text);
    assert!(found[0]["message"].as_str().unwrap().contains("directory.yaml"), "{found:?}");
}

/// An id that no key has is told as that, not as a digest that nobody looked for.
#[test]
fn explain_says_when_no_key_has_the_id() {
    let output = launch([reader()]).command(&["explain", "--key-id", "nope", "GET", "/"], b"");
    assert_eq!(output.code, Some(1), "{}", output.text);
    assert!(output.text.contains("no key has this id"), "{}", output.text);
    assert!(!output.text.contains("digest"), "{}", output.text);
}

/// A store is not touched by a look at the file that names it, and its password is shown by nothing.
#[test]
fn check_opens_no_store_and_run_says_which_one_does_not_answer() {
    let config = Config::with_upstream(&Upstream::answering(200, "{}"));
    let launch = launch([reader()]);
    launch.write("gateway.yaml", &config.clone().section("store", "{ sqlite: keys.db }").text());
    let check = launch.command(&["check"], b"");
    assert_eq!(check.code, Some(0), "{}", check.text);
    assert!(!launch.directory_path().with_file_name("keys.db").exists());
    let store = format!("{{ postgres: \"postgres://me:hunter2@{}/keys\" }}", nobody());
    launch.write("gateway.yaml", &config.section("store", &store).text());
    let check = launch.command(&["check"], b"");
    assert_eq!(check.code, Some(0), "{}", check.text);
    let run = launch.command(&["run"], b"");
    assert_eq!(run.code, Some(69), "{}", run.text);
    assert!(run.text.contains("the PostgreSQL database"), "{}", run.text);
    assert!(!format!("{}{}", check.text, run.text).contains("hunter2"), "{}", run.text);
}

/// Records of the plain form are accepted beside a pepper and not protected by it.
#[test]
fn check_warns_of_plain_digests_under_a_pepper() {
    let config = Config::with_upstream(&Upstream::answering(200, "{}"))
        .section("keys", "{ prefix: avoca_, pepper: 0123456789abcdef }");
    let hmac =
        |id: &str| Key::new(id, &["calls:read"]).with("digest", format!("hmac-sha256:{id:0>64}"));
    let gone = reader().with("revoked_at", "2026-01-01T00:00:00Z");
    for (keys, warned) in [
        (vec![reader()], true),
        (vec![hmac("1"), Key::new("j", &["calls:read"]), reader()], true),
        (vec![hmac("1"), gone], false),
    ] {
        let launch = Launch::files(&config.text(), &Directory::of(keys).text());
        let output = launch.command(&["check"], b"");
        assert_eq!(output.code, Some(0), "{}", output.text);
        let told = output.text.contains(".digest: warning: is a plain sha256 digest");
        assert_eq!(told, warned, "{}", output.text);
    }
}

/// A file that is not there is told with the place that names it, and with what to do.
#[test]
fn a_missing_file_is_told_with_what_names_it() {
    let launch = launch([reader()]);
    std::fs::remove_file(launch.directory_path()).unwrap();
    for (arguments, code) in [
        (&["check"] as &[&str], 78),
        (&["run"], 69),
        (&["explain", "--key-id", "k", "GET", "/api/calls"], 69),
    ] {
        let output = launch.command(arguments, b"");
        assert_eq!(output.code, Some(code), "{arguments:?}: {}", output.text);
        for told in [": store.file: cannot read", "^", "`accounts: {}`"] {
            assert!(output.text.contains(told), "{arguments:?}: {told} in {}", output.text);
        }
    }
    for command in ["check", "run", "health"] {
        let output = launch.command(&[command, "--config", "none.yaml"], b"");
        assert_eq!(output.code, Some(78), "{command}: {}", output.text);
        for told in ["none.yaml", "--config", "COLONNADE_CONFIG"] {
            assert!(output.text.contains(told), "{command}: {told} in {}", output.text);
        }
    }
}

/// A start would fail over them, so `check` does.
#[test]
fn check_tries_the_tls_files() {
    let config = Config::with_upstream(&Upstream::answering(200, "{}"));
    let with = |tls: &str| {
        let listeners = format!("\n  - {{ address: \"127.0.0.1:0\", tls: {{ {tls} }} }}");
        config.clone().section("listeners", &listeners).text()
    };
    let launch = Launch::files("", &Directory::of([reader()]).text());
    launch.write("some.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    launch.write("empty.pem", "");
    launch.write("good.pem", include_str!("../support/self-signed.pem"));
    launch.write("other.pem", include_str!("../support/other-key.pem"));
    launch.write("gateway.yaml", &with("certificate: good.pem, key: good.pem"));
    let output = launch.command(&["check"], b"");
    assert_eq!(output.code, Some(0), "{}", output.text);
    let certificate = |told| ("listeners[0].tls.certificate", told);
    let key = |told| ("listeners[0].tls.key", told);
    for (tls, expected) in [
        (
            "certificate: none.pem, key: none.pem",
            &[certificate("cannot read"), key("cannot read")][..],
        ),
        ("certificate: empty.pem, key: good.pem", &[certificate("no certificate")]),
        (
            "certificate: empty.pem, key: empty.pem",
            &[certificate("no certificate"), key("no private key")],
        ),
        ("certificate: some.pem, key: none.pem", &[key("cannot read")]),
        ("certificate: some.pem, key: empty.pem", &[key("no private key")]),
        ("certificate: some.pem, key: /dev/zero", &[key("it is a device")]),
        ("certificate: good.pem, key: other.pem", &[key("not this certificate's")]),
    ] {
        launch.write("gateway.yaml", &with(tls));
        let output = launch.command(&["check", "--format", "json"], b"");
        let found = faults(&output);
        assert_eq!(
            (output.code, found.len()),
            (Some(78), expected.len()),
            "{tls}: {}",
            output.text
        );
        for (found, (path, told)) in found.iter().zip(expected) {
            assert_eq!(found["path"], *path, "{tls}");
            assert!(found["message"].as_str().unwrap().contains(told), "{tls}: {found:?}");
            assert!(found["line"].as_u64().unwrap() > 1, "{tls}: {found:?}");
        }
    }
    let address = "127.0.0.1:1".parse().unwrap();
    for (ca, good) in [("good.pem", true), ("some.pem", false), ("none.pem", false)] {
        let tls = format!("tls: {{ sni: a.test, ca: {ca} }}");
        launch.write("gateway.yaml", &config.clone().upstream_with("leads", address, &tls).text());
        let output = launch.command(&["check", "--format", "json"], b"");
        let found = faults(&output);
        assert_eq!(found.is_empty(), good, "{ca}: {}", output.text);
        assert!(good || found[0]["path"] == "upstreams.leads.tls.ca", "{found:?}");
    }
}
