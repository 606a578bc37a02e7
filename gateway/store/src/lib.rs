//! Accounts, users and keys at rest.
//!
//! One store so far: a directory in a file, read-only here and watched. What the text means is
//! `settings`' business; who may use it is `policy`'s.

mod file;

pub use file::{Change, ReadError, WatchedFile, check_regular, read_text};
