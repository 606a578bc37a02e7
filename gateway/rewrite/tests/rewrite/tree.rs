//! A naive strict parser of a whole document that remembers where every value was.

use std::ops::Range;

#[derive(Debug)]
pub(crate) struct Value {
    pub at: Range<usize>,
    pub kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Object(Vec<Member>),
    Array(Vec<Value>),
    Text(String),
    Number,
    True,
    False,
    Null,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub name: String,
    pub name_at: Range<usize>,
    pub value: Value,
}

/// The document, if it is one by RFC 8259 in UTF-8.
pub(crate) fn parse(body: &[u8]) -> Option<Value> {
    std::str::from_utf8(body).ok()?;
    let mut parser = Parser { body, at: 0 };
    parser.space();
    let value = parser.value()?;
    parser.space();
    (parser.at == body.len()).then_some(value)
}

struct Parser<'a> {
    body: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, word: &str) -> Option<()> {
        let found = self.body[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        found.then_some(())
    }

    fn value(&mut self) -> Option<Value> {
        let from = self.at;
        let kind = match self.peek()? {
            b'{' => self.object()?,
            b'[' => self.array()?,
            b'"' => Kind::Text(self.string()?),
            b't' => self.expect("true").map(|()| Kind::True)?,
            b'f' => self.expect("false").map(|()| Kind::False)?,
            b'n' => self.expect("null").map(|()| Kind::Null)?,
            _ => self.number()?,
        };
        Some(Value { at: from..self.at, kind })
    }

    fn object(&mut self) -> Option<Kind> {
        let mut members = Vec::new();
        self.at += 1;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(Kind::Object(members));
        }
        loop {
            self.space();
            let from = self.at;
            let name = self.string()?;
            let name_at = from..self.at;
            self.space();
            self.expect(":")?;
            self.space();
            members.push(Member { name, name_at, value: self.value()? });
            self.space();
            self.at += 1;
            match self.body.get(self.at - 1)? {
                b',' => {}
                b'}' => return Some(Kind::Object(members)),
                _ => return None,
            }
        }
    }

    fn array(&mut self) -> Option<Kind> {
        let mut elements = Vec::new();
        self.at += 1;
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(Kind::Array(elements));
        }
        loop {
            self.space();
            elements.push(self.value()?);
            self.space();
            self.at += 1;
            match self.body.get(self.at - 1)? {
                b',' => {}
                b']' => return Some(Kind::Array(elements)),
                _ => return None,
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.expect("\"")?;
        let from = self.at - 1;
        while self.peek()? != b'"' {
            self.at += if self.peek()? == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        // Not ours to prove: what a string's text is.
        serde_json::from_slice(&self.body[from..self.at]).ok()
    }

    fn number(&mut self) -> Option<Kind> {
        self.at += usize::from(self.peek() == Some(b'-'));
        let zero = self.peek() == Some(b'0');
        let digits = self.digits()?;
        if zero && digits > 1 {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(Kind::Number)
    }

    fn digits(&mut self) -> Option<usize> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > from).then_some(self.at - from)
    }
}
