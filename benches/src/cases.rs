//! Which pages the rewriter is measured with, how they are fed, and what of them is kept.

use crate::calls::SHOWN;
use crate::pages::Rows;

/// A size of a page by name, in bytes.
pub const PAGES: [(&str, usize); 4] =
    [("1_KB", 1 << 10), ("10_KB", 10 << 10), ("100_KB", 100 << 10), ("1_MB", 1 << 20)];
/// The most of a page that comes at once, by name, in bytes.
pub const PIECES: [(&str, usize); 2] = [("8_KiB_pieces", 8 << 10), ("16_KiB_pieces", 16 << 10)];

/// Which columns of a row are shown.
#[derive(Debug)]
pub enum Kept {
    These(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

/// A name, what the rows are like, and what of them is kept.
pub const CASES: [(&str, Rows, Kept); 6] = [
    ("wide_half", Rows::Wide, Kept::These(&SHOWN)),
    ("wide_many", Rows::Wide, Kept::AllBut(&["phone_number", "recording_url"])),
    ("wide_few", Rows::Wide, Kept::These(&["call_id", "assistant_id"])),
    ("narrow_many", Rows::Narrow, Kept::AllBut(&["phone_number", "ai_summary"])),
    ("narrow_few", Rows::Narrow, Kept::These(&["call_id", "assistant_id"])),
    ("transcripts", Rows::Transcripts, Kept::AllBut(&["transcript", "turns"])),
];

impl Kept {
    /// In the order of the row's members.
    pub fn of(&self, rows: Rows) -> Vec<&'static str> {
        let is_kept = |name: &&str| match self {
            Kept::These(names) => names.contains(name),
            Kept::AllBut(names) => !names.contains(name),
        };
        rows.columns().iter().copied().filter(is_kept).collect()
    }
}
