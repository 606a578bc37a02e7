//! Any bytes as a request's target, and any text as the patterns of routes.
//!
//! The first line is the target, every other one a pattern. Whether a path is canonical is said once more
//! by decoding all of it and looking at the text; which pattern answers, by trying every one and taking
//! the best by its kinds of segments.

use std::collections::BTreeSet;
use std::sync::Arc;

use gateway_policy::{
    Pattern, QueryRule, ResourceId, Route, RouteError, RouteId, RouteTable, ScopeRule, ScopeTable,
    Shape, Target, TeamRule, UpstreamId,
};
use http::Method;

const PATTERNS_MAX: usize = 12;

pub fn run(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let text = lines.next().unwrap_or_default();
    let target = Target::parse(text);
    let (path, query) = split(text);
    assert_eq!(target.is_ok(), is_canonical(path) && query.is_none_or(is_plain), "{target:?}");
    if let Ok(target) = target {
        // What is accepted goes on byte for byte.
        assert_eq!(target.path.as_bytes(), path);
        assert_eq!(target.query.map(str::as_bytes), query);
    }
    let patterns: Vec<Pattern> = lines.take(PATTERNS_MAX).filter_map(pattern).collect();
    if let (Ok(target), false) = (target, patterns.is_empty()) {
        routed(&patterns, target.path);
    }
}

fn split(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    match target.iter().position(|byte| *byte == b'?') {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    }
}

fn is_plain(query: &[u8]) -> bool {
    query.iter().all(|byte| (0x21..0x7f).contains(byte) && *byte != b'#')
}

fn is_canonical(path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(b"/") else { return false };
    let mut segments: Vec<&[u8]> = rest.split(|byte| *byte == b'/').collect();
    // A trailing slash.
    if segments.last() == Some(&&b""[..]) {
        segments.pop();
    }
    segments.into_iter().all(|segment| {
        !matches!(segment, b"" | b"." | b"..")
            && decoded(segment).is_some_and(|text| is_text(&text))
    })
}

/// The bytes that the codes stand for, each with whether it was coded. None if one byte may not stand
/// there raw, or a code is no two digits in upper case.
fn decoded(segment: &[u8]) -> Option<Vec<(u8, bool)>> {
    let (mut bytes, mut rest) = (Vec::new(), segment.iter());
    while let Some(byte) = rest.next() {
        if *byte == b'%' {
            let mut digit = || {
                let digit = rest.next()?;
                b"0123456789ABCDEF".iter().position(|known| known == digit)
            };
            bytes.push(((digit()? * 16 + digit()?) as u8, true));
        } else if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(byte) {
            bytes.push((*byte, false));
        } else {
            return None;
        }
    }
    Some(bytes)
}

/// Whether it is UTF-8 in which nothing was coded that must not or need not be.
fn is_text(bytes: &[(u8, bool)]) -> bool {
    let plain: Vec<u8> = bytes.iter().map(|(byte, _)| *byte).collect();
    let Ok(text) = str::from_utf8(&plain) else { return false };
    text.char_indices().all(|(at, c)| {
        let is_odd = c.is_control() || c.is_ascii_alphanumeric() || "-._~/\\;?#%".contains(c);
        !bytes[at].1 || !is_odd
    })
}

fn pattern(line: &[u8]) -> Option<Pattern> {
    let text = str::from_utf8(line).ok()?;
    let pattern = Pattern::parse(text).ok()?;
    assert_eq!(pattern.as_str(), text);
    let names: Vec<&str> = pattern.params().collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name twice");
    let segments = text.split('/').skip(1);
    assert_eq!(segments.filter(|segment| segment.starts_with('{')).count(), names.len());
    Some(pattern)
}

/// The kinds of a pattern's segments, the better the smaller.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kind<'a> {
    Literal(&'a str),
    Int,
    Uuid,
    Any,
    Rest,
}

fn kinds(pattern: &Pattern) -> Vec<Kind<'_>> {
    let kind = |segment| match segment {
        "**" => Kind::Rest,
        _ if !str::starts_with(segment, '{') => Kind::Literal(segment),
        _ if segment.ends_with(":int}") => Kind::Int,
        _ if segment.ends_with(":uuid}") => Kind::Uuid,
        _ => Kind::Any,
    };
    pattern.as_str().split('/').skip(1).map(kind).collect()
}

fn matches(kinds: &[Kind<'_>], segments: &[&str]) -> bool {
    match (kinds, segments) {
        ([], []) => true,
        ([Kind::Rest], [first, ..]) => !first.is_empty(),
        ([kind, kinds @ ..], [segment, segments @ ..]) => {
            let is_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
            let fits = match kind {
                Kind::Literal(text) => text == segment,
                Kind::Int => {
                    is_digits(segment)
                        && (1..20).contains(&segment.len())
                        && (*segment == "0" || !segment.starts_with('0'))
                }
                Kind::Uuid => {
                    let parts: Vec<&str> = segment.split('-').collect();
                    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
                        && parts.concat().chars().all(|c| c.is_ascii_hexdigit())
                }
                Kind::Any => !segment.is_empty(),
                Kind::Rest => false,
            };
            fits && matches(kinds, segments)
        }
        _ => false,
    }
}

fn routed(patterns: &[Pattern], path: &str) {
    let kinds: Vec<Vec<Kind>> = patterns.iter().map(kinds).collect();
    let are_alike = (1..kinds.len()).any(|at| kinds[..at].contains(&kinds[at]));
    let table = RouteTable::build(patterns.iter().map(route).collect());
    assert_eq!(table.is_err(), are_alike);
    let Ok(table) = table else { return };
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let best = (0..patterns.len())
        .filter(|at| matches(&kinds[*at], &segments))
        .min_by_key(|at| &kinds[*at]);
    match (table.find(&Method::GET, path), best) {
        (Ok(found), Some(best)) => {
            assert_eq!(found.route.pattern, patterns[best]);
            let named = kinds[best].iter().zip(&segments);
            let named = named.filter(|(kind, _)| !matches!(kind, Kind::Literal(_) | Kind::Rest));
            let values = found.params.iter().map(|(_, value)| value);
            assert!(values.eq(named.map(|(_, value)| *value)), "other values");
        }
        (Err(RouteError::NotFound), None) => {}
        (found, best) => panic!("{:?} for {best:?}", found.map(|found| &found.route.pattern)),
    }
    let posted = table.find(&Method::POST, path).map(drop);
    match best {
        Some(_) => assert!(matches!(posted, Err(RouteError::MethodNotAllowed { .. }))),
        None => assert_eq!(posted, Err(RouteError::NotFound)),
    }
}

fn route(pattern: &Pattern) -> Route {
    let scopes = ScopeTable::new([("calls:read", "Calls")]).expect("a scope");
    let methods = vec![Method::GET];
    Route {
        id: RouteId(0),
        label: pattern.as_str().into(),
        pattern: pattern.clone(),
        upstream: UpstreamId(0),
        scope: ScopeRule::compile(&scopes, "calls:read", &methods).expect("a rule"),
        resource: ResourceId(0),
        shape: Arc::new(Shape::compile("data[]", &[], false).expect("a shape")),
        query: QueryRule::Guard { columns: Vec::new() },
        team: TeamRule::None,
        reach_account: false,
        account_param: None,
        errors_pass: false,
        forward_headers: Vec::new(),
        return_headers: Vec::new(),
        methods,
    }
}
