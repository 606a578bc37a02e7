//! The TLS files of a configuration, and whether they have changed since they were read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use gateway_store::{FileChange, ReadError, WatchedFile};

/// Largest PEM file that is read: some thousand authorities.
const PEM_BYTES_MAX: u64 = 8 << 20;

/// Each file that was read, by its path. No text is kept.
#[derive(Default)]
pub(crate) struct TlsFiles(HashMap<PathBuf, WatchedFile>);

impl TlsFiles {
    /// The text of a file, which is watched from now on.
    pub(super) fn read(&mut self, path: &Path) -> Result<String, ReadError> {
        let file = self.0.entry(path.to_owned());
        file.or_insert_with(|| WatchedFile::new(path, PEM_BYTES_MAX)).read()
    }

    /// Whether a file is another than it was, or can be read no more or again. Told once.
    pub(crate) fn have_changed(&mut self) -> bool {
        // All of them are looked at, so that none is told later.
        let looks = self.0.values_mut().map(|file| !matches!(file.poll(), Ok(FileChange::None)));
        looks.fold(false, |any, one| any | one)
    }
}
