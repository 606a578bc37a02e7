//! Brackets, commas, rows' edges, and what lies behind the document.

use super::{ELSEWHERE, Frame, Mode, NameAt, Rewriter, Slot, State};
use crate::error::{Fault, Reason};
use crate::scan;
use crate::trie::NO_NODE;

impl Rewriter {
    /// Passes over white space; in a container that passes verbatim it is kept.
    #[inline]
    pub(super) fn space(&mut self, piece: &[u8], at: usize) -> usize {
        // Compact bodies have none: one comparison decides.
        if piece.get(at).is_none_or(|byte| *byte > b' ') {
            return at;
        }
        let end = scan::space_end(piece, at);
        if self.top.verbatim {
            self.output.range(piece, at, end);
        }
        end
    }

    /// Opens a container at its bracket.
    pub(super) fn open(&mut self, piece: &[u8], at: usize, slot: Slot) -> Result<usize, Fault> {
        let is_object = piece[at] == b'{';
        let frame = Frame {
            start: self.base + at as u64,
            node: slot.node,
            mode: slot.mode,
            nested: (slot.nested + 1).min(2),
            is_object,
            verbatim: match slot.mode {
                Mode::Copy => true,
                Mode::Envelope => self.job.shape.passes_envelope(),
                _ => false,
            },
            wrote: false,
            is_row: false,
            last: super::memo::NONE,
        };
        self.push(at, frame)?;
        if !matches!(slot.mode, Mode::Mute | Mode::Hidden) {
            self.output.range(piece, at, at + 1);
        }
        self.state = if is_object { State::FirstName } else { State::FirstElement };
        Ok(at + 1)
    }

    pub(super) fn push(&mut self, at: usize, frame: Frame) -> Result<(), Fault> {
        if self.stack.len() >= usize::from(self.job.bounds.depth) {
            return Err(Fault::new(at, Reason::TooDeep));
        }
        self.stack.push(self.top);
        self.top = frame;
        Ok(())
    }

    pub(super) fn pop(&mut self) {
        self.top = self.stack.pop().unwrap_or(Frame::OUTSIDE);
    }

    pub(super) fn first_element(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let at = self.space(piece, at);
        match piece.get(at) {
            None => {}
            Some(b']') => return self.close(piece, at),
            Some(_) => {
                self.slot = self.element_slot();
                self.state = State::Value;
            }
        }
        Ok(at)
    }

    /// What an element of the array at hand is treated as.
    fn element_slot(&self) -> Slot {
        let Frame { mode, node, nested, .. } = self.top;
        match mode {
            Mode::Rows => Slot::ROW,
            Mode::Envelope => Slot { nested, ..Slot::new(mode, node) },
            _ => Slot { mode, node, nested, facts: self.job.shown.facts(node) },
        }
    }

    /// Behind a value: a comma, or the end of the container.
    #[inline]
    pub(super) fn after(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let at = self.space(piece, at);
        match (piece.get(at), self.top.is_object) {
            (None, _) => Ok(at),
            (Some(b','), true) => {
                self.pass_comma(piece, at);
                self.state = State::NextName;
                // Compact bodies go on with the name at once, where there is no quicker way.
                if piece.get(at + 1) == Some(&b'"') && !self.is_quick() {
                    self.name(piece, at + 1)
                } else {
                    Ok(at + 1)
                }
            }
            (Some(b','), false) => {
                self.pass_comma(piece, at);
                self.slot = self.element_slot();
                self.state = State::Value;
                Ok(at + 1)
            }
            (Some(b'}'), true) | (Some(b']'), false) => self.close(piece, at),
            _ => Err(Fault::new(at, Reason::Syntax)),
        }
    }

    #[inline]
    fn pass_comma(&mut self, piece: &[u8], at: usize) {
        if self.top.verbatim {
            self.output.range(piece, at, at + 1);
        }
        self.comma = at;
    }

