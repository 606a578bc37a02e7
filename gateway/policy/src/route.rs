//! Finds the route of a path: patterns, the table compiled from them, and the look-up.
//!
//! The table is a tree with one level a segment. At each level a literal is tried before a typed
//! parameter, that before a parameter, that before `**`, and a branch that leads nowhere, or to
//! other methods only, is left again. So what answers never depends on the order in the file, and
//! `/api/coach/rubrics` is never the `{id}` of `/api/coach/{id}` (E2, E5, E6).
//!
//! Decided here:
//! - a trailing slash is a last, empty segment that only a pattern ending in `/` has: no parameter
//!   takes it, and `/a/**` matches `/a/b/` but neither `/a` nor `/a/`;
//! - `{name:int}` is 1 to 19 ASCII digits without a leading zero, because upstreams read `007` as 7
//!   while keys and team lists compare text; such a segment may still match a plain `{name}`;
//! - `{name:uuid}` is 8-4-4-4-12 hexadecimal digits of either case;
//! - `HEAD` that is declared beats `GET` at the same pattern, not at a better one.
//!
//! Not here: whether a path is canonical (`path`); the table expects it and compares bytes.
//!
//! Cost: at most one visit of each tree node no deeper than the path, in practice one a segment; a
//! binary search among literals; no allocation when a route is found.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use gateway_rewrite::Shape;
use http::{HeaderName, Method};

use crate::ids::{ResourceId, RouteId, UpstreamId};
use crate::query::QueryRule;
use crate::scope::ScopeRule;
use crate::team::TeamRule;

mod pattern;

use pattern::{PARAMS_MAX, Segment};
pub use pattern::{Pattern, PatternError};

/// One route as used.
#[derive(Debug, Clone)]
pub struct Route {
    pub id: RouteId,
    /// `GET|POST /api/contacts`; the metric label, so never a request's own text.
    pub label: Box<str>,
    pub methods: Vec<Method>,
    pub pattern: Pattern,
    pub upstream: UpstreamId,
    pub scope: ScopeRule,
    pub resource: ResourceId,
    pub shape: Arc<Shape>,
    pub query: QueryRule,
    pub team: TeamRule,
    /// Refuse keys that do not reach the whole account.
    pub reach_account: bool,
    /// The parameter that must equal the account's id.
    pub account_param: Option<Box<str>>,
    /// Error bodies of the upstream pass.
    pub errors_pass: bool,
    pub forward_headers: Vec<HeaderName>,
    pub return_headers: Vec<HeaderName>,
}

/// All routes, compiled for look-up.
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
    root: Node,
}

impl RouteTable {
    /// Compiles the table.
    ///
    /// # Errors
    /// Every pair of routes that have a method in common and the same kind of segment at every
    /// place, whatever their parameters are called; a third such route is held against the first.
    pub fn build(routes: Vec<Route>) -> Result<RouteTable, Vec<RouteConflict>> {
        let routes: Vec<Arc<Route>> = routes.into_iter().map(Arc::new).collect();
        let mut root = Node::default();
        let mut conflicts = Vec::new();
        for (second, route) in routes.iter().enumerate() {
            let endpoints = root.endpoints_at(route.pattern.segments());
            for method in &route.methods {
                match endpoints.iter().find(|known| known.method == *method) {
                    None => endpoints.push(Endpoint {
                        method: method.clone(),
                        index: second,
                        route: Arc::clone(route),
                    }),
                    // A method written twice on one route is that route's own affair.
                    Some(known) if known.index == second => {}
                    Some(known) => {
                        conflicts.push(RouteConflict {
                            first: known.index,
                            second,
                            method: method.clone(),
                        });
                    }
                }
            }
        }
        if conflicts.is_empty() { Ok(RouteTable { routes, root }) } else { Err(conflicts) }
    }

    /// The route that serves `method` at `path`, with what its parameters matched.
    ///
    /// # Errors
    /// `MethodNotAllowed` with the methods of every matching pattern when none of them serves this
    /// one; `NotFound` when no pattern matches (E11).
    pub fn find<'t, 'p>(
        &'t self,
        method: &Method,
        path: &'p str,
    ) -> Result<Found<'t, 'p>, RouteError> {
        let rest = path.strip_prefix('/').ok_or(RouteError::NotFound)?;
        let mut values = [""; PARAMS_MAX];
        let mut serving = |endpoints: &'t [Endpoint]| serving(endpoints, method);
        match self.root.walk(Some(rest), 0, &mut values, &mut serving) {
            Some(route) => {
                Ok(Found { route, params: Params { names: route.pattern.names(), values } })
            }
            None => Err(self.refusal(rest)),
        }
    }

    /// In file order.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    fn refusal(&self, rest: &str) -> RouteError {
        let mut allowed = BTreeSet::new();
        let mut values = [""; PARAMS_MAX];
        self.root.walk(Some(rest), 0, &mut values, &mut |endpoints| {
            for endpoint in endpoints {
                allowed.insert(endpoint.method.as_str());
                if endpoint.method == Method::GET {
                    allowed.insert(Method::HEAD.as_str());
                }
            }
            None
        });
        if allowed.is_empty() {
            return RouteError::NotFound;
        }
        let allow = allowed.into_iter().collect::<Vec<_>>().join(", ");
        RouteError::MethodNotAllowed { allow: allow.into() }
    }
}

