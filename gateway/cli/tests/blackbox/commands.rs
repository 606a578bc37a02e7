//! Commands that end by themselves: `explain`, `check`, and how arguments are refused.

use serde_json::Value;

use crate::support::gateway::{Launch, Output};
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
