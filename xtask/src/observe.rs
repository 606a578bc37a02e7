//! Dashboard, alerts and runbooks: that what they name exists, and that `promtool` accepts them.
//!
//! An alert on a label that was renamed never fires, and nobody notices: so each name is looked up
//! (`metrics`), each alert has its page and cases where it fires and where it does not.
//!
//! Not here: what an alert is (`alerts`), which metrics there are (`metrics`).

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::alerts::{self, ALERTS, Alert, INDEX, RUNBOOKS, TESTS};
use crate::metrics::{Metrics, is_label, log_fields, names_in};
use crate::promql::named;
use crate::workspace::{Verdict, Workspace, count, text_of, verdict};

const DASHBOARDS: &str = "deploy/grafana/";
const SECTIONS: [&str; 5] = [
    "## What it means",
    "## What customers see",
    "## How to look",
    "## How to mend",
    "## When it is harmless",
];

/// An expression, and where it stands.
#[derive(Debug)]
struct Expression {
    place: String,
    text: String,
    /// Labels that the words beside it name.
    told: Vec<String>,
}

/// Each metric, label, value and field of the access log that is named anywhere exists; each alert
/// has its page, its line in the index, and its tests.
pub(crate) fn names(workspace: &Workspace) -> Result<Verdict> {
    let files = workspace.files()?;
    let (metrics, mut faults) = Metrics::read(workspace, &files)?;
    let alerts = alerts::of(&workspace.read(ALERTS)?);
    ensure!(!alerts.is_empty(), "{ALERTS} has no alert");

    let pages: Vec<&String> = files.iter().filter(|file| is_page(file)).collect();
    let index = workspace.read(INDEX)?;
    let mut tests = String::new();
    for file in TESTS {
        tests.push_str(&workspace.read(file)?);
    }
    for alert in &alerts {
        faults.extend(alerts::faults(alert, &index, &tests));
        if !pages.iter().any(|page| **page == alert.page()) {
            faults.push(format!("{ALERTS}: {0} has no page {1}", alert.name, alert.page()));
        }
    }
    let fields = log_fields(workspace)?;
    for page in pages {
        if !alerts.iter().any(|alert| alert.page() == *page) {
            faults.push(format!("{page}: there is no such alert"));
        }
        faults.extend(page_faults(page, &workspace.read(page)?, &fields));
    }

    let expressions = expressions(workspace, &files, &alerts)?;
    for expression in &expressions {
        faults.extend(expression_faults(&metrics, expression));
    }
    let texts = files
        .iter()
        .filter(|file| file.starts_with(RUNBOOKS) || is_dashboard(file) || *file == ALERTS);
    for file in texts {
        let text = workspace.read(file)?;
        let unknown = names_in(&text)
            .into_iter()
            .filter(|name| !metrics.has(name) && !is_stem(&metrics, name));
        faults.extend(unknown.map(|name| format!("{file}: there is no metric {name}")));
    }
    faults.sort();
    faults.dedup();
    let measure = format!(
        "{}, {}, {}",
        count(metrics.count(), "metric"),
        count(alerts.len(), "alert"),
        count(expressions.len(), "expression")
    );
    verdict(&faults, measure)
}

/// In prose a histogram goes by its name without a part.
fn is_stem(metrics: &Metrics, name: &str) -> bool {
    metrics.has(&format!("{name}_bucket"))
}

