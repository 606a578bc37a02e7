//! Holds a body to its schema and tells everything that is wrong with it.
//!
//! serde would stop at the first fault. And as the schemas are those of the document, what is told to
//! clients and what is asked of them is one thing. Knows the part of JSON Schema that our types make;
//! a test fails when a type makes more.
//!
//! Not here: what a scalar must look like (`scalar`), and what a body means.

use serde_json::{Map, Value};

use crate::problem::BodyFault;
use crate::scalar::FORMATS;
use crate::secrecy::shows_key;

/// Faults after which nobody reads on.
const FAULTS_MAX: usize = 200;

/// The words of a schema that are understood; others are of no consequence to a body.
#[cfg(test)]
pub(crate) const UNDERSTOOD: [&str; 19] = [
    "$ref",
    "oneOf",
    "type",
    "enum",
    "properties",
    "required",
    "additionalProperties",
    "minProperties",
    "maxProperties",
    "items",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "format",
    "propertyNames",
    "pattern",
];

/// Everything that is wrong with `value` by the schema of this name.
pub(crate) fn faults(schemas: &Value, name: &str, value: &Value) -> Vec<BodyFault> {
    let mut checker = Checker { schemas, faults: Vec::new() };
    match schemas.get(name) {
        Some(schema) => checker.check(value, schema, ""),
        None => checker.fault("", "has no known form".to_owned()),
    }
    checker.faults
}

struct Checker<'a> {
    schemas: &'a Value,
    faults: Vec<BodyFault>,
}

impl<'a> Checker<'a> {
    fn fault(&mut self, pointer: &str, detail: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(BodyFault::new(pointer, detail));
        }
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        let name = schema.get("$ref").and_then(Value::as_str);
        let name = name.and_then(|path| path.rsplit('/').next());
        name.and_then(|name| self.schemas.get(name)).unwrap_or(schema)
    }

    fn check(&mut self, value: &Value, schema: &'a Value, pointer: &str) {
        let schema = self.resolved(schema);
        if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
            return self.check_one_of(value, choices, pointer);
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            if !words.contains(value) {
                let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                self.fault(pointer, format!("is none of {}", quoted(&words)));
            }
            return;
        }
        if !has_type(value, schema) {
            self.fault(pointer, format!("is {}; {} is expected", kind(value), expected(schema)));
            return;
        }
        match value {
            Value::String(text) => self.check_text(text, schema, pointer),
            Value::Number(_) => self.check_number(value, schema, pointer),
            Value::Array(items) => self.check_items(items, schema, pointer),
            Value::Object(members) => self.check_members(members, schema, pointer),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Of several forms: the faults by the one that is of the value's kind, if there is just one.
    fn check_one_of(&mut self, value: &Value, choices: &'a [Value], pointer: &str) {
        let choices: Vec<&Value> = choices.iter().map(|choice| self.resolved(choice)).collect();
        let fits = |choice: &&&Value| {
            let mut alone = Checker { schemas: self.schemas, faults: Vec::new() };
            alone.check(value, choice, pointer);
            alone.faults.is_empty()
        };
        if choices.iter().any(|choice| fits(&choice)) {
            return;
        }
        let of_kind: Vec<&&Value> =
            choices.iter().filter(|choice| has_type(value, choice)).collect();
        match of_kind.as_slice() {
            [only] => self.check(value, only, pointer),
            _ => {
                let forms: Vec<String> = choices.iter().map(|choice| expected(choice)).collect();
                self.fault(
                    pointer,
                    format!("is {}; {} is expected", kind(value), forms.join(" or ")),
                );
            }
        }
    }

    fn check_text(&mut self, text: &str, schema: &Value, pointer: &str) {
        let count = text.chars().count() as u64;
        if let Some(least) = bound(schema, "minLength").filter(|least| count < *least) {
            self.fault(pointer, format!("has {count} characters; at least {least} are needed"));
        }
        if let Some(most) = bound(schema, "maxLength").filter(|most| count > *most) {
            self.fault(pointer, format!("has {count} characters; at most {most} are allowed"));
        }
        let format = schema.get("format").and_then(Value::as_str);
        let format = format.and_then(|name| FORMATS.iter().find(|format| format.name == name));
        if let Some(format) = format.filter(|format| !(format.is)(text)) {
            self.fault(pointer, format!("is not {}", format.noun));
        }
    }

    fn check_number(&mut self, value: &Value, schema: &Value, pointer: &str) {
        let Some(number) = value.as_i64().map(i128::from).or(value.as_u64().map(i128::from)) else {
            return;
        };
        let least = schema.get("minimum").and_then(Value::as_f64).map(|least| least as i128);
        let most = schema.get("maximum").and_then(Value::as_f64).map(|most| most as i128);
        if let Some(least) = least.filter(|least| number < *least) {
            self.fault(pointer, format!("is {number}, below the minimum of {least}"));
        }
        if let Some(most) = most.filter(|most| number > *most) {
            self.fault(pointer, format!("is {number}, above the maximum of {most}"));
        }
    }

    fn check_items(&mut self, items: &[Value], schema: &'a Value, pointer: &str) {
        let count = items.len() as u64;
        if let Some(least) = bound(schema, "minItems").filter(|least| count < *least) {
            self.fault(pointer, format!("has {count} items; at least {least} is needed"));
        }
        if let Some(most) = bound(schema, "maxItems").filter(|most| count > *most) {
            self.fault(pointer, format!("has {count} items; at most {most} are allowed"));
            return;
        }
        let Some(each) = schema.get("items") else { return };
        for (index, item) in items.iter().enumerate() {
            self.check(item, each, &format!("{pointer}/{index}"));
        }
    }

    fn check_members(&mut self, members: &Map<String, Value>, schema: &'a Value, pointer: &str) {
        let count = members.len() as u64;
        if let Some(least) = bound(schema, "minProperties").filter(|least| count < *least) {
            self.fault(pointer, format!("has {count} members; at least {least} is needed"));
        }
        if let Some(most) = bound(schema, "maxProperties").filter(|most| count > *most) {
            self.fault(pointer, format!("has {count} members; at most {most} are allowed"));
            return;
        }
        let known = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                self.fault(&below(pointer, name), "is missing".to_owned());
            }
        }
        for (name, value) in members {
            // A name that nobody knows may be a key that was put in the wrong place.
            let place = below(pointer, if shows_key(name, "") { "…" } else { name });
            match known.and_then(|known| known.get(name)) {
                Some(member) => self.check(value, member, &place),
                None => self.check_additional(name, value, schema, known, &place),
            }
        }
    }

    fn check_additional(
        &mut self,
        name: &str,
        value: &Value,
        schema: &'a Value,
        known: Option<&Map<String, Value>>,
        place: &str,
    ) {
        if let Some(names) = schema.get("propertyNames") {
            self.check(&Value::String(name.to_owned()), names, place);
        }
        match schema.get("additionalProperties") {
            Some(Value::Bool(false)) if is_fixed(name, schema) => {
                let detail = "never changes; make another one that has it as you wish";
                self.fault(place, detail.to_owned());
            }
            Some(Value::Bool(false)) => {
                let names: Vec<&str> =
                    known.into_iter().flatten().map(|(name, _)| &**name).collect();
                self.fault(place, format!("is unknown; {}", near(name, &names)));
            }
            Some(each) if each.is_object() => self.check(value, each, place),
            _ => {}
        }
    }
}

