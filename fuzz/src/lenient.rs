//! The rules of a small task once more, hidden values included: what is shown is read strictly, of what
//! is dropped only the end is sought.
//!
//! Unlike the oracle of the rewriter's tests it says of *any* bytes whether they are accepted, and what
//! was written up to the fault. It recurses, byte by byte, over a body that is there as a whole, and knows
//! two shown columns by name: `a` and `z`, and `p` where rows are judged.
//!
//! Sources: RFC 8259, and the rules for columns and rows in `docs/rewriter.md`.

/// Not understood.
pub(crate) struct Refused;

type Read<T = ()> = Result<T, Refused>;

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Small {
    /// `data[]` in an envelope of which nothing else passes, or the body itself is the row.
    pub(crate) has_envelope: bool,
    /// Rows pass only if `p` is once and false.
    pub(crate) is_judged: bool,
    pub(crate) depth: usize,
}

/// What should come of a body: whether it is accepted, and what is written of it.
pub(crate) fn expect(task: Small, body: &[u8]) -> (bool, Vec<u8>) {
    let mut reader = Reader { task, body, at: 0, depth: 0, out: Vec::new() };
    let is_accepted = reader.document().is_ok();
    (is_accepted, reader.out)
}

/// Where the one value ends that the bytes begin with, if it were dropped; None if it does not.
pub(crate) fn dropped_end(bytes: &[u8]) -> Option<usize> {
    let task = Small { has_envelope: false, is_judged: false, depth: usize::MAX };
    let mut reader = Reader { task, body: bytes, at: 0, depth: 0, out: Vec::new() };
    reader.dropped().ok().map(|()| reader.at)
}

struct Reader<'a> {
    task: Small,
    body: &'a [u8],
    at: usize,
    depth: usize,
    out: Vec<u8>,
}

fn is_space(byte: u8) -> bool {
    b" \t\r\n".contains(&byte)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-._".contains(&byte)
}

