//! The customers' reference: an OpenAPI 3.1 document of the live routes, and a page to read and try
//! them. Built from the table that requests are routed by, so the two cannot differ.
//!
//! Public, as `reserved.docs` says: it shows routes and what they ask for, never data, columns or
//! upstreams. The page loads nothing from elsewhere and keeps the key in its own memory only.
//!
//! Cost: built once a reload; an answer is a copy of a pointer.
//! Source: OpenAPI 3.1.0.

use bytes::Bytes;
use gateway_policy::{Carrier, Pattern, ProblemCode, QueryRule, Route, Rules, TeamRule};
use http::Method;
use serde_json::{Map, Value, json};

/// What may run on the page: its own script and style, calls to its own origin.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One document of the reference.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

/// The documents of one generation of rules.
#[derive(Debug, Default)]
pub struct Docs {
    root: Option<Box<str>>,
    page: Bytes,
    openapi: Bytes,
}

impl Docs {
    pub fn build(rules: &Rules) -> Docs {
        let root = rules.reserved.docs.clone();
        let page = include_str!("docs/page.html").replace("ROOT", root.as_deref().unwrap_or(""));
        Docs { root, page: Bytes::from(page), openapi: Bytes::from(openapi(rules).to_string()) }
    }

    /// The OpenAPI document, as JSON.
    pub fn openapi(&self) -> &[u8] {
        &self.openapi
    }

    /// The document at a path; `None` for paths that are not the reference's.
    pub(crate) fn find(&self, path: &str) -> Option<Page> {
        let text = |content_type, body: &'static str| Page {
            content_type,
            body: Bytes::from_static(body.as_bytes()),
        };
        match path.strip_prefix(self.root.as_deref()?)? {
            "" => Some(Page { content_type: "text/html; charset=utf-8", body: self.page.clone() }),
            "/page.js" => {
                Some(text("text/javascript; charset=utf-8", include_str!("docs/page.js")))
            }
            "/page.css" => Some(text("text/css; charset=utf-8", include_str!("docs/page.css"))),
            "/openapi.json" => {
                Some(Page { content_type: "application/json", body: self.openapi.clone() })
            }
            _ => None,
        }
    }
}

fn openapi(rules: &Rules) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in rules.routes.routes() {
        let (path, parameters) = path_of(&route.pattern);
        let item = paths.entry(path).or_insert_with(|| json!({}));
        for method in &route.methods {
            item[method.as_str().to_ascii_lowercase()] =
                operation(rules, route, method, &parameters);
        }
    }
    if let Some(key) = &rules.reserved.key {
        paths.insert(
            key.to_string(),
            json!({ "get": {
                "summary": "Who am I: what this API key may do",
                "operationId": "whoami",
                "responses": responses(),
            }}),
        );
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "API reference", "version": "1" },
        "servers": [{ "url": "/" }],
        "security": rules.credentials.accept.iter().map(|carrier| json!({ scheme(*carrier).0: [] })).collect::<Vec<_>>(),
        "paths": paths,
        "components": { "securitySchemes": rules.credentials.accept.iter().map(|carrier| {
            let (name, scheme) = scheme(*carrier);
            (name.to_owned(), scheme)
        }).collect::<Map<_, _>>() },
    })
}

fn scheme(carrier: Carrier) -> (&'static str, Value) {
    match carrier {
        Carrier::Bearer => ("bearer", json!({ "type": "http", "scheme": "bearer" })),
        Carrier::Basic => ("basic", json!({ "type": "http", "scheme": "basic" })),
        Carrier::XApiKey => {
            ("apiKey", json!({ "type": "apiKey", "in": "header", "name": "X-API-Key" }))
        }
    }
}

/// The path as OpenAPI writes it, and its parameters.
fn path_of(pattern: &Pattern) -> (String, Vec<Value>) {
    let mut parameters = Vec::new();
    let segments: Vec<String> = pattern
        .as_str()
        .split('/')
        .map(|segment| {
            let (name, kind) =
                match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                    Some(inner) => inner.split_once(':').unwrap_or((inner, "")),
                    None if segment == "**" => ("rest", ""),
                    None => return segment.to_owned(),
                };
            let schema = match kind {
                "int" => json!({ "type": "integer" }),
                "uuid" => json!({ "type": "string", "format": "uuid" }),
                _ => json!({ "type": "string" }),
            };
            parameters
                .push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
            format!("{{{name}}}")
        })
        .collect();
    (segments.join("/"), parameters)
}

fn operation(rules: &Rules, route: &Route, method: &Method, in_path: &[Value]) -> Value {
    let mut parameters = in_path.to_vec();
    if let QueryRule::Allow(names) = &route.query {
        parameters.extend(
            names.iter().map(
                |name| json!({ "name": &**name, "in": "query", "schema": { "type": "string" } }),
            ),
        );
    }
    if let (Some(header), true) = (&rules.teams.header, route.team != TeamRule::None) {
        let required = route.team == TeamRule::Required;
        parameters.push(json!({
            "name": header.as_str(), "in": "header", "required": required, "schema": { "type": "string" },
            "description": "The team that the request is about. A key of one team needs no such header.",
        }));
    }
    let scope = route.scope.named(method).map_or("", |id| rules.scopes.name(id));
    let read = rules
        .scopes
        .iter()
        .find(|(name, _)| *name == scope)
        .map_or("", |(_, description)| description);
    json!({
        "summary": read,
        "description": format!("Needs the scope `{scope}`."),
        "x-required-scope": scope,
        "operationId": format!("{} {}", method, route.pattern.as_str()),
        "tags": [rules.resources.get(route.resource.index()).map_or("", |resource| &*resource.name)],
        "parameters": parameters,
        "responses": responses(),
    })
}

/// The answers that any operation may give.
fn responses() -> Value {
    let codes = [
        ProblemCode::BadRequest,
        ProblemCode::InvalidApiKey,
        ProblemCode::InsufficientScope,
        ProblemCode::NotFound,
        ProblemCode::RateLimited,
        ProblemCode::ResponseNotFilterable,
    ];
    let mut all = Map::from_iter([(
        "200".to_owned(),
        json!({ "description": "The answer, as far as this key may see it" }),
    )]);
    all.extend(
        codes.map(|code| (code.status().to_string(), json!({ "description": code.title() }))),
    );
    Value::Object(all)
}
