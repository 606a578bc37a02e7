//! What one request asks: identity headers that the gateway set, and query parameters.
//!
//! The headers are believed: an upstream is reachable by its gateway only. A value that is not
//! understood hides rows or fails the request, it never shows more.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Query};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::answer::Fault;
use crate::moment::{self, DAY_US, NOW_US, Zone};
use crate::page::Stamp;
use crate::world::{self, TEAMS, Team, USERS};

/// What parameters are read in when a request names no zone.
const ZONE_DEFAULT: &str = "America/New_York";

/// Headers and parameters of one request.
#[derive(Debug)]
pub(crate) struct Ask {
    /// Text of the team header, kept as text because a bad one is a fault only where it is used.
    team: Option<String>,
    account: Option<String>,
    sees: Sees,
    parameters: HashMap<String, String>,
}

/// Which rows a data scope lets through.
#[derive(Debug)]
struct Sees {
    known: bool,
    private: bool,
    /// `Some` of whose rows only.
    owner: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Ask {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Ask, Fault> {
        let Query(parameters) = Query::try_from_uri(&parts.uri).map_err(|_| Fault::Query)?;
        let header = |name| header_text(&parts.headers, name);
        Ok(Ask {
            team: header("x-colonnade-team").or_else(|| header("x-team-id")),
            account: header("x-colonnade-account"),
            sees: Sees::new(header("x-colonnade-data-scope"), header("x-colonnade-user")),
            parameters,
        })
    }
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

impl Sees {
    fn new(scope: Option<String>, user: Option<String>) -> Sees {
        let scope = scope.as_deref().unwrap_or("org_full");
        let email = user.as_deref().map(|user| {
            let known = USERS.iter().find(|(id, _)| *id == user);
            known.map_or(user, |(_, email)| email).to_owned()
        });
        Sees {
            known: matches!(
                scope,
                "user_non_private" | "user_full" | "org_non_private" | "org_full" | "legacy"
            ),
            private: !scope.ends_with("_non_private"),
            // A user scope without a user sees what nobody owns, which is nothing.
            owner: scope.starts_with("user_").then(|| email.unwrap_or_default()),
        }
    }
}

impl Ask {
    /// Whether the data scope lets this row through. For rows whose body carries no flags.
    pub(crate) fn sees(&self, stamp: &Stamp) -> bool {
        let mine = self.sees.owner.as_deref().is_none_or(|owner| stamp.owner == Some(owner));
        self.sees.known && mine && (self.sees.private || !stamp.private)
    }

    pub(crate) fn text(&self, name: &'static str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    pub(crate) fn required(&self, name: &'static str) -> Result<&str, Fault> {
        self.text(name).filter(|text| !text.is_empty()).ok_or(Fault::Missing { name })
    }

    pub(crate) fn int(&self, name: &'static str) -> Result<Option<u64>, Fault> {
        let fault = |_| Fault::Parameter { name, rule: "an integer".to_owned() };
        self.text(name).map(|text| text.parse().map_err(fault)).transpose()
    }

    pub(crate) fn flag(&self, name: &'static str, default: bool) -> Result<bool, Fault> {
        match self.text(name) {
            None => Ok(default),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(Fault::Parameter { name, rule: "true or false".to_owned() }),
        }
    }

    pub(crate) fn one_of(
        &self,
        name: &'static str,
        allowed: &[&str],
    ) -> Result<Option<&str>, Fault> {
        match self.text(name) {
            Some(text) if !allowed.contains(&text) => {
                Err(Fault::Parameter { name, rule: format!("one of {}", allowed.join(", ")) })
            }
            text => Ok(text),
        }
    }

    /// A comma list of which every part is allowed.
    pub(crate) fn list_of(
        &self,
        name: &'static str,
        allowed: &[&str],
    ) -> Result<Option<Vec<&str>>, Fault> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.iter().all(|part| allowed.contains(part)) {
            return Ok(Some(parts));
        }
        Err(Fault::Parameter { name, rule: format!("a list of {}", allowed.join(", ")) })
    }

    /// `limit`, from 1 to `max`.
    pub(crate) fn limit(&self, default: u64, max: u64) -> Result<usize, Fault> {
        match self.int("limit")?.unwrap_or(default) {
            limit if (1..=max).contains(&limit) => Ok(limit as usize),
            _ => {
                Err(Fault::Parameter { name: "limit", rule: format!("an integer from 1 to {max}") })
            }
        }
    }

    /// The zone of `timezone`, or the service's default.
    pub(crate) fn zone(&self) -> Result<Zone, Fault> {
        let fault = || Fault::Parameter {
            name: "timezone",
            rule: "an IANA time zone this service knows".to_owned(),
        };
        Zone::named(self.text("timezone").unwrap_or(ZONE_DEFAULT)).ok_or_else(fault)
    }

    /// `start_date` to `end_date`, the end exclusive; `days` back from now when no start is given.
    pub(crate) fn span(&self, days: i64, zone: Zone) -> Result<Span, Fault> {
        let read = |name| match self.text(name) {
            None => Ok(None),
            Some(text) => {
                let fault =
                    || Fault::Parameter { name, rule: "a date or an RFC 3339 time".to_owned() };
                moment::parse(text, zone).map(Some).ok_or_else(fault)
            }
        };
        let (start, end) = (read("start_date")?, read("end_date")?);
        Ok(Span {
            start_us: start.unwrap_or(NOW_US - days * DAY_US),
            end_us: end.unwrap_or(NOW_US),
        })
    }

    /// The teams a request without a team in its path is about.
    pub(crate) fn teams(&self) -> Result<Vec<&'static Team>, Fault> {
        if let Some(chosen) = self.chosen_team()? {
            return Ok(vec![chosen]);
        }
        let include_test = self.flag("include_test_teams", false)?;
        Ok(self.reachable().filter(|team| include_test || !team.test).collect())
    }