    /// Closes the container at hand at its bracket.
    pub(super) fn close(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let closed = self.top;
        if closed.is_object && closed.node != NO_NODE && !self.judge.active().is_nothing() {
            match closed.mode {
                Mode::Filter | Mode::Copy | Mode::Mute => {
                    self.judge.end_object(&self.job.catalogue, closed.node, closed.start);
                }
                _ => {}
            }
        }
        if self.stack.len() == 1 {
            if !self.has_rows {
                return Err(Fault::new(at, Reason::RowsMissing));
            }
            self.tail = match closed.is_object {
                true if self.job.shape.is_lines() => b"}\n",
                true => b"}",
                false => b"]",
            };
        } else if closed.mode != Mode::Mute {
            self.output.range(piece, at, at + 1);
        }
        self.pop();
        if closed.is_row {
            self.end_row(piece, at)?;
        }
        self.end_value();
        Ok(at + 1)
    }

    /// A value has ended.
    #[inline]
    pub(super) fn end_value(&mut self) {
        self.state = if self.stack.is_empty() { State::Done } else { State::After };
    }

    /// Writes the comma and the name that the value at hand needs, where they do not pass verbatim.
    #[inline]
    pub(super) fn announce(&mut self, piece: &[u8]) {
        if self.top.verbatim || self.stack.is_empty() {
            return;
        }
        let wrote = std::mem::replace(&mut self.top.wrote, true);
        if let NameAt::Piece { from, to } = self.name.at
            && self.top.is_object
            && wrote
            && from.checked_sub(1) == Some(self.comma)
            && to == self.colon
        {
            // All three side by side.
            return self.output.range(piece, self.comma, to + 1);
        }
        if wrote {
            self.punctuation(piece, self.comma, b",");
        }
        if self.top.is_object {
            self.write_name(piece);
            self.punctuation(piece, self.colon, b":");
        }
    }

    /// A comma or colon: the piece's own where it is there, so that what is kept stays one range.
    #[inline]
    fn punctuation(&mut self, piece: &[u8], at: usize, mark: &[u8]) {
        if at == ELSEWHERE {
            self.output.literal(piece, mark);
        } else {
            self.output.range(piece, at, at + 1);
        }
    }

    /// Opens a row at its bracket.
    pub(super) fn start_row(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        self.has_rows = true;
        self.row.before = self.totals;
        self.row.start = self.base + at as u64;
        self.row.is_held = !self.judge.active().is_nothing();
        if !self.row.is_held || self.top.mode != Mode::Rows {
            self.announce(piece);
        }
        if self.row.is_held {
            self.judge.start_row();
            self.output.hold(piece);
        }
        let at = self.open(piece, at, self.row_contents())?;
        self.top.is_row = true;
        Ok(at)
    }

    /// Ends the row whose bracket was just closed.
    fn end_row(&mut self, piece: &[u8], at: usize) -> Result<(), Fault> {
        self.totals.rows += 1;
        if !self.row.is_held {
            return Ok(());
        }
        self.check_row_length(at + 1)?;
        self.row.is_held = false;
        let is_element = self.top.mode == Mode::Rows;
        if self.judge.is_visible() {
            let comma: &[u8] = if is_element && self.top.wrote { b"," } else { b"" };
            self.output.release(piece, comma);
            self.top.wrote = true;
            return Ok(());
        }
        self.totals = self.row.before;
        self.totals.rows += 1;
        self.totals.rows_hidden += 1;
        let is_document = self.stack.is_empty();
        let is_line = self.job.shape.is_lines();
        if is_document {
            self.tail = if is_line { b"" } else { b"null" };
        }
        self.totals.single_row_hidden |= !is_element && !is_line;
        self.output.discard(piece, if is_element || is_document { b"" } else { b"null" });
        Ok(())
    }

    /// Refuses a held row of which more was read, up to this index, than the bound.
    pub(super) fn check_row_length(&self, end: usize) -> Result<(), Fault> {
        let bound = self.row.start.saturating_add(self.job.bounds.row_bytes as u64);
        if self.row.is_held && self.base + end as u64 > bound {
            return Err(Fault::new(bound.saturating_sub(self.base) as usize, Reason::RowTooLong));
        }
        Ok(())
    }

    pub(super) fn done(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let at = scan::space_end(piece, at);
        if at < piece.len() { Err(Fault::new(at, Reason::TrailingData)) } else { Ok(at) }
    }
}
