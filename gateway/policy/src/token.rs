//! Key text → digest. The only place where a key's text is looked at.
//!
//! Keys carry 190 random bits or more, so one SHA-256 suffices: a slow hash would be a denial of
//! service on ourselves. A pepper (HMAC-SHA-256, RFC 2104) makes stolen digests of that kind useless
//! for testing guesses; plain ones are accepted beside them. Cost: 0.13 µs a key, twice that under a
//! pepper.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// How a digest was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigestKind {
    Sha256,
    HmacSha256,
}

/// 32 bytes that stand for a key. Compared in constant time.
#[derive(Clone, Copy, Eq)]
pub struct Digest {
    kind: DigestKind,
    bytes: [u8; 32],
}

impl Digest {
    /// SHA-256 of the whole key text as presented, `KEY:SECRET` included.
    pub fn sha256(text: &[u8]) -> Digest {
        Digest { kind: DigestKind::Sha256, bytes: Sha256::digest(text).into() }
    }

    /// Reads `sha256:` or `hmac-sha256:` and 64 hex digits of either case.
    ///
    /// # Errors
    /// [`DigestError`] says what is off; it never repeats the text, which might be a key.
    pub fn parse(text: &str) -> Result<Digest, DigestError> {
        let (kind, hex) = if let Some(hex) = text.strip_prefix("sha256:") {
            (DigestKind::Sha256, hex)
        } else if let Some(hex) = text.strip_prefix("hmac-sha256:") {
            (DigestKind::HmacSha256, hex)
        } else {
            return Err(DigestError::Unprefixed);
        };
        if hex.len() != 64 {
            return Err(DigestError::Length { digits: hex.len() });
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let digit = |b: u8| char::from(b).to_digit(16).ok_or(DigestError::NotHex);
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(Digest { kind, bytes })
    }

    pub fn kind(&self) -> DigestKind {
        self.kind
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Digest) -> bool {
        self.kind == other.kind && bool::from(self.bytes.ct_eq(&other.bytes))
    }
}

impl std::hash::Hash for Digest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // Eight bytes of a cryptographic hash are as good as all, and the hasher is keyed.
        state.write(&self.bytes[..8]);
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({:?}, …)", self.kind)
    }
}

impl fmt::Display for Digest {
    /// The form that [`Digest::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            DigestKind::Sha256 => "sha256:",
            DigestKind::HmacSha256 => "hmac-sha256:",
        })?;
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    #[error(
        "a digest starts with `sha256:` or `hmac-sha256:`; a key's plain text never stands here"
    )]
    Unprefixed,
    #[error("a digest has 64 hex digits, this one has {digits}")]
    Length { digits: usize },
    #[error("a digest has hex digits only")]
    NotHex,
}

/// The secret that keys are hashed under.
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

impl Pepper {
    /// Least bytes a pepper must have.
    pub const BYTES_MIN: usize = 16;

    /// `None` when the secret is shorter than [`Pepper::BYTES_MIN`].
    pub fn new(secret: &[u8]) -> Option<Pepper> {
        if secret.len() < Pepper::BYTES_MIN {
            return None;
        }
        <Hmac<Sha256> as KeyInit>::new_from_slice(secret).ok().map(Pepper)
    }

    /// HMAC-SHA-256 of the whole key text under this pepper.
    pub fn digest(&self, text: &[u8]) -> Digest {
        let mut mac = self.0.clone();
        mac.update(text);
        Digest { kind: DigestKind::HmacSha256, bytes: mac.finalize().into_bytes().into() }
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_digest_reads_back_what_it_prints_and_agrees_with_sha256sum() {
        let digest = Digest::sha256(b"avoca_test");
        assert_eq!(Digest::parse(&digest.to_string()).unwrap(), digest);
        // printf %s abc | sha256sum
        assert_eq!(
            Digest::sha256(b"abc").to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_digest_of_another_shape_is_refused_without_repeating_it() {
        for (text, error) in [
            ("avoca_0123", DigestError::Unprefixed),
            ("", DigestError::Unprefixed),
            ("sha256:ab", DigestError::Length { digits: 2 }),
            (&format!("sha256:{}", "g".repeat(64)), DigestError::NotHex),
            (&format!("sha256:{}", "é".repeat(32)), DigestError::NotHex),
        ] {
            assert_eq!(Digest::parse(text), Err(error), "{text}");
            assert!(!error.to_string().contains("avoca_"));
        }
    }

    #[test]
    fn the_kind_is_part_of_a_digest() {
        let pepper = Pepper::new(&[7; 32]).unwrap();
        let peppered = pepper.digest(b"key");
        assert_eq!(peppered, pepper.digest(b"key"));
        assert_ne!(peppered, Digest::sha256(b"key"));
        assert!(Pepper::new(&[7; 15]).is_none());
        let hex = &peppered.to_string()["hmac-".len()..];
        assert_ne!(Digest::parse(hex).unwrap(), peppered, "same bytes, other kind");
    }
}
