//! What the two processes tell each other, as bytes.
//!
//! | first byte | then |
//! | --- | --- |
//! | `H` hello | version 1; names of the sockets that come with it, each ended by a line feed |
//! | `P` prepared | |
//! | `C` counts | of each: length of the key's id 2, id, sign 8, word 8; numbers little-endian |
//! | `E` end of counts | |
//! | `S` serving | |
//! | `M` moved | tunnel 1; length 1 and text of the listener's name; the same of the client's address; what was read |

use std::net::SocketAddr;

use gateway_policy::Count;

use super::VERSION;
use super::channel::PACKET_BYTES_MAX;

/// A message of another version, or of nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message that this version does not know")]
pub(super) struct Unknown;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message<'a> {
    Hello(&'a str),
    Prepared,
    Counts(&'a [u8]),
    EndOfCounts,
    Serving,
    Moved { listener: &'a str, is_tunnel: bool, peer: SocketAddr, read: &'a [u8] },
}

impl<'a> Message<'a> {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match *self {
            Message::Hello(names) => {
                bytes.extend([b'H', VERSION]);
                bytes.extend(names.as_bytes());
            }
            Message::Prepared => bytes.push(b'P'),
            Message::Counts(counts) => {
                bytes.push(b'C');
                bytes.extend(counts);
            }
            Message::EndOfCounts => bytes.push(b'E'),
            Message::Serving => bytes.push(b'S'),
            Message::Moved { listener, is_tunnel, peer, read } => {
                bytes.extend([b'M', u8::from(is_tunnel)]);
                // The longest is a role and an address of version 6 with its scope: below 80 bytes.
                for text in [listener, &peer.to_string()] {
                    bytes.push(text.len() as u8);
                    bytes.extend(text.as_bytes());
                }
                bytes.extend(read);
            }
        }
        bytes
    }

    pub(super) fn of(bytes: &'a [u8]) -> Result<Message<'a>, Unknown> {
        let (&kind, rest) = bytes.split_first().ok_or(Unknown)?;
        match (kind, rest) {
            (b'H', [VERSION, names @ ..]) => {
                std::str::from_utf8(names).map(Message::Hello).map_err(|_| Unknown)
            }
            (b'P', []) => Ok(Message::Prepared),
            (b'C', counts) => Ok(Message::Counts(counts)),
            (b'E', []) => Ok(Message::EndOfCounts),
            (b'S', []) => Ok(Message::Serving),
            (b'M', [tunnel @ (0 | 1), rest @ ..]) => {
                let mut read = rest;
                let listener = text(&mut read).ok_or(Unknown)?;
                let peer = text(&mut read).ok_or(Unknown)?.parse().map_err(|_| Unknown)?;
                Ok(Message::Moved { listener, is_tunnel: *tunnel == 1, peer, read })
            }
            _ => Err(Unknown),
        }
    }
}

/// Counts that go into one packet.
#[derive(Debug, Default)]
pub(super) struct CountsBytes(Vec<u8>);

impl CountsBytes {
    /// Adds a count; the packet before it, if that is full. A key's id is shorter than any packet.
    pub(super) fn push(&mut self, count: Count<'_>) -> Option<Vec<u8>> {
        let CountsBytes(bytes) = self;
        let Ok(length) = u16::try_from(count.key_id.len()) else { return None };
        let room = PACKET_BYTES_MAX - 1 - bytes.len();
        let full = (room < count.key_id.len() + 18).then(|| std::mem::take(bytes));
        bytes.extend(length.to_le_bytes());
        bytes.extend(count.key_id.as_bytes());
        bytes.extend(count.sign.to_le_bytes());
        bytes.extend(count.word.to_le_bytes());
        full
    }

    /// What is in the last packet.
    pub(super) fn rest(self) -> Vec<u8> {
        self.0
    }
}

/// The counts of one packet.
pub(super) fn counts(mut bytes: &[u8]) -> impl Iterator<Item = Result<Count<'_>, Unknown>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let count = next_count(&mut bytes);
        if count.is_none() {
            bytes = &[];
        }
        Some(count.ok_or(Unknown))
    })
}

/// A text behind its length.
fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = *bytes.split_off_first()?;
    std::str::from_utf8(bytes.split_off(..length.into())?).ok()
}

fn next_count<'a>(bytes: &mut &'a [u8]) -> Option<Count<'a>> {
    let length = u16::from_le_bytes(*bytes.split_off(..2)?.as_array()?);
    let key_id = std::str::from_utf8(bytes.split_off(..length.into())?).ok()?;
    let sign = u64::from_le_bytes(*bytes.split_off(..8)?.as_array()?);
    let word = u64::from_le_bytes(*bytes.split_off(..8)?.as_array()?);
    Some(Count { key_id, sign, word })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn messages() -> Vec<Message<'static>> {
        let peer = |text: &str| text.parse().unwrap();
        vec![
            Message::Hello("proxy 127.0.0.1:8080\nadmin 127.0.0.1:8081\n"),
            Message::Prepared,
            Message::Counts(&[1, 2, 3]),
            Message::EndOfCounts,
            Message::Serving,
            Message::Moved {
                listener: "proxy [::1]:8443 #1",
                is_tunnel: true,
                peer: peer("192.0.2.1:9"),
                read: b"GET",
            },
            Message::Moved {
                listener: "",
                is_tunnel: false,
                peer: peer("[fe80::1%4294967295]:65535"),
                read: b"",
            },
        ]
    }

    #[test]
    fn what_is_told_is_understood() {
        for message in messages() {
            assert_eq!(Message::of(&message.bytes()), Ok(message));
        }
    }

    #[test]
    fn what_is_cut_or_of_another_version_is_refused() {
        assert_eq!(Message::of(b""), Err(Unknown));
        assert_eq!(Message::of(b"H\x02proxy a\n"), Err(Unknown));
        assert_eq!(Message::of(b"Zx"), Err(Unknown));
        assert_eq!(Message::of(b"M\0\x01a\x02b"), Err(Unknown));
        assert_eq!(Message::of(b"M\x02\x01a\x01b"), Err(Unknown));
        let moved = messages().pop().unwrap().bytes();
        for length in 1..moved.len() {
            assert!(Message::of(&moved[..length]) != Message::of(&moved), "{length}");
        }
    }

    #[test]
    fn counts_of_any_number_fill_packets_and_come_back() {
        let ids: Vec<String> = (0..20_000).map(|n| format!("key_{n:026}")).collect();
        let count = |n: usize| Count { key_id: &ids[n], sign: n as u64, word: u64::MAX - n as u64 };
        let mut packed = CountsBytes::default();
        let mut packets: Vec<Vec<u8>> =
            (0..ids.len()).filter_map(|n| packed.push(count(n))).collect();
        packets.push(packed.rest());
        assert!(packets.len() > 3);
        assert!(packets.iter().all(|packet| packet.len() < PACKET_BYTES_MAX));
        let back: Vec<Count<'_>> =
            packets.iter().flat_map(|packet| counts(packet)).map(Result::unwrap).collect();
        assert_eq!(back, (0..ids.len()).map(count).collect::<Vec<_>>());
    }

    #[test]
    fn counts_that_are_cut_are_told() {
        let mut packed = CountsBytes::default();
        assert_eq!(packed.push(Count { key_id: "k", sign: 1, word: 2 }), None);
        let bytes = packed.rest();
        for length in 1..bytes.len() {
            assert_eq!(counts(&bytes[..length]).collect::<Vec<_>>(), [Err(Unknown)], "{length}");
        }
    }
}
