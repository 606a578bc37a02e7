//! Which rows a caller may see.
//!
//! A row is judged while it is walked: the rewriter reports every value at a judged path, and every
//! oddity on the way to one (a member given twice, a scalar where an object was due, an object that
//! lacks the member). The rule is closed: a row is shown only if each thing that is judged was said
//! exactly once and plainly; for owners, if any of them is the caller. What the catalogue does not
//! judge is never said, so a rule that asks for it hides every row.
//!
//! Not here: which columns are judged (`catalogue`), the bytes of the row (`output`).

use crate::catalogue::Catalogue;
use crate::facts::Judged;
use crate::trie::NodeId;

/// The user a key was issued to. An owner column must equal the id or the e-mail exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub id: String,
    pub email: Option<String>,
}

/// What hides rows from one key. The default hides nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowRule {
    /// Rows pass only if their private column is the literal `false`.
    pub hide_private: bool,
    /// Rows pass only if an owner column holds this user.
    pub owner: Option<Owner>,
    /// Rows pass only if their team column names teams of this list and no other.
    pub teams: Option<Vec<String>>,
}

impl RowRule {
    /// Whether any row could be hidden.
    pub fn is_in_force(&self) -> bool {
        self.hide_private || self.owner.is_some() || self.teams.is_some()
    }

    fn judged(&self) -> Judged {
        let mut judged = Judged::NOTHING;
        for (asked, what) in [
            (self.hide_private, Judged::PRIVATE),
            (self.owner.is_some(), Judged::OWNER),
            (self.teams.is_some(), Judged::TEAM),
        ] {
            if asked {
                judged = judged.or(what);
            }
        }
        judged
    }

    /// Bytes of the longest text that a value is compared with.
    pub(crate) fn longest(&self) -> usize {
        let owner =
            self.owner.iter().flat_map(|owner| std::iter::once(&owner.id).chain(&owner.email));
        owner.chain(self.teams.iter().flatten()).map(String::len).max().unwrap_or(0)
    }

    // An empty text is nobody's name: a row with an empty owner belongs to no one.
    fn is_owner(&self, text: &[u8]) -> bool {
        let is = |known: &String| !known.is_empty() && known.as_bytes() == text;
        self.owner
            .as_ref()
            .is_some_and(|owner| is(&owner.id) || owner.email.as_ref().is_some_and(is))
    }

    fn has_team(&self, text: &[u8]) -> bool {
        let is = |known: &String| !known.is_empty() && known.as_bytes() == text;
        self.teams.as_ref().is_some_and(|teams| teams.iter().any(is))
    }
}

/// A scalar at a judged path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgeable<'a> {
    False,
    /// A string's decoded text or a number's digits. None when longer than anything compared with.
    Text(Option<&'a [u8]>),
    /// true or null.
    Other,
}

/// The judgement of the row at hand.
#[derive(Debug)]
pub(crate) struct Judge {
    /// What the rule asks about.
    active: Judged,
    /// Of each node that is judged or leads to one, the object (its offset + 1) in which it was last met.
    met_in: Vec<u64>,
    hidden: bool,
    private_seen: u32,
    is_public: bool,
    is_owned: bool,
    has_team: bool,
}

impl Judge {
    pub(crate) fn new(rule: &RowRule, catalogue: &Catalogue) -> Judge {
        let active = rule.judged();
        let nodes = if active.is_nothing() { 0 } else { catalogue.judged_len() };
        Judge {
            active,
            met_in: vec![0; nodes],
            hidden: false,
            private_seen: 0,
            is_public: false,
            is_owned: false,
            has_team: false,
        }
    }

    /// What the rule asks about; nothing when no rule is in force.
    #[inline]
    pub(crate) fn active(&self) -> Judged {
        self.active
    }

    pub(crate) fn start_row(&mut self) {
        self.hidden = false;
        self.private_seen = 0;
        self.is_public = false;
        self.is_owned = false;
        self.has_team = false;
    }

    /// A member on the way to something judged, in the object at this offset.
    pub(crate) fn member(&mut self, catalogue: &Catalogue, node: NodeId, object: u64) {
        let number = catalogue.judged_number(node);
        if let Some(met) = number.and_then(|number| self.met_in.get_mut(number)) {
            // Readers differ over which of two equal names counts, so neither does.
            self.hidden |= *met == object + 1;
            *met = object + 1;
        }
    }

    /// The end of an object that has judged members.
    pub(crate) fn end_object(&mut self, catalogue: &Catalogue, node: NodeId, object: u64) {
        let needed = self.active.and(Judged::PRIVATE.or(Judged::TEAM));
        if needed.is_nothing() {
            return;
        }
        for (number, what) in catalogue.judged_members(node) {
            let met = self.met_in.get(number).is_some_and(|met| *met == object + 1);
            self.hidden |= what.has(needed) && !met;
        }
    }

    /// An object, or an array's start, where a judged scalar is due.
    pub(crate) fn container(&mut self, here: Judged, is_object: bool) {
        self.hidden |= here.has(Judged::PRIVATE) || (is_object && here.has(Judged::TEAM));
    }

    /// A scalar where the path to something judged goes on.
    pub(crate) fn broken_way(&mut self, below: Judged) {
        self.hidden |= below.has(Judged::PRIVATE.or(Judged::TEAM));
    }

    pub(crate) fn scalar(&mut self, rule: &RowRule, here: Judged, value: Judgeable<'_>) {
        let text = match value {
            Judgeable::Text(Some(text)) => text,
            _ => b"",
        };
        if here.has(Judged::PRIVATE) {
            self.private_seen += 1;
            self.is_public = value == Judgeable::False;
        }
        if here.has(Judged::OWNER) {
            self.is_owned |= rule.is_owner(text);
        }
        if here.has(Judged::TEAM) {
            let known = rule.has_team(text);
            self.has_team |= known;
            self.hidden |= !known;
        }
    }

    pub(crate) fn is_visible(&self) -> bool {
        let asks = |what: Judged| self.active.has(what);
        !self.hidden
            && (!asks(Judged::PRIVATE) || (self.private_seen == 1 && self.is_public))
            && (!asks(Judged::OWNER) || self.is_owned)
            && (!asks(Judged::TEAM) || self.has_team)
    }
}