/// A member that is there and cannot be changed.
fn is_fixed(name: &str, schema: &Value) -> bool {
    let fixed = schema.get("x-fixed").and_then(Value::as_array);
    fixed.is_some_and(|fixed| fixed.iter().any(|known| known == name))
}

fn bound(schema: &Value, word: &str) -> Option<u64> {
    schema.get(word).and_then(Value::as_u64)
}

/// A pointer to a member (RFC 6901).
pub(crate) fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The names that a schema takes, or the one that was probably meant.
pub(crate) fn near(name: &str, known: &[&str]) -> String {
    let close = |candidate: &&&str| strsim::damerau_levenshtein(name, candidate);
    // A long name is no typo of a short one, and comparing it costs its square.
    let nearest = known.iter().filter(|_| name.len() <= 64).min_by_key(close);
    match nearest.filter(|nearest| strsim::damerau_levenshtein(name, nearest) <= nearest.len() / 3)
    {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if known.is_empty() => "nothing is known here".to_owned(),
        None => format!("known is {}", quoted(known)),
    }
}

/// Words in backquotes; of many the first.
pub(crate) fn quoted(words: &[&str]) -> String {
    const SHOWN_MAX: usize = 40;
    let shown: Vec<String> = words.iter().take(SHOWN_MAX).map(|word| format!("`{word}`")).collect();
    let more = if words.len() > SHOWN_MAX { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn has_type(value: &Value, schema: &Value) -> bool {
    let is = |name: &str| match (name, value) {
        ("null", Value::Null)
        | ("boolean", Value::Bool(_))
        | ("string", Value::String(_))
        | ("number", Value::Number(_))
        | ("array", Value::Array(_))
        | ("object", Value::Object(_)) => true,
        ("integer", Value::Number(number)) => number.is_i64() || number.is_u64(),
        _ => false,
    };
    match schema.get("type") {
        Some(Value::String(name)) => is(name),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(is),
        // Forms without a type of their own: any, or a choice that is looked into.
        _ => true,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction, or too large",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn expected(schema: &Value) -> String {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return quoted(&words.iter().filter_map(Value::as_str).collect::<Vec<_>>());
    }
    let noun = |name: &str| match name {
        "null" => "null",
        "boolean" => "true or false",
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "array" => "an array",
        "object" => "an object",
        _ => "something else",
    };
    match schema.get("type") {
        Some(Value::String(name)) => noun(name).to_owned(),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).map(noun).collect::<Vec<_>>().join(" or ")
        }
        _ => "something else".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    /// Words of a schema that its bodies are not held to, and those below it.
    fn not_understood(schema: &Value, path: &str, found: &mut Vec<String>) {
        const OF_NO_CONSEQUENCE: [&str; 3] = ["description", "x-fixed", "example"];
        let Some(words) = schema.as_object() else { return };
        for (word, value) in words {
            let place = format!("{path}/{word}");
            match word.as_str() {
                "properties" => {
                    let members = value.as_object().unwrap();
                    members.iter().for_each(|(_, member)| not_understood(member, &place, found));
                }
                "items" | "additionalProperties" => not_understood(value, &place, found),
                "oneOf" => {
                    let choices = value.as_array().unwrap();
                    choices.iter().for_each(|choice| not_understood(choice, &place, found));
                }
                word if UNDERSTOOD.contains(&word) || OF_NO_CONSEQUENCE.contains(&word) => {}
                _ => found.push(place),
            }
        }
    }

    #[test]
    fn what_the_schemas_of_bodies_say_is_understood() {
        let document: Value = serde_json::from_str(&crate::openapi()).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let mut found = Vec::new();
        // Answers are put together of parts, which no body is held to.
        for (name, schema) in schemas.iter().filter(|(_, schema)| schema.get("allOf").is_none()) {
            not_understood(schema, name, &mut found);
        }
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_place() {
        let schemas = json!({
            "Body": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": { "type": "string", "minLength": 1 },
                    "count": { "type": ["integer", "null"], "minimum": 1, "maximum": 5 },
                    "kind": { "oneOf": [{ "$ref": "#/components/schemas/Kind" }, { "type": "null" }] },
                    "at": { "type": "array", "items": { "type": "string", "format": "date-time" } },
                },
                "additionalProperties": false,
                "x-fixed": ["id"],
            },
            "Kind": { "type": "string", "enum": ["window", "sliding"] },
        });
        for (body, faults) in [
            (json!({"name": "a", "count": null, "kind": null, "at": []}), vec![]),
            (json!({"name": "a", "count": 5, "kind": "sliding"}), vec![]),
            (json!([]), vec![("", "is an array; an object is expected")]),
            (json!({}), vec![("/name", "is missing")]),
            (
                json!({"name": "", "count": 6, "kind": "slide", "id": 1}),
                vec![
                    ("/name", "has 0 characters; at least 1 are needed"),
                    ("/count", "is 6, above the maximum of 5"),
                    ("/kind", "is none of `window`, `sliding`"),
                    ("/id", "never changes; make another one that has it as you wish"),
                ],
            ),
            (
                json!({"name": "a", "cuont": 1}),
                vec![("/cuont", "is unknown; did you mean `count`?")],
            ),
            (
                json!({"name": "a", "count": 1.5}),
                vec![(
                    "/count",
                    "is a number with a fraction, or too large; a whole number or null is expected",
                )],
            ),
            (
                json!({"name": "a", "kind": 1}),
                vec![("/kind", "is a number; `window`, `sliding` or null is expected")],
            ),
            (
                json!({"name": "a", "at": ["2027-01-01T00:00:00Z", "x"], "a/b~": 1}),
                vec![
                    (
                        "/at/1",
                        "is not a time of RFC 3339 with its offset, such as `2027-01-01T00:00:00Z`",
                    ),
                    ("/a~1b~0", "is unknown; known is `name`, `count`, `kind`, `at`"),
                ],
            ),
        ] {
            let told: Vec<BodyFault> =
                faults.into_iter().map(|(place, detail)| BodyFault::new(place, detail)).collect();
            assert_eq!(super::faults(&schemas, "Body", &body), told, "{body}");
        }
    }

    #[test]
    fn a_body_of_faults_does_not_fill_the_memory() {
        let schemas = json!({ "Body": { "type": "array", "items": { "type": "string" } } });
        let body = Value::Array(vec![Value::Null; 100_000]);
        assert_eq!(super::faults(&schemas, "Body", &body).len(), FAULTS_MAX);
    }
}
