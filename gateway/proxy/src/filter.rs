//! The body's way through decoder and rewriter, in steps of bounded output.

use gateway_rewrite::{RewriteError, Rewriter, Totals};

use crate::coding::{CodingError, Decoder};

/// Why a body cannot be passed on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilterError {
    #[error(transparent)]
    Coding(#[from] CodingError),
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
}

impl FilterError {
    /// Metric label.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            FilterError::Coding(error) => error.label(),
            FilterError::Rewrite(error) => error.reason.label(),
        }
    }
}

/// One body under way.
#[derive(Debug)]
pub(crate) struct Filter {
    decoder: Decoder,
    rewriter: Rewriter,
}

impl Filter {
    pub(crate) fn new(decoder: Decoder, rewriter: Rewriter) -> Filter {
        Filter { decoder, rewriter }
    }

    /// Judges as much of `rest` as fills one step, and moves `rest` past it. `false` when there was
    /// nothing left to judge.
    pub(crate) fn step(
        &mut self,
        rest: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, FilterError> {
        match self.decoder.next_piece(rest)? {
            Some(piece) => {
                self.rewriter.write(piece, out)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Whether another step may find something in what is left of a chunk: send what is in `out` first.
    pub(crate) fn has_more(&self, rest: &[u8]) -> bool {
        self.decoder.has_more(rest)
    }

    /// The body has ended.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) -> Result<Totals, FilterError> {
        self.decoder.end()?;
        Ok(self.rewriter.end(out)?)
    }

    pub(crate) fn totals(&self) -> &Totals {
        self.rewriter.totals()
    }
}
