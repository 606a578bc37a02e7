//! Walks one body and writes what may be seen of it.
//!
//! The walk is a machine whose whole state is in this struct, so a body may be cut at any byte. What
//! a value is treated as is decided from its place (`member`) and its first byte (`value`), before
//! any of it is read; a member's name is written only then. Containers are frames on a bounded stack:
//! nothing here recurses.
//!
//! The document's last bracket leaves only from [`end`](Rewriter::end): what was refused for
//! something behind the document was never written as a whole document. Where rows are lines, so does
//! the last bracket of each with its line's end (`lines`).
//!
//! Not here: the grammar of scalars (`lexer`), where columns are (`catalogue`), which rows are seen
//! (`judge`).
//!
//! Cost: one pass. Nearly all of it is spent in `members` and in the index; the machine reads what these
//! leave to it, a look-up a member.

mod hidden;
mod lines;
mod member;
mod members;
mod memo;
mod odd;
mod plain;
mod scalar;
mod structure;
mod value;
mod verbatim;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;

use crate::error::{Fault, Reason};
use crate::facts::{Facts, Judged};
use crate::judge::Judge;
use crate::lexer::{Decoded, LiteralLexer, NumberLexer, StringLexer};
use crate::output::Output;
use crate::trie::{NO_NODE, NodeId, ROOT};
use crate::{Job, RewriteError, Totals, UNLISTED_BYTES_MAX, Unmapped};
use members::Work;

/// Rewrites one body. Give it the pieces in order, then end it.
pub struct Rewriter {
    job: Job,
    state: State,
    /// What the next value is treated as.
    slot: Slot,
    /// The container at hand; the containers around it are on the stack.
    top: Frame,
    stack: Vec<Frame>,
    name: Name,
    scalar: Scalar,
    /// What becomes of an assistant id.
    ids: Take,
    output: Output,
    judge: Judge,
    row: RowMark,
    totals: Totals,
    has_rows: bool,
    /// Offset in the body of the piece at hand.
    base: u64,
    /// Index of the last comma and colon in the piece at hand, or [`ELSEWHERE`].
    comma: usize,
    colon: usize,
    /// The end of the document, kept back until the body, or its line, has ended.
    tail: &'static [u8],
    refused: Option<RewriteError>,
}

/// Where the walk is; never a byte of the body.
impl fmt::Debug for Rewriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rewriter")
            .field("at", &self.base)
            .field("state", &self.state)
            .field("depth", &self.stack.len())
            .field("totals", &self.totals)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

const ELSEWHERE: usize = usize::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    FirstElement,
    FirstName,
    NextName,
    Name,
    Colon,
    String,
    Number,
    Literal,
    /// Behind a value, before a comma or the container's end.
    After,
    HiddenString,
    HiddenEscape,
    HiddenScalar,
    HiddenContainer,
    /// Behind the document.
    Done,
}

/// How a container is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Around the document.
    Outside,
    /// Around the rows: members by the shape.
    Envelope,
    /// An array of rows.
    Rows,
    /// As a slot only: a row must come.
    Row,
    /// Members by what is shown.
    Filter,
    /// Everything passes; ids are replaced.
    Copy,
    /// Nothing passes; read for the judge.
    Mute,
    /// Nothing passes; only its end is sought.
    Hidden,
}

/// The treatment of a value that is still to come.
#[derive(Debug, Clone, Copy)]
struct Slot {
    mode: Mode,
    /// Node in the catalogue, or in the shape for [`Mode::Envelope`]. [`NO_NODE`]: nothing is known below.
    node: NodeId,
    /// Arrays around it since the node's member: 0, 1, or 2 for more. In [`Mode::Row`] 1 if it is the only one.
    nested: u8,
    /// Of the node, if it is one of the catalogue.
    facts: Facts,
}

