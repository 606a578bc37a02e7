//! New keys and new ids.
//!
//! A key's text is made here and goes into one answer; what is kept is its digest. Ids of gateways
//! begin with the time of their start.
//!
//! Sources: the ULID specification; CRC-32/ISO-HDLC over the random characters of a `base62` body, as
//! six base62 digits, so that a secret scanner knows a key from a text that looks like one.

use std::io;

use gateway_policy::{Digest, Pepper};
use gateway_settings::{Alphabet, KeyForm};
use ulid::Ulid;

/// Characters of a `base62` body that are a checksum.
const CHECKSUM: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Nothing is made rather than something that can be guessed.
const NO_RANDOMNESS: &str = "the system gives no random bytes";
const HEX: &[u8; 16] = b"0123456789abcdef";
/// Characters of a body that a display shows at either end.
const SHOWN: usize = 4;

/// A new key. Not `Debug`: this is the one place where its text is.
pub(crate) struct Minted {
    pub(crate) text: String,
    pub(crate) digest: Digest,
    pub(crate) display: String,
}

/// A new id, such as `node_01jd3x…`, of the present or any other time.
pub(crate) fn id(prefix: &str, at_ms: u64) -> io::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| io::Error::other(NO_RANDOMNESS))?;
    let ulid = Ulid::from_parts(at_ms, u128::from_le_bytes(random));
    Ok(format!("{prefix}{}", ulid.to_string().to_ascii_lowercase()))
}

/// A new key of a form.
pub(crate) fn key(form: &KeyForm, pepper: Option<&Pepper>) -> io::Result<Minted> {
    let first = body(form)?;
    let display = format!("{}{}…{}", form.prefix, &first[..SHOWN], &first[first.len() - SHOWN..]);
    let mut text = format!("{}{first}", form.prefix);
    if form.pair {
        text.push(':');
        text.push_str(&body(form)?);
    }
    let digest = match pepper {
        Some(pepper) => pepper.digest(text.as_bytes()),
        None => Digest::sha256(text.as_bytes()),
    };
    Ok(Minted { text, digest, display })
}

fn body(form: &KeyForm) -> io::Result<String> {
    match form.alphabet {
        Alphabet::Hex => drawn(form.length, HEX),
        Alphabet::Base62 => {
            let mut body = drawn(form.length.saturating_sub(CHECKSUM), BASE62)?;
            body.push_str(&checksum(&body));
            Ok(body)
        }
    }
}

/// So many characters, each as likely as the others.
fn drawn<const N: usize>(length: usize, alphabet: &[u8; N]) -> io::Result<String> {
    // Bytes from here on would make the first characters likelier.
    let fair = 256 / N * N;
    let mut text = String::with_capacity(length);
    let mut random = [0; 64];
    while text.len() < length {
        getrandom::fill(&mut random).map_err(|_| io::Error::other(NO_RANDOMNESS))?;
        let fair = random.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        text.extend(fair.take(length - text.len()).map(|byte| char::from(alphabet[byte % N])));
    }
    Ok(text)
}

/// CRC-32 of the text as six base62 digits, the highest first.
fn checksum(text: &str) -> String {
    let mut left = crc32fast::hash(text.as_bytes()) as usize;
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[left % 62];
        left /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn form(alphabet: Alphabet, length: usize, pair: bool) -> KeyForm {
        KeyForm { alphabet, length, pair, ..KeyForm::default() }
    }

    /// K1, K5, K7
    #[test]
    fn keys_have_the_form_that_is_configured_and_a_display_that_helps_nobody() {
        for (form, length) in [
            (form(Alphabet::Hex, 64, false), 6 + 64),
            (form(Alphabet::Base62, 36, false), 6 + 36),
            (form(Alphabet::Hex, 32, true), 6 + 32 + 1 + 32),
        ] {
            let minted = key(&form, None).unwrap();
            assert_eq!(minted.text.len(), length);
            assert!(minted.text.starts_with("avoca_"));
            assert_eq!(minted.digest, Digest::sha256(minted.text.as_bytes()));
            let (start, end) = minted.display.split_once('…').unwrap();
            assert!(minted.text.starts_with(start) && start.len() == 10, "{start}");
            assert!(minted.text.split(':').next().unwrap().ends_with(end) && end.len() == 4);
            assert_ne!(key(&form, None).unwrap().text, minted.text);
        }
        let pepper = Pepper::new(&[7; 32]).unwrap();
        let minted = key(&KeyForm::default(), Some(&pepper)).unwrap();
        assert_eq!(minted.digest, pepper.digest(minted.text.as_bytes()));
    }

    /// The check value of the CRC catalogue, and what a wrong letter does to it.
    #[test]
    fn a_base62_body_ends_in_its_checksum() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        let body = body(&form(Alphabet::Base62, 36, false)).unwrap();
        let (random, sum) = body.split_at(30);
        assert_eq!(checksum(random), sum);
        let wrong =
            random.replacen(&random[..1], if random.starts_with('A') { "B" } else { "A" }, 1);
        assert_ne!(checksum(&wrong), sum);
        let decoded = sum.bytes().fold(0, |sum, digit| {
            sum * 62 + BASE62.iter().position(|known| *known == digit).unwrap()
        });
        assert_eq!(decoded, crc32fast::hash(random.as_bytes()) as usize);
    }

    #[test]
    fn every_character_comes_and_none_too_often() {
        let drawn = drawn(62_000, BASE62).unwrap();
        for letter in BASE62 {
            let count = drawn.bytes().filter(|byte| byte == letter).count();
            assert!((750..1_250).contains(&count), "{} {count}", char::from(*letter));
        }
    }

    #[test]
    fn ids_are_in_the_order_of_their_times() {
        let (early, late) = (id("key_", 1_000).unwrap(), id("key_", 2_000_000).unwrap());
        assert!(early < late && early.len() == 30, "{early} {late}");
        assert_ne!(id("key_", 1_000).unwrap(), early);
    }
}
