//! Every refusal a client can see, once: status, code, words, and the four body styles.
//!
//! The only place with status codes. A code is also a metric label and a page of `docs/problems`.
//! Sources: RFC 9457 (problem details), RFC 9110 §15, RFC 6585.

use crate::admit::{Denial, Refusal};
use crate::authenticate::AuthenticateError;
use crate::authorize::AuthorizeError;
use crate::credential::CredentialError;
use crate::query::QueryError;
use crate::route::RouteError;
use crate::scope::ScopeTable;
use crate::team::TeamError;

macro_rules! codes {
    ($($variant:ident $status:literal $code:literal $title:literal;)*) => {
        /// What a client may be told. The texts of one code never vary but in its named members.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemCode {
            $(#[doc = $title] $variant,)*
        }

        impl ProblemCode {
            pub const ALL: &[ProblemCode] = &[$(ProblemCode::$variant,)*];

            /// The stable word: body member, metric label, page name.
            pub fn as_str(self) -> &'static str {
                match self { $(ProblemCode::$variant => $code,)* }
            }

            pub fn status(self) -> u16 {
                match self { $(ProblemCode::$variant => $status,)* }
            }

            /// What a person reads.
            pub fn title(self) -> &'static str {
                match self { $(ProblemCode::$variant => $title,)* }
            }
        }
    };
}

codes! {
    MissingApiKey          401 "missing_api_key"          "An API key is required";
    InvalidApiKey          401 "invalid_api_key"          "The API key is invalid or expired";
    TooManyFailures        429 "too_many_failures"        "Too many wrong API keys came from this address";
    OwnerDeactivated       403 "owner_deactivated"        "The user of this API key is deactivated";
    IpNotAllowed           403 "ip_not_allowed"           "This API key may not be used from this address";
    RateLimited            429 "rate_limited"             "Too many requests";
    NotFound               404 "not_found"                "Nothing is found here";
    MethodNotAllowed       405 "method_not_allowed"       "The method is not allowed here";
    InsufficientScope      403 "insufficient_scope"       "This API key lacks a scope";
    TeamNotAllowed         403 "team_not_allowed"         "This API key does not reach that team";
    TeamRequired           400 "team_required"            "The request must name a team";
    ReachNotAllowed        403 "reach_not_allowed"        "This API key does not reach the whole account";
    DataScopeNotSupported  403 "data_scope_not_supported" "The data scope of this API key cannot be kept here";
    ColumnNotAllowed       400 "column_not_allowed"       "The query names a column that is not available";
    UnknownParameter       400 "unknown_parameter"        "The query has an unknown parameter";
    BadRequest             400 "bad_request"              "The request is malformed or ambiguous";
    BodyTooLarge           413 "body_too_large"           "The request body is too large";
    HeadersTooLarge        431 "headers_too_large"        "The request headers are too large";
    TargetTooLong          414 "target_too_long"          "The request target is too long";
    RequestTimeout         408 "request_timeout"          "The request came too slowly";
    VersionNotSupported    505 "http_version_not_supported" "This route needs HTTP/1.1 or newer";
    ResponseNotFilterable  502 "response_not_filterable"  "The upstream's answer cannot be passed on safely";
    UpstreamError          502 "upstream_error"           "The upstream reported an error";
    UpstreamUnavailable    502 "upstream_unavailable"     "The upstream cannot be reached";
    UpstreamTimeout        504 "upstream_timeout"         "The upstream did not answer in time";
    Overloaded             503 "overloaded"               "The gateway is overloaded or stopping";
    InternalError          500 "internal_error"           "The gateway failed";
}

/// `errors.style` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorStyle {
    /// RFC 9457 `application/problem+json`.
    #[default]
    Problem,
    /// `{"error": code, "message": …}`
    Flat,
    /// `{"error": {"code", "message", "status"}}`
    Nested,
    /// `{"detail": message}`
    Detail,
}

/// One refusal as the client will see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: ProblemCode,
    /// Usually the code's; an upstream's own for `upstream_error`.
    pub status: u16,
    pub detail: String,
    /// Further members of the problem body: name and text.
    pub members: Vec<(&'static str, String)>,
    pub retry_after_s: Option<u64>,
    pub allow: Option<Box<str>>,
    /// Whether framing can be trusted after it.
    pub close: bool,
}

