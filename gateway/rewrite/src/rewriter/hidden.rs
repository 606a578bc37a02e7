//! Values that nobody may see: only their end is sought.
//!
//! Strings end at a quote that no backslash precedes, containers at the bracket that answers theirs,
//! bare scalars at the first byte that is no part of one. The inside may otherwise be anything; it
//! cannot move the end, and it is never copied.

use super::members::Work;
use super::{Frame, Mode, Rewriter, State};
use crate::error::{Fault, Reason};
use crate::lexer::continues_token;
use crate::scan;
use crate::trie::NO_NODE;

impl Rewriter {
    /// Begins to pass over a value at its first byte.
    pub(super) fn hide(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        match piece[at] {
            b'"' => {
                self.state = State::HiddenString;
                Ok(self.hidden_string(piece, at + 1))
            }
            b'{' | b'[' => self.open_hidden(piece, at),
            byte if continues_token(byte) => {
                self.state = State::HiddenScalar;
                self.hidden_scalar(piece, at)
            }
            _ => Err(Fault::new(at, Reason::HiddenValue)),
        }
    }

    fn open_hidden(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let frame = Frame {
            start: 0,
            node: NO_NODE,
            mode: Mode::Hidden,
            nested: 0,
            is_object: piece[at] == b'{',
            verbatim: false,
            wrote: false,
            is_row: false,
            last: super::memo::NONE,
        };
        self.push(at, frame)?;
        self.state = State::HiddenContainer;
        Ok(at + 1)
    }

    pub(super) fn hidden_string(&mut self, piece: &[u8], at: usize) -> usize {
        let mut at = at;
        loop {
            let stop = scan::hidden_string_stop(piece, at);
            match piece.get(stop) {
                None => return stop,
                Some(b'"') => {
                    self.end_hidden();
                    return stop + 1;
                }
                Some(_) if stop + 1 < piece.len() => at = stop + 2,
                Some(_) => {
                    self.state = State::HiddenEscape;
                    return stop + 1;
                }
            }
        }
    }

    pub(super) fn hidden_escape(&mut self, at: usize) -> usize {
        self.state = State::HiddenString;
        at + 1
    }

    pub(super) fn hidden_scalar(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let mut at = at;
        while let Some(byte) = piece.get(at) {
            if !continues_token(*byte) {
                if matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t') {
                    self.end_hidden();
                    return Ok(at);
                }
                return Err(Fault::new(at, Reason::HiddenValue));
            }
            at += 1;
        }
        Ok(at)
    }

    pub(super) fn hidden_container(
        &mut self,
        piece: &[u8],
        at: usize,
        work: &mut Work,
    ) -> Result<usize, Fault> {
        let known = self.hidden_marks(piece, at, work)?;
        if known > at || self.state != State::HiddenContainer {
            return Ok(known);
        }
        self.hidden_byte(piece, at)
    }

    /// Goes from mark to mark as far as they are known, which is nowhere if a long string lies between.
    fn hidden_marks(&mut self, piece: &[u8], at: usize, work: &mut Work) -> Result<usize, Fault> {
        let mut at = at;
        work.look(piece, at);
        while let Some(&mark) = work.index.marks().get(work.mark) {
            let mark = mark as usize;
            work.mark += 1;
            at = mark + 1;
            match piece.get(mark) {
                Some(b'{' | b'[') => {
                    self.open_hidden(piece, mark)?;
                }
                Some(b'}' | b']') => {
                    self.close_hidden(piece, mark)?;
                    if self.state != State::HiddenContainer {
                        break;
                    }
                }
                _ => {}
            }
        }
        Ok(at)
    }

    fn close_hidden(&mut self, piece: &[u8], at: usize) -> Result<(), Fault> {
        if self.top.is_object != (piece[at] == b'}') {
            return Err(Fault::new(at, Reason::BracketMismatch));
        }
        self.pop();
        self.end_hidden();
        Ok(())
    }

    fn hidden_byte(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let at = scan::hidden_stop(piece, at);
        match piece.get(at) {
            None => Ok(at),
            Some(b'"') => {
                self.state = State::HiddenString;
                Ok(self.hidden_string(piece, at + 1))
            }
            Some(b'{' | b'[') => self.open_hidden(piece, at),
            Some(_) => self.close_hidden(piece, at).map(|()| at + 1),
        }
    }

    /// A string, scalar or container has ended, maybe inside a hidden container.
    fn end_hidden(&mut self) {
        if self.top.mode == Mode::Hidden {
            self.state = State::HiddenContainer;
        } else {
            self.end_value();
        }
    }
}