/// `promtool` reads the rules and every other expression, and runs the tests.
pub(crate) fn promtool(workspace: &Workspace) -> Result<Verdict> {
    let mut version = Command::new("promtool");
    version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        return Ok(Verdict::Skipped("promtool not installed (Debian: prometheus)".into()));
    }
    let alerts = alerts::of(&workspace.read(ALERTS)?);
    let expressions = expressions(workspace, &workspace.files()?, &alerts)?;
    let folder = workspace.target_dir()?.join("tmp");
    fs::create_dir_all(&folder).context("cannot make cargo's temporary folder")?;
    let rules = folder.join("expressions.yml");
    fs::write(&rules, as_rules(&expressions))
        .with_context(|| format!("cannot write {}", rules.display()))?;

    let promtool = |arguments: &[&str]| {
        let mut command = Command::new("promtool");
        command.args(arguments).current_dir(workspace.root()).stdin(Stdio::null());
        command
    };
    text_of(promtool(&["check", "rules", "--lint-fatal", ALERTS]).arg(&rules))?;
    text_of(promtool(&["test", "rules"]).args(TESTS))?;
    let measure = format!(
        "{} parsed, {} with their tests",
        count(expressions.len(), "expression"),
        count(alerts.len(), "alert")
    );
    Ok(Verdict::Passed(measure))
}

/// Of alerts, dashboards and runbooks.
fn expressions(
    workspace: &Workspace,
    files: &[String],
    alerts: &[Alert],
) -> Result<Vec<Expression>> {
    let mut found: Vec<Expression> = alerts
        .iter()
        .map(|alert| Expression {
            place: format!("{ALERTS}: {}", alert.name),
            text: alert.expression.clone(),
            told: alert.told.clone(),
        })
        .collect();
    for file in files.iter().filter(|file| file.starts_with(RUNBOOKS)) {
        found.extend(fenced(file, &workspace.read(file)?));
    }
    for file in files.iter().filter(|file| is_dashboard(file)) {
        let dashboard: Value = serde_json::from_str(&workspace.read(file)?)
            .with_context(|| format!("{file} is no JSON"))?;
        let before = found.len();
        of_dashboard(file, &dashboard, "", &mut found);
        ensure!(found.len() > before, "{file} has no expression");
    }
    Ok(found)
}

/// Each line of a block of `promql` is one.
fn fenced(file: &str, text: &str) -> Vec<Expression> {
    let mut within = false;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with("```") {
            within = line == "```promql";
        } else if within && !line.is_empty() {
            found.push(Expression {
                place: format!("{file}:{number}"),
                text: line.to_owned(),
                told: Vec::new(),
            });
        }
    }
    found
}

/// Whatever is an `expr`, and what variables ask for.
fn of_dashboard(file: &str, value: &Value, title: &str, found: &mut Vec<Expression>) {
    let title = value["title"].as_str().or(value["name"].as_str()).unwrap_or(title);
    match value {
        Value::Array(items) => {
            items.iter().for_each(|item| of_dashboard(file, item, title, found));
        }
        Value::Object(members) => {
            for (name, member) in members {
                let text = match (name.as_str(), member.as_str()) {
                    ("expr", Some(text)) => Some(text.to_owned()),
                    ("definition", Some(text)) => variable(text),
                    _ => None,
                };
                let place = format!("{file}: {title}");
                let told = value["legendFormat"].as_str().map(told).unwrap_or_default();
                found.extend(text.map(|text| Expression { place, text, told }));
                of_dashboard(file, member, title, found);
            }
        }
        _ => {}
    }
}

/// The labels of a legend such as `{{route}} {{code}}`.
fn told(legend: &str) -> Vec<String> {
    let labels = legend.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
    labels.map(|(label, _)| label.trim().to_owned()).collect()
}

/// `label_values(metric{…}, label)` as an expression that names both.
fn variable(definition: &str) -> Option<String> {
    let (metric, label) =
        definition.strip_prefix("label_values(")?.strip_suffix(')')?.rsplit_once(',')?;
    Some(format!("count by ({}) ({metric})", label.trim()))
}

fn expression_faults(metrics: &Metrics, expression: &Expression) -> Vec<String> {
    let named = named(&expression.text);
    let mut faults: Vec<String> =
        named.selectors.iter().flat_map(|selector| metrics.faults(selector)).collect();
    let foreign = |label: &&String| !is_label(metrics, &named.selectors, label);
    faults.extend(
        named
            .grouped
            .iter()
            .chain(&expression.told)
            .filter(foreign)
            .map(|label| format!("nothing has a label {label}")),
    );
    if named.selectors.is_empty() {
        faults.push("names no metric".to_owned());
    }
    faults.into_iter().map(|fault| format!("{}: {fault}", expression.place)).collect()
}

