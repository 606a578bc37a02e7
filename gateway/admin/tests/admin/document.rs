//! The OpenAPI document: as reviewed, and true.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::Admin;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

/// The document is what was reviewed. `UPDATE_GOLDEN=1` rewrites it.
#[test]
fn the_document_is_as_reviewed() {
    let document = gateway_admin::openapi();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &document).unwrap();
    }
    let reviewed = std::fs::read_to_string(Path::new(GOLDEN)).unwrap_or_default();
    assert!(
        document == reviewed,
        "the document has changed; run with UPDATE_GOLDEN=1 and review it"
    );
}

#[tokio::test]
async fn the_document_is_served() {
    let admin = Admin::empty();
    let answer = admin.ask("read", "GET", "/openapi.json", None).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document: Value = serde_json::from_str(&gateway_admin::openapi()).unwrap();
    assert_eq!(answer.good(), document);
}

/// References lead somewhere, operations have names of their own, and every error is described.
#[test]
fn the_document_is_sound() {
    let document: Value = serde_json::from_str(&gateway_admin::openapi()).unwrap();
    assert_eq!(document["openapi"], json!("3.1.0"));
    let mut references = Vec::new();
    collect(&document, &mut references);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let mut names = std::collections::HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            assert!(operation["summary"].is_string(), "{method} {path} says what it does");
            for status in ["400", "401", "403", "404", "429", "503"] {
                assert!(operation["responses"].get(status).is_some(), "{method} {path} {status}");
            }
        }
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                references.push(reference.to_owned());
            }
            members.values().for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

/// A query parameter that the document has is read, and another one is refused, everywhere.
#[tokio::test]
async fn an_operation_takes_the_parameters_of_the_document_and_no_others() {
    let admin = Admin::with_acme().await;
    let key = admin.key("CRM").await;
    let document: Value = serde_json::from_str(&gateway_admin::openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let path = path
                .strip_prefix("/admin/v1")
                .unwrap()
                .replace("{account}", "acme")
                .replace("{key}", &key)
                .replace("{user}", "u_ann");
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            for name in parameters.iter().filter(|known| known["in"] == "query") {
                let name = name["name"].as_str().unwrap();
                let value = match name {
                    "wait" => "0s",
                    "limit" => "1",
                    "status" => "all",
                    "team" => "101",
                    "account" => "acme",
                    // Of this page there is none; what is said about it shows that it was read.
                    _ => "none",
                };
                let answer = admin
                    .ask(
                        "root",
                        &method.to_uppercase(),
                        &format!("{path}?{name}={value}"),
                        Some(json!({})),
                    )
                    .await;
                assert_ne!(answer.code().1, "unknown_parameter", "{method} {path} {name}");
            }
            let answer = admin
                .ask("root", &method.to_uppercase(), &format!("{path}?nonsense=1"), Some(json!({})))
                .await;
            assert_eq!(answer.code(), (400, "unknown_parameter"), "{method} {path}");
        }
    }
}
