//! JSON Lines: a body of which every line is one row.
//!
//! A layer before the machine. A piece is split at its line feeds, and the machine is shown what
//! lies between them and nothing else: whatever a row hides, a line feed is never inside of it, so
//! that no reader can see other lines than were judged. At a line feed the row must be whole; then
//! the machine is put back to where a body begins.
//!
//! Places stay offsets in the piece, so that the judge, the bounds and the errors count from the
//! body's first byte, and the kept bytes of rows that follow each other may be one copy.
//!
//! Cost: one `memchr` a line, no allocation. The end of each line is read as that of a piece, which is
//! a little slower.
//! Sources: jsonlines.org and the NDJSON specification 1.0 (separators, blank lines).

use super::members::Work;
use super::{Rewriter, Slot, State};
use crate::error::{Fault, Reason};

const LINE_FEED: u8 = b'\n';

impl Rewriter {
    /// Walks a piece line by line; its last line may go on in the next.
    pub(super) fn lines(&mut self, piece: &[u8], work: &mut Work) -> Result<(), Fault> {
        let mut from = 0;
        for feed in memchr::memchr_iter(LINE_FEED, piece) {
            self.walk(&piece[..feed], from, work)?;
            self.end_line(piece, feed)?;
            // The window ended with the line at the latest, so this changes nothing; it holds for any index.
            work.index.clear();
            from = feed + 1;
        }
        self.walk(piece, from, work)
    }

    /// Ends the line at hand at its line feed.
    fn end_line(&mut self, piece: &[u8], feed: usize) -> Result<(), Fault> {
        if self.is_between_rows() {
            return Ok(());
        }
        if self.state != State::Done {
            // The bound lies before this line feed and would have been met first in two pieces.
            self.check_row_length(feed)?;
            return Err(Fault::new(feed, Reason::Truncated));
        }
        // A hidden row has no end either.
        if !self.tail.is_empty() {
            // Behind a row stands white space at most, so a bracket here is the row's last one.
            if piece[..feed].ends_with(b"}") {
                self.output.range(piece, feed - 1, feed + 1);
            } else {
                self.output.literal(piece, self.tail);
            }
        }
        self.tail = b"";
        self.state = State::Value;
        self.slot = Slot::DOCUMENT;
        Ok(())
    }

    /// Whether the line at hand is blank as far as it was read.
    fn is_between_rows(&self) -> bool {
        self.state == State::Value && self.stack.is_empty()
    }

    /// Whether the body may end here, if it is one of lines.
    pub(super) fn may_end_lines(&self) -> bool {
        self.job.shape.is_lines() && self.is_between_rows()
    }
}
