//! What the rows of one resource may hold: columns, assistant columns, and the columns that rows are
//! judged by.
//!
//! All paths go into one trie, so that a member of a row is looked up once, whatever it is needed
//! for. Who may see which column is not here (`mask`), nor what a judged value must be (`judge`).
//!
//! Cost: compiled once per configuration; about 40 bytes a name and 6 a node, and what `unlisted` keeps.

use std::collections::HashMap;

use crate::facts::{Facts, Judged};
use crate::trie::{NO_NODE, NodeId, ROOT, Trie, TrieBuilder};
use crate::unlisted::Unlisted;

/// Most columns of one catalogue.
pub const COLUMNS_MAX: usize = 4096;

/// One column as configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Dotted path from the row; arrays on the way are walked without being named.
    pub path: String,
    /// An object or an array passes as it is.
    pub whole: bool,
    /// The value is an assistant id and is replaced by a name. Wins over `whole`.
    pub assistant: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnsSpec {
    /// Every row passes whole, with the ids at these paths replaced.
    All {
        assistants: Vec<String>,
    },
    Listed(Vec<ColumnSpec>),
}

/// The columns that rows are judged by. They need not be listed as columns, nor shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VisibilitySpec {
    pub private: Option<String>,
    pub owner: Vec<String>,
    pub team: Option<String>,
}

/// What becomes of an assistant id without a name, when the account has no fallback.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unmapped {
    #[default]
    Null,
    /// The bytes as they came.
    Keep,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueSpec {
    pub columns: ColumnsSpec,
    pub visibility: VisibilitySpec,
    pub unmapped: Unmapped,
}

/// A column of one catalogue, in the order of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId(pub(crate) u16);

/// The compiled columns of one resource, the same for every account; share it by `Arc`.
#[derive(Debug)]
pub struct Catalogue {
    pub(crate) trie: Trie,
    facts: Vec<Facts>,
    /// Node of each column.
    nodes: Vec<NodeId>,
    paths: Vec<String>,
    by_word: HashMap<String, Vec<ColumnId>, ahash::RandomState>,
    /// Paths that are judged and are no columns.
    judged_only: Vec<String>,
    /// Nodes that are judged, or have a judged one below, each with what for; the greatest first.
    judged: Vec<(NodeId, Judged)>,
    unmapped: Unmapped,
    all: bool,
    /// The one thing that changes; whoever shares the catalogue shares it.
    unlisted: Unlisted,
}

