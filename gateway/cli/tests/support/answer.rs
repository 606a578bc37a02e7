//! An answer as it came over the wire.

use serde_json::Value;

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As its framing announced.
    Whole,
    /// With the connection, which is all that its framing announced.
    Close,
    /// Before its framing said so.
    Cut,
}

/// A head, what followed it, and how that ended.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) reason: String,
    /// In the order of the wire, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Without its framing.
    pub(crate) body: Vec<u8>,
    pub(crate) ending: Ending,
    /// Statuses of the 1xx answers before it.
    pub(crate) early: Vec<u16>,
    /// Every byte from the first of the status line.
    pub(crate) wire: Vec<u8>,
}

impl Answer {
    /// The head alone, its empty line included.
    pub(crate) fn of_head(head: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default();
        let mut parts = line.splitn(3, ' ');
        let version = parts.next().unwrap_or_default().to_owned();
        let status = parts.next().and_then(|status| status.parse().ok());
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Answer {
            version,
            status: status.unwrap_or_else(|| panic!("no status line: {line:?}")),
            reason: parts.next().unwrap_or_default().to_owned(),
            headers,
            body: Vec::new(),
            ending: Ending::Whole,
            early: Vec::new(),
            wire: head.to_vec(),
        }
    }

    /// The one value of a header; more than one is a fault of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.values(name);
        let first = values.next();
        assert_eq!(values.next(), None, "{name} comes twice in {self:?}");
        first
    }

    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let name = name.to_ascii_lowercase();
        self.headers
            .iter()
            .filter(move |(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A header's value as a number.
    pub(crate) fn number(&self, name: &str) -> u64 {
        let value = self.header(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        value.parse().unwrap_or_else(|_| panic!("{name}: {value} is no number"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {} {:?} {}", self.status, self.headers, self.text())
        })
    }

    /// The `code` of a problem body; empty when the body is none.
    pub(crate) fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Status and code, the two things that tests of refusals compare.
    pub(crate) fn verdict(&self) -> (u16, String) {
        (self.status, self.code())
    }

    /// The body as JSON without its `request_id`, which differs from answer to answer.
    pub(crate) fn anonymous(&self) -> Value {
        let mut body = self.json();
        if let Some(members) = body.as_object_mut() {
            members.remove("request_id");
        }
        body
    }
}

/// A refusal as `verdict` shows it.
pub(crate) fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
