//! What a gateway last knew of a shared store, on its own disk, to start from while that is away.
//!
//! A file of lines, each `SHA-256 JSON`: a head that says whose it is, then deltas in the order of
//! their revisions. The whole is written beside and put in place at once; a later delta is appended
//! before it is served, so that nothing that was acknowledged is forgotten: a key that was revoked a
//! moment before a crash stays revoked. When what was appended outgrows the whole, it is written anew.
//!
//! A last line that is not whole is one that was never served, and is dropped. Any other line that
//! does not agree with its checksum makes the file none.
//!
//! Cost: about 500 bytes a key. Digests, never keys; readable by its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use gateway_policy::{AccountRecord, Digest};
use serde::{Deserialize, Serialize};

use crate::document::AccountDocument;
use crate::store::Delta;

const FORMAT: u32 = 1;
/// Longest line that is read: one delta.
const LINE_BYTES_MAX: u64 = 256 << 20;
/// Accounts in one line of the whole.
const ACCOUNTS_PER_LINE: usize = 256;
/// What may be appended however small the whole is.
const APPENDED_BYTES_MIN: u64 = 1 << 20;

/// Why a snapshot cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("cannot use the snapshot {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("the snapshot {path} is damaged in line {line}")]
    Damaged { path: PathBuf, line: usize },
    #[error("the snapshot {path} is one of another store")]
    OtherStore { path: PathBuf },
}

/// The file, and how much of it was appended.
#[derive(Debug)]
pub struct SnapshotFile {
    path: PathBuf,
    /// Whose it is: what of the store's address is no secret.
    origin: String,
    file: Option<File>,
    whole_bytes: u64,
    appended_bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u32,
    origin: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    revision: u64,
    accounts: Vec<AccountDocument>,
}

impl SnapshotFile {
    /// Nothing is read or written yet.
    pub fn new(path: impl Into<PathBuf>, origin: impl Into<String>) -> SnapshotFile {
        SnapshotFile {
            path: path.into(),
            origin: origin.into(),
            file: None,
            whole_bytes: 0,
            appended_bytes: 0,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that it knows, as deltas in their order; `None` if there is no file.
    ///
    /// # Errors
    /// [`SnapshotError`]: then nothing of it is to be believed.
    pub fn read(&self) -> Result<Option<Vec<Delta>>, SnapshotError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(self.io(source)),
        };
        let mut reader = BufReader::new(file);
        let mut deltas = Vec::new();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let mut limited = (&mut reader).take(LINE_BYTES_MAX);
            limited.read_until(b'\n', &mut line).map_err(|source| self.io(source))?;
            if line.is_empty() {
                break;
            }
            let damaged = || SnapshotError::Damaged { path: self.path.clone(), line: number };
            let Some(json) = checked(&line) else {
                // Only the last line can have been cut, and it was not served then.
                let is_last = !line.ends_with(b"\n") && (line.len() as u64) < LINE_BYTES_MAX;
                if is_last && number > 1 {
                    break;
                }
                return Err(damaged());
            };
            if number == 1 {
                self.check_head(json, damaged)?;
                continue;
            }
            let line: Line = serde_json::from_slice(json).map_err(|_| damaged())?;
            let accounts = line.accounts.into_iter().map(AccountRecord::try_from);
            let accounts = accounts.collect::<Result<_, _>>().map_err(|_| damaged())?;
            deltas.push(Delta { revision: line.revision, accounts, ..Delta::default() });
        }
        Ok((!deltas.is_empty()).then_some(deltas))
    }

    fn check_head(
        &self,
        json: &[u8],
        damaged: impl Fn() -> SnapshotError,
    ) -> Result<(), SnapshotError> {
        let head: Head = serde_json::from_slice(json).map_err(|_| damaged())?;
        if head.format != FORMAT {
            return Err(damaged());
        }
        if head.origin != self.origin {
            return Err(SnapshotError::OtherStore { path: self.path.clone() });
        }
        Ok(())
    }

    /// Replaces the file by all that is known at a revision.
    ///
    /// # Errors
    /// [`SnapshotError::Io`]; the old file stands then.
    pub fn write<'a>(
        &mut self,
        revision: u64,
        accounts: impl Iterator<Item = &'a AccountRecord>,
    ) -> Result<(), SnapshotError> {
        let written = self.write_beside(revision, accounts);
        let bytes = written.map_err(|source| self.io(source))?;
        self.whole_bytes = bytes;
        self.appended_bytes = 0;
        Ok(())
    }

    fn write_beside<'a>(
        &mut self,
        revision: u64,
        mut accounts: impl Iterator<Item = &'a AccountRecord>,
    ) -> io::Result<u64> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let beside = self.path.with_file_name(name);
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&beside)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let head = Head { format: FORMAT, origin: self.origin.clone() };
        let mut bytes = put(&mut out, &head)?;
        // Without accounts there is a line too: that there are none is known.
        loop {
            let some: Vec<AccountDocument> =
                accounts.by_ref().take(ACCOUNTS_PER_LINE).map(AccountDocument::from).collect();
            let is_last = some.len() < ACCOUNTS_PER_LINE;
            bytes += put(&mut out, &Line { revision, accounts: some })?;
            if is_last {
                break;
            }
        }
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        self.file = Some(file);
        Ok(bytes)
    }

    /// Appends what is new. Only behind a whole that this file has written.
    ///
    /// # Errors
    /// [`SnapshotError::Io`]: the file is not to be trusted until it is written anew.
    pub fn append(&mut self, delta: &Delta) -> Result<(), SnapshotError> {
        let line = Line {
            revision: delta.revision,
            accounts: delta.accounts.iter().map(AccountDocument::from).collect(),
        };
        let appended = match &mut self.file {
            Some(file) => put(file, &line).and_then(|bytes| file.sync_data().map(|()| bytes)),
            None => Err(io::Error::other("it was not written yet")),
        };
        match appended {
            Ok(bytes) => {
                self.appended_bytes += bytes;
                Ok(())
            }
            Err(source) => {
                self.file = None;
                Err(self.io(source))
            }
        }
    }

    /// Whether it should be written anew: nothing can be appended, or too much was.
    pub fn is_due(&self) -> bool {
        self.file.is_none() || self.appended_bytes > self.whole_bytes.max(APPENDED_BYTES_MIN)
    }

    /// Nothing can be appended until the whole is written anew.
    pub fn forget(&mut self) {
        self.file = None;
    }

    /// Takes the file away: it is better to have none than one that may be believed wrongly.
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub fn remove(&mut self) -> Result<(), SnapshotError> {
        self.file = None;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.io(error)),
            _ => Ok(()),
        }
    }

    fn io(&self, source: io::Error) -> SnapshotError {
        SnapshotError::Io { path: self.path.clone(), source }
    }
}

