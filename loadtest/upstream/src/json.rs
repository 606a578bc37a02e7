//! Writes JSON text member by member.
//!
//! By hand, because the spelling matters: `1.0`, `-0`, `1E5` and integers of thirty digits must
//! reach the gateway as written, and a value type would round them. No reading here.

/// One object, as text.
pub(crate) fn object(fill: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = String::with_capacity(256);
    object_into(&mut out, fill);
    out
}

/// Appends one object.
pub(crate) fn object_into(out: &mut String, fill: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    fill(&mut Object { out, empty: true });
    out.push('}');
}

/// Appends a string with its quotes.
pub(crate) fn text_into(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// An object under construction; members come out in the order of the calls.
pub(crate) struct Object<'a> {
    out: &'a mut String,
    empty: bool,
}

impl Object<'_> {
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        text_into(self.out, value);
    }

    /// A string or null.
    pub(crate) fn maybe(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.text(name, value),
            None => self.raw(name, "null"),
        }
    }

    /// A JSON token as it stands: a number whose spelling matters, `null`, a whole value.
    pub(crate) fn raw(&mut self, name: &str, token: &str) {
        self.name(name);
        self.out.push_str(token);
    }

    pub(crate) fn int(&mut self, name: &str, value: u64) {
        self.raw(name, &value.to_string());
    }

    pub(crate) fn flag(&mut self, name: &str, value: bool) {
        self.raw(name, if value { "true" } else { "false" });
    }

    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        object_into(self.out, fill);
    }

    /// An array; `write` appends one element.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut String, T),
    ) {
        self.name(name);
        self.out.push('[');
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            write(self.out, item);
        }
        self.out.push(']');
    }

    fn name(&mut self, name: &str) {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        text_into(self.out, name);
        self.out.push(':');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_tokens_their_spelling() {
        let text = object(|o| {
            o.raw("cost", "1.0");
            o.maybe("name", Some("Zo\u{eb} \"Q\" \\ \u{1}\n"));
            o.maybe("none", None);
            o.list("tags", ["a", "b"], text_into);
            o.object("custom", |_| {});
        });
        assert_eq!(
            text,
            "{\"cost\":1.0,\"name\":\"Zo\u{eb} \\\"Q\\\" \\\\ \\u0001\\n\",\"none\":null,\"tags\":[\"a\",\"b\"],\"custom\":{}}"
        );
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
}
