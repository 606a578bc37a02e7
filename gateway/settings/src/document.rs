//! The JSON Schema of the configuration, for editors and for the checker.
//!
//! One derive drives both, so what an editor marks is what `check` refuses.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

use crate::model::GatewaySettings;

/// The JSON Schema (draft 2020-12) of `gateway.yaml`.
pub fn schema() -> Json {
    let mut schema = internal_schema::<GatewaySettings>();
    refuse_null_members(&mut schema);
    remove_word(&mut schema, "x-partial");
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".into(), "gateway.yaml of Colonnade".into());
    }
    schema
}

/// [`schema`] as a file: indented, with a line end.
pub fn schema_text() -> String {
    // A value made of maps and strings always prints.
    let mut text = serde_json::to_string_pretty(&schema()).unwrap_or_default();
    text.push('\n');
    text
}

/// The schema that the checker walks.
pub(crate) fn checker_schema() -> Json {
    let mut schema = internal_schema::<GatewaySettings>();
    refuse_null_members(&mut schema);
    schema
}

/// The schema of one kind of record, in which `null` says the same as absence.
pub(crate) fn record_schema<T: JsonSchema>() -> Json {
    internal_schema::<T>()
}

fn internal_schema<T: JsonSchema>() -> Json {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}

/// A key without a value is more often a mistake than a wish for the default, so members that may
/// be absent may not be null. schemars writes an optional member as "this or null".
fn refuse_null_members(schema: &mut Json) {
    match schema {
        Json::Object(words) => {
            for (word, below) in words.iter_mut() {
                if word == "properties" {
                    below
                        .as_object_mut()
                        .into_iter()
                        .flat_map(|all| all.values_mut())
                        .for_each(without_null);
                }
                refuse_null_members(below);
            }
        }
        Json::Array(all) => all.iter_mut().for_each(refuse_null_members),
        _ => {}
    }
}

fn without_null(member: &mut Json) {
    let Some(words) = member.as_object_mut() else { return };
    if let Some(Json::Array(types)) = words.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            words.insert("type".into(), one);
        }
    }
    if words.get("default") == Some(&Json::Null) {
        words.remove("default");
    }
    let Some(Json::Array(branches)) = words.get_mut("anyOf") else { return };
    branches.retain(|branch| branch.get("type").is_none_or(|one| one != "null"));
    if let [Json::Object(only)] = branches.as_mut_slice() {
        let only = std::mem::take(only);
        words.remove("anyOf");
        for (word, value) in only {
            words.entry(word).or_insert(value);
        }
    }
}

fn remove_word(schema: &mut Json, word: &str) {
    match schema {
        Json::Object(words) => {
            words.remove(word);
            words.values_mut().for_each(|below| remove_word(below, word));
        }
        Json::Array(all) => all.iter_mut().for_each(|below| remove_word(below, word)),
        _ => {}
    }
}
