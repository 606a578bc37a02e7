//! Teams: where a request may name one, and which one a request is about.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

use crate::ids::TeamId;
use crate::key::TeamReach;
use crate::route::Found;

/// Where a request may name its team (`teams:` of the configuration).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TeamNaming {
    pub header: Option<HeaderName>,
    pub query: Option<Box<str>>,
    pub param: Option<Box<str>>,
}

/// What a route asks of a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TeamRule {
    Required,
    Optional,
    #[default]
    None,
}

/// Why a request's team does not stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TeamError {
    #[error("two different teams are named")]
    Ambiguous,
    #[error("a team is required and none is named")]
    Required,
    #[error("the named team is not the key's")]
    Foreign,
}

/// The team a request is about: what it names, held against the key's reach, else the anchor.
///
/// # Errors
/// [`TeamError`]: two different names, a name that is not the key's, none where one is required.
pub(crate) fn choose(
    naming: &TeamNaming,
    found: &Found<'_, '_>,
    query: Option<&str>,
    headers: &HeaderMap,
    reach: &TeamReach,
) -> Result<Option<TeamId>, TeamError> {
    let rule = found.route.team;
    if rule == TeamRule::None {
        return Ok(reach.anchor().cloned());
    }
    match named(naming, found, query, headers)? {
        Some(team) if is_id(&team) && reach.covers(&team) => Ok(Some(TeamId::from(&*team))),
        Some(_) => Err(TeamError::Foreign),
        None => match reach.anchor() {
            Some(anchor) => Ok(Some(anchor.clone())),
            None if rule == TeamRule::Required => Err(TeamError::Required),
            None => Ok(None),
        },
    }
}

/// Longest name of a team, as in a directory.
const TEAM_BYTES_MAX: usize = 128;

/// Whether a request's own word reads as a team's id. Where a key reaches any team nothing else holds
/// it against a list, and it goes up in a header.
fn is_id(team: &str) -> bool {
    (1..=TEAM_BYTES_MAX).contains(&team.len()) && team.bytes().all(|byte| byte.is_ascii_graphic())
}

fn named<'a>(
    naming: &TeamNaming,
    found: &Found<'_, 'a>,
    query: Option<&'a str>,
    headers: &'a HeaderMap,
) -> Result<Option<Cow<'a, str>>, TeamError> {
    let in_headers = naming.header.iter().flat_map(|name| headers.get_all(name)).map(|value| {
        // Bytes that are not text name no team that anybody has.
        Cow::Borrowed(value.to_str().unwrap_or("\u{0}"))
    });
    let in_query = naming.query.iter().flat_map(|name| {
        query.into_iter().flat_map(|query| query.split(['&', ';'])).filter_map(move |piece| {
            let (left, value) = piece.split_once('=').unwrap_or((piece, ""));
            (*decoded(left) == **name).then(|| decoded(value))
        })
    });
    let in_path = naming.param.iter().filter_map(|name| found.params.find(name)).map(Cow::Borrowed);
    let mut chosen: Option<Cow<'a, str>> = None;
    for team in in_headers.chain(in_query).chain(in_path) {
        match &chosen {
            Some(first) if *first != team => return Err(TeamError::Ambiguous),
            _ => chosen = Some(team),
        }
    }
    Ok(chosen)
}

/// Percent codes and `+` undone once; what is not UTF-8 then names no team.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|b| matches!(b, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit =
            |offset: usize| bytes.get(at + offset).and_then(|b| char::from(*b).to_digit(16));
        match (byte, digit(1).zip(digit(2))) {
            (b'%', Some((high, low))) => {
                // Two digits of base 16 are below 256.
                plain.push((high << 4 | low) as u8);
                at += 3;
                continue;
            }
            (b'+', _) => plain.push(b' '),
            _ => plain.push(byte),
        }
        at += 1;
    }
    String::from_utf8(plain).map_or(Cow::Borrowed("\u{0}"), Cow::Owned)
}
