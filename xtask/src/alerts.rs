//! Alerts as they are written in `deploy/prometheus/alerts.yml`, and what each of them needs.
//!
//! Read by line: `promtool` reads them as what they are. Whether names in them exist: `observe`.

use crate::workspace::count;

pub(crate) const ALERTS: &str = "deploy/prometheus/alerts.yml";
pub(crate) const TESTS: [&str; 2] =
    ["deploy/prometheus/alerts_test.yml", "deploy/prometheus/alerts_days_test.yml"];
pub(crate) const RUNBOOKS: &str = "docs/runbooks/";
pub(crate) const INDEX: &str = "docs/runbooks/README.md";

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Alert {
    pub name: String,
    pub expression: String,
    pub severity: String,
    pub runbook: String,
    /// Labels that its words name.
    pub told: Vec<String>,
}

/// The alerts of a file of rules.
pub(crate) fn of(text: &str) -> Vec<Alert> {
    let mut alerts: Vec<Alert> = Vec::new();
    // Columns before the key of the block that a line may go on.
    let mut block = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix("- alert: ") {
            alerts.push(Alert { name: name.to_owned(), ..Alert::default() });
            block = None;
            continue;
        }
        let Some(alert) = alerts.last_mut() else { continue };
        if block.is_some_and(|column| indent > column) {
            alert.expression.push_str(line);
            alert.expression.push('\n');
            continue;
        }
        block = None;
        if let Some(expression) = line.strip_prefix("expr: ") {
            if expression == "|" {
                block = Some(indent);
            } else {
                alert.expression = expression.to_owned();
            }
        } else if let Some(labels) = line.strip_prefix("labels: { severity: ") {
            alert.severity = labels.trim_end_matches(" }").to_owned();
        } else if let Some(page) = line.strip_prefix("runbook_url: ") {
            alert.runbook = page.to_owned();
        } else if line.starts_with("summary: ") {
            let in_label = |c: char| c.is_ascii_alphanumeric() || c == '_';
            alert.told = line
                .split("$labels.")
                .skip(1)
                .map(|rest| rest.chars().take_while(|c| in_label(*c)).collect())
                .collect();
        }
    }
    alerts
}

impl Alert {
    pub(crate) fn page(&self) -> String {
        format!("{RUNBOOKS}{}.md", self.name)
    }
}

/// What an alert lacks: a severity, its page, its line in the index, tests of both kinds.
pub(crate) fn faults(alert: &Alert, index: &str, tests: &str) -> Vec<String> {
    let Alert { name, expression, severity, runbook, .. } = alert;
    let mut faults = Vec::new();
    if !["page", "ticket", "info"].contains(&severity.as_str()) {
        faults.push(format!("{ALERTS}: {name} has the severity `{severity}`"));
    }
    if format!("docs/{runbook}") != alert.page() {
        faults.push(format!("{ALERTS}: {name} leads to `{runbook}`"));
    }
    if expression.is_empty() {
        faults.push(format!("{ALERTS}: {name} has no expression"));
    }
    if !index.contains(&format!("| {severity} | [{name}]({name}.md) |")) {
        faults.push(format!("{INDEX}: no line `| {severity} | [{name}]({name}.md) |`"));
    }
    let of_it = |line: &&str| {
        line.split("alertname: ").nth(1).is_some_and(|rest| rest.split(',').next() == Some(name))
    };
    let (silent, fires): (Vec<&str>, Vec<&str>) =
        tests.lines().filter(of_it).partition(|line| line.contains("exp_alerts: []"));
    if silent.is_empty() || fires.is_empty() {
        faults.push(format!(
            "{}: {name} has {} in which it fires and {} in which it does not",
            TESTS[0],
            count(fires.len(), "case"),
            count(silent.len(), "case")
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::named;

    const RULES: &str = "\
groups:
  - name: g
    rules:
      # Why.
      - alert: First
        expr: |
          a
            > 1

          and b
        for: 5m
        labels: { severity: page }
        annotations:
          summary: \"{{ $labels.job }}: {{ $value }} of {{ $labels.route }}\"
          runbook_url: runbooks/First.md
      - alert: Second
        expr: c == 0
        labels: { severity: loud }
        annotations:
          runbook_url: runbooks/First.md
";

    #[test]
    fn alerts_are_read_as_they_are_written() {
        let alerts = of(RULES);
        let [first, second] = alerts.as_slice() else { panic!("{alerts:?}") };
        assert_eq!(named(&first.expression).selectors.len(), 2, "{first:?}");
        assert_eq!(
            (first.severity.as_str(), first.runbook.as_str()),
            ("page", "runbooks/First.md")
        );
        assert_eq!(first.told, ["job", "route"]);
        assert_eq!(second.expression, "c == 0");
    }

    #[test]
    fn an_alert_has_its_page_its_line_and_tests_of_both_kinds() {
        let alerts = of(RULES);
        let index = "| page | [First](First.md) | x |\n";
        let silent = "- { eval_time: 1m, alertname: First, exp_alerts: [] }\n";
        let fires = "alertname: First\n";
        for (alert, index, tests, expected) in [
            (0, index, format!("{silent}{fires}"), 0),
            (0, index, silent.to_owned(), 1),
            (0, index, fires.to_owned(), 1),
            (0, index, format!("{silent}alertname: Firstly\n"), 1),
            (0, "", format!("{silent}{fires}"), 1),
            (1, index, String::new(), 4),
        ] {
            let found = faults(&alerts[alert], index, &tests);
            assert_eq!(found.len(), expected, "{alert} {index} {tests}: {found:?}");
        }
    }
}
