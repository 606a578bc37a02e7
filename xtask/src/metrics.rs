//! The metrics that there are: by the table of docs/operations.md, held to the gateway's sources.
//!
//! The table is what operators read and what dashboards are made from, so it is the one that has to
//! be right; the sources say whether it is. Values of closed labels stand in its last column.

use anyhow::{Context, Result, ensure};

use crate::promql::{Matcher, Selector};
use crate::workspace::Workspace;

const TABLE: &str = "docs/operations.md";

/// Of the process collector of the crate `prometheus`, on Linux; none of them has a label.
const PROCESS: [&str; 7] = [
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
];

/// Labels that Prometheus gives to whatever it scrapes.
pub(crate) const SCRAPED: [&str; 2] = ["job", "instance"];
/// What the nodes of a fleet are scraped as: see deploy/prometheus/alerts.yml.
const JOB: &str = "colonnade";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Metric {
    name: String,
    labels: Vec<String>,
    is_histogram: bool,
    /// The label and its value; without a label for any of the metric's.
    values: Vec<(Option<String>, String)>,
}

/// All metrics that a scrape of a gateway may show, and `up`.
#[derive(Debug)]
pub(crate) struct Metrics(Vec<Metric>);

impl Metrics {
    /// Reads table and sources, and what they contradict each other in.
    pub(crate) fn read(workspace: &Workspace, files: &[String]) -> Result<(Metrics, Vec<String>)> {
        let text = workspace.read(TABLE)?;
        let mut metrics = of_table(&text)?;
        let mut registered = Vec::new();
        for file in files.iter().filter(|file| is_product_source(file)) {
            registered.extend(of_source(&workspace.read(file)?));
        }
        let faults = differences(&metrics, &registered);
        for metric in &mut metrics {
            metric.is_histogram =
                registered.iter().any(|other| other.name == metric.name && other.is_histogram);
        }
        let value = |label: &str, value: &str| (Some(label.to_owned()), value.to_owned());
        for metric in &mut metrics {
            if metric.name == "colonnade_requests_total" {
                let problems = files.iter().filter_map(|file| problem_of(file));
                metric.values.extend(problems.map(|code| value("code", code)));
            }
            if metric.name == "colonnade_filter_failures_total" {
                let reasons = rows(&text, "| `reason` |");
                let words =
                    reasons.flat_map(|row| quoted(row.first().copied().unwrap_or_default()));
                metric.values.extend(words.map(|word| value("reason", word)));
            }
        }
        let bare = |name: &str| Metric {
            name: name.to_owned(),
            labels: Vec::new(),
            is_histogram: false,
            values: Vec::new(),
        };
        metrics.extend(PROCESS.iter().copied().chain(["up"]).map(bare));
        Ok((Metrics(metrics), faults))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether a scrape may show this name, a histogram's parts among them.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The labels that a series of this name has.
    pub(crate) fn labels(&self, name: &str) -> Vec<&str> {
        let Some((metric, part)) = self.find(name) else { return Vec::new() };
        let bound = (part == "_bucket").then_some("le");
        metric.labels.iter().map(String::as_str).chain(bound).chain(SCRAPED).collect()
    }

    /// What a selector names that does not exist.
    pub(crate) fn faults(&self, selector: &Selector) -> Vec<String> {
        let Selector { metric: name, matchers } = selector;
        let Some((metric, _)) = self.find(name) else {
            return vec![format!("there is no metric {name}")];
        };
        let labels = self.labels(name);
        matchers
            .iter()
            .filter_map(|matcher| {
                if !labels.contains(&matcher.label.as_str()) {
                    return Some(format!("{name} has no label {}", matcher.label));
                }
                let unknown = |value: &&str| !metric.may_be(&matcher.label, value);
                let value = alternatives(matcher).into_iter().find(unknown)?;
                Some(format!("{name} has no {}=\"{value}\"", matcher.label))
            })
            .collect()
    }

    fn find(&self, name: &str) -> Option<(&Metric, &'static str)> {
        let whole = self.0.iter().find(|metric| metric.name == name && !metric.is_histogram);
        whole.map(|metric| (metric, "")).or_else(|| {
            ["_bucket", "_sum", "_count"].into_iter().find_map(|part| {
                let base = name.strip_suffix(part)?;
                let metric = self.0.iter().find(|metric| metric.name == base)?;
                metric.is_histogram.then_some((metric, part))
            })
        })
    }
}

impl Metric {
    /// A variable of a dashboard may be anything; a value of an open label is nobody's to know here.
    fn may_be(&self, label: &str, value: &str) -> bool {
        value.starts_with('$')
            || (label == "job" && value == JOB)
            || self
                .values
                .iter()
                .any(|(of, known)| known == value && of.as_deref().is_none_or(|of| of == label))
    }
}

fn alternatives(matcher: &Matcher) -> Vec<&str> {
    if matcher.is_regex { matcher.value.split('|').collect() } else { vec![&matcher.value] }
}

fn is_product_source(file: &str) -> bool {
    file.starts_with("gateway/")
        && file.contains("/src/")
        && file.ends_with(".rs")
        && !file.ends_with("/tests.rs")
        && !file.contains("/tests/")
}

fn problem_of(file: &str) -> Option<&str> {
    let code = file.strip_prefix("docs/problems/")?.strip_suffix(".md")?;
    (code != "README").then_some(code)
}

/// The cells of the rows of the table whose head begins so.
fn rows<'a>(text: &'a str, head: &'a str) -> impl Iterator<Item = Vec<&'a str>> {
    text.lines()
        .skip_while(move |line| !line.starts_with(head))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

/// The words that stand between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).flat_map(str::split_whitespace)
}

fn of_table(text: &str) -> Result<Vec<Metric>> {
    let mut metrics = Vec::new();
    for row in rows(text, "| metric | labels |") {
        let [names, labels, meaning] = row.as_slice() else { continue };
        let labels: Vec<String> = quoted(labels).map(str::to_owned).collect();
        let mut of = None;
        let mut values = Vec::new();
        for word in quoted(meaning) {
            if labels.iter().any(|label| label == word) {
                of = Some(word.to_owned());
            } else {
                values.push((of.clone(), word.to_owned()));
            }
        }
        for name in quoted(names).filter(|name| !name.ends_with('*')) {
            let (name, labels, values) = (name.to_owned(), labels.clone(), values.clone());
            metrics.push(Metric { name, labels, is_histogram: false, values });
        }
    }
    ensure!(!metrics.is_empty(), "{TABLE} has no table of metrics any more");
    Ok(metrics)
}

/// Names in quotes, before a comma, with the labels that follow within the same call.
fn of_source(text: &str) -> Vec<Metric> {
    let text: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut metrics = Vec::new();
    for (at, start) in text.match_indices("\"colonnade_") {
        let Some((name, after)) = text[at + 1..].split_once('"') else { continue };
        let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !is_name || !after.starts_with(',') {
            continue;
        }
        // Not at a semicolon: texts of help have them.
        let end = [after.find('?'), after.find(start)].into_iter().flatten().min();
        let call = &after[..end.unwrap_or(after.len())];
        let listed = call.split_once("&[").and_then(|(_, rest)| rest.split_once(']'));
        let labels = listed.map_or("", |(listed, _)| listed).split('"').skip(1).step_by(2);
        let before = text[..at].trim_end_matches(|c: char| c != '(').trim_end_matches('(');
        metrics.push(Metric {
            name: name.to_owned(),
            labels: labels.map(str::to_owned).collect(),
            is_histogram: before.ends_with("histogram") || before.ends_with("histograms"),
            values: Vec::new(),
        });
    }
    metrics
}

fn differences(table: &[Metric], registered: &[Metric]) -> Vec<String> {
    let mut faults = Vec::new();
    for metric in registered {
        match table.iter().find(|row| row.name == metric.name) {
            None => faults.push(format!("{TABLE}: {} is not in the table", metric.name)),
            Some(row) if row.labels != metric.labels => faults.push(format!(
                "{TABLE}: {} has the labels `{}`, and in the sources `{}`",
                row.name,
                row.labels.join(" "),
                metric.labels.join(" ")
            )),
            Some(_) => {}
        }
    }
    let gone = |row: &&Metric| registered.iter().all(|metric| metric.name != row.name);
    faults.extend(
        table.iter().filter(gone).map(|row| format!("{TABLE}: no source registers {}", row.name)),
    );
    faults
}

/// The names in a text that begin as a metric of ours does.
pub(crate) fn names_in(text: &str) -> Vec<&str> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !in_name(c))
        .filter(|word| word.starts_with("colonnade_") || word.starts_with("process_"))
        // `process_*` stands for all of them.
        .filter(|word| !word.ends_with('_'))
        .collect()
}