impl Catalogue {
    /// Compiles the specification, or says everything that is wrong with it.
    pub fn compile(spec: &CatalogueSpec) -> Result<Catalogue, Vec<CatalogueError>> {
        let (columns, all) = columns_of(&spec.columns);
        let mut faults = path_faults(&columns, &spec.visibility);
        if columns.len() > COLUMNS_MAX {
            faults.push(CatalogueError::TooMany { columns: columns.len(), max: COLUMNS_MAX });
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let too_many =
            |_| vec![CatalogueError::TooMany { columns: columns.len(), max: COLUMNS_MAX }];
        let draft = Draft::new(&columns, &spec.visibility, all).map_err(too_many)?;
        let faults = draft.whole_and_member(&columns);
        if !faults.is_empty() {
            return Err(faults);
        }
        let listed = if all { Vec::new() } else { columns };
        Ok(draft.finish(&listed, spec, all))
    }

    /// The column with exactly this path. None in a catalogue of all columns, which lists none.
    pub fn column(&self, path: &str) -> Option<ColumnId> {
        self.names_column(path).find(|id| self.paths[usize::from(id.0)] == path)
    }

    /// The columns in the order of the specification; none where everything passes.
    pub fn columns(&self) -> impl Iterator<Item = (ColumnId, &str)> {
        (0..).map(ColumnId).zip(self.paths.iter().map(String::as_str))
    }

    /// The paths that rows are judged by and that are no columns, so shown to nobody; none where
    /// everything passes.
    pub fn judged_only(&self) -> impl Iterator<Item = &str> {
        self.judged_only.iter().map(String::as_str)
    }

    /// Members that rows held and that the catalogue does not list, sorted: the dotted path of what they
    /// are members of, and the name as it reads, which an upstream chose and which may be data. At most
    /// [`UNLISTED_MAX`](crate::UNLISTED_MAX) of them, the first ones, each name of at most
    /// [`UNLISTED_BYTES_MAX`](crate::UNLISTED_BYTES_MAX) bytes; none where everything passes.
    ///
    /// Of every body that was rewritten by this catalogue, refused ones included as far as they were
    /// read, and of every row, hidden ones included. What is dropped or passes whole is not looked into.
    pub fn unlisted(&self) -> Vec<String> {
        self.unlisted.paths(&self.trie)
    }

    /// How many [`unlisted`](Catalogue::unlisted) there are.
    pub fn unlisted_count(&self) -> usize {
        self.unlisted.len()
    }

    /// Whether every row passes whole.
    pub fn is_all(&self) -> bool {
        self.all
    }

    pub fn has_assistants(&self) -> bool {
        self.facts[usize::from(ROOT)].has_assistant_below()
    }

    pub fn judges_private(&self) -> bool {
        self.judges(Judged::PRIVATE)
    }

    pub fn judges_owner(&self) -> bool {
        self.judges(Judged::OWNER)
    }

    pub fn judges_team(&self) -> bool {
        self.judges(Judged::TEAM)
    }

    /// The columns that a word names: by the whole dotted path, or by any one part of it. Byte-equal.
    pub fn names_column(&self, word: &str) -> impl Iterator<Item = ColumnId> {
        self.by_word.get(word).into_iter().flatten().copied()
    }

    pub(crate) fn judges(&self, what: Judged) -> bool {
        self.facts[usize::from(ROOT)].judged_below.has(what)
    }

    /// The member of this (unescaped) name of an object at a node whose members are filtered. One that
    /// there is not is remembered.
    pub(crate) fn member(&self, node: NodeId, name: &[u8]) -> NodeId {
        let found = self.trie.child(node, name);
        if found == NO_NODE {
            self.unlisted.meet(node, name);
        }
        found
    }

    pub(crate) fn all_facts(&self) -> &[Facts] {
        &self.facts
    }

    pub(crate) fn node_of(&self, id: ColumnId) -> NodeId {
        self.nodes.get(usize::from(id.0)).copied().unwrap_or(NO_NODE)
    }

    /// How many nodes are judged or have a judged one below.
    pub(crate) fn judged_len(&self) -> usize {
        self.judged.len()
    }

    /// Which of them a node is.
    pub(crate) fn judged_number(&self, node: NodeId) -> Option<usize> {
        self.judged.binary_search_by(|(known, _)| node.cmp(known)).ok()
    }

    /// Which of them are members of the objects at a node, and what for.
    pub(crate) fn judged_members(&self, node: NodeId) -> impl Iterator<Item = (usize, Judged)> {
        let members = self.judged.iter().enumerate();
        members
            .filter(move |(_, (child, _))| self.trie.parent(*child) == node)
            .map(|(number, (_, what))| (number, *what))
    }

    pub(crate) fn unmapped(&self) -> Unmapped {
        self.unmapped
    }
}

fn columns_of(spec: &ColumnsSpec) -> (Vec<ColumnSpec>, bool) {
    match spec {
        ColumnsSpec::Listed(columns) => (columns.clone(), false),
        ColumnsSpec::All { assistants } => {
            let column =
                |path: &String| ColumnSpec { path: path.clone(), whole: false, assistant: true };
            (assistants.iter().map(column).collect(), true)
        }
    }
}

fn path_faults(columns: &[ColumnSpec], visibility: &VisibilitySpec) -> Vec<CatalogueError> {
    let mut faults = Vec::new();
    let owner: Vec<&str> = visibility.owner.iter().map(String::as_str).collect();
    let others: Vec<&str> =
        visibility.private.iter().chain(&visibility.team).map(String::as_str).collect();
    let columns: Vec<&str> = columns.iter().map(|column| column.path.as_str()).collect();
    for list in [columns, owner] {
        let mut seen = std::collections::HashSet::new();
        for path in list {
            faults.extend(path_fault(path));
            if !seen.insert(path) {
                faults.push(CatalogueError::Duplicate { path: path.to_owned() });
            }
        }
    }
    faults.extend(others.into_iter().filter_map(path_fault));
    faults
}

fn path_fault(path: &str) -> Option<CatalogueError> {
    if path.is_empty() {
        return Some(CatalogueError::EmptyPath);
    }
    if path.split('.').any(str::is_empty) {
        return Some(CatalogueError::EmptySegment { path: path.to_owned() });
    }
    path.contains("[]").then(|| CatalogueError::Brackets { path: path.to_owned() })
}

/// The trie with the facts that are known at its nodes, before those about "below".
struct Draft {
    trie: Trie,
    facts: Vec<Facts>,
    nodes: Vec<NodeId>,
}

struct TooManyNodes;

impl Draft {
    fn new(
        columns: &[ColumnSpec],
        visibility: &VisibilitySpec,
        all: bool,
    ) -> Result<Draft, TooManyNodes> {
        let mut builder = TrieBuilder::new();
        let mut insert = |path: &str| builder.insert(path).ok_or(TooManyNodes);
        let nodes = columns
            .iter()
            .map(|column| insert(&column.path))
            .collect::<Result<Vec<NodeId>, _>>()?;
        let mut judged = Vec::new();
        for (paths, what) in [
            (visibility.private.as_slice(), Judged::PRIVATE),
            (visibility.owner.as_slice(), Judged::OWNER),
            (visibility.team.as_slice(), Judged::TEAM),
        ] {
            for path in paths {
                judged.push((insert(path)?, what));
            }
        }
        let trie = builder.finish();
        let mut facts = vec![Facts::default(); trie.len()];
        for (column, node) in columns.iter().zip(&nodes) {
            facts[usize::from(*node)].list(column.whole, column.assistant);
        }
        for (node, what) in judged {
            let fact = &mut facts[usize::from(node)];
            fact.judged = fact.judged.or(what);
        }
        if all {
            facts[usize::from(ROOT)].list(true, false);
        }
        Ok(Draft { trie, facts, nodes })
    }

