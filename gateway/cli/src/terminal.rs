//! Text of others on a terminal: names from files, arguments, bodies of upstreams.
//!
//! Nothing of it moves the cursor, colours a line or turns its direction: what would is written as
//! `\u001b`, which in JSON means the same. Names are cut; bodies are not.

use std::borrow::Cow;

use gateway_settings::acts_on_terminal;

/// Longest text that is shown as a name, in characters.
const NAME_SHOWN_MAX: usize = 200;

/// Longest list of names that is shown on a line, in characters.
const LINE_SHOWN_MAX: usize = 8_000;

/// A name: without control characters, and cut.
pub(crate) fn name(text: &str) -> String {
    cut(text, NAME_SHOWN_MAX)
}

/// A line of several names: without control characters, and cut.
pub(crate) fn line(text: &str) -> String {
    cut(text, LINE_SHOWN_MAX)
}

fn cut(text: &str, shown_max: usize) -> String {
    let cut: String = text.chars().take(shown_max).collect();
    let more = text.chars().count().saturating_sub(shown_max);
    let shown = escaped(&cut, false);
    if more == 0 { shown.into_owned() } else { format!("{shown}… ({more} more characters)") }
}

/// A text of several lines, whole. JSON stays JSON, and means the same.
pub(crate) fn body(text: &str) -> Cow<'_, str> {
    escaped(text, true)
}

fn escaped(text: &str, keeps_lines: bool) -> Cow<'_, str> {
    let is_kept = |c: char| !acts_on_terminal(c) || (keeps_lines && matches!(c, '\n' | '\t'));
    if text.chars().all(is_kept) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_kept(c) {
            shown.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            shown.push_str(&format!("\\u{unit:04x}"));
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_written_as_an_escape() {
        for (text, shown) in [
            ("plain – ünïcode 漢 🙂", "plain – ünïcode 漢 🙂"),
            ("\u{1b}[31m", "\\u001b[31m"),
            ("a\nb\tc", "a\\u000ab\\u0009c"),
            ("\u{9b}2J", "\\u009b2J"),
            ("\u{202e}evil\u{2066}", "\\u202eevil\\u2066"),
            ("\u{7f}\u{200b}\u{feff}", "\\u007f\\u200b\\ufeff"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(name(text), shown, "{text:?}");
        }
        assert_eq!(body("a\n\t\u{1b}"), "a\n\t\\u001b");
    }

    #[test]
    fn a_name_is_cut_and_a_body_is_not() {
        assert_eq!(name(&"n".repeat(NAME_SHOWN_MAX)), "n".repeat(NAME_SHOWN_MAX));
        let cut = format!("{}… (2 more characters)", "n".repeat(NAME_SHOWN_MAX));
        assert_eq!(name(&"n".repeat(NAME_SHOWN_MAX + 2)), cut);
        assert_eq!(body(&"n".repeat(1_000)).len(), 1_000);
    }
}