/// Writes one line at once, and says how long it is.
fn put(out: &mut impl Write, line: &impl Serialize) -> io::Result<u64> {
    let json = serde_json::to_vec(line)?;
    let mut bytes = Vec::with_capacity(json.len() + 80);
    write!(bytes, "{} ", Digest::sha256(&json))?;
    bytes.extend_from_slice(&json);
    bytes.push(b'\n');
    out.write_all(&bytes)?;
    Ok(bytes.len() as u64)
}

/// The JSON of a line that agrees with its checksum.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (sum, json) = (line.get(..space)?, line.get(space + 1..)?);
    let sum = Digest::parse(std::str::from_utf8(sum).ok()?).ok()?;
    (sum == Digest::sha256(json)).then_some(json)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use gateway_policy::{KeyRecord, UnixMs};

    fn account(id: &str, revoked: bool) -> AccountRecord {
        let key = KeyRecord {
            revoked_at: revoked.then_some(UnixMs(7)),
            ..KeyRecord::new(&format!("key_{id}"), Digest::sha256(id.as_bytes()), &["calls:read"])
        };
        AccountRecord { keys: vec![key], ..AccountRecord::new(id, "starter") }
    }

    fn file(folder: &tempfile::TempDir) -> SnapshotFile {
        SnapshotFile::new(folder.path().join("s"), "postgres db/colonnade")
    }

    #[test]
    fn what_was_written_and_appended_is_read_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut snapshot = file(&folder);
        assert_eq!(snapshot.read().unwrap(), None);
        assert!(snapshot.append(&Delta::default()).is_err(), "there is nothing to append to");
        let accounts: Vec<_> = (0..600).map(|n| account(&n.to_string(), false)).collect();
        snapshot.write(4, accounts.iter()).unwrap();
        let revoked = Delta { revision: 5, accounts: vec![account("3", true)], ..Delta::default() };
        snapshot.append(&revoked).unwrap();
        let read = file(&folder).read().unwrap().unwrap();
        let whole: Vec<_> = read[..3].iter().flat_map(|delta| delta.accounts.clone()).collect();
        assert_eq!(whole, accounts);
        assert_eq!(read[3..], [revoked]);
        assert!(read[..3].iter().all(|delta| delta.revision == 4));
        snapshot.write(6, std::iter::empty()).unwrap();
        let none = Delta { revision: 6, ..Delta::default() };
        assert_eq!(file(&folder).read().unwrap().unwrap(), [none], "nobody is known, not nothing");
    }

    #[test]
    fn a_cut_last_line_is_dropped_and_any_other_damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut snapshot = file(&folder);
        let accounts: Vec<_> = (0..300).map(|n| account(&n.to_string(), false)).collect();
        snapshot.write(4, accounts.iter()).unwrap();
        snapshot
            .append(&Delta { revision: 5, accounts: vec![account("3", true)], ..Delta::default() })
            .unwrap();
        let path = snapshot.path().to_owned();
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> =
            whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
        for cut in [ends[2] + 1, ends[2] + 40, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            let read = file(&folder).read().unwrap().unwrap();
            assert_eq!(read.last().unwrap().revision, 4, "cut at {cut} of {}", whole.len());
        }
        for (place, line) in [(5, 1), (ends[0] + 5, 2), (ends[1] + 100, 3), (ends[2] + 90, 4)] {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let error = file(&folder).read().unwrap_err().to_string();
            assert!(error.ends_with(&format!("damaged in line {line}")), "{error}");
        }
        fs::write(&path, &whole[..3]).unwrap();
        assert!(file(&folder).read().is_err(), "not even a head");
        fs::write(&path, &whole).unwrap();
        let other = SnapshotFile::new(&path, "postgres elsewhere/colonnade");
        assert!(matches!(other.read(), Err(SnapshotError::OtherStore { .. })));
    }

    #[test]
    fn it_is_due_when_it_cannot_be_appended_to_or_has_grown() {
        let folder = tempfile::tempdir().unwrap();
        let mut snapshot = file(&folder);
        assert!(snapshot.is_due());
        snapshot.write(1, [account("1", false)].iter()).unwrap();
        assert!(!snapshot.is_due());
        let many = (0..2_000).map(|n| account(&n.to_string(), false)).collect();
        let delta = Delta { revision: 2, accounts: many, ..Delta::default() };
        snapshot.append(&delta).unwrap();
        assert!(!snapshot.is_due(), "under a mebibyte");
        snapshot.append(&delta).unwrap();
        assert!(snapshot.is_due());
        snapshot.remove().unwrap();
        assert!(snapshot.is_due() && snapshot.read().unwrap().is_none());
    }
}
