//! What becomes of a value, from its place and its first byte.

use super::{Mode, Rewriter, Slot, Take};
use crate::error::{Fault, Reason};
use crate::facts::{Facts, Judged};
use crate::path::Stop;
use crate::trie::{NO_NODE, ROOT};

impl Rewriter {
    #[inline]
    pub(super) fn value(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let at = self.space(piece, at);
        let Some(&first) = piece.get(at) else {
            return Ok(at);
        };
        if self.slot.mode == Mode::Hidden {
            return self.hide(piece, at);
        }
        if !matches!(first, b'"' | b'-' | b'0'..=b'9' | b'{' | b'[' | b't' | b'f' | b'n') {
            return Err(self.not_a_value(at, first));
        }
        match self.slot.mode {
            Mode::Filter => self.filter(piece, at),
            Mode::Copy => self.copy(piece, at),
            Mode::Mute => {
                self.report(first);
                self.drop_value(piece, at)
            }
            Mode::Envelope => self.envelope(piece, at),
            Mode::Row => self.row(piece, at),
            Mode::Rows | Mode::Hidden | Mode::Outside => Err(Fault::new(at, Reason::Syntax)),
        }
    }

    #[cold]
    fn not_a_value(&self, at: usize, first: u8) -> Fault {
        let is_mark = first == 0xef && self.base + at as u64 == 0;
        Fault::new(at, if is_mark { Reason::ByteOrderMark } else { Reason::Syntax })
    }

    /// A value around the rows.
    fn envelope(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let slot = self.slot;
        match (self.job.shape.stop(slot.node), piece[at]) {
            (Stop::Row, _) => {
                self.slot = Slot::ONLY_ROW;
                self.row(piece, at)
            }
            (Stop::Line, _) => {
                self.slot = Slot::ROW;
                self.row(piece, at)
            }
            (Stop::Rows, b'[') => {
                self.has_rows = true;
                self.announce(piece);
                self.open(piece, at, Slot::new(Mode::Rows, NO_NODE))
            }
            (Stop::Rows, _) => Err(Fault::new(at, Reason::RowsNotArray)),
            (Stop::Way, b'{') | (Stop::Beside, b'{' | b'[') => {
                self.announce(piece);
                self.open(piece, at, slot)
            }
            (Stop::Way, _) => Err(Fault::new(at, Reason::EnvelopeNotObject)),
            (Stop::Beside, b'n') => {
                self.announce(piece);
                self.start_scalar(piece, at, Take::Copy, Judged::NOTHING)
            }
            (Stop::Beside, _) => self.hide(piece, at),
            (Stop::Whole, _) => {
                self.announce(piece);
                self.slot = Slot::COPY;
                self.copy(piece, at)
            }
        }
    }

    /// A row, or null where there is only one.
    fn row(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        match (piece[at], self.slot.nested) {
            (b'{', _) => self.start_row(piece, at),
            (b'n', 1) => {
                self.has_rows = true;
                self.announce(piece);
                if self.stack.is_empty() {
                    self.tail = b"null";
                    return self.start_scalar(piece, at, Take::Mute, Judged::NOTHING);
                }
                self.start_scalar(piece, at, Take::Copy, Judged::NOTHING)
            }
            _ => Err(Fault::new(at, Reason::RowNotObject)),
        }
    }

    /// What a row's members are treated as.
    pub(super) fn row_contents(&self) -> Slot {
        let facts = self.job.shown.facts(ROOT);
        // The root is a column only where everything passes.
        if facts.is_shown() {
            return self.copied(Slot::at(Mode::Copy, ROOT, facts));
        }
        Slot::at(Mode::Filter, ROOT, facts)
    }

