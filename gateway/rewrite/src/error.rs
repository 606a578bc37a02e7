//! Why a body was refused, and at which byte.
//!
//! The reasons are a closed set so that they can label a metric. None carries a byte of the body:
//! whatever is logged from here cannot leak a hidden column.

/// A body that is not understood. Nothing of it may leave after the bytes already written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body was refused at byte {at}: {reason}")]
pub struct RewriteError {
    /// Offset in the body, from 0, of the byte that decided it. The same for any cut of the body.
    pub at: u64,
    pub reason: Reason,
}

/// What was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reason {
    #[error("a byte that RFC 8259 does not allow here")]
    Syntax,
    #[error("the body begins with a byte order mark")]
    ByteOrderMark,
    #[error("the body ended inside its document")]
    Truncated,
    #[error("something follows the document")]
    TrailingData,
    #[error("a string is not UTF-8")]
    Utf8,
    #[error("a raw control byte in a string")]
    ControlByte,
    #[error("an escape that JSON does not have")]
    Escape,
    #[error("half of a surrogate pair")]
    Surrogate,
    #[error("not a JSON number")]
    Number,
    #[error("not true, false or null")]
    Literal,
    #[error("a bracket closed by one of the other kind")]
    BracketMismatch,
    #[error("a hidden value that is no JSON value")]
    HiddenValue,
    #[error("nested deeper than the bound")]
    TooDeep,
    #[error("a row longer than the bound")]
    RowTooLong,
    #[error("something else where a row should be")]
    RowNotObject,
    #[error("something else where the array of rows should be")]
    RowsNotArray,
    #[error("something else than an object around the rows")]
    EnvelopeNotObject,
    #[error("no rows where the route says")]
    RowsMissing,
}

impl Reason {
    /// Every reason, for tables of metrics.
    pub const ALL: [Reason; 18] = [
        Reason::Syntax,
        Reason::ByteOrderMark,
        Reason::Truncated,
        Reason::TrailingData,
        Reason::Utf8,
        Reason::ControlByte,
        Reason::Escape,
        Reason::Surrogate,
        Reason::Number,
        Reason::Literal,
        Reason::BracketMismatch,
        Reason::HiddenValue,
        Reason::TooDeep,
        Reason::RowTooLong,
        Reason::RowNotObject,
        Reason::RowsNotArray,
        Reason::EnvelopeNotObject,
        Reason::RowsMissing,
    ];

    /// A metric label: lower case, stable, from a closed set.
    pub fn label(&self) -> &'static str {
        match self {
            Reason::Syntax => "syntax",
            Reason::ByteOrderMark => "byte_order_mark",
            Reason::Truncated => "truncated",
            Reason::TrailingData => "trailing_data",
            Reason::Utf8 => "utf8",
            Reason::ControlByte => "control_byte",
            Reason::Escape => "escape",
            Reason::Surrogate => "surrogate",
            Reason::Number => "number",
            Reason::Literal => "literal",
            Reason::BracketMismatch => "bracket_mismatch",
            Reason::HiddenValue => "hidden_value",
            Reason::TooDeep => "too_deep",
            Reason::RowTooLong => "row_too_long",
            Reason::RowNotObject => "row_not_object",
            Reason::RowsNotArray => "rows_not_array",
            Reason::EnvelopeNotObject => "envelope_not_object",
            Reason::RowsMissing => "rows_missing",
        }
    }
}

/// A reason with its place in the piece at hand; becomes a [`RewriteError`] once the offset of the
/// piece is added. The place is the byte that decided it, never an earlier one, so that the cut of
/// a body cannot change which of two faults is found first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) reason: Reason,
}

impl Fault {
    #[cold]
    pub(crate) fn new(at: usize, reason: Reason) -> Fault {
        Fault { at, reason }
    }
}
