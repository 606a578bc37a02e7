//! Teams: where a request may name one, and which one a request is about.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

use crate::ids::TeamId;
use crate::key::TeamReach;
use crate::query::{decode, parameters, spells};
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
    #[error("a parameter's name cannot be read")]
    Unreadable,
    #[error("a team is required and none is named")]
    Required,
    #[error("the named team is not the key's")]
    Foreign,
}

/// The team a request is about: what it names, held against the key's reach, else the anchor.
///
/// # Errors
/// [`TeamError`]: two different names, a parameter that cannot be read, a name that is not the key's,
/// none where one is required.
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

/// The one team that header, query and path name. In the query a name counts in any spelling that an
/// upstream might take for it: what goes up must not name another team than the one decided on.
fn named<'a>(
    naming: &TeamNaming,
    found: &Found<'_, 'a>,
    query: Option<&'a str>,
    headers: &'a HeaderMap,
) -> Result<Option<Cow<'a, str>>, TeamError> {
    let mut chosen = None;
    for value in naming.header.iter().flat_map(|name| headers.get_all(name)) {
        agree(&mut chosen, Cow::Borrowed(value.to_str().unwrap_or(NOBODYS)))?;
    }
    if let Some(name) = &naming.query {
        for (parameter, value) in query.into_iter().flat_map(parameters) {
            // A name that cannot be read may be the team's for somebody.
            if spells(parameter, name).ok_or(TeamError::Unreadable)? {
                agree(&mut chosen, decode(value).unwrap_or(Cow::Borrowed(NOBODYS)))?;
            }
        }
    }
    for value in naming.param.iter().filter_map(|name| found.params.find(name)) {
        // Its codes are left as they are, so one team could be named in two ways.
        agree(&mut chosen, Cow::Borrowed(if value.contains('%') { NOBODYS } else { value }))?;
    }
    Ok(chosen)
}

/// Stands for what is not text: no team that anybody has.
const NOBODYS: &str = "\u{0}";

fn agree<'a>(chosen: &mut Option<Cow<'a, str>>, team: Cow<'a, str>) -> Result<(), TeamError> {
    match chosen {
        Some(first) if *first != team => Err(TeamError::Ambiguous),
        _ => {
            *chosen = Some(team);
            Ok(())
        }
    }
}
