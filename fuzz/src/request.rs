//! Any request and any answer's head against a small world of keys and routes.
//!
//! The input is text: method, target and headers, a line each; behind an empty line the status and the
//! headers of the upstream's answer. The world is that of the policy's own tests, where a key's text is
//! its id. Held: who passes has sent a key that lives, on a route that serves it; a refusal is sound JSON in
//! every style and repeats no credential; no answer passes unread, and what is rewritten is JSON in UTF-8.

use std::cell::RefCell;

use gateway_policy::{
    Admission, Admitted, BodyPlan, Denial, ErrorStyle, Problem, ProblemCode, RequestHead,
    ResponseFacts, Snapshot, admit, plan_body,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::world::{NOW, World};

/// Keys that nobody at this address and at this time may use.
const DEAD: [&str; 8] =
    ["revoked", "expired", "bob", "office", "offices", "one_host", "mapped", "any_v6"];

/// Requests that one world takes: keys have a thousand a minute, and time stands still.
const REQUESTS_MAX: usize = 900;

thread_local! {
    static WORLD: RefCell<(World, usize)> = RefCell::new((World::new(), 0));
}

pub fn run(input: &[u8]) {
    let Some(request) = Request::read(input) else { return };
    WORLD.with_borrow_mut(|(world, asked)| {
        *asked += 2;
        if *asked > REQUESTS_MAX {
            (*world, *asked) = (World::new(), 2);
        }
        let (snapshot, meters) = world.snapshot();
        let head = RequestHead {
            method: &request.method,
            target: request.target,
            headers: &request.headers,
            client: [192, 0, 2, 1].into(),
            padded_credential: false,
        };
        let first = admit(&snapshot, meters, &head, NOW.into());
        let again = admit(&snapshot, meters, &head, NOW.into());
        assert_eq!(outcome(&first, &snapshot), outcome(&again, &snapshot), "not the same twice");
        match &first {
            Ok(Admitted::WhoAmI { principal, .. }) => {
                assert_eq!(request.target.split(|b| *b == b'?').next(), Some(&b"/api/key"[..]));
                request.holds_key(principal.key().id.as_str());
            }
            Ok(Admitted::Forward(admission)) => request.holds_admission(admission),
            Err(denial) => request.holds_problem(denial, &snapshot),
        }
    });
}

fn outcome(result: &Result<Admitted, Denial>, snapshot: &Snapshot) -> Option<Problem> {
    result.as_ref().err().map(|denial| Problem::of(denial, &snapshot.rules.scopes))
}

struct Request<'a> {
    method: Method,
    target: &'a [u8],
    headers: HeaderMap,
    status: StatusCode,
    answer: HeaderMap,
}