/// Whether `labels` of one of the selectors' metrics has this one.
pub(crate) fn is_label(metrics: &Metrics, selectors: &[Selector], label: &str) -> bool {
    SCRAPED.contains(&label)
        || selectors.iter().any(|selector| metrics.labels(&selector.metric).contains(&label))
}

/// The fields of the access log, by the same page.
pub(crate) fn log_fields(workspace: &Workspace) -> Result<Vec<String>> {
    let text = workspace.read(TABLE)?;
    let fields = rows(&text, "| field | |");
    let fields: Vec<String> = fields
        .flat_map(|row| {
            quoted(row.first().copied().unwrap_or_default()).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    (!fields.is_empty()).then_some(fields).context("no table of the access log's fields any more")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::named;

    const PAGE: &str = "\
| metric | labels | |
| --- | --- | --- |
| `colonnade_requests_total` | `route code fault` | `fault`: `none client`; `code`: `cut` |
| `colonnade_wait_seconds` | `upstream` | waiting |
| `colonnade_revision`, `colonnade_keys` | | what is served |
| `process_*` | | memory |

| other | labels | |
";
    const SOURCE: &str = "\
/// `colonnade_requests_total`
counters(registry, \"colonnade_requests_total\", \"Requests.\", &[\"route\", \"code\", \"fault\"])?,
histograms(
    registry,
    \"colonnade_wait_seconds\",
    \"Waiting.\",
    &[\"upstream\"],
)?,
gauge(\"colonnade_revision\", \"Served.\")?,
IntGaugeVec::new(Opts::new(\"colonnade_keys\", help), &[])
let crate_name = \"colonnade_upstream\";
";

    fn metrics() -> Metrics {
        let mut metrics = of_table(PAGE).expect("a table");
        metrics[1].is_histogram = true;
        Metrics(metrics)
    }

    #[test]
    fn table_and_sources_are_compared_by_name_and_label() {
        let table = of_table(PAGE).expect("a table");
        let source = of_source(SOURCE);
        assert_eq!(differences(&table, &source), Vec::<String>::new());
        let histograms = source.iter().filter(|metric| metric.is_histogram);
        assert_eq!(
            histograms.map(|metric| &*metric.name).collect::<Vec<_>>(),
            ["colonnade_wait_seconds"]
        );
        for (page, source, faults) in [
            (PAGE.replace("route code", "code"), SOURCE.to_owned(), 1),
            (PAGE.replace("`colonnade_revision`, ", ""), SOURCE.to_owned(), 1),
            (PAGE.to_owned(), SOURCE.replace("colonnade_keys", "colonnade_locks"), 2),
        ] {
            assert_eq!(
                differences(&of_table(&page).expect("a table"), &of_source(&source)).len(),
                faults
            );
        }
    }

    #[test]
    fn what_does_not_exist_is_told() {
        for (expression, fault) in [
            ("colonnade_requests_total{fault=\"client\",code=\"cut\"}", None),
            ("colonnade_requests_total{fault=~\"none|client\",job=\"colonnade\"}", None),
            ("colonnade_requests_total{route=~\"$route\",instance=~\"$instance\"}", None),
            ("colonnade_wait_seconds_bucket{le=\"$le\"}", None),
            ("colonnade_request_total", Some("no metric")),
            ("colonnade_wait_seconds", Some("no metric")),
            ("colonnade_revision_sum", Some("no metric")),
            ("colonnade_requests_total{upstream=\"$upstream\"}", Some("no label")),
            ("colonnade_wait_seconds_sum{le=\"1\"}", Some("no label")),
            ("colonnade_requests_total{fault=\"cut\"}", Some("no fault=\"cut\"")),
            ("colonnade_requests_total{fault=~\"none|server\"}", Some("no fault=\"server\"")),
            ("colonnade_requests_total{route=\"GET /x\"}", Some("no route")),
            ("colonnade_keys{job=\"other\"}", Some("no job")),
        ] {
            let faults = metrics().faults(&named(expression).selectors[0]);
            match fault {
                None => assert_eq!(faults, Vec::<String>::new(), "{expression}"),
                Some(words) => assert!(faults[0].contains(words), "{expression}: {faults:?}"),
            }
        }
    }

    #[test]
    fn names_are_found_in_prose() {
        let text =
            "look at `colonnade_keys{a}` and process_open_fds, colonnade keys, x_colonnade_y";
        assert_eq!(names_in(text), ["colonnade_keys", "process_open_fds"]);
    }
}