impl Reader<'_> {
    fn peek(&self) -> Read<u8> {
        self.body.get(self.at).copied().ok_or(Refused)
    }

    fn space(&mut self) {
        while self.peek().is_ok_and(is_space) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Read {
        if self.peek()? != byte {
            return Err(Refused);
        }
        self.at += 1;
        Ok(())
    }

    fn document(&mut self) -> Read {
        self.space();
        if self.task.has_envelope {
            self.envelope()?;
        } else if self.peek()? == b'n' {
            self.scalar()?;
            self.out.extend(b"null");
        } else {
            let mark = self.out.len();
            if !self.row()? {
                self.out.truncate(mark);
                self.out.extend(b"null");
            }
        }
        self.space();
        if self.at == self.body.len() { Ok(()) } else { Err(Refused) }
    }

    fn envelope(&mut self) -> Read {
        let (mut has_rows, mut wrote) = (false, false);
        self.members(|reader, name, raw| {
            if name != "data" {
                return reader.dropped();
            }
            has_rows = true;
            reader.announce(&mut wrote, raw);
            reader.array(|reader, wrote| {
                let mark = reader.out.len();
                if *wrote {
                    reader.out.push(b',');
                }
                let is_visible = reader.row()?;
                if !is_visible {
                    reader.out.truncate(mark);
                }
                *wrote |= is_visible;
                Ok(())
            })
        })?;
        if has_rows { Ok(()) } else { Err(Refused) }
    }

    fn announce(&mut self, wrote: &mut bool, name: &[u8]) {
        if std::mem::replace(wrote, true) {
            self.out.push(b',');
        }
        self.out.extend(name);
        self.out.push(b':');
    }

    /// Whether the row is one that may be seen.
    fn row(&mut self) -> Read<bool> {
        let (mut wrote, mut flags) = (false, Vec::new());
        self.members(|reader, name, raw| match name {
            "a" | "z" => reader.column(|reader| reader.announce(&mut wrote, raw)),
            "p" if reader.task.is_judged => {
                flags.push(reader.body[reader.at..].starts_with(b"false"));
                reader.judged()
            }
            _ => reader.dropped(),
        })?;
        Ok(!self.task.is_judged || flags == [true])
    }

    /// An object whose members are given to `member` at the first byte of their values.
    fn members(&mut self, mut member: impl FnMut(&mut Self, &str, &[u8]) -> Read) -> Read {
        self.enter(b'{')?;
        self.out.push(b'{');
        self.space();
        let mut is_first = true;
        while self.peek()? != b'}' {
            if !std::mem::replace(&mut is_first, false) {
                self.take(b',')?;
                self.space();
            }
            let from = self.at;
            let name = self.string()?;
            let raw = &self.body[from..self.at];
            self.space();
            self.take(b':')?;
            self.space();
            member(self, &name, raw)?;
            self.space();
        }
        self.leave();
        self.out.push(b'}');
        Ok(())
    }

    /// An array whose elements are given to `element`, with whether one was written.
    fn array(&mut self, mut element: impl FnMut(&mut Self, &mut bool) -> Read) -> Read {
        self.enter(b'[')?;
        self.out.push(b'[');
        self.space();
        let (mut is_first, mut wrote) = (true, false);
        while self.peek()? != b']' {
            if !std::mem::replace(&mut is_first, false) {
                self.take(b',')?;
                self.space();
            }
            element(self, &mut wrote)?;
            self.space();
        }
        self.leave();
        self.out.push(b']');
        Ok(())
    }

    fn enter(&mut self, bracket: u8) -> Read {
        self.take(bracket)?;
        self.depth += 1;
        if self.depth > self.task.depth { Err(Refused) } else { Ok(()) }
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    /// A shown column: a scalar, or the scalars of an array.
    fn column(&mut self, announce: impl FnOnce(&mut Self)) -> Read {
        match self.peek()? {
            b'{' => self.dropped(),
            b'[' => {
                announce(self);
                self.array(|reader, wrote| match reader.peek()? {
                    b'{' | b'[' => reader.dropped(),
                    _ => {
                        let from = reader.at;
                        reader.scalar()?;
                        if std::mem::replace(wrote, true) {
                            reader.out.push(b',');
                        }
                        reader.out.extend(&reader.body[from..reader.at]);
                        Ok(())
                    }
                })
            }
            _ => {
                let from = self.at;
                self.scalar()?;
                announce(self);
                self.out.extend(&self.body[from..self.at]);
                Ok(())
            }
        }
    }

    /// A value that decides about its row and is not shown.
    fn judged(&mut self) -> Read {
        match self.peek()? {
            b'{' => self.dropped(),
            b'[' => {
                let mark = self.out.len();
                self.array(|reader, _| reader.judged())?;
                self.out.truncate(mark);
                Ok(())
            }
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> Read {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(),
            _ => {
                let literals: [&[u8]; 3] = [b"true", b"false", b"null"];
                let rest = &self.body[self.at..];
                let literal = literals.into_iter().find(|literal| rest.starts_with(literal));
                self.at += literal.ok_or(Refused)?.len();
                Ok(())
            }
        }
    }

    fn string(&mut self) -> Read<String> {
        let from = self.at;
        self.dropped_string()?;
        // Not ours to prove: what a string's text is.
        serde_json::from_slice(&self.body[from..self.at]).map_err(|_| Refused)
    }

    fn number(&mut self) -> Read {
        let _ = self.take(b'-');
        let is_zero = self.peek()? == b'0';
        let digits = self.digits()?;
        if is_zero && digits > 1 {
            return Err(Refused);
        }
        if self.take(b'.').is_ok() {
            self.digits()?;
        }
        if self.take(b'e').or_else(|_| self.take(b'E')).is_ok() {
            let _ = self.take(b'+').or_else(|_| self.take(b'-'));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Read<usize> {
        let from = self.at;
        while self.peek().is_ok_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > from { Ok(self.at - from) } else { Err(Refused) }
    }

    fn dropped(&mut self) -> Read {
        match self.peek()? {
            b'"' => self.dropped_string(),
            open @ (b'{' | b'[') => self.dropped_container(open),
            byte if is_token(byte) => {
                while self.peek().is_ok_and(is_token) {
                    self.at += 1;
                }
                let ends = |byte: u8| b",}]".contains(&byte) || is_space(byte);
                if self.peek().is_ok_and(|byte| !ends(byte)) { Err(Refused) } else { Ok(()) }
            }
            _ => Err(Refused),
        }
    }

    fn dropped_string(&mut self) -> Read {
        self.take(b'"')?;
        while self.peek()? != b'"' {
            self.at += if self.peek()? == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        Ok(())
    }

    /// From its opening bracket to the one that answers it; between them strings and brackets count.
    fn dropped_container(&mut self, open: u8) -> Read {
        let close = if open == b'{' { b'}' } else { b']' };
        self.enter(open)?;
        loop {
            match self.peek()? {
                b'"' => self.dropped_string()?,
                inner @ (b'{' | b'[') => self.dropped_container(inner)?,
                byte @ (b'}' | b']') => {
                    self.leave();
                    return if byte == close { Ok(()) } else { Err(Refused) };
                }
                _ => self.at += 1,
            }
        }
    }
}
