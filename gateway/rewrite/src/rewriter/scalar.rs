//! Scalars: copied, muted, replaced, and told to the judge.

use super::{Rewriter, State, Take};
use crate::error::{Fault, Reason};
use crate::facts::Judged;
use crate::judge::Judgeable;
use crate::lexer::{Literal, Step, Text};
use crate::scan::Padded;
use crate::{Names, Totals, scan};

impl Rewriter {
    /// Begins a scalar at its first byte.
    #[inline]
    pub(super) fn start_scalar(
        &mut self,
        piece: &[u8],
        at: usize,
        take: Take,
        judged: Judged,
    ) -> Result<usize, Fault> {
        if take == Take::Copy
            && judged.is_nothing()
            && let Some(end) = self.plain_scalar(piece, at)?
        {
            self.output.range(piece, at, end);
            self.end_value();
            return Ok(end);
        }
        self.scalar.take = take;
        self.scalar.judged = judged;
        self.scalar.text.clear();
        self.scalar.raw.clear();
        match piece[at] {
            b'"' => {
                self.take_bytes(piece, at, at + 1);
                self.state = State::String;
                Ok(at + 1)
            }
            b'-' | b'0'..=b'9' => {
                self.scalar.number.start();
                self.state = State::Number;
                self.number(piece, at)
            }
            first => {
                self.scalar.literal.start(first);
                self.state = State::Literal;
                self.literal(piece, at)
            }
        }
    }

    /// The end of a scalar that is whole in this piece and, if a string, without escapes: nearly
    /// every one.
    #[inline]
    fn plain_scalar(&mut self, piece: &[u8], at: usize) -> Result<Option<usize>, Fault> {
        let step = match piece[at] {
            b'"' => {
                let stop = scan::string_stop(piece, at + 1);
                return Ok((piece.get(stop) == Some(&b'"')).then_some(stop + 1));
            }
            b'-' | b'0'..=b'9' => {
                self.scalar.number.start();
                self.scalar.number.run(piece, at)?
            }
            first => {
                self.scalar.literal.start(first);
                self.scalar.literal.run(piece, at)?
            }
        };
        Ok(match step {
            Step::Done(end) => Some(end),
            Step::More => None,
        })
    }

    /// Whether anybody asks for the scalar's text.
    fn is_compared(&self) -> bool {
        matches!(self.scalar.take, Take::Map | Take::MapOrKeep) || !self.scalar.judged.is_nothing()
    }

    pub(super) fn string(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let step = if self.is_compared() {
            self.scalar.string.run(piece, at, &mut self.scalar.text)?
        } else {
            self.scalar.string.run(piece, at, &mut ())?
        };
        self.advance(piece, at, step)
    }

    pub(super) fn number(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let step = self.scalar.number.run(piece, at)?;
        if self.is_compared() {
            self.scalar.text.push(&piece[at..step.end(piece)]);
        }
        self.advance(piece, at, step)
    }

    /// Takes what was read of a string or number.
    #[inline]
    fn advance(&mut self, piece: &[u8], at: usize, step: Step) -> Result<usize, Fault> {
        let end = step.end(piece);
        self.take_bytes(piece, at, end);
        if step == Step::More {
            return Ok(end);
        }
        if !self.scalar.judged.is_nothing() {
            let text = Judgeable::Text(self.scalar.text.text());
            self.judge.scalar(&self.job.rows, self.scalar.judged, text);
        }
        self.write_mapped(piece, end)?;
        self.end_value();
        Ok(end)
    }

    pub(super) fn literal(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        let step = self.scalar.literal.run(piece, at)?;
        self.take_bytes(piece, at, step.end(piece));
        if let Step::Done(_) = step {
            if !self.scalar.judged.is_nothing() {
                let value = match self.scalar.literal.literal() {
                    Literal::False => Judgeable::False,
                    Literal::True | Literal::Null => Judgeable::Other,
                };
                self.judge.scalar(&self.job.rows, self.scalar.judged, value);
            }
            self.end_value();
        }
        Ok(step.end(piece))
    }

    /// Copies, keeps for later, or forgets bytes of the scalar.
    #[inline]
    fn take_bytes(&mut self, piece: &[u8], from: usize, to: usize) {
        match self.scalar.take {
            Take::Copy => self.output.range(piece, from, to),
            Take::Mute | Take::Map => {}
            Take::MapOrKeep if self.scalar.text.is_too_long() => {
                // No known id is that long, so it stays as it is and need not wait any more.
                self.output.literal(piece, &self.scalar.raw);
                self.output.range(piece, from, to);
                self.scalar.take = Take::Copy;
            }
            Take::MapOrKeep => self.scalar.raw.extend_from_slice(&piece[from..to]),
        }
    }

    /// Writes what replaces an assistant id. Only so can a row that is held become longer than it came.
    fn write_mapped(&mut self, piece: &[u8], end: usize) -> Result<(), Fault> {
        if !matches!(self.scalar.take, Take::Map | Take::MapOrKeep) {
            return Ok(());
        }
        let Rewriter { job, ids, totals, output, scalar, .. } = self;
        let name = name_of(&job.names, *ids, totals, scalar.text.text());
        output.padded(piece, name.unwrap_or(Padded::all(&scalar.raw)));
        if output.holds_more_than(job.bounds.row_bytes) {
            return Err(Fault::new(end, Reason::RowTooLong));
        }
        Ok(())
    }
}

/// What stands for an assistant id of this text, counted; None where the id itself stays.
pub(super) fn name_of<'a>(
    names: &'a Names,
    ids: Take,
    totals: &mut Totals,
    id: Option<&[u8]>,
) -> Option<Padded<'a>> {
    if let Some(name) = id.and_then(|id| names.find(id)) {
        totals.columns_mapped += 1;
        return Some(name);
    }
    if let Some(fallback) = names.fallback() {
        totals.columns_fallback += 1;
        return Some(fallback);
    }
    (ids != Take::MapOrKeep).then_some(Padded::all(b"null"))
}