/// The bytes of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedProblem {
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Problem {
    pub fn new(code: ProblemCode) -> Problem {
        Problem {
            code,
            status: code.status(),
            detail: format!("{}.", code.title()),
            members: Vec::new(),
            retry_after_s: None,
            allow: None,
            close: matches!(
                code,
                ProblemCode::BadRequest
                    | ProblemCode::BodyTooLarge
                    | ProblemCode::HeadersTooLarge
                    | ProblemCode::TargetTooLong
                    | ProblemCode::RequestTimeout
            ),
        }
    }

    /// The upstream's error by its status alone: none of its bytes.
    pub fn upstream_status(status: u16) -> Problem {
        match status {
            404 => Problem::new(ProblemCode::NotFound),
            status => Problem { status, ..Problem::new(ProblemCode::UpstreamError) },
        }
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.detail = detail.into();
        self
    }

    #[must_use]
    pub fn member(mut self, name: &'static str, value: impl Into<String>) -> Problem {
        self.members.push((name, value.into()));
        self
    }

    #[must_use]
    pub fn retry_after_s(mut self, seconds: u64) -> Problem {
        self.retry_after_s = Some(seconds.max(1));
        self
    }

    /// `WWW-Authenticate` of the gateway's own 401s (RFC 9110 §11.6.1).
    pub fn challenge(&self) -> Option<&'static str> {
        let own = matches!(self.code, ProblemCode::MissingApiKey | ProblemCode::InvalidApiKey);
        own.then_some("Bearer")
    }

    /// The refusal of a denied request.
    pub fn of(denial: &Denial, scopes: &ScopeTable) -> Problem {
        match &denial.refusal {
            Refusal::Path(_) => Problem::new(ProblemCode::BadRequest)
                .detail("The request target is not in canonical form."),
            Refusal::Credential(CredentialError::Missing) => {
                Problem::new(ProblemCode::MissingApiKey)
                    .detail("Send your API key as `Authorization: Bearer KEY`.")
            }
            Refusal::Credential(_) => Problem::new(ProblemCode::InvalidApiKey),
            Refusal::Authenticate(error) => Problem::new(match error {
                AuthenticateError::OwnerDeactivated { .. } => ProblemCode::OwnerDeactivated,
                AuthenticateError::AddressNotAllowed { .. } => ProblemCode::IpNotAllowed,
                // One answer for all: what a key once was is nobody's business.
                AuthenticateError::Unknown
                | AuthenticateError::Revoked { .. }
                | AuthenticateError::Expired { .. } => ProblemCode::InvalidApiKey,
            }),
            Refusal::Limit(spent) => {
                let name = denial
                    .paid
                    .as_ref()
                    .and_then(|paid| paid.quotas.iter().nth(spent.limit))
                    .map_or_else(String::new, |quota| quota.name.to_string());
                Problem::new(ProblemCode::RateLimited)
                    .detail(format!("The limit `{name}` of this API key is used up."))
                    .member("limit", name)
                    .retry_after_s(spent.retry_after_s)
            }
            Refusal::Route(RouteError::NotFound) => Problem::new(ProblemCode::NotFound),
            Refusal::Route(RouteError::MethodNotAllowed { allow }) => Problem {
                allow: Some(allow.clone()),
                ..Problem::new(ProblemCode::MethodNotAllowed)
            },
            Refusal::Authorize(error) => unauthorized(error, scopes),
        }
    }

    /// The body in a style. `request_id` is already of a safe alphabet; the styles that older
    /// clients parse have no place for it, and its header is on every answer.
    pub fn render(&self, style: ErrorStyle, request_id: &str) -> RenderedProblem {
        let code = self.code.as_str();
        let mut json = Json::default();
        match style {
            ErrorStyle::Problem => {
                json.text("type", &format!("urn:colonnade:problem:{code}"));
                json.text("title", self.code.title());
                json.number("status", self.status);
                json.text("detail", &self.detail);
                json.text("code", code);
                json.text("request_id", request_id);
                self.members.iter().for_each(|(name, value)| json.text(name, value));
            }
            ErrorStyle::Flat => {
                json.text("error", code);
                json.text("message", &self.detail);
            }
            ErrorStyle::Nested => {
                let mut inner = Json::default();
                inner.text("code", code);
                inner.text("message", &self.detail);
                inner.number("status", self.status);
                json.raw("error", &inner.finish());
            }
            ErrorStyle::Detail => {
                json.text("detail", &self.detail);
            }
        }
        let problem = style == ErrorStyle::Problem;
        RenderedProblem {
            content_type: if problem { "application/problem+json" } else { "application/json" },
            body: json.finish().into_bytes(),
        }
    }
}

