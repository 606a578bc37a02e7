//! Holds a tree against the JSON Schema that the model's types give, and reports every fault.
//!
//! serde stops at its first error and forgets places; this walks on. What is at fault is taken out
//! of the tree and remembered as reported, so that the rest can be read by serde and checked for
//! sense (`compile`): one `check` shows a typo in `plans` and a wrong upstream in `routes` alike.
//!
//! Only the words that schemars writes for our types are known here: `$ref type enum const oneOf
//! anyOf properties additionalProperties required items minimum maximum minItems maxItems
//! minProperties maxProperties minLength maxLength uniqueItems format`, and our own `x-minimum x-maximum`
//! (for durations and sizes) and `x-partial` (a member that is missing does not take the rest along).
//!
//! Cost: one pass; a look-up per member by the few names of its section.

mod remedy;
mod rule;

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::node::{Entry, Expansion, Kind, Node, Path, Value, kind_of_plain};
use crate::report::{Report, quotable, suggestion};
use remedy::shown;
pub(crate) use rule::Rule;

/// Checks `node` and everything below it. `false` says that it cannot be used; the faults are in
/// the report, and whoever holds the node takes it out.
pub(crate) fn check(
    node: &mut Node,
    rule: Rule<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> bool {
    if let Some(Expansion::Failed { message, help }) = node.expansion.as_deref() {
        report
            .add(node.at, path.to_string(), message.clone())
            .maybe_help(help.clone())
            .quotes_names();
        return false;
    }
    let branches = rule.branches();
    if !branches.is_empty() {
        return match branches.iter().find(|branch| fits(node, branch)) {
            Some(branch) => check(node, *branch, path, report),
            None => mismatch(node, rule, path, report),
        };
    }
    read_as_a_word(node, &rule);
    if !fits(node, &rule) {
        return mismatch(node, rule, path, report);
    }
    settle_kind(node, &rule);
    match &mut node.value {
        Value::Map(_) => check_map(node, rule, path, report),
        Value::Seq(_) => check_seq(node, rule, path, report),
        Value::Scalar { .. } => check_scalar(node, rule, path, report),
    }
}

/// Whether the node is of a kind that the rule takes. An expanded scalar is of any kind that its
/// text can be read as.
fn fits(node: &Node, rule: &Rule<'_>) -> bool {
    let branches = rule.branches();
    if !branches.is_empty() {
        return branches.iter().any(|branch| fits(node, branch));
    }
    match &node.value {
        Value::Map(_) => rule.takes("object"),
        Value::Seq(_) => rule.takes("array"),
        Value::Scalar { text, .. } if node.is_expanded() => {
            rule.takes("string")
                || kind_name(text, kind_of_plain(text)).is_some_and(|kind| rule.takes(kind))
        }
        Value::Scalar { text, kind } => kind_name(text, *kind).is_some_and(|kind| rule.takes(kind)),
    }
}

fn kind_name(text: &str, kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Null => "null",
        Kind::Bool => "boolean",
        Kind::Number if text.parse::<i128>().is_ok() => "integer",
        Kind::Number => "number",
        Kind::String => "string",
    })
}

/// Where `"null"` or `"1.2"` is a word to choose, it needs no quotes.
fn read_as_a_word(node: &mut Node, rule: &Rule<'_>) {
    if let Value::Scalar { text, kind: kind @ (Kind::Null | Kind::Number) } = &mut node.value
        && rule.choices().is_some_and(|choices| choices.contains(&&**text))
    {
        *kind = Kind::String;
    }
}

/// Gives a scalar the kind that its place asks for: ids are text, expanded numbers are numbers.
fn settle_kind(node: &mut Node, rule: &Rule<'_>) {
    let expanded = node.is_expanded();
    if let Value::Scalar { text, kind } = &mut node.value {
        if *kind != Kind::Null && rule.takes("string") {
            *kind = Kind::String;
        } else if expanded {
            *kind = kind_of_plain(text);
        }
    }
}

fn mismatch(node: &Node, rule: Rule<'_>, path: &Path<'_>, report: &mut Report<'_>) -> bool {
    let nouns = rule.noun();
    let found = match &node.value {
        Value::Map(_) => "a mapping".into(),
        Value::Seq(_) => "a list".into(),
        Value::Scalar { kind: Kind::Null, .. } => {
            report
                .add(node.at, path.to_string(), format!("has no value; expected {nouns}"))
                .help("give it one, or remove the key");
            return false;
        }
        Value::Scalar { .. } if is_secret(&rule) => "something else".into(),
        Value::Scalar { kind: Kind::String, .. } => format!("the text `{}`", shown(node)),
        Value::Scalar { kind: Kind::Number, .. } => format!("the number {}", shown(node)),
        Value::Scalar { .. } => format!("`{}`", shown(node)),
    };
    hide(node, &rule, report);
    report
        .add(node.at, path.to_string(), format!("expected {nouns}, found {found}"))
        .help(remedy::of_mismatch(node, &rule));
    false
}

fn is_secret(rule: &Rule<'_>) -> bool {
    rule.format().is_some_and(|format| format.secret)
}

fn hide(node: &Node, rule: &Rule<'_>, report: &mut Report<'_>) {
    let only_a_name = node.is_expanded() && node.written().is_some_and(|text| !text.contains(":-"));
    if is_secret(rule) && !only_a_name {
        report.secret(node);
    }
}

