//! A text file that is read again when it has changed.
//!
//! Only regular files are read, behind links or not, and of a bounded size: a pipe or a device in a
//! file's place would hold up every reload, or never end.
//!
//! Polling, not inotify: it sees what editors, ConfigMaps (a swapped symbolic link) and network
//! file systems do alike, and a `stat` costs a microsecond. A file whose time stamp is so fresh that
//! another write could hide behind it is read once more at the next poll.
//!
//! Not here: how often to poll, and what the text means.

use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A stamp younger than this may not tell two writes apart.
const FRESH: Duration = Duration::from_secs(1);

/// `O_NONBLOCK`: what became a pipe between two looks at it must not hang the opening.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NONBLOCKING: i32 = 0o4000;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const NONBLOCKING: i32 = 0x4;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read {path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("cannot read {path}: it is a {kind}, and only regular files are read")]
    Irregular { path: PathBuf, kind: &'static str },
    #[error("cannot read {path}: it has more than the {bytes_max} bytes that are read")]
    TooLarge { path: PathBuf, bytes_max: u64 },
}

/// The text of a regular file of at most `bytes_max` bytes.
///
/// # Errors
/// [`ReadError`] when it cannot be read, is no regular file, is not UTF-8, or is larger.
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, ReadError> {
    read(path, bytes_max).map(|(text, _)| text)
}

/// Whether `path` leads to a regular file, which is not read here.
///
/// # Errors
/// [`ReadError`] when it does not.
pub fn check_regular(path: &Path) -> Result<(), ReadError> {
    let io = |source| ReadError::Io { path: path.into(), source };
    refuse_irregular(path, &fs::metadata(path).map_err(io)?)
}

fn read(path: &Path, bytes_max: u64) -> Result<(String, Metadata), ReadError> {
    let io = |source| ReadError::Io { path: path.into(), source };
    // Before it is opened, for some devices do something then.
    check_regular(path)?;
    let file = fs::OpenOptions::new().read(true).custom_flags(NONBLOCKING).open(path);
    let mut file = file.map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    refuse_irregular(path, &metadata)?;
    let too_large = || ReadError::TooLarge { path: path.into(), bytes_max };
    if metadata.len() > bytes_max {
        return Err(too_large());
    }
    let mut text = String::with_capacity(metadata.len() as usize);
    // One more than may be: the file can have grown since.
    let bytes = (&mut file).take(bytes_max + 1).read_to_string(&mut text).map_err(io)?;
    if bytes as u64 > bytes_max { Err(too_large()) } else { Ok((text, metadata)) }
}

fn refuse_irregular(path: &Path, metadata: &Metadata) -> Result<(), ReadError> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let kind = if kind.is_dir() {
        "directory"
    } else if kind.is_fifo() {
        "pipe"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    };
    Err(ReadError::Irregular { path: path.into(), kind })
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
    bytes_max: u64,
    seen: Option<Seen>,
    /// Why the last look failed: the next success counts as a change.
    failed: Option<String>,
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
    /// Nothing is read yet. A file of more than `bytes_max` bytes never is.
    pub fn new(path: impl Into<PathBuf>, bytes_max: u64) -> WatchedFile {
        WatchedFile { path: path.into(), bytes_max, seen: None, failed: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text, whether it has changed or not.
    ///
    /// # Errors
    /// As [`read_text`].
    pub fn read(&mut self) -> Result<String, ReadError> {
        let result = self.load();
        self.failed = result.as_ref().err().map(ToString::to_string);
        let (text, seen) = result?;
        self.seen = Some(seen);
        Ok(text)
    }

    /// The text if it has changed since it was last read. A failure is told once,
    /// and again when its reason changes.
    ///
    /// # Errors
    /// As [`WatchedFile::read`], the first time that the file cannot be read for this reason.
    pub fn poll(&mut self) -> Result<Change, ReadError> {
        let current = fs::metadata(&self.path).ok().map(|metadata| Stamp::of(&metadata));
        if let (Some(stamp), Some(seen), None) = (current, &self.seen, &self.failed)
            && stamp == seen.stamp
            && !seen.fresh
        {
            return Ok(Change::None);
        }
        let failed = self.failed.take();
        let (text, seen) = match self.load() {
            Ok(loaded) => loaded,
            Err(error) => {
                let reason = error.to_string();
                let is_news = failed.as_ref() != Some(&reason);
                self.failed = Some(reason);
                return if is_news { Err(error) } else { Ok(Change::None) };
            }
        };
        let same =
            failed.is_none() && self.seen.as_ref().is_some_and(|old| old.content == seen.content);
        self.seen = Some(seen);
        Ok(if same { Change::None } else { Change::Text(text) })
    }

    fn load(&self) -> Result<(String, Seen), ReadError> {
        let (text, metadata) = read(&self.path, self.bytes_max)?;
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

    const BYTES_MAX: u64 = 100;

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
        let mut file = WatchedFile::new(&path, BYTES_MAX);
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
        let mut file = WatchedFile::new(&link, BYTES_MAX);
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
        let mut file = WatchedFile::new(&path, BYTES_MAX);
        file.read().unwrap();
        fs::remove_file(&path).unwrap();
        assert!(file.poll().is_err());
        assert_eq!(changed(&mut file), None, "told already");
        fs::create_dir(&path).unwrap();
        assert!(file.poll().is_err(), "another reason");
        assert_eq!(changed(&mut file), None, "told already");
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "a").unwrap();
        assert_eq!(changed(&mut file).as_deref(), Some("a"));
    }

    /// What is behind a name may change at any time; the next look must come back.
    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.yaml");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        fs::write(&path, "a").unwrap();
        let mut file = WatchedFile::new(&path, BYTES_MAX);
        file.read().unwrap();
        for (target, kind) in [
            (pipe.as_path(), "pipe"),
            (folder.path(), "directory"),
            (Path::new("/dev/zero"), "device"),
            (Path::new("/dev/null"), "device"),
        ] {
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink(target, &path).unwrap();
            let error = file.poll().unwrap_err().to_string();
            assert!(error.contains(&format!("it is a {kind}")), "{error}");
            assert_eq!(changed(&mut file), None, "told already");
            assert!(file.read().is_err() && read_text(&path, BYTES_MAX).is_err());
            fs::remove_file(&path).unwrap();
            fs::write(&path, kind).unwrap();
            assert_eq!(changed(&mut file).as_deref(), Some(kind));
        }
    }

    #[test]
    fn a_file_of_the_bound_is_read_and_a_larger_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.yaml");
        for (bytes, good) in [(99, true), (100, true), (101, false), (3 << 30, false)] {
            let file = fs::File::create(&path).unwrap();
            file.set_len(bytes).unwrap();
            assert_eq!(read_text(&path, BYTES_MAX).is_ok(), good, "{bytes}");
        }
        fs::write(&path, b"\xff").unwrap();
        assert!(read_text(&path, BYTES_MAX).is_err(), "no UTF-8");
        assert!(read_text(Path::new("/proc/self/maps"), BYTES_MAX).is_err(), "has no length");
    }
}