impl<'a> Request<'a> {
    /// None where HTTP itself would not have it.
    fn read(input: &'a [u8]) -> Option<Request<'a>> {
        let mut lines = input.split(|byte| *byte == b'\n');
        let method = Method::from_bytes(lines.next()?).ok()?;
        let target = lines.next()?;
        let headers = headers(lines.by_ref().take_while(|line| !line.is_empty()))?;
        let status = lines.next().and_then(|line| StatusCode::from_bytes(line).ok());
        let status = status.unwrap_or(StatusCode::OK);
        Some(Request { method, target, headers, status, answer: headers_left(lines)? })
    }

    fn credentials(&self) -> Vec<&[u8]> {
        let named = |name: &str| self.headers.get_all(name).iter().map(HeaderValue::as_bytes);
        named("authorization").chain(named("x-api-key")).collect()
    }

    /// The one credential is this key's, which lives.
    fn holds_key(&self, id: &str) {
        assert!(!DEAD.contains(&id) && !id.starts_with("broken"), "the dead key {id}");
        let is_bearer = |value: &[u8]| {
            let scheme = value.split_at_checked(7);
            scheme.is_some_and(|(scheme, key)| {
                scheme.eq_ignore_ascii_case(b"bearer ") && key == id.as_bytes()
            })
        };
        let bearers = self.headers.get_all("authorization").iter();
        let bearers = bearers.filter(|value| is_bearer(value.as_bytes())).count();
        let api_keys = self.headers.get_all("x-api-key").iter();
        let api_keys = api_keys.filter(|value| value.as_bytes() == id.as_bytes()).count();
        assert_eq!((bearers, api_keys).min((api_keys, bearers)), (0, 1), "the key {id}");
    }

    fn holds_admission(&self, admission: &Admission) {
        let grant = admission.grant();
        self.holds_key(grant.principal().key().id.as_str());
        let route = grant.route();
        let serves = |method: &Method| route.methods.contains(method);
        let is_head = self.method == Method::HEAD && serves(&Method::GET);
        assert!(serves(&self.method) || is_head, "{} on {}", self.method, route.label);
        assert_eq!(route.scope.check(&self.method, &grant.principal().key().scopes), Ok(()));
        if let Some(team) = grant.team() {
            assert!(grant.principal().key().teams.covers(team.as_str()), "a foreign team");
        }
        let facts = ResponseFacts { status: self.status, headers: &self.answer };
        self.holds_plan(&plan_body(admission, &self.method, &facts));
    }

    /// Every route of the world is filtered, and lets no error of an upstream pass.
    fn holds_plan(&self, plan: &BodyPlan) {
        let is_error = self.status.as_u16() >= 400;
        assert_eq!(is_error, *plan == BodyPlan::Replace, "{plan:?} at {}", self.status);
        match plan {
            BodyPlan::Pass => panic!("an answer passes unread"),
            BodyPlan::Replace | BodyPlan::Refuse(_) => {}
            BodyPlan::HeadOnly { content_type: None } => {
                assert_eq!(self.status, StatusCode::NO_CONTENT);
            }
            BodyPlan::HeadOnly { content_type: Some(content_type) } => {
                assert_eq!(self.method, Method::HEAD);
                self.holds_type(content_type);
            }
            BodyPlan::Rewrite { content_type } => {
                assert!(self.status.is_success() && self.status != StatusCode::PARTIAL_CONTENT);
                assert!(!self.answer.contains_key(header::CONTENT_RANGE));
                let codings: Vec<_> =
                    self.answer.get_all(header::TRANSFER_ENCODING).iter().collect();
                let is_chunked =
                    |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
                assert!(codings.len() < 2 && codings.into_iter().all(is_chunked));
                self.holds_type(content_type);
            }
        }
    }

    /// The one type of the answer is JSON, and says of no other charset than UTF-8.
    fn holds_type(&self, content_type: &HeaderValue) {
        let values: Vec<&HeaderValue> = self.answer.get_all(header::CONTENT_TYPE).iter().collect();
        let [value] = values[..] else { panic!("{} types", values.len()) };
        let (value, told) = (value.to_str().expect("text"), content_type.to_str().expect("text"));
        let (value, parameters) = value.split_once(';').unwrap_or((value, ""));
        assert!(value.trim().eq_ignore_ascii_case(told));
        let is_json = told == "application/json" || told.ends_with("+json");
        assert!(is_json && told.matches('/').count() == 1 && !told.starts_with("multipart/"));
        let is_own =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"/+!#$&-^_.".contains(&b);
        assert!(told.bytes().all(is_own), "{told}");
        for parameter in parameters.split(';') {
            let (name, charset) = parameter.split_once('=').unwrap_or((parameter, ""));
            let charset = charset.trim().trim_matches('"').to_ascii_lowercase();
            let is_charset = name.trim().eq_ignore_ascii_case("charset");
            assert!(!is_charset || ["utf-8", "utf8"].contains(&&*charset), "{parameter}");
        }
    }

    fn holds_problem(&self, denial: &Denial, snapshot: &Snapshot) {
        let problem = Problem::of(denial, &snapshot.rules.scopes);
        assert!(
            ProblemCode::ALL.contains(&problem.code) && problem.status == problem.code.status()
        );
        // None of its requests comes near a limit, and nothing in it dangles.
        let own = [ProblemCode::RateLimited, ProblemCode::InternalError];
        assert!(!own.contains(&problem.code), "{problem:?}");
        assert_eq!(problem.status == 401, problem.challenge().is_some());
        for style in [ErrorStyle::Problem, ErrorStyle::Flat, ErrorStyle::Nested, ErrorStyle::Detail]
        {
            let body = problem.render(style, "id").body;
            let read: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            assert!(read.is_object());
            let text = read.to_string();
            for credential in self.credentials().into_iter().filter(|text| text.len() > 15) {
                let is_named = self.target.windows(8).any(|part| credential.starts_with(part));
                let credential = String::from_utf8_lossy(credential);
                assert!(is_named || !text.contains(&*credential), "{text}");
            }
        }
    }
}

fn headers<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in lines.take(20) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = line[colon + 1..].trim_ascii();
        headers.append(name, HeaderValue::from_bytes(value).ok()?);
    }
    Some(headers)
}

fn headers_left<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<HeaderMap> {
    headers(lines.take_while(|line| !line.is_empty()))
}