impl Slot {
    /// Of the whole body; where rows are lines, of each line.
    const DOCUMENT: Slot = Slot::new(Mode::Envelope, ROOT);
    const HIDDEN: Slot = Slot::new(Mode::Hidden, NO_NODE);
    const COPY: Slot = Slot::new(Mode::Copy, NO_NODE);
    const ROW: Slot = Slot::new(Mode::Row, ROOT);
    const ONLY_ROW: Slot = Slot { nested: 1, ..Slot::ROW };

    /// A slot that is not a node of the catalogue.
    const fn new(mode: Mode, node: NodeId) -> Slot {
        Slot { mode, node, nested: 0, facts: Facts::NOTHING }
    }

    fn at(mode: Mode, node: NodeId, facts: Facts) -> Slot {
        Slot { mode, node, nested: 0, facts }
    }
}

/// A container that is open.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Offset of its bracket in the body.
    start: u64,
    node: NodeId,
    mode: Mode,
    /// The `nested` of its elements, if it is an array.
    nested: u8,
    is_object: bool,
    /// Its own bytes (commas, names, white space) pass as they come.
    verbatim: bool,
    /// A member or element was written, so that the next needs a comma.
    wrote: bool,
    is_row: bool,
    /// Number in the memo of its last member that went the quick way.
    last: u8,
}

impl Frame {
    const OUTSIDE: Frame = Frame {
        start: 0,
        node: NO_NODE,
        mode: Mode::Outside,
        nested: 0,
        is_object: false,
        verbatim: false,
        wrote: false,
        is_row: false,
        last: memo::NONE,
    };
}

/// The member name that was read last.
struct Name {
    at: NameAt,
    lexer: StringLexer,
    decoded: Decoded,
    /// The raw name, if the piece it began in is gone. Bounded: a known name, six bytes a byte.
    kept: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameAt {
    /// Written, or not wanted.
    Nowhere,
    /// In the piece at hand, quotes included. `to` is [`ELSEWHERE`] while it is being read.
    Piece { from: usize, to: usize },
    /// In `kept`, as far as it was read.
    Kept,
}

/// The scalar that is being read.
struct Scalar {
    take: Take,
    judged: Judged,
    string: StringLexer,
    number: NumberLexer,
    literal: LiteralLexer,
    /// Its text, as far as anything known could equal it.
    text: Decoded,
    /// Its bytes, while they may have to come out after all. Bounded as `text`, six bytes a byte.
    raw: Vec<u8>,
}

/// What becomes of a scalar's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Take {
    Copy,
    Mute,
    /// An assistant id, replaced at its end.
    Map,
    /// An assistant id that stays as it is if it has no name.
    MapOrKeep,
}

/// The row at hand, where rows are judged.
#[derive(Debug, Default)]
struct RowMark {
    is_held: bool,
    start: u64,
    /// The totals before it, to go back to if it is hidden.
    before: Totals,
}

thread_local! {
    /// What a thread works with from one piece to the next, of whatever body.
    static WORK: Cell<Option<Box<Work>>> = const { Cell::new(None) };
}

impl Rewriter {
    pub fn new(job: Job) -> Rewriter {
        let judge = Judge::new(&job.rows, &job.catalogue);
        let text_max = job.names.longest().max(job.rows.longest());
        let name_max = job.longest_name().max(UNLISTED_BYTES_MAX);
        let keeps_ids =
            job.catalogue.unmapped() == Unmapped::Keep && job.names.fallback().is_none();
        Rewriter {
            ids: if keeps_ids { Take::MapOrKeep } else { Take::Map },
            state: State::Value,
            slot: Slot::DOCUMENT,
            top: Frame::OUTSIDE,
            stack: Vec::with_capacity(usize::from(job.bounds.depth.min(16))),
            name: Name {
                at: NameAt::Nowhere,
                lexer: StringLexer::default(),
                decoded: Decoded::up_to(name_max),
                kept: Vec::new(),
            },
            scalar: Scalar {
                take: Take::Mute,
                judged: Judged::NOTHING,
                string: StringLexer::default(),
                number: NumberLexer::default(),
                literal: LiteralLexer::new(),
                text: Decoded::up_to(text_max),
                raw: Vec::new(),
            },
            output: Output::default(),
            judge,
            row: RowMark::default(),
            totals: Totals::default(),
            has_rows: false,
            base: 0,
            comma: ELSEWHERE,
            colon: ELSEWHERE,
            tail: b"",
            refused: None,
            job,
        }
    }