fn is_dashboard(file: &str) -> bool {
    file.starts_with(DASHBOARDS) && file.ends_with(".json")
}

fn is_page(file: &str) -> bool {
    file.starts_with(RUNBOOKS) && file.ends_with(".md") && file != INDEX
}

/// The sections that each page has, and the fields that its commands take from the access log.
fn page_faults(page: &str, text: &str, fields: &[String]) -> Vec<String> {
    let mut sections = text.lines().filter(|line| line.starts_with("## "));
    let mut faults = Vec::new();
    if !sections.by_ref().eq(SECTIONS) {
        faults.push(format!("{page}: its sections are not `{}`", SECTIONS.join("`, `")));
    }
    let in_field = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let commands =
        text.lines().filter(|line| line.contains("jq ") && line.contains("access.jsonl"));
    for command in commands {
        let program = command.split('\'').nth(1).unwrap_or_default();
        let words = program.match_indices('.').map(|(at, _)| {
            let rest = &program[at + 1..];
            &rest[..rest.find(|c| !in_field(c)).unwrap_or(rest.len())]
        });
        let unknown =
            words.filter(|word| !word.is_empty() && !fields.iter().any(|field| field == word));
        faults.extend(unknown.map(|word| format!("{page}: the access log has no field {word}")));
    }
    faults
}

/// Rules that `promtool` parses; what only Grafana knows is put in.
fn as_rules(expressions: &[Expression]) -> String {
    let mut text = String::from("groups:\n- name: expressions\n  rules:\n");
    for (number, expression) in expressions.iter().enumerate() {
        let known = expression
            .text
            .replace("$__rate_interval", "5m")
            .replace("$__interval", "1m")
            .replace("$__range", "1h");
        // JSON's texts are YAML's.
        let (place, known) = (Value::from(expression.place.as_str()), Value::from(known));
        text.push_str(&format!("  - record: expression:{number}\n    expr: {known}\n"));
        text.push_str(&format!("    labels: {{ place: {place} }}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_its_sections_and_known_fields() {
        let page = SECTIONS.join("\n\n");
        let fields = ["code".to_owned(), "route".to_owned()];
        for (text, faults) in [
            (page.clone(), 0),
            (page.replace("## How to mend", "## Mending"), 1),
            (format!("{page}\njq 'select(.code == \"x\") | .route' access.jsonl"), 0),
            (format!("{page}\njq '.cause' access.jsonl"), 1),
            (format!("{page}\njq '.cause' status.json"), 0),
        ] {
            assert_eq!(page_faults("p.md", &text, &fields).len(), faults, "{text}");
        }
    }

    #[test]
    fn expressions_are_found_in_pages_and_dashboards() {
        let page = "```promql\na\n\nb\n```\n```sh\nc\n```\n";
        assert_eq!(fenced("p.md", page).len(), 2);
        let dashboard = serde_json::json!({
            "panels": [{ "title": "P", "targets": [{ "expr": "a", "legendFormat": "{{c}} {{ d }}" }, { "expr": "b" }] }],
            "templating": { "list": [{ "name": "v", "definition": "label_values(a{b=\"c\"}, d)" }] },
        });
        let mut found = Vec::new();
        of_dashboard("d.json", &dashboard, "", &mut found);
        let texts: Vec<&str> = found.iter().map(|expression| expression.text.as_str()).collect();
        assert_eq!(texts, ["a", "b", "count by (d) (a{b=\"c\"})"]);
        assert_eq!(
            (found[0].place.as_str(), found[0].told.as_slice()),
            ("d.json: P", &["c".to_owned(), "d".to_owned()][..])
        );
    }
}
