//! Names of members: reading them, and what they make of the value that follows.

use super::{ELSEWHERE, Mode, NameAt, Rewriter, Slot, State};
use crate::error::{Fault, Reason};
use crate::lexer::Step;
use crate::scan;
use crate::trie::{NO_NODE, NodeId};

impl Rewriter {
    pub(super) fn first_name(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let at = self.space(piece, at);
        if piece.get(at) == Some(&b'}') {
            return self.close(piece, at);
        }
        self.name_at(piece, at)
    }

    #[inline]
    pub(super) fn next_name(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let at = self.space(piece, at);
        self.name_at(piece, at)
    }

    fn name_at(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        match piece.get(at) {
            None => Ok(at),
            Some(b'"') => self.name(piece, at),
            Some(_) => Err(Fault::new(at, Reason::Syntax)),
        }
    }

    /// A name at its quote; with what follows, as far as it is plain and in this piece.
    #[inline]
    pub(super) fn name(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let stop = scan::string_stop(piece, at + 1);
        if piece.get(stop) != Some(&b'"') {
            return Ok(self.start_name(piece, at));
        }
        // Whole in this piece, and its bytes are its text: nearly every name.
        let end = stop + 1;
        self.name.at = NameAt::Piece { from: at, to: end };
        if self.top.verbatim {
            self.output.range(piece, at, end);
        }
        if self.top.node == NO_NODE {
            self.unknown_member();
        } else {
            let node = self.find(&piece[at + 1..stop]);
            self.member(node);
        }
        if piece.get(end) != Some(&b':') {
            self.state = State::Colon;
            return Ok(end);
        }
        self.pass_colon(piece, end);
        self.value(piece, end + 1)
    }

    fn start_name(&mut self, piece: &[u8], at: usize) -> usize {
        self.name.at = NameAt::Piece { from: at, to: ELSEWHERE };
        self.name.decoded.clear();
        if self.top.verbatim {
            self.output.range(piece, at, at + 1);
        }
        self.state = State::Name;
        at + 1
    }

    /// The child of the container's node, by a decoded name.
    #[inline]
    fn find(&self, name: &[u8]) -> NodeId {
        match self.top.mode {
            Mode::Envelope => self.job.shape.trie.child(self.top.node, name),
            Mode::Filter => self.job.catalogue.member(self.top.node, name),
            _ => self.job.catalogue.trie.child(self.top.node, name),
        }
    }

    pub(super) fn rest_of_name(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let step = self.name.lexer.run(piece, at, &mut self.name.decoded)?;
        let end = step.end(piece);
        if self.top.verbatim {
            self.output.range(piece, at, end);
        }
        if let Step::Done(end) = step {
            match self.name.at {
                NameAt::Piece { from, .. } => self.name.at = NameAt::Piece { from, to: end },
                NameAt::Kept => self.name.kept.extend_from_slice(&piece[..end]),
                NameAt::Nowhere => {}
            }
            let node = self.name.decoded.text().map_or(NO_NODE, |name| self.find(name));
            self.member(node);
            self.state = State::Colon;
        }
        Ok(end)
    }

    /// Keeps the name for the next piece, if it may still be written.
    pub(super) fn keep_name(&mut self, piece: &[u8]) {
        let is_reading = self.state == State::Name;
        let is_unknown = || self.name.decoded.is_longer_than(self.job.longest_name());
        if is_reading && (self.top.verbatim || is_unknown()) {
            self.name.at = NameAt::Nowhere;
            return;
        }
        match self.name.at {
            NameAt::Piece { from, to }
                if is_reading || matches!(self.state, State::Colon | State::Value) =>
            {
                self.name.kept.clear();
                self.name.kept.extend_from_slice(&piece[from..to.min(piece.len())]);
                self.name.at = NameAt::Kept;
            }
            NameAt::Piece { .. } => self.name.at = NameAt::Nowhere,
            NameAt::Kept if is_reading => self.name.kept.extend_from_slice(piece),
            NameAt::Kept | NameAt::Nowhere => {}
        }
    }

    #[inline]
    pub(super) fn write_name(&mut self, piece: &[u8]) {
        match self.name.at {
            NameAt::Piece { from, to } => self.output.range(piece, from, to),
            NameAt::Kept => self.output.literal(piece, &self.name.kept),
            NameAt::Nowhere => {}
        }
    }

    #[inline]
    pub(super) fn colon(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let at = self.space(piece, at);
        match piece.get(at) {
            None => Ok(at),
            Some(b':') => {
                self.pass_colon(piece, at);
                Ok(at + 1)
            }
            Some(_) => Err(Fault::new(at, Reason::Syntax)),
        }
    }

    #[inline]
    fn pass_colon(&mut self, piece: &[u8], at: usize) {
        if self.top.verbatim {
            self.output.range(piece, at, at + 1);
        }
        self.colon = at;
        self.state = State::Value;
    }

    /// A member of an object of which nothing is known: it passes with the object.
    #[inline]
    fn unknown_member(&mut self) {
        self.slot = Slot { mode: self.top.mode, ..Slot::COPY };
        self.name.at = NameAt::Nowhere;
    }

    /// Decides what the value of this member of the container at hand is treated as.
    #[inline]
    fn member(&mut self, node: NodeId) {
        self.slot = match (self.top.mode, node) {
            (Mode::Envelope, NO_NODE) if self.top.verbatim => Slot::COPY,
            (Mode::Envelope, NO_NODE) => Slot::HIDDEN,
            (Mode::Envelope, _) => Slot::new(Mode::Envelope, node),
            _ => self.member_of_row(node),
        };
        if self.top.verbatim || matches!(self.slot.mode, Mode::Mute | Mode::Hidden) {
            // Never to be written (again), and maybe as long as the piece: not to be kept for the next.
            self.name.at = NameAt::Nowhere;
        }
    }

    #[inline]
    fn member_of_row(&mut self, node: NodeId) -> Slot {
        let facts = self.job.shown.facts(node);
        let is_judged = facts.judged.or(facts.judged_below).has(self.judge.active());
        if is_judged {
            self.judge.member(&self.job.catalogue, node, self.top.start);
        }
        match self.top.mode {
            Mode::Copy => return Slot::at(Mode::Copy, node, facts),
            Mode::Filter if facts.is_shown() || facts.is_shown_below() => {
                return Slot::at(Mode::Filter, node, facts);
            }
            Mode::Filter if facts.is_known() => {
                self.totals.columns_hidden += 1;
            }
            Mode::Filter => self.totals.columns_unlisted += 1,
            _ => {}
        }
        if is_judged { Slot::at(Mode::Mute, node, facts) } else { Slot::HIDDEN }
    }
}
