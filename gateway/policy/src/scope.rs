//! Scopes: what a key was granted, and what a route asks for.
//!
//! A scope is `resource:action`; `action:resource` is read as the same. Sets are fixed bit arrays,
//! so the check on the request path is one or two bit tests.

use http::Method;

use crate::ids::ScopeId;

/// Most scopes one configuration may declare: the width of a [`ScopeSet`].
pub const SCOPES_MAX: usize = 256;

/// What a scope lets one do. Any other word is an action of its own, equal only to itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    Read,
    Write,
    /// Covers every method of its resource.
    Manage,
    Named(Box<str>),
}

impl Action {
    fn parse(word: &str) -> Action {
        match word {
            "read" => Action::Read,
            "write" => Action::Write,
            "manage" => Action::Manage,
            other => Action::Named(other.into()),
        }
    }

    fn is_known(word: &str) -> bool {
        matches!(word, "read" | "write" | "manage")
    }

    fn as_str(&self) -> &str {
        match self {
            Action::Read => "read",
            Action::Write => "write",
            Action::Manage => "manage",
            Action::Named(word) => word,
        }
    }
}

/// A scope in canonical order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    pub resource: Box<str>,
    pub action: Action,
}

impl Scope {
    /// Reads `resource:action` or `action:resource`.
    ///
    /// # Errors
    /// When there is not exactly one colon with a word of `[a-z0-9_.-]` on either side.
    pub fn parse(text: &str) -> Result<Scope, ScopeError> {
        let malformed = || ScopeError::Malformed { text: text.into() };
        let (first, second) = text.split_once(':').ok_or_else(malformed)?;
        if !is_word(first) || !is_word(second) {
            return Err(malformed());
        }
        let swapped = Action::is_known(first) && !Action::is_known(second);
        let (resource, action) = if swapped { (second, first) } else { (first, second) };
        Ok(Scope { resource: resource.into(), action: Action::parse(action) })
    }

    /// `resource:action`.
    pub fn canonical(&self) -> String {
        format!("{}:{}", self.resource, self.action.as_str())
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b))
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    #[error("`{text}` is not written resource:action")]
    Malformed { text: Box<str> },
    #[error("`{canonical}` is declared twice")]
    Twice { canonical: Box<str> },
    #[error("more than {SCOPES_MAX} scopes")]
    TooMany,
    #[error("no scope `{text}` is declared")]
    Unknown { text: Box<str> },
    #[error("`{resource}` declares neither `{resource}:{action}` nor `{resource}:manage`")]
    MethodUncovered { resource: Box<str>, action: &'static str },
    #[error("{method} has no read or write of its own; name the scope in full")]
    MethodUnclear { method: Method },
}

/// Every scope that exists, with what a person reads about it.
#[derive(Debug, Default, Clone)]
pub struct ScopeTable {
    scopes: Vec<(Scope, Box<str>, Box<str>)>,
}

impl ScopeTable {
    /// Builds the table from `(text, description)` pairs, in order.
    ///
    /// # Errors
    /// All faults together, each with the index of the pair it is about.
    pub fn new<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<ScopeTable, Vec<(usize, ScopeError)>> {
        let mut table = ScopeTable::default();
        let mut faults = Vec::new();
        for (index, (text, description)) in pairs.into_iter().enumerate() {
            match table.add(text, description) {
                Ok(()) => {}
                Err(error) => faults.push((index, error)),
            }
        }
        if faults.is_empty() { Ok(table) } else { Err(faults) }
    }

    fn add(&mut self, text: &str, description: &str) -> Result<(), ScopeError> {
        let scope = Scope::parse(text)?;
        let canonical: Box<str> = scope.canonical().into();
        if self.scopes.iter().any(|(known, ..)| *known == scope) {
            return Err(ScopeError::Twice { canonical });
        }
        if self.scopes.len() == SCOPES_MAX {
            return Err(ScopeError::TooMany);
        }
        self.scopes.push((scope, canonical, description.into()));
        Ok(())
    }

    /// Finds a scope in either spelling.
    ///
    /// # Errors
    /// `Malformed`, or `Unknown` when it is not declared.
    pub fn find(&self, text: &str) -> Result<ScopeId, ScopeError> {
        let scope = Scope::parse(text)?;
        self.position(&scope).ok_or_else(|| ScopeError::Unknown { text: text.into() })
    }

