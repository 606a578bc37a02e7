//! What a request says, read strictly: path, query, body.
//!
//! A query name that an endpoint does not have is refused, and so is one that comes twice: a filter
//! with a typo in its name would show everything. A body is read within bounds of size and time, and
//! only after its reader has looked at the permission.

mod single;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use gateway_store::Page;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::api::Api;
use crate::problem::{BodyFault, Problem};
use crate::time::parse_duration;

/// Largest body that is read.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;
/// Longest time that a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Rows of a page, unless it says otherwise; and the most.
const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 200;
const CURSOR_BYTES_MAX: usize = 512;
/// Longest wait for the other nodes.
const WAIT_MS_MAX: u64 = 30_000;

/// The parameters of a path.
pub(crate) struct At<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Api>> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<At<T>, Problem> {
        let read: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, api).await;
        read.map(|Path(values)| At(values))
            .map_err(|_| Problem::bad_request("The path is not readable as UTF-8."))
    }
}

/// The parameters of a query, not yet looked at.
pub(crate) struct Params(Vec<(String, String)>);

impl FromRequestParts<Arc<Api>> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Params, Problem> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(pairs)| Params(pairs))
            .map_err(|_| Problem::bad_request("The query is not readable."))
    }
}

impl Params {
    /// Those that the endpoint has.
    ///
    /// # Errors
    /// Others, and one that comes twice.
    pub(crate) fn only(self, names: &[&str]) -> Result<Params, Problem> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                let detail = match names {
                    [] => "This takes no query parameter.".to_owned(),
                    _ => format!(
                        "There is no such query parameter here; there is {}.",
                        all_of(names)
                    ),
                };
                return Err(Problem::new(StatusCode::BAD_REQUEST, "unknown_parameter", detail));
            }
            if self.0[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(bad_parameter(name, "comes twice"));
            }
        }
        Ok(self)
    }

    /// Takes one out, for the others to be looked at by somebody else.
    pub(crate) fn without(mut self, name: &str) -> Result<(Params, Option<String>), Problem> {
        let (taken, rest): (Vec<_>, Vec<_>) =
            self.0.drain(..).partition(|(known, _)| known == name);
        if taken.len() > 1 {
            return Err(bad_parameter(name, "comes twice"));
        }
        Ok((Params(rest), taken.into_iter().next().map(|(_, value)| value)))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `limit` and `cursor`.
    pub(crate) fn page(&self) -> Result<Page, Problem> {
        let limit = match self.text("limit") {
            None => LIMIT_DEFAULT,
            Some(text) => {
                let is_plain = text.bytes().all(|b| b.is_ascii_digit());
                let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                limit
                    .filter(|_| is_plain)
                    .ok_or_else(|| bad_parameter("limit", "is a whole number from 1 to 200"))?
            }
        };
        let after = self.text("cursor").map(str::to_owned);
        if after.as_ref().is_some_and(|cursor| !is_cursor(cursor)) {
            return Err(bad_parameter("cursor", "is what `next` of the page before says"));
        }
        Ok(Page { after, limit })
    }

    /// `wait`: how long to wait for the other nodes.
    pub(crate) fn wait(&self) -> Result<Option<Duration>, Problem> {
        let Some(text) = self.text("wait") else { return Ok(None) };
        let ms = parse_duration(text).filter(|ms| *ms <= WAIT_MS_MAX);
        let ms =
            ms.ok_or_else(|| bad_parameter("wait", "is a duration up to `30s`, such as `5s`"))?;
        Ok(Some(Duration::from_millis(ms)))
    }
}

fn is_cursor(text: &str) -> bool {
    (1..=CURSOR_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

pub(crate) fn bad_parameter(name: &str, what: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_parameter", format!("`{name}` {what}."))
}

fn all_of(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A request whose body nobody has read yet.
pub(crate) struct Unread {
    content_type: Option<String>,
    request: Request,
}

impl FromRequest<Arc<Api>> for Unread {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<Api>) -> Result<Unread, Problem> {
        Ok(Unread { content_type: content_type(request.headers()), request })
    }
}

/// A body as it was read: its form is sound. `json` is all that was said.
pub(crate) struct Read<T> {
    pub(crate) body: T,
    pub(crate) json: Value,
}

impl Unread {
    /// A body of this form.
    pub(crate) async fn read<T>(self, api: &Api) -> Result<Read<T>, Problem>
    where
        T: DeserializeOwned + ToSchema,
    {
        let is_json = self.content_type.as_deref().is_some_and(is_json);
        if !is_json {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body is `Content-Type: application/json`, in UTF-8.",
            ));
        }
        formed(parsed(&self.bytes().await?)?, api)
    }

    /// As [`read`](Unread::read); no body at all is an empty object.
    pub(crate) async fn read_or_nothing<T>(self, api: &Api) -> Result<Read<T>, Problem>
    where
        T: DeserializeOwned + ToSchema,
    {
        let is_json = self.content_type.as_deref().is_some_and(is_json);
        // Many clients name a type on every POST: of nothing it does not matter.
        let bytes = self.bytes().await?;
        if bytes.is_empty() {
            return formed(Value::Object(serde_json::Map::new()), api);
        }
        if is_json {
            return formed(parsed(&bytes)?, api);
        }
        Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "A body is `Content-Type: application/json`; none is needed here.",
        ))
    }

    async fn bytes(self) -> Result<Bytes, Problem> {
        let Ok(read) = timeout(BODY_TIME, Bytes::from_request(self.request, &())).await else {
            let detail = "The body did not come within 10 seconds.";
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail));
        };
        read.map_err(|error| match error {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                let detail = format!("A body has at most {BODY_BYTES_MAX} bytes.");
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
            }
            _ => Problem::bad_request("The body ended before its end."),
        })
    }
}

/// JSON in which no name comes twice in one object: readers differ about which of the two counts.
fn parsed(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice::<single::Names>(bytes)
        .and_then(|_| serde_json::from_slice(bytes))
        .map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let detail = if error.is_data() {
                format!("A name comes twice in the body; see line {line}, column {column}.")
            } else {
                format!("The body is not JSON; see line {line}, column {column}.")
            };
            Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail)
        })
}

fn formed<T: DeserializeOwned + ToSchema>(json: Value, api: &Api) -> Result<Read<T>, Problem> {
    let faults = api.document().faults(&T::name(), &json);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    match serde_json::from_value(json.clone()) {
        Ok(body) => Ok(Read { body, json }),
        // Only a hole in the schema leads here. The error is not told: it may quote a secret.
        Err(_) => Err(Problem::invalid(vec![BodyFault::new("", "does not have the right form")])),
    }
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let first = values.next()?;
    // Two of them are none that is known.
    let text = first.to_str().ok().filter(|_| values.next().is_none());
    Some(text.unwrap_or_default().to_owned())
}

/// `application/json`, or a merge patch (RFC 7396), which is what a PATCH here is.
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let is_utf8 = |part: &str| {
        let part = part.to_ascii_lowercase();
        part.strip_prefix("charset=").is_none_or(|set| matches!(set, "utf-8" | "\"utf-8\""))
    };
    matches!(essence.as_str(), "application/json" | "application/merge-patch+json")
        && parts.all(is_utf8)
}
