//! The quick way through values that pass whole.
//!
//! Nothing below them is looked for, but every byte that leaves must still be JSON. So names and
//! scalars are checked where they are plain, white space and marks pass with them, and what is kept
//! is one range. Whatever is not plain is left to the machine, as in `members`.

use super::members::Work;
use super::plain::Scalar;
use super::{Mode, Rewriter, Slot, State, plain};
use crate::error::Fault;
use crate::scan::{self, Lanes, Tail, space_end};
use crate::trie::NO_NODE;

struct Verbatim<'a> {
    rewriter: &'a mut Rewriter,
    piece: &'a [u8],
    at: usize,
    work: &'a mut Work,
}

impl scan::Task for Verbatim<'_> {
    type Done = Result<usize, Fault>;

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> Self::Done {
        self.rewriter.plain_tokens(self.piece, self.at, self.work, lanes)
    }
}

impl Rewriter {
    /// Whether the walk stands between the tokens of a container of which nothing is looked for.
    #[inline]
    pub(super) fn is_verbatim(&self) -> bool {
        self.top.mode == Mode::Copy
            && self.top.node == NO_NODE
            && matches!(
                self.state,
                State::After
                    | State::FirstName
                    | State::NextName
                    | State::FirstElement
                    | State::Value
            )
    }

    /// Passes what is plain. Returns the place it was given where the machine must take the next step.
    pub(super) fn verbatim(
        &mut self,
        piece: &[u8],
        at: usize,
        work: &mut Work,
    ) -> Result<usize, Fault> {
        scan::run(Verbatim { rewriter: self, piece, at, work })
    }

    #[inline(always)]
    fn plain_tokens(
        &mut self,
        piece: &[u8],
        at: usize,
        work: &mut Work,
        lanes: impl Lanes,
    ) -> Result<usize, Fault> {
        let (mut at, tail) = (at, Tail::new());
        while self.is_verbatim() {
            let token = space_end(piece, at);
            let Some(&byte) = piece.get(token) else { break };
            let close = if self.top.is_object { b'}' } else { b']' };
            let value = match (self.state, byte) {
                (State::After, b',') => {
                    self.output.range(piece, at, token + 1);
                    self.state = if self.top.is_object { State::NextName } else { State::Value };
                    self.slot = Slot::COPY;
                    at = token + 1;
                    continue;
                }
                (State::After | State::FirstName | State::FirstElement, byte) if byte == close => {
                    self.output.range(piece, at, token);
                    at = self.close(piece, token)?;
                    continue;
                }
                (State::FirstElement, _) => token,
                // A member's value comes with its name, unless the machine read the name.
                (State::Value, _) => token,
                (State::FirstName | State::NextName, b'"') => {
                    match plain::name_end(scan::near(piece, token, &tail), 0, lanes) {
                        Some(behind) => space_end(piece, token + behind),
                        None => break,
                    }
                }
                _ => break,
            };
            let Some(&first) = piece.get(value) else { break };
            if matches!(first, b'{' | b'[') {
                self.output.range(piece, at, value);
                at = self.open(piece, value, Slot::COPY)?;
                continue;
            }
            work.look(piece, value);
            let Some(&mark) = work.index.marks().get(work.mark) else { break };
            let mark = mark as usize;
            let Some(&stop) = piece.get(mark) else { break };
            if stop != b',' && stop != close {
                break;
            }
            let near = scan::near(piece, value, &tail);
            let scalar = Scalar { near, from: 0, len: mark - value };
            let end = if scalar.is_short_shown(lanes) {
                mark
            } else {
                plain::shown_end(piece, value, mark, &work.index)
            };
            if end == plain::UNSOUND {
                break;
            }
            self.output.range(piece, at, end);
            self.state = State::After;
            at = end;
        }
        Ok(at)
    }
}
