//! Texts that are keys, in places where they would be shown.
//!
//! Names, ids and masked displays are read by people, sent to upstreams and kept for audit, so a whole
//! key there would be a leak. A text is taken for one when something in it begins as keys do and goes
//! on long enough, or when it has a run that is as long and as mixed as random text. What only looks
//! like one must be written differently; that costs less than a leak.

use crate::problem::BodyFault;

/// Fewest letters and digits behind the prefix that make a key of a text. `avoca_crm` is a name.
const BEHIND_PREFIX_MIN: usize = 16;
/// Fewest letters and digits in a run that may be random text.
const RUN_MIN: usize = 32;
/// Fewest different characters of such a run. 32 random hex digits have 14 on average.
const DIFFERENT_MIN: usize = 8;
/// Letters and digits that no masked key shows in one run.
const DISPLAY_RUN_MAX: usize = 16;

/// Whether a text holds what could be a key; `prefix` is what keys begin with.
pub(crate) fn holds_key(text: &str, prefix: &str) -> bool {
    let begins_as_one = !prefix.is_empty()
        && text.match_indices(prefix).any(|(at, _)| {
            let behind = text[at + prefix.len()..].bytes();
            behind.take_while(|b| b.is_ascii_alphanumeric()).count() >= BEHIND_PREFIX_MIN
        });
    begins_as_one || runs(text).any(is_random)
}

/// A masked key that shows too much of it.
pub(crate) fn shows_key(display: &str, prefix: &str) -> bool {
    holds_key(display, prefix) || runs(display).any(|run| run.len() > DISPLAY_RUN_MAX)
}

fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
}

fn is_random(run: &str) -> bool {
    let mut seen = [false; 128];
    run.bytes().for_each(|b| seen[usize::from(b) % 128] = true);
    run.len() >= RUN_MIN
        && run.bytes().any(|b| b.is_ascii_digit())
        && run.bytes().any(|b| b.is_ascii_alphabetic())
        && seen.iter().filter(|seen| **seen).count() >= DIFFERENT_MIN
}

/// A text of the client as far as it may be repeated: nothing that could be a key or a large part of one,
/// nothing that acts on a terminal, nothing long.
pub(crate) fn repeated(text: &str) -> String {
    const REPEATED_MAX: usize = 40;
    let count = text.chars().take(REPEATED_MAX + 1).count();
    if count > REPEATED_MAX || shows_key(text, "") || text.chars().any(char::is_control) {
        return "of this text".to_owned();
    }
    format!("`{text}`")
}

/// Reports texts that hold keys, by their pointers.
pub(crate) fn key_faults<'a>(
    texts: impl IntoIterator<Item = (String, &'a str)>,
    prefix: &str,
) -> Vec<BodyFault> {
    let found = texts.into_iter().filter(|(_, text)| holds_key(text, prefix));
    found.map(|(pointer, _)| key_fault(pointer)).collect()
}

pub(crate) fn key_fault(pointer: impl Into<String>) -> BodyFault {
    let detail = "looks like the text of a key, and this is shown to people; if it is one, replace \
                  that key, which is no longer a secret";
    BodyFault::new(pointer, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "4f5ef661b33873171a6f74be2a494007f3aa824fba0e3bd191c4c950e434dcd9";

    #[test]
    fn a_key_is_known_in_a_text_and_names_are_let_be() {
        for (text, is_key) in [
            (format!("avoca_{HEX}"), true),
            (format!("CRM (avoca_{HEX})"), true),
            (HEX.to_owned(), true),
            (format!("avoca_{}", &HEX[..16]), true),
            (format!("bc_{}", &HEX[..32]), true),
            ("avoca_crm".to_owned(), false),
            ("Zapier – CS Team".to_owned(), false),
            ("a".repeat(64), false),
            ("Donaudampfschiffahrtselektrizitaetenhauptbetriebswerk".to_owned(), false),
            ("0001000200030004000500060007000800090010".to_owned(), false),
            ("3f2504e0-4f89-11d3-9a0c-0305e82c3301".to_owned(), false),
        ] {
            assert_eq!(holds_key(&text, "avoca_"), is_key, "{text}");
        }
    }

    #[test]
    fn what_could_be_a_key_is_not_repeated() {
        for (text, shown) in [
            ("calls:rad", "`calls:rad`"),
            (HEX, "of this text"),
            (&HEX[..17], "of this text"),
            ("a\u{1b}[2J", "of this text"),
            (&"a ".repeat(21), "of this text"),
        ] {
            assert_eq!(repeated(text), shown);
        }
    }

    #[test]
    fn a_display_masks_most_of_its_key() {
        for (display, shows) in [
            ("avoca_ab12…9f0c", false),
            ("…", false),
            ("avoca_0123456789abcdef0…", true),
            ("0123456789abcdef0", true),
        ] {
            assert_eq!(shows_key(display, "avoca_"), shows, "{display}");
        }
    }
}