fn check_map(node: &mut Node, rule: Rule<'_>, path: &Path<'_>, report: &mut Report<'_>) -> bool {
    let at = node.at;
    let Value::Map(entries) = &mut node.value else { return false };
    let members = rule.word("additionalProperties").and_then(|members| rule.of(members));
    let has_properties = rule.word("properties").is_some();
    let written = entries.len();
    let mut sound = true;
    entries.retain_mut(|entry| {
        let member = rule.property(&entry.key).or(if has_properties { None } else { members });
        let name = match member {
            Some(_) if has_properties => Cow::Borrowed(&*entry.key),
            Some(_) => report.name(&entry.key, entry.at),
            None => report.unknown_name(&entry.key, entry.at),
        };
        let below = path.key(&name);
        let good = match member {
            Some(_) if entry.twin.is_some() => refuse_twin(entry, &below, report),
            Some(member) => check(&mut entry.node, member, &below, report),
            None => refuse_unknown(entry, rule, &below, report),
        };
        if !good {
            report.spoil(below.to_string());
            sound &= !is_required(rule, &entry.key) || is_partial(rule);
        }
        good
    });
    for name in required(rule) {
        let below = path.key(name);
        let spoiled = || report.is_spoiled(&below.to_string());
        if entries.iter().any(|entry| &*entry.key == name) || spoiled() {
            continue;
        }
        let help =
            rule.property(name).and_then(|rule| rule.text("description")).map(first_sentence);
        report.add(at, below.to_string(), "is missing").maybe_help(help);
        report.spoil(below.to_string());
        sound &= is_partial(rule);
    }
    sound && check_count(written, ("minProperties", "maxProperties"), at, rule, path, report)
}

fn required<'s>(rule: Rule<'s>) -> impl Iterator<Item = &'s str> {
    rule.word("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

fn is_required(rule: Rule<'_>, name: &str) -> bool {
    required(rule).any(|known| known == name)
}

fn is_partial(rule: Rule<'_>) -> bool {
    rule.word("x-partial").is_some()
}

fn refuse_twin(entry: &Entry, path: &Path<'_>, report: &mut Report<'_>) -> bool {
    if let Some(twin) = entry.twin.filter(|twin| *twin < entry.at) {
        let message =
            format!("`{}` is here twice; first on line {}", quotable(&entry.key), twin.line);
        report.add(entry.at, path.to_string(), message).help("remove one of the two");
    }
    false
}

fn refuse_unknown(entry: &Entry, rule: Rule<'_>, path: &Path<'_>, report: &mut Report<'_>) -> bool {
    // What is not shown needs no remedy, and there may be very many of them.
    let help = if report.is_full() { None } else { suggestion(&entry.key, rule.property_names()) };
    let message = format!("unknown key `{}`", quotable(&entry.key));
    report.add(entry.at, path.to_string(), message).maybe_help(help);
    false
}

/// The doc comment's first sentence, on one line.
fn first_sentence(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or(text).replace('\n', " ");
    let sentence = paragraph.split_inclusive(". ").next().unwrap_or(&paragraph);
    sentence.trim_end().trim_end_matches('.').into()
}

fn check_seq(node: &mut Node, rule: Rule<'_>, path: &Path<'_>, report: &mut Report<'_>) -> bool {
    let at = node.at;
    let Value::Seq(items) = &mut node.value else { return false };
    let written = items.len();
    if let Some(member) = rule.word("items").and_then(|member| rule.of(member)) {
        items.retain_mut(|item| {
            let below = path.index(item.place as usize);
            let good = check(item, member, &below, report);
            if !good {
                report.spoil(below.to_string());
            }
            good
        });
    }
    if rule.word("uniqueItems").is_some() {
        refuse_repeated(items, path, report);
    }
    check_count(written, ("minItems", "maxItems"), at, rule, path, report)
}

fn refuse_repeated(items: &[Node], path: &Path<'_>, report: &mut Report<'_>) {
    let mut known = std::collections::HashSet::new();
    for item in items {
        if let Value::Scalar { text, .. } = &item.value
            && !known.insert(&**text)
        {
            let message = format!("`{}` is in this list twice", shown(item));
            report
                .add(item.at, path.index(item.place as usize).to_string(), message)
                .help("remove one of the two");
        }
    }
}

fn check_count(
    count: usize,
    (least, most): (&str, &str),
    at: crate::node::Position,
    rule: Rule<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> bool {
    let count = count as i128;
    let message = match (rule.number(least), rule.number(most)) {
        (Some(least), _) if count < least && least == 1 => "must not be empty".into(),
        (Some(least), _) if count < least => {
            format!("has {count} entries, at least {least} are needed")
        }
        (_, Some(most)) if count > most => {
            format!("has {count} entries, at most {most} are allowed")
        }
        _ => return true,
    };
    report
        .add(at, path.to_string(), message)
        .maybe_help(rule.text("description").map(first_sentence));
    false
}

fn check_scalar(node: &mut Node, rule: Rule<'_>, path: &Path<'_>, report: &mut Report<'_>) -> bool {
    hide(node, &rule, report);
    let Some((message, help)) = remedy::of_scalar(node, &rule) else { return true };
    report.add(node.at, path.to_string(), message).help(help);
    false
}
