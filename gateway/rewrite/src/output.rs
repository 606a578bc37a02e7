//! Where judged bytes go.
//!
//! Kept bytes are ranges of the piece at hand. Ranges that touch are joined, so that a run of kept
//! members is one copy; the bytes that come out do not depend on the joining.
//!
//! While a row waits for its judgement its bytes are held here instead of going out. Memory: the
//! caller's buffer, and one row.

use std::mem;

use crate::scan::{self, Padded};

#[derive(Default)]
pub(crate) struct Output {
    /// The caller's buffer, lent for one piece.
    out: Vec<u8>,
    held: Vec<u8>,
    holding: bool,
    /// The range of the piece that was kept and not yet copied.
    from: usize,
    to: usize,
}

impl Output {
    pub(crate) fn lend(&mut self, out: &mut Vec<u8>) {
        mem::swap(&mut self.out, out);
    }

    pub(crate) fn give_back(&mut self, out: &mut Vec<u8>) {
        mem::swap(&mut self.out, out);
    }

    /// Keeps these bytes of the piece.
    #[inline]
    pub(crate) fn range(&mut self, piece: &[u8], from: usize, to: usize) {
        if self.to != from {
            self.flush(piece);
            self.from = from;
        }
        self.to = to;
    }

    /// Writes bytes that are not of the piece.
    pub(crate) fn literal(&mut self, piece: &[u8], bytes: &[u8]) {
        self.padded(piece, Padded::all(bytes));
    }

    /// As [`literal`](Output::literal), of what is short most times.
    #[inline]
    pub(crate) fn padded(&mut self, piece: &[u8], bytes: Padded<'_>) {
        self.flush(piece);
        scan::append(self.sink(), bytes);
    }

    #[inline]
    fn flush(&mut self, piece: &[u8]) {
        if self.from < self.to {
            self.copy(piece);
        }
    }

    #[inline(never)]
    fn copy(&mut self, piece: &[u8]) {
        let (from, to) = (self.from, self.to);
        scan::append(self.sink(), Padded { bytes: &piece[from..], len: to - from });
        self.from = to;
    }

    #[inline]
    fn sink(&mut self) -> &mut Vec<u8> {
        if self.holding { &mut self.held } else { &mut self.out }
    }

    /// Whether more bytes wait than this. What was kept last and not yet copied does not count.
    pub(crate) fn holds_more_than(&self, bytes: usize) -> bool {
        self.holding && self.held.len() > bytes
    }

    /// From here on bytes wait.
    pub(crate) fn hold(&mut self, piece: &[u8]) {
        self.flush(piece);
        self.held.clear();
        self.holding = true;
    }

    /// The bytes that waited go out, after `before`.
    pub(crate) fn release(&mut self, piece: &[u8], before: &[u8]) {
        self.flush(piece);
        self.holding = false;
        self.out.extend_from_slice(before);
        self.out.extend_from_slice(&self.held);
        self.held.clear();
    }

    /// The bytes that waited are gone; `instead` goes out.
    pub(crate) fn discard(&mut self, piece: &[u8], instead: &[u8]) {
        self.flush(piece);
        self.holding = false;
        self.out.extend_from_slice(instead);
        self.held.clear();
    }

    /// Bytes owned, whatever they hold. The caller's buffer is not.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.held.capacity() + self.out.capacity()
    }

    pub(crate) fn end_piece(&mut self, piece: &[u8]) {
        self.flush(piece);
        self.from = 0;
        self.to = 0;
    }
}
