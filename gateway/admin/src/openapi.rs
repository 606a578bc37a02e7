//! The OpenAPI 3.1 document of the admin API.
//!
//! It is made of the handlers' own declarations; added here is what they have in common: who they
//! are, the token, and the errors that every one may answer. Made once, at the start.

use serde_json::{Map, Value, json};
use utoipa::PartialSchema;
use utoipa::openapi::OpenApi;

use crate::problem::{BodyFault, ProblemDocument};
use crate::schema;

/// The document, and its schemas for bodies to be checked by.
#[derive(Debug)]
pub(crate) struct Document {
    text: String,
    schemas: Value,
}

const DESCRIPTION: &str = "Accounts, users and keys of the gateway, what they may see, and how much \
they are used. Times are RFC 3339 in UTC. A change is answered once this node serves it. Errors are \
RFC 9457 problems; `code` tells them apart.";

/// Answers that every operation may give: status and when.
const EVERYWHERE: [(&str, &str); 6] = [
    ("400", "A parameter or the body cannot be read"),
    ("401", "No admin token, or a wrong one"),
    ("403", "The token lacks a permission"),
    ("404", "No such thing"),
    ("429", "Too many wrong tokens from this address"),
    (
        "503",
        "The store does not answer, the node does not serve the change yet, or no token is configured",
    ),
];
/// Answers of operations that take a body.
const WITH_BODY: [(&str, &str); 5] = [
    ("408", "The body did not come in time"),
    ("409", "Refused by a rule, or the directory is a file"),
    ("413", "The body is too large"),
    ("415", "The body is no `application/json`"),
    ("422", "Something is wrong with the body; `errors` says what and where"),
];

/// Bodies that may be left out.
const NEEDLESS: [&str; 2] = ["NoBody", "RegenerateBody"];

/// What is told when somebody wants to change it: not that it is unknown.
const FIXED: [(&str, &[&str]); 2] = [
    ("AlterAccountBody", &["id"]),
    (
        "AlterKeyBody",
        &["id", "account", "scopes", "data_scope", "user", "owner", "teams", "display", "digest"],
    ),
];

impl Document {
    pub(crate) fn of(made: OpenApi) -> Document {
        let mut value = serde_json::to_value(&made).unwrap_or_default();
        value["openapi"] = json!("3.1.0");
        value["info"] = json!({
            "title": "Colonnade admin API",
            "version": "1",
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        });
        value["servers"] = json!([{ "url": "/" }]);
        value["security"] = json!([{ "adminToken": [] }]);
        value["components"]["securitySchemes"] = json!({
            "adminToken": { "type": "http", "scheme": "bearer" },
        });
        let schemas = &mut value["components"]["schemas"];
        schemas["Problem"] = json!(ProblemDocument::schema());
        schemas["BodyFault"] = json!(BodyFault::schema());
        for (schema, names) in FIXED {
            value["components"]["schemas"][schema]["x-fixed"] = json!(names);
        }
        let methods = ["get", "put", "post", "patch", "delete"];
        let paths = value["paths"].as_object_mut().into_iter().flatten();
        for (_, item) in paths {
            for method in methods {
                if let Some(operation) = item.get_mut(method) {
                    add_problems(operation);
                }
            }
        }
        let text = serde_json::to_string_pretty(&value).unwrap_or_default() + "\n";
        Document { text, schemas: value["components"]["schemas"].take() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong with a body of this schema.
    pub(crate) fn faults(&self, schema: &str, body: &Value) -> Vec<BodyFault> {
        schema::faults(&self.schemas, schema, body)
    }
}

fn add_problems(operation: &mut Value) {
    let has_body = operation.get("requestBody").is_some();
    if let Some(body) = operation.get_mut("requestBody") {
        let schema = &body["content"]["application/json"]["schema"]["$ref"];
        let name = schema.as_str().and_then(|path| path.rsplit('/').next());
        body["required"] = json!(name.is_none_or(|name| !NEEDLESS.contains(&name)));
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    let with_body = WITH_BODY.iter().filter(|_| has_body);
    for (status, description) in EVERYWHERE.iter().chain(with_body) {
        add_problem(responses, status, description);
    }
}

fn add_problem(responses: &mut Map<String, Value>, status: &str, description: &str) {
    let answer = responses.entry(status).or_insert_with(|| json!({ "description": description }));
    // Some operations have an answer of their own with this status.
    answer["content"]["application/problem+json"] =
        json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
}