    fn whole_and_member(&self, columns: &[ColumnSpec]) -> Vec<CatalogueError> {
        let path_at = |node: NodeId| {
            self.nodes.iter().position(|n| *n == node).map(|index| &columns[index].path)
        };
        let mut faults = Vec::new();
        for (column, node) in
            columns.iter().zip(&self.nodes).filter(|(column, _)| !column.assistant)
        {
            let mut above = self.trie.parent(*node);
            while above != NO_NODE && above != ROOT {
                if let (true, Some(whole)) =
                    (self.facts[usize::from(above)].is_whole(), path_at(above))
                {
                    faults.push(CatalogueError::WholeAndMember {
                        whole: whole.clone(),
                        member: column.path.clone(),
                    });
                }
                above = self.trie.parent(above);
            }
        }
        faults
    }

    fn finish(mut self, columns: &[ColumnSpec], spec: &CatalogueSpec, all: bool) -> Catalogue {
        let mut judged = Vec::new();
        // Children come after their parents, so going backwards a node is complete when it is read.
        for index in (1..self.facts.len()).rev() {
            let node = index as NodeId; // The trie never has more nodes than fit.
            let fact = self.facts[index];
            self.facts[usize::from(self.trie.parent(node))].add_below(fact);
            let what = fact.judged.or(fact.judged_below);
            if !what.is_nothing() {
                judged.push((node, what));
            }
        }
        let paths: Vec<String> = columns.iter().map(|column| column.path.clone()).collect();
        let nodes = if all { Vec::new() } else { self.nodes };
        let by_word = words(&paths);
        let judged_only = if all { Vec::new() } else { judged_only(&spec.visibility, &paths) };
        Catalogue {
            trie: self.trie,
            facts: self.facts,
            nodes,
            paths,
            by_word,
            judged_only,
            judged,
            unmapped: spec.unmapped,
            all,
            unlisted: Unlisted::new(),
        }
    }
}

fn judged_only(visibility: &VisibilitySpec, columns: &[String]) -> Vec<String> {
    let VisibilitySpec { private, owner, team } = visibility;
    let judged = private.iter().chain(owner).chain(team);
    judged.filter(|path| !columns.contains(path)).cloned().collect()
}

fn words(paths: &[String]) -> HashMap<String, Vec<ColumnId>, ahash::RandomState> {
    let mut by_word: HashMap<String, Vec<ColumnId>, ahash::RandomState> = HashMap::default();
    for (id, path) in (0..).map(ColumnId).zip(paths) {
        for word in path.split('.').chain(std::iter::once(path.as_str())) {
            let ids = by_word.entry(word.to_owned()).or_default();
            if ids.last() != Some(&id) {
                ids.push(id);
            }
        }
    }
    by_word
}

/// A fault of a specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    #[error("a column without a path")]
    EmptyPath,
    #[error("`{path}` has an empty part")]
    EmptySegment { path: String },
    #[error("`{path}`: arrays are walked without being named; leave `[]` out")]
    Brackets { path: String },
    #[error("`{path}` is listed twice")]
    Duplicate { path: String },
    #[error("`{member}` lies in `{whole}`, which passes whole; only assistant columns may")]
    WholeAndMember { whole: String, member: String },
    #[error("{columns} columns are more than fit; at most {max}")]
    TooMany { columns: usize, max: usize },
}