fn unauthorized(error: &AuthorizeError, scopes: &ScopeTable) -> Problem {
    match error {
        AuthorizeError::Query(QueryError::ColumnNotAllowed { parameter }) => {
            Problem::new(ProblemCode::ColumnNotAllowed)
                .detail(format!(
                    "The parameter `{parameter}` names a column that is not available."
                ))
                .member("parameter", parameter.as_str())
        }
        AuthorizeError::Query(QueryError::UnknownParameter { parameter }) => {
            Problem::new(ProblemCode::UnknownParameter)
                .detail(format!("The parameter `{parameter}` is not known here."))
                .member("parameter", parameter.as_str())
        }
        AuthorizeError::ScopeMissing { required } => {
            let scope = required.map_or("", |id| scopes.name(id));
            Problem::new(ProblemCode::InsufficientScope)
                .detail(format!("This API key lacks the scope `{scope}`."))
                .member("required_scope", scope)
        }
        AuthorizeError::Team(TeamError::Ambiguous) => Problem::new(ProblemCode::BadRequest)
            .detail("Two different teams are named in one request."),
        AuthorizeError::Team(TeamError::Unreadable) => Problem::new(ProblemCode::BadRequest)
            .detail("A parameter of the query has a name that cannot be read."),
        AuthorizeError::Team(TeamError::Required) => Problem::new(ProblemCode::TeamRequired),
        AuthorizeError::Team(TeamError::Foreign) => Problem::new(ProblemCode::TeamNotAllowed),
        AuthorizeError::ReachNotAllowed => Problem::new(ProblemCode::ReachNotAllowed),
        AuthorizeError::DataScopeNotSupported => Problem::new(ProblemCode::DataScopeNotSupported),
        AuthorizeError::Dangling => Problem::new(ProblemCode::InternalError),
    }
}

/// A flat JSON object under construction. Small on purpose: this crate knows no serde.
#[derive(Default)]
struct Json(String);

impl Json {
    fn name(&mut self, name: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.quoted(name);
        self.0.push(':');
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.quoted(value);
    }

    fn number(&mut self, name: &str, value: u16) {
        self.raw(name, &value.to_string());
    }

    fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.0.push_str(json);
    }

    fn quoted(&mut self, text: &str) {
        self.0.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                c if c.is_control() => self.0.push_str(&format!("\\u{:04x}", c as u32)),
                c => self.0.push(c),
            }
        }
        self.0.push('"');
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The members of each style are what its clients parse, no more and no less.
    #[test]
    fn each_style_has_its_members_in_order() {
        let problem = Problem::new(ProblemCode::TeamRequired).detail("A \"team\".");
        for (style, expected) in [
            (
                ErrorStyle::Problem,
                r#"{"type":"urn:colonnade:problem:team_required","title":"The request must name a team","status":400,"detail":"A \"team\".","code":"team_required","request_id":"id"}"#,
            ),
            (ErrorStyle::Flat, r#"{"error":"team_required","message":"A \"team\"."}"#),
            (
                ErrorStyle::Nested,
                r#"{"error":{"code":"team_required","message":"A \"team\".","status":400}}"#,
            ),
            (ErrorStyle::Detail, r#"{"detail":"A \"team\"."}"#),
        ] {
            let body = problem.render(style, "id").body;
            assert_eq!(String::from_utf8_lossy(&body), expected, "{style:?}");
        }
    }
}
