//! Keeps a fragment in a `:path` of HTTP/2 from being cut off unseen.
//!
//! The `http` crate, and with it `h2`, cuts `#` and what follows off a path without a word, before
//! anybody could refuse the request; over HTTP/1 that is a 400. So the bytes of a connection pass
//! through here, and each `#` of a `:path` becomes `>`, which no path may hold either: `h2` then resets
//! that stream as malformed (RFC 9113 §8.1.1), and its neighbours go on. The two have codes of one
//! length, in Huffman's alphabet too, where they differ in the last bit; so nothing moves.
//!
//! To find the paths the header compression must be followed: of each entry of its table how long it
//! is, and whether its name is `:path`. Texts are not kept.
//!
//! Not here: frames (`h2_guard.rs`), any other judgement of fields, which is `h2`'s. What cannot be followed
//! ends the connection, for `h2` would not understand it either.
//!
//! Cost: one look at each byte of header blocks, of Huffman texts at each bit.
//!
//! Sources: RFC 7541 §4 to §6 and appendices A and B (compression).

use std::collections::VecDeque;

/// The compression's table as long as nobody asks for another, and we do not (RFC 9113 §6.5.2).
const TABLE_BYTES_MAX: usize = 4096;
/// RFC 7541 §4.1.
const ENTRY_BYTES: usize = 32;
const PATH: &[u8] = b":path";
/// The same in Huffman's alphabet, which has one spelling for each text.
const PATH_HUFFMAN: &[u8] = &[0xb9, 0x58, 0xd3, 0x3f];
/// Code and length of `#`; the code of `>` is the next one.
const HASH: (u32, usize) = (0xffa, 12);
/// How many codes there are of each length. They are canonical, so this is the whole alphabet, less
/// the sign of its end, which no text may hold.
const CODES: [u32; 31] = [
    0, 0, 0, 0, 0, 10, 26, 32, 6, 0, 5, 3, 2, 6, 2, 3, 0, 0, 0, 3, 8, 13, 26, 29, 12, 4, 15, 19,
    29, 0, 3,
];
/// How long the names of the static table are. The fourth and fifth are `:path`.
const STATIC_NAMES: [u8; 61] = [
    10, 7, 7, 5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 14, 15, 15, 13, 6, 27, 3, 5, 13, 13, 19, 16, 16, 14,
    16, 13, 12, 6, 4, 4, 6, 7, 4, 4, 8, 17, 13, 8, 19, 13, 4, 8, 12, 18, 19, 5, 7, 7, 11, 6, 10,
    25, 17, 10, 4, 3, 16,
];

/// Header compression that cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a header block that cannot be read")]
pub(crate) struct Unreadable;

/// Follows the fields of header blocks, and the table that lasts from block to block.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    state: State,
    /// The field's name as far as it is known.
    name: Name,
    /// Whether the field goes into the table.
    indexed: bool,
    text: Text,
    table: Table,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Name {
    bytes: usize,
    is_path: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Field,
    /// An integer goes on (RFC 7541 §5.1).
    Integer {
        of: Number,
        value: usize,
        shift: u32,
    },
    TextLength {
        of_name: bool,
    },
    Text {
        of_name: bool,
    },
}

/// What an integer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    /// A whole field of the tables.
    Field,
    TableSize,
    /// A name of the tables, or 0: it follows.
    Name,
    TextLength {
        of_name: bool,
    },
}

impl Fields {
    pub(crate) fn pass(&mut self, byte: &mut u8) -> Result<(), Unreadable> {
        match self.state {
            State::Field => self.begin(*byte),
            State::Integer { of, value, shift } => {
                let value = value + (usize::from(*byte & 0x7f) << shift);
                match (*byte & 0x80, shift) {
                    (0, _) => self.counted(of, value),
                    (_, 0..14) => {
                        self.state = State::Integer { of, value, shift: shift + 7 };
                        Ok(())
                    }
                    _ => Err(Unreadable),
                }
            }
            State::TextLength { of_name } => {
                self.text = Text { huffman: *byte & 0x80 != 0, ..Text::default() };
                self.integer(Number::TextLength { of_name }, *byte, 7)
            }
            State::Text { of_name } => {
                self.text.pass(byte, !of_name && self.name.is_path)?;
                if self.text.left == 0 { self.read(of_name) } else { Ok(()) }
            }
        }
    }

    /// The end of a block, which must be the end of a field.
    pub(crate) fn end(&self) -> Result<(), Unreadable> {
        if self.state == State::Field { Ok(()) } else { Err(Unreadable) }
    }

    fn begin(&mut self, byte: u8) -> Result<(), Unreadable> {
        self.indexed = byte & 0xc0 == 0x40;
        match byte {
            0x80.. => self.integer(Number::Field, byte, 7),
            0x40.. => self.integer(Number::Name, byte, 6),
            0x20.. => self.integer(Number::TableSize, byte, 5),
            _ => self.integer(Number::Name, byte, 4),
        }
    }