    /// Takes the next piece of the body and appends what may be seen of it. After an error nothing is
    /// appended any more and every call errs again.
    pub fn write(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), RewriteError> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        self.output.lend(out);
        let mut work = self.begin_work();
        let walked = if self.job.shape.is_lines() {
            self.lines(chunk, &mut work)
        } else {
            self.walk(chunk, 0, &mut work)
        };
        let result = walked.and_then(|()| self.end_piece(chunk));
        WORK.set(Some(work));
        self.output.give_back(out);
        match result {
            Ok(()) => {
                self.base += chunk.len() as u64;
                Ok(())
            }
            Err(fault) => Err(self.refuse(fault)),
        }
    }

    /// What the thread works with, made fit for this body.
    fn begin_work(&mut self) -> Box<Work> {
        let mut work = WORK.take().unwrap_or_else(|| Box::new(Work::new()));
        work.begin(&self.job, self.judge.active());
        // Since the last piece the thread may have worked for another body, or this be another thread:
        // the numbers of members are of no meaning any more.
        self.top.last = memo::NONE;
        for frame in &mut self.stack {
            frame.last = memo::NONE;
        }
        work
    }

    /// The body has ended: writes what was kept back, and sums up.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<Totals, RewriteError> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        if self.state != State::Done && !self.may_end_lines() {
            return Err(self.refuse(Fault::new(0, Reason::Truncated)));
        }
        out.extend_from_slice(std::mem::take(&mut self.tail));
        Ok(self.totals)
    }

    /// What was done so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Walks a piece from a place on to its end.
    fn walk(&mut self, piece: &[u8], from: usize, work: &mut Work) -> Result<(), Fault> {
        let mut at = from;
        while at < piece.len() {
            if self.is_verbatim() {
                let end = self.verbatim(piece, at, work)?;
                if end > at {
                    at = end;
                    continue;
                }
            }
            at = match self.state {
                State::NextName | State::FirstName if self.is_quick() => {
                    self.members(piece, at, work)?
                }
                State::Value => self.value(piece, at)?,
                State::After => self.after(piece, at)?,
                State::FirstName => self.first_name(piece, at)?,
                State::NextName => self.next_name(piece, at)?,
                State::Name => self.rest_of_name(piece, at)?,
                State::Colon => self.colon(piece, at)?,
                State::String => self.string(piece, at)?,
                State::Number => self.number(piece, at)?,
                State::Literal => self.literal(piece, at)?,
                State::FirstElement => self.first_element(piece, at)?,
                State::HiddenString => self.hidden_string(piece, at),
                State::HiddenEscape => self.hidden_escape(at),
                State::HiddenScalar => self.hidden_scalar(piece, at)?,
                State::HiddenContainer => self.hidden_container(piece, at, work)?,
                State::Done => self.done(piece, at)?,
            };
        }
        Ok(())
    }

    fn end_piece(&mut self, piece: &[u8]) -> Result<(), Fault> {
        self.check_row_length(piece.len())?;
        self.keep_name(piece);
        self.output.end_piece(piece);
        self.comma = ELSEWHERE;
        self.colon = ELSEWHERE;
        Ok(())
    }

    #[cold]
    fn refuse(&mut self, fault: Fault) -> RewriteError {
        let mut refused = RewriteError { at: self.base + fault.at as u64, reason: fault.reason };
        // The bound may lie before the fault in the same piece; in two pieces it would have been met first.
        let bound = self.row.start.saturating_add(self.job.bounds.row_bytes as u64);
        if self.row.is_held && refused.at >= bound && fault.reason != Reason::Truncated {
            refused = RewriteError { at: bound, reason: Reason::RowTooLong };
        }
        self.refused = Some(refused);
        refused
    }
}