fn serving<'t>(endpoints: &'t [Endpoint], method: &Method) -> Option<&'t Arc<Route>> {
    let declared = |method: &Method| endpoints.iter().find(|endpoint| endpoint.method == *method);
    let endpoint = match declared(method) {
        None if *method == Method::HEAD => declared(&Method::GET),
        found => found,
    };
    endpoint.map(|endpoint| &endpoint.route)
}

/// One method of one route, at the node where its pattern ends.
#[derive(Debug)]
struct Endpoint {
    method: Method,
    index: usize,
    route: Arc<Route>,
}

/// What may follow one run of segments. Owned children: no index can dangle, and the depth is
/// bounded by the segments that a pattern may have.
#[derive(Debug, Default)]
struct Node {
    /// Sorted by [`literal_order`].
    literals: Vec<(Box<str>, Node)>,
    int: Option<Box<Node>>,
    uuid: Option<Box<Node>>,
    any: Option<Box<Node>>,
    /// Patterns that end here.
    here: Vec<Endpoint>,
    /// Patterns that end here with `**`.
    rest: Vec<Endpoint>,
}

impl Node {
    fn endpoints_at(&mut self, segments: &[Segment]) -> &mut Vec<Endpoint> {
        let Some((first, others)) = segments.split_first() else { return &mut self.here };
        let child = match first {
            Segment::Literal(text) => self.literal_mut(text),
            Segment::Int => self.int.get_or_insert_default(),
            Segment::Uuid => self.uuid.get_or_insert_default(),
            Segment::Any => self.any.get_or_insert_default(),
            Segment::Rest => return &mut self.rest,
        };
        child.endpoints_at(others)
    }

    fn literal_mut(&mut self, text: &str) -> &mut Node {
        let place = match self.literals.binary_search_by(|(known, _)| literal_order(known, text)) {
            Ok(place) => place,
            Err(place) => {
                self.literals.insert(place, (text.into(), Node::default()));
                place
            }
        };
        &mut self.literals[place].1
    }

    /// Goes down by precedence, `rest` being the path behind the slash that led here (`None`: it
    /// ended), and answers the first endpoints that `accept` takes. `values` is filled up to the
    /// parameters of that pattern; a branch that was left again is overwritten.
    fn walk<'t, 'p, F>(
        &'t self,
        rest: Option<&'p str>,
        bound: usize,
        values: &mut [&'p str; PARAMS_MAX],
        accept: &mut F,
    ) -> Option<&'t Arc<Route>>
    where
        F: FnMut(&'t [Endpoint]) -> Option<&'t Arc<Route>>,
    {
        let Some(rest) = rest else { return accept(&self.here) };
        // Segments are short: a plain loop ends sooner than a search made for long text.
        let (segment, behind) = match rest.bytes().position(|byte| byte == b'/') {
            Some(slash) => (&rest[..slash], Some(&rest[slash + 1..])),
            None => (rest, None),
        };
        if let Some(child) = self.literal(segment)
            && let Some(route) = child.walk(behind, bound, values, accept)
        {
            return Some(route);
        }
        // An empty segment is a trailing slash: literal or nothing.
        if segment.is_empty() {
            return None;
        }
        for child in [self.typed(segment), self.any.as_deref()].into_iter().flatten() {
            if let Some(value) = values.get_mut(bound) {
                *value = segment;
            }
            if let Some(route) = child.walk(behind, bound + 1, values, accept) {
                return Some(route);
            }
        }
        accept(&self.rest)
    }

    fn literal(&self, text: &str) -> Option<&Node> {
        let place = self.literals.binary_search_by(|(known, _)| literal_order(known, text)).ok()?;
        self.literals.get(place).map(|(_, child)| child)
    }

    /// No segment is of two types: a uuid has hyphens.
    fn typed(&self, segment: &str) -> Option<&Node> {
        let int = self.int.as_deref().filter(|_| is_int(segment));
        int.or_else(|| self.uuid.as_deref().filter(|_| is_uuid(segment)))
    }
}

/// By length first: most comparisons end there.
fn literal_order(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

fn is_int(segment: &str) -> bool {
    let canonical = segment == "0" || !segment.starts_with('0');
    canonical
        && matches!(segment.len(), 1..=19)
        && segment.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_uuid(segment: &str) -> bool {
    segment.len() == 36
        && segment.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// A route, and what its parameters matched.
#[derive(Debug, Clone, Copy)]
pub struct Found<'t, 'p> {
    pub route: &'t Arc<Route>,
    pub params: Params<'t, 'p>,
}

/// Values by parameter name, as sent: canonical, so percent codes are still codes.
#[derive(Debug, Clone, Copy)]
pub struct Params<'t, 'p> {
    names: &'t [Box<str>],
    values: [&'p str; PARAMS_MAX],
}

impl<'p> Params<'_, 'p> {
    /// The segment that the parameter matched, never empty. `**` has no name.
    pub fn find(&self, name: &str) -> Option<&'p str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// `(name, value)` from the left.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'p str)> {
        self.names.iter().map(|name| &**name).zip(self.values)
    }
}

/// Two routes that nothing tells apart. The numbers are places in the list that was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("routes {first} and {second} both serve {method} at the same kinds of segments")]
pub struct RouteConflict {
    pub first: usize,
    pub second: usize,
    pub method: Method,
}

/// Why no route answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error("no route has this path")]
    NotFound,
    /// `allow` is the value of the `Allow` header: sorted, with HEAD wherever GET is.
    #[error("the path has no such method; it has {allow}")]
    MethodNotAllowed { allow: Box<str> },
}

#[cfg(test)]
mod tests;
