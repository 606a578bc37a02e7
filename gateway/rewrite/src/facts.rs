//! What is known of one place in a row, in three bytes.
//!
//! Everything that the rewriter asks about a member is one look-up of these: is it a column, of what
//! kind, is it shown, does a value here or below decide about the row.

/// What a node is to rows in general, and, in the copy that `Shown` keeps, to one caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    bits: u8,
    /// What a value here decides about its row.
    pub(crate) judged: Judged,
    /// What a value anywhere below decides about its row.
    pub(crate) judged_below: Judged,
}

const COLUMN: u8 = 1;
const WHOLE: u8 = 2;
const ASSISTANT: u8 = 4;
const COLUMN_BELOW: u8 = 8;
const ASSISTANT_BELOW: u8 = 16;
const SHOWN: u8 = 32;
const SHOWN_BELOW: u8 = 64;

impl Facts {
    pub(crate) const NOTHING: Facts =
        Facts { bits: 0, judged: Judged::NOTHING, judged_below: Judged::NOTHING };

    #[inline]
    pub(crate) fn is_column(self) -> bool {
        self.bits & COLUMN != 0
    }

    #[inline]
    pub(crate) fn is_whole(self) -> bool {
        self.bits & WHOLE != 0
    }

    #[inline]
    pub(crate) fn is_assistant(self) -> bool {
        self.bits & ASSISTANT != 0
    }

    #[inline]
    pub(crate) fn has_column_below(self) -> bool {
        self.bits & COLUMN_BELOW != 0
    }

    #[inline]
    pub(crate) fn has_assistant_below(self) -> bool {
        self.bits & ASSISTANT_BELOW != 0
    }

    /// Whether the catalogue knows the node or something below it: a column, or what rows are judged by.
    #[inline]
    pub(crate) fn is_known(self) -> bool {
        self.is_column()
            || self.has_column_below()
            || !self.judged.or(self.judged_below).is_nothing()
    }

    /// Whether the node's own column is shown to the caller.
    #[inline]
    pub(crate) fn is_shown(self) -> bool {
        self.bits & SHOWN != 0
    }

    /// Whether a column below the node is shown to the caller.
    #[inline]
    pub(crate) fn is_shown_below(self) -> bool {
        self.bits & SHOWN_BELOW != 0
    }

    /// The node is a column.
    pub(crate) fn list(&mut self, whole: bool, assistant: bool) {
        self.bits |= match (assistant, whole) {
            (true, _) => COLUMN | ASSISTANT,
            (false, true) => COLUMN | WHOLE,
            (false, false) => COLUMN,
        };
    }

    /// A child of the node, its own facts complete, is this.
    pub(crate) fn add_below(&mut self, child: Facts) {
        self.judged_below = self.judged_below.or(child.judged).or(child.judged_below);
        if child.is_column() || child.has_column_below() {
            self.bits |= COLUMN_BELOW;
        }
        if child.is_assistant() || child.has_assistant_below() {
            self.bits |= ASSISTANT_BELOW;
        }
    }

    pub(crate) fn show(&mut self) {
        self.bits |= SHOWN;
    }

    pub(crate) fn show_below(&mut self) {
        self.bits |= SHOWN_BELOW;
    }
}

/// A set of the three things that are judged about a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Judged(u8);

impl Judged {
    pub(crate) const NOTHING: Judged = Judged(0);
    pub(crate) const PRIVATE: Judged = Judged(1);
    pub(crate) const OWNER: Judged = Judged(2);
    pub(crate) const TEAM: Judged = Judged(4);

    #[inline]
    pub(crate) fn and(self, other: Judged) -> Judged {
        Judged(self.0 & other.0)
    }

    #[inline]
    pub(crate) fn or(self, other: Judged) -> Judged {
        Judged(self.0 | other.0)
    }

    #[inline]
    pub(crate) fn is_nothing(self) -> bool {
        self.0 == 0
    }

    #[inline]
    pub(crate) fn has(self, other: Judged) -> bool {
        self.0 & other.0 != 0
    }
}