    fn position(&self, scope: &Scope) -> Option<ScopeId> {
        let index = self.scopes.iter().position(|(known, ..)| known == scope)?;
        Some(ScopeId(index as u16))
    }

    fn of(&self, resource: &str, action: Action) -> Option<ScopeId> {
        self.position(&Scope { resource: resource.into(), action })
    }

    /// Canonical text of one scope.
    pub fn name(&self, id: ScopeId) -> &str {
        self.scopes.get(id.index()).map_or("", |(_, canonical, _)| canonical)
    }

    /// `(canonical text, description)` of all, in declared order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.scopes.iter().map(|(_, canonical, description)| (&**canonical, &**description))
    }

    /// The canonical names of a set, in declared order.
    pub fn names(&self, set: &ScopeSet) -> Vec<&str> {
        (0..self.scopes.len() as u16)
            .map(ScopeId)
            .filter(|id| set.contains(*id))
            .map(|id| self.name(id))
            .collect()
    }
}

/// What one key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScopeSet([u64; SCOPES_MAX / 64]);

impl ScopeSet {
    pub fn insert(&mut self, id: ScopeId) {
        self.0[id.index() / 64 % (SCOPES_MAX / 64)] |= 1 << (id.index() % 64);
    }

    pub fn contains(&self, id: ScopeId) -> bool {
        self.0[id.index() / 64 % (SCOPES_MAX / 64)] >> (id.index() % 64) & 1 == 1
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

/// What one route asks for, by method, compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeRule {
    /// Any one of a method's scopes suffices; the first is the one named to a client that has none.
    by_method: Vec<(Method, Vec<ScopeId>)>,
}

impl ScopeRule {
    /// Compiles a route's `scope:`: a whole scope for every method, or a resource, which means
    /// its `read` for GET and HEAD and its `write` for POST, PUT, PATCH and DELETE. A resource's
    /// `manage`, where declared, covers every method.
    ///
    /// # Errors
    /// When a scope that a method would need is not declared.
    pub fn compile(
        table: &ScopeTable,
        text: &str,
        methods: &[Method],
    ) -> Result<ScopeRule, ScopeError> {
        let mut by_method = Vec::with_capacity(methods.len());
        for method in methods {
            let any_of = if text.contains(':') {
                let id = table.find(text)?;
                let scope = Scope::parse(text)?;
                let manage = table.of(&scope.resource, Action::Manage);
                std::iter::once(id).chain(manage.filter(|other| *other != id)).collect()
            } else {
                Self::by_resource(table, text, method)?
            };
            by_method.push((method.clone(), any_of));
        }
        Ok(ScopeRule { by_method })
    }

    fn by_resource(
        table: &ScopeTable,
        resource: &str,
        method: &Method,
    ) -> Result<Vec<ScopeId>, ScopeError> {
        let (action, word) = match method.as_str() {
            "GET" | "HEAD" => (Action::Read, "read"),
            "POST" | "PUT" | "PATCH" | "DELETE" => (Action::Write, "write"),
            _ => return Err(ScopeError::MethodUnclear { method: method.clone() }),
        };
        let any_of: Vec<ScopeId> = [table.of(resource, action), table.of(resource, Action::Manage)]
            .into_iter()
            .flatten()
            .collect();
        if any_of.is_empty() {
            return Err(ScopeError::MethodUncovered { resource: resource.into(), action: word });
        }
        Ok(any_of)
    }

    /// `Ok` when `held` satisfies this rule for `method`; else the scope that is missing.
    ///
    /// # Errors
    /// The scope to name to the client, `None` when the route has no rule for the method.
    pub fn check(&self, method: &Method, held: &ScopeSet) -> Result<(), Option<ScopeId>> {
        let wanted = if method == Method::HEAD {
            self.row(&Method::HEAD).or_else(|| self.row(&Method::GET))
        } else {
            self.row(method)
        };
        let any_of = wanted.ok_or(None)?;
        if any_of.iter().any(|id| held.contains(*id)) {
            Ok(())
        } else {
            Err(any_of.first().copied())
        }
    }

    /// The scope to name for `method`: the first that would do.
    pub fn named(&self, method: &Method) -> Option<ScopeId> {
        self.row(method)?.first().copied()
    }

    fn row(&self, method: &Method) -> Option<&[ScopeId]> {
        self.by_method
            .iter()
            .find(|(known, _)| known == method)
            .map(|(_, any_of)| any_of.as_slice())
    }
}