    fn integer(&mut self, of: Number, byte: u8, bits: u32) -> Result<(), Unreadable> {
        let most = (1 << bits) - 1;
        let value = usize::from(byte) & most;
        if value < most {
            return self.counted(of, value);
        }
        self.state = State::Integer { of, value, shift: 0 };
        Ok(())
    }

    fn counted(&mut self, of: Number, value: usize) -> Result<(), Unreadable> {
        self.state = match of {
            Number::Field => State::Field,
            Number::TableSize => {
                self.table.resize(value)?;
                State::Field
            }
            Number::Name if value == 0 => State::TextLength { of_name: true },
            Number::Name => {
                self.name = self.table.name(value)?;
                State::TextLength { of_name: false }
            }
            Number::TextLength { of_name } => {
                self.text.left = value;
                if value == 0 {
                    return self.read(of_name);
                }
                State::Text { of_name }
            }
        };
        Ok(())
    }

    /// A text is whole.
    fn read(&mut self, of_name: bool) -> Result<(), Unreadable> {
        self.state = if of_name {
            self.name = Name { bytes: self.text.decoded, is_path: self.text.is_path() };
            State::TextLength { of_name: false }
        } else {
            if self.indexed {
                self.table.insert(self.name, self.text.decoded);
            }
            State::Field
        };
        Ok(())
    }
}

/// A text on its way.
#[derive(Debug, Default)]
struct Text {
    huffman: bool,
    left: usize,
    /// Bytes it stands for.
    decoded: usize,
    /// Its first bytes as they came: enough to tell one name.
    start: [u8; PATH.len()],
    came: usize,
    /// The code under way, and its bits so far.
    code: u32,
    bits: usize,
    /// The first code of that length.
    first: u32,
}

impl Text {
    /// `guarded`: it is a path.
    fn pass(&mut self, byte: &mut u8, guarded: bool) -> Result<(), Unreadable> {
        if let Some(place) = self.start.get_mut(self.came) {
            *place = *byte;
        }
        self.came += 1;
        self.left -= 1;
        if !self.huffman {
            self.decoded += 1;
            if guarded && *byte == b'#' {
                *byte = b'>';
            }
            return Ok(());
        }
        let came = *byte;
        for bit in (0..8).rev() {
            let hash = self.bit(came >> bit & 1)?;
            if hash && guarded {
                *byte ^= 1 << bit;
            }
        }
        Ok(())
    }

    /// Takes a bit; whether it completed a `#`.
    fn bit(&mut self, bit: u8) -> Result<bool, Unreadable> {
        self.code = self.code << 1 | u32::from(bit);
        self.first = (self.first + CODES[self.bits]) << 1;
        self.bits += 1;
        let count = *CODES.get(self.bits).ok_or(Unreadable)?;
        if self.code - self.first >= count {
            return Ok(false);
        }
        let hash = (self.code, self.bits) == HASH;
        self.decoded += 1;
        (self.code, self.bits, self.first) = (0, 0, 0);
        Ok(hash)
    }

    fn is_path(&self) -> bool {
        let known = if self.huffman { PATH_HUFFMAN } else { PATH };
        self.came == known.len() && self.start.starts_with(known)
    }
}

/// The dynamic table: of its entries the length, and what is known of their names.
#[derive(Debug)]
struct Table {
    /// The newest first.
    entries: VecDeque<(Name, usize)>,
    bytes: usize,
    bytes_max: usize,
}

impl Default for Table {
    fn default() -> Table {
        Table { entries: VecDeque::new(), bytes: 0, bytes_max: TABLE_BYTES_MAX }
    }
}

impl Table {
    fn name(&self, index: usize) -> Result<Name, Unreadable> {
        let place = index.checked_sub(1).ok_or(Unreadable)?;
        match STATIC_NAMES.get(place) {
            Some(&bytes) => Ok(Name { bytes: bytes.into(), is_path: matches!(index, 4 | 5) }),
            None => {
                let entry = self.entries.get(place - STATIC_NAMES.len());
                entry.map(|(name, _)| *name).ok_or(Unreadable)
            }
        }
    }

    fn insert(&mut self, name: Name, value_bytes: usize) {
        let bytes = name.bytes + value_bytes + ENTRY_BYTES;
        self.shrink(self.bytes_max.saturating_sub(bytes));
        if bytes <= self.bytes_max {
            self.entries.push_front((name, bytes));
            self.bytes += bytes;
        }
    }

    fn resize(&mut self, bytes_max: usize) -> Result<(), Unreadable> {
        if bytes_max > TABLE_BYTES_MAX {
            return Err(Unreadable);
        }
        self.bytes_max = bytes_max;
        self.shrink(bytes_max);
        Ok(())
    }

    fn shrink(&mut self, bytes: usize) {
        while self.bytes > bytes
            && let Some((_, gone)) = self.entries.pop_back()
        {
            self.bytes -= gone;
        }
    }
}

#[cfg(test)]
mod tests;
