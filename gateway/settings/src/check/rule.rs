//! One schema as the checker reads it.

use serde_json::{Map, Value as Json};

use crate::model::format::{Format, find_format};

/// A schema and where its definitions are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule<'s> {
    own: &'s Map<String, Json>,
    /// What `$ref` names; what stands beside a `$ref` comes first.
    base: Option<&'s Map<String, Json>>,
    definitions: Option<&'s Map<String, Json>>,
}

impl<'s> Rule<'s> {
    /// `None` for a schema that is not an object.
    pub(crate) fn root(schema: &'s Json) -> Option<Rule<'s>> {
        let own = schema.as_object()?;
        Some(Rule { own, base: None, definitions: own.get("$defs").and_then(Json::as_object) })
    }

    pub(super) fn of(&self, schema: &'s Json) -> Option<Rule<'s>> {
        let own = schema.as_object()?;
        let named =
            own.get("$ref").and_then(Json::as_str).and_then(|name| name.strip_prefix("#/$defs/"));
        let base = named.and_then(|name| self.definitions?.get(name)?.as_object());
        Some(Rule { own, base, definitions: self.definitions })
    }

    pub(super) fn word(&self, word: &str) -> Option<&'s Json> {
        self.own.get(word).or_else(|| self.base?.get(word))
    }

    pub(super) fn text(&self, word: &str) -> Option<&'s str> {
        self.word(word).and_then(Json::as_str)
    }

    pub(super) fn number(&self, word: &str) -> Option<i128> {
        let number = self.word(word)?;
        number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
    }

    fn rules(&self, word: &str) -> Vec<Rule<'s>> {
        let all = self.word(word).and_then(Json::as_array);
        all.into_iter().flatten().filter_map(|one| self.of(one)).collect()
    }

    pub(super) fn property(&self, name: &str) -> Option<Rule<'s>> {
        self.of(self.word("properties")?.get(name)?)
    }

    pub(super) fn property_names(&self) -> impl Iterator<Item = &'s str> {
        let all = self.word("properties").and_then(Json::as_object);
        all.into_iter().flat_map(|all| all.keys().map(String::as_str))
    }

    pub(super) fn format(&self) -> Option<&'static Format> {
        self.text("format").and_then(find_format)
    }

    /// The texts of an enumeration.
    pub(super) fn choices(&self) -> Option<Vec<&'s str>> {
        let listed = |rule: &Rule<'s>| -> Option<Vec<&'s str>> {
            match rule.word("const") {
                Some(one) => Some(vec![one.as_str()?]),
                None => rule.word("enum")?.as_array()?.iter().map(Json::as_str).collect(),
            }
        };
        if let Some(choices) = listed(self) {
            return Some(choices);
        }
        let branches = self.rules("oneOf");
        if branches.is_empty() {
            return None;
        }
        branches.iter().map(listed).collect::<Option<Vec<_>>>().map(|all| all.concat())
    }

    pub(super) fn branches(&self) -> Vec<Rule<'s>> {
        let branches = self.rules("anyOf");
        // Asked of every scalar of a directory, and few have the word.
        if branches.is_empty() && self.word("oneOf").is_some() && self.choices().is_none() {
            return self.rules("oneOf");
        }
        branches
    }

    fn types(&self) -> Vec<&'s str> {
        match self.word("type") {
            Some(Json::String(one)) => vec![one],
            Some(Json::Array(all)) => all.iter().filter_map(Json::as_str).collect(),
            _ if self.choices().is_some() => vec!["string"],
            _ => Vec::new(),
        }
    }

    pub(super) fn takes(&self, kind: &str) -> bool {
        let is = |known: &str| known == kind || (known == "number" && kind == "integer");
        match self.word("type") {
            Some(Json::String(one)) => is(one),
            Some(Json::Array(all)) => all.iter().filter_map(Json::as_str).any(is),
            _ => kind == "string" && self.choices().is_some(),
        }
    }

    /// What a fault says was expected.
    pub(super) fn noun(&self) -> String {
        if let Some(choices) = self.choices() {
            return listing(&choices);
        }
        let branches = self.branches();
        if !branches.is_empty() {
            let nouns: Vec<String> =
                branches.iter().filter(|rule| !rule.takes("null")).map(Rule::noun).collect();
            return nouns.join(" or ");
        }
        if let Some(format) = self.format() {
            return format.noun.into();
        }
        let noun = |kind: &&str| match *kind {
            "object" => Some("a mapping"),
            "array" => Some("a list"),
            "integer" => Some("a whole number"),
            "number" => Some("a number"),
            "boolean" => Some("`true` or `false`"),
            "string" => Some("text"),
            _ => None,
        };
        self.types().iter().filter_map(noun).collect::<Vec<_>>().join(" or ")
    }
}

/// "`a`, `b` or `c`".
pub(crate) fn listing(choices: &[&str]) -> String {
    let quoted: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".into(),
    }
}