    /// A value at a node of which something is shown.
    fn filter(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let Slot { nested, facts, .. } = self.slot;
        let leaf = facts.is_shown();
        let below = facts.is_shown_below();
        if leaf && facts.is_whole() {
            self.announce(piece);
            self.slot.mode = Mode::Copy;
            return self.copy(piece, at);
        }
        let here = self.report(piece[at]);
        if leaf && facts.is_assistant() {
            self.announce(piece);
            return self.assistant(piece, at, below);
        }
        let is_kept = match piece[at] {
            b'{' => below,
            b'[' => below || (leaf && nested == 0),
            b'n' => true,
            _ => leaf && nested < 2,
        };
        if !is_kept {
            self.count_misshapen(facts, leaf);
            return self.drop_value(piece, at);
        }
        self.announce(piece);
        match piece[at] {
            b'{' | b'[' => self.open(piece, at, self.slot),
            _ => self.start_scalar(piece, at, Take::Copy, here),
        }
    }

    /// Counts a member that is dropped though something at its node is shown: a container where the
    /// `leaf` is, a scalar where it is not.
    fn count_misshapen(&mut self, facts: Facts, leaf: bool) {
        if !self.top.is_object {
            return;
        }
        if facts.is_column() && !leaf {
            self.totals.columns_hidden += 1;
        } else {
            self.totals.columns_unlisted += 1;
        }
    }

    /// A value that passes whole, but for the ids in it.
    fn copy(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        if self.slot.node == NO_NODE {
            return match piece[at] {
                b'{' | b'[' => self.open(piece, at, self.slot),
                _ => self.start_scalar(piece, at, Take::Copy, Judged::NOTHING),
            };
        }
        let facts = self.slot.facts;
        let here = self.report(piece[at]);
        if facts.is_assistant() {
            return self.assistant(piece, at, facts.has_assistant_below());
        }
        match piece[at] {
            b'{' | b'[' => {
                let slot = self.copied(self.slot);
                self.open(piece, at, slot)
            }
            _ => self.start_scalar(piece, at, Take::Copy, here),
        }
    }

    /// Forgets the node where nothing below it needs to be found.
    fn copied(&self, slot: Slot) -> Slot {
        let facts = slot.facts;
        let judged = facts.judged.or(facts.judged_below).has(self.judge.active());
        if facts.has_assistant_below() || judged { slot } else { Slot::COPY }
    }

    /// An assistant id that is shown, its comma and name written. `walked`: objects are walked for
    /// what the catalogue says of their members.
    fn assistant(&mut self, piece: &[u8], at: usize, walked: bool) -> Result<usize, Fault> {
        let here = self.slot.facts.judged.and(self.judge.active());
        match piece[at] {
            b'{' if walked => self.open(piece, at, self.slot),
            b'[' if self.slot.nested == 0 => self.open(piece, at, self.slot),
            b'{' | b'[' => {
                self.output.literal(piece, b"null");
                self.drop_value(piece, at)
            }
            b't' | b'f' => {
                self.output.literal(piece, b"null");
                self.start_scalar(piece, at, Take::Mute, here)
            }
            b'n' => self.start_scalar(piece, at, Take::Copy, here),
            _ => self.start_scalar(piece, at, self.ids, here),
        }
    }

    /// Tells the judge of a value at a node, and returns what its scalar decides.
    #[inline]
    fn report(&mut self, first: u8) -> Judged {
        let facts = self.slot.facts;
        let active = self.judge.active();
        if active.is_nothing() {
            return Judged::NOTHING;
        }
        let here = facts.judged.and(active);
        match first {
            b'{' => self.judge.container(here, true),
            b'[' => self.judge.container(here, false),
            _ => self.judge.broken_way(facts.judged_below.and(active)),
        }
        here
    }

    /// A value of which nothing passes: read as far as the judge needs, else only to its end.
    fn drop_value(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let facts = self.slot.facts;
        let here = facts.judged.and(self.judge.active());
        let below = facts.judged_below.and(self.judge.active());
        match piece[at] {
            b'{' if !below.is_nothing() => {
                self.open(piece, at, Slot { mode: Mode::Mute, ..self.slot })
            }
            b'[' if !below.or(here).is_nothing() => {
                self.open(piece, at, Slot { mode: Mode::Mute, ..self.slot })
            }
            b'{' | b'[' => self.hide(piece, at),
            _ if !here.is_nothing() => self.start_scalar(piece, at, Take::Mute, here),
            _ => self.hide(piece, at),
        }
    }
}
