//! Gateway configurations: the example of the contract, section by section, each replaceable.

use std::fmt::Write;
use std::net::SocketAddr;

use super::Upstream;

/// A `gateway.yaml` in the making.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    sections: Vec<(String, String)>,
    /// Names, lists of servers as written, further members.
    upstreams: Vec<(String, String, String)>,
}

const SECTIONS: [(&str, &str); 13] = [
    ("listeners", "\n  - { address: 127.0.0.1:0 }"),
    ("admin", "{ address: 127.0.0.1:0 }"),
    ("telemetry", "{ address: 127.0.0.1:0, access_log: stdout }"),
    ("store", "{ file: directory.yaml }"),
    ("keys", "{ prefix: avoca_, accept: [bearer, x-api-key] }"),
    (
        "plans",
        "
  starter: { limits: { minute: { requests: 60, window: 1m } } }
  professional: { limits: { minute: { requests: 300, window: 1m } } }
  enterprise: { limits: { minute: { requests: 3000, window: 1m } } }",
    ),
    (
        "scopes",
        "
  calls:read: Call records
  transcripts:read: Call transcripts
  coach:read: Coach evaluations
  leads:read: Leads
  contacts:read: View contacts
  contacts:write: Create, change and delete contacts",
    ),
    (
        "resources",
        r#"
  calls:
    beside: [pagination, meta.team_id]
    columns:
      call_id: { always: true }
      created_at: {}
      duration_seconds: {}
      customer.name: { personal: true, shown: false }
      phone_number: { personal: true, shown: false }
      user_email: { shown: false }
      assistant_id: { assistant: true }
    visibility: { private: is_private, owner: user_email, team: team_id }
  transcripts: { columns: { call_id: {}, transcript: { whole: true } } }
  rubrics: { columns: all }
  open: { columns: all, visibility: upstream }
  leads: { columns: { id: { always: true }, agent: { assistant: true } }, visibility: { private: is_private } }
  contacts: { columns: { id: { always: true }, name: {} }, visibility: upstream }"#,
    ),
    ("teams", "{ header: x-team-id, query: team_id, param: teamId }"),
    (
        "routes",
        r#"
  - { match: GET /api/calls, upstream: calls, scope: calls:read, resource: calls, rows: "data[]" }
  - { match: "GET /api/calls/{id}", upstream: calls, scope: calls:read, resource: calls, rows: data }
  - { match: "GET /api/calls/{id}/transcript", upstream: calls, scope: transcripts:read, resource: transcripts, rows: data }
  - { match: GET /api/coach/rubrics, upstream: coach, scope: coach:read, resource: rubrics, rows: "data[]" }
  - { match: GET /api/leads, upstream: leads, scope: leads:read, resource: leads, rows: "data[]", query: [limit, offset, include_raw] }
  - { match: GET|POST /api/contacts, upstream: leads, scope: contacts, resource: contacts, rows: "data[]", team: none }
  - { match: "GET|PUT|PATCH|DELETE /api/contacts/{id}", upstream: leads, scope: contacts, resource: contacts, rows: data, team: none }"#,
    ),
    ("errors", "{ style: problem }"),
    // Tests ask again and again until a key is in force.
    ("bounds", "{ header_time: 10s, failed_authentications: 1000000 }"),
    ("drain", "{ delay: 0s, grace: 20s }"),
];

impl Config {
    /// All three services on one upstream.
    pub(crate) fn with_upstream(upstream: &Upstream) -> Config {
        ["calls", "coach", "leads"]
            .iter()
            .fold(Config::new(), |config, name| config.upstream(name, upstream.address()))
    }

    pub(crate) fn new() -> Config {
        let sections = SECTIONS.map(|(name, text)| (name.to_owned(), text.to_owned()));
        Config { sections: sections.into(), upstreams: Vec::new() }
    }

    #[must_use]
    pub(crate) fn upstream(self, name: &str, address: SocketAddr) -> Config {
        self.upstream_with(name, address, "")
    }

    /// An upstream with further members, such as `timeouts: { first_byte: 100ms }`.
    #[must_use]
    pub(crate) fn upstream_with(self, name: &str, address: SocketAddr, members: &str) -> Config {
        self.upstream_of(name, &format!("[\"{address}\"]"), members)
    }

    /// An upstream whose list of servers is written out.
    #[must_use]
    pub(crate) fn upstream_of(mut self, name: &str, servers: &str, members: &str) -> Config {
        self.upstreams.retain(|(known, ..)| known != name);
        self.upstreams.push((name.into(), servers.into(), members.into()));
        self
    }

    /// Replaces a section by the text behind its name; an empty text takes it away.
    #[must_use]
    pub(crate) fn section(mut self, name: &str, text: &str) -> Config {
        self.sections.retain(|(known, _)| known != name);
        if !text.is_empty() {
            self.sections.push((name.into(), text.into()));
        }
        self
    }

    /// Adds lines to the end of a section that is a block.
    #[must_use]
    pub(crate) fn also(mut self, name: &str, lines: &str) -> Config {
        let section = self.sections.iter_mut().find(|(known, _)| known == name).unwrap();
        section.1 = format!("{}\n{}", section.1, lines.trim_matches('\n'));
        self
    }

    /// Only these routes, all of `open` bodies on `upstream`, one line `METHODS PATTERN SCOPE` each.
    #[must_use]
    pub(crate) fn open_routes(self, upstream: &str, lines: &[(&str, &str)]) -> Config {
        let mut routes = String::new();
        for (pattern, scope) in lines {
            write!(
                routes,
                "\n  - {{ match: \"{pattern}\", upstream: {upstream}, scope: \"{scope}\", resource: open, rows: $, team: none }}"
            )
            .unwrap();
        }
        self.section("routes", &routes)
    }

    /// Only these scopes.
    #[must_use]
    pub(crate) fn scopes(self, scopes: &[&str]) -> Config {
        let lines: String =
            scopes.iter().map(|scope| format!("\n  \"{scope}\": What it permits")).collect();
        self.section("scopes", &lines)
    }

    pub(crate) fn text(&self) -> String {
        self.marked(0)
    }

    /// The file's text with a scope of its own for each mark, so that a key with that scope is live
    /// only once this very text is in force.
    pub(crate) fn marked(&self, mark: u32) -> String {
        let mut text = "version: 1\nupstreams:\n".to_owned();
        for (name, servers, members) in &self.upstreams {
            let comma = if members.is_empty() { "" } else { ", " };
            writeln!(text, "  {name}: {{ servers: {servers}{comma}{members} }}").unwrap();
        }
        for (name, section) in &self.sections {
            writeln!(text, "{name}: {}", section.trim_end()).unwrap();
            if name == "scopes" {
                writeln!(text, "  {}: Says which text is in force", marking_scope(mark)).unwrap();
            }
        }
        text
    }
}

/// The scope that only the text with this mark declares.
pub(crate) fn marking_scope(mark: u32) -> String {
    format!("marking_{mark}:read")
}