    /// As [`Ask::teams`], test teams included: a single row is found by its id in those too.
    pub(crate) fn teams_with_test(&self) -> Result<Vec<&'static Team>, Fault> {
        Ok(self.chosen_team()?.map_or_else(|| self.reachable().collect(), |team| vec![team]))
    }

    /// The team in the path; a header that names another one finds nothing.
    pub(crate) fn path_team(&self, text: &str) -> Result<&'static Team, Fault> {
        let id: u32 = text
            .parse()
            .map_err(|_| Fault::Parameter { name: "teamId", rule: "an integer".to_owned() })?;
        let chosen = self.chosen_team()?;
        let team = self.reachable().find(|team| team.id == id && chosen.is_none_or(|c| c.id == id));
        team.ok_or(Fault::NotFound { what: "Team" })
    }

    /// The teams of the enterprise in the path.
    pub(crate) fn path_enterprise(&self, text: &str) -> Result<(u32, Vec<&'static Team>), Fault> {
        let id: u32 = text.parse().map_err(|_| Fault::Parameter {
            name: "enterpriseId",
            rule: "an integer".to_owned(),
        })?;
        let mut teams = self.teams()?;
        teams.retain(|team| team.enterprise == id);
        if teams.is_empty() { Err(Fault::NotFound { what: "Enterprise" }) } else { Ok((id, teams)) }
    }

    /// The one team that a header or `team_id` names; two that differ are a fault.
    pub(crate) fn chosen_team(&self) -> Result<Option<&'static Team>, Fault> {
        let id_of = |text: &str, name| {
            text.parse::<u32>()
                .map_err(|_| Fault::Parameter { name, rule: "an integer".to_owned() })
        };
        let header = self.team.as_deref().map(|text| id_of(text, "x-team-id")).transpose()?;
        let query = self.text("team_id").map(|text| id_of(text, "team_id")).transpose()?;
        let id = match (header, query) {
            (Some(a), Some(b)) if a != b => {
                return Err(Fault::Parameter {
                    name: "team_id",
                    rule: "the team of the header".to_owned(),
                });
            }
            (Some(id), _) | (None, Some(id)) => id,
            (None, None) => return Ok(None),
        };
        let team = self.reachable().find(|team| team.id == id);
        team.map(Some).ok_or(Fault::NotFound { what: "Team" })
    }

    /// All teams of the account; every team when no account is named, none when it is unknown.
    fn reachable(&self) -> impl Iterator<Item = &'static Team> {
        let enterprise = self.account.as_deref().map(world::enterprise);
        TEAMS.iter().filter(move |team| enterprise.is_none_or(|e| e == Some(team.enterprise)))
    }
}

/// A half-open span of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start_us: i64,
    pub(crate) end_us: i64,
}

impl Span {
    pub(crate) fn holds(&self, at_us: i64) -> bool {
        (self.start_us..self.end_us).contains(&at_us)
    }
}

/// Whether a list of teams holds this id.
pub(crate) fn among(teams: &[&Team], id: u32) -> bool {
    teams.iter().any(|team| team.id == id)
}
