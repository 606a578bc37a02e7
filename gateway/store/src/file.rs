//! A text file that is read again when it has changed.
//!
//! Polling, not inotify: it sees what editors, ConfigMaps (a swapped symbolic link) and network
//! file systems do alike, and a `stat` costs a microsecond. A file whose time stamp is so fresh that
//! another write could hide behind it is read once more at the next poll.
//!
//! Not here: how often to poll, and what the text means.

use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Largest file that is read, in bytes.
const BYTES_MAX: u64 = 256 << 20;
/// A stamp younger than this may not tell two writes apart.
const FRESH: Duration = Duration::from_secs(1);

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read {path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path} has {bytes} bytes, more than the {BYTES_MAX} that are read")]
    TooLarge { path: PathBuf, bytes: u64 },
}

/// What a poll found.
#[derive(Debug)]
pub enum Change {
    None,
    Text(String),
}

/// One watched file.
#[derive(Debug)]
pub struct WatchedFile {
    path: PathBuf,
    seen: Option<Seen>,
    /// The last poll failed: the next success counts as a change.
    failed: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    stamp: Stamp,
    content: u64,
    fresh: bool,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl WatchedFile {
    pub fn new(path: impl Into<PathBuf>) -> WatchedFile {
        WatchedFile { path: path.into(), seen: None, failed: false }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text, whether it has changed or not.
    ///
    /// # Errors
    /// [`ReadError`] when it cannot be read, is not UTF-8, or is too large.
    pub fn read(&mut self) -> Result<String, ReadError> {
        let result = self.load();
        self.failed = result.is_err();
        let (text, seen) = result?;
        self.seen = Some(seen);
        Ok(text)
    }

    /// The text if it has changed since it was last read. A failure is told once.
    ///
    /// # Errors
    /// As [`WatchedFile::read`], the first time that the file cannot be read.
    pub fn poll(&mut self) -> Result<Change, ReadError> {
        let current = fs::metadata(&self.path).ok().map(|metadata| Stamp::of(&metadata));
        if let (Some(stamp), Some(seen), false) = (current, &self.seen, self.failed)
            && stamp == seen.stamp
            && !seen.fresh
        {
            return Ok(Change::None);
        }
        let had_failed = std::mem::replace(&mut self.failed, true);
        let (text, seen) = match self.load() {
            Ok(loaded) => loaded,
            Err(_) if had_failed => return Ok(Change::None),
            Err(error) => return Err(error),
        };
        self.failed = false;
        let same = !had_failed && self.seen.as_ref().is_some_and(|old| old.content == seen.content);
        self.seen = Some(seen);
        Ok(if same { Change::None } else { Change::Text(text) })
    }

    fn load(&self) -> Result<(String, Seen), ReadError> {
        let io = |source| ReadError::Io { path: self.path.clone(), source };
        let mut file = fs::File::open(&self.path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.len() > BYTES_MAX {
            return Err(ReadError::TooLarge { path: self.path.clone(), bytes: metadata.len() });
        }
        let mut text = String::with_capacity(metadata.len() as usize);
        (&mut file).take(BYTES_MAX).read_to_string(&mut text).map_err(io)?;
        let age = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let seen = Seen {
            stamp: Stamp::of(&metadata),
            content: hasher.finish(),
            fresh: age.is_none_or(|age| age < FRESH),
        };
        Ok((text, seen))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn changed(file: &mut WatchedFile) -> Option<String> {
        match file.poll().unwrap() {
            Change::None => None,
            Change::Text(text) => Some(text),
        }
    }

    #[test]
    fn each_change_is_seen_once_even_within_one_tick_of_the_clock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.yaml");
        fs::write(&path, "a").unwrap();
        let mut file = WatchedFile::new(&path);
        assert_eq!(file.read().unwrap(), "a");
        assert_eq!(changed(&mut file), None);
        for text in ["b", "c", "d"] {
            fs::write(&path, text).unwrap();
            assert_eq!(changed(&mut file).as_deref(), Some(text));
            assert_eq!(changed(&mut file), None);
        }
    }

    #[test]
    fn a_swapped_link_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two, link) =
            (folder.path().join("1"), folder.path().join("2"), folder.path().join("link"));
        fs::write(&one, "one").unwrap();
        fs::write(&two, "two").unwrap();
        std::os::unix::fs::symlink(&one, &link).unwrap();
        let mut file = WatchedFile::new(&link);
        assert_eq!(file.read().unwrap(), "one");
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&two, &link).unwrap();
        assert_eq!(changed(&mut file).as_deref(), Some("two"));
    }

    #[test]
    fn a_missing_file_is_told_once_and_its_return_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.yaml");
        fs::write(&path, "a").unwrap();
        let mut file = WatchedFile::new(&path);
        file.read().unwrap();
        fs::remove_file(&path).unwrap();
        assert!(file.poll().is_err());
        assert_eq!(changed(&mut file), None, "told already");
        fs::write(&path, "a").unwrap();
        assert_eq!(changed(&mut file).as_deref(), Some("a"));
    }
}
