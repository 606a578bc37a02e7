//! The guard against a naive reading of names, and against spellings made up at random.

use proptest::prelude::*;

use super::*;

/// The guard's reading of a name once more, with every run and every part spelled out. Names here
/// are letters, `.` and `__` only, so that a run is one dotted text.
mod naive {
    /// Every run of `items`, joined by dots, and what it is of the whole: head, tail, both, neither.
    fn runs(items: &[&str]) -> Vec<(std::ops::Range<usize>, String, (bool, bool))> {
        let ends = |first: usize| (first + 1..=items.len()).map(move |end| (first, end));
        let run = |(first, end): (usize, usize)| {
            (first..end, items[first..end].join("."), (first == 0, end == items.len()))
        };
        (0..items.len()).flat_map(ends).map(run).collect()
    }

    fn letters(text: &str) -> String {
        text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
    }

    pub(super) fn refuses(visible: &[&str], hidden: &[&str], name: &str) -> bool {
        if visible.contains(&name) || hidden.contains(&name) {
            return hidden.contains(&name);
        }
        let words: Vec<&str> = name.split(['.', '_']).filter(|word| !word.is_empty()).collect();
        let named = runs(&words);
        let whole: Vec<_> =
            named.iter().filter(|(_, text, _)| visible.contains(&&**text)).collect();
        named.iter().any(|(run, text, _)| {
            let within =
                whole.iter().any(|(outer, ..)| outer.start <= run.start && run.end <= outer.end);
            let shared = |role: (bool, bool)| {
                visible.iter().any(|path| {
                    let path: Vec<&str> = path.split('.').collect();
                    runs(&path).iter().any(|(_, part, known)| part == text && *known == role)
                })
            };
            let like_hidden = |path: &&str| {
                let path: Vec<&str> = path.split('.').collect();
                runs(&path)
                    .iter()
                    .any(|(_, part, role)| letters(part) == letters(text) && !shared(*role))
            };
            !within && hidden.iter().any(like_hidden)
        })
    }
}

fn word() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["a", "b", "cd", "E", "f1"])
}

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec(word(), 1..4).prop_map(|words| words.join("."))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// C9: spell a hidden column as any upstream might, put anything before and behind: refused,
    /// as long as it is not within a visible column.
    #[test]
    fn no_spelling_of_a_hidden_column_passes(
        hidden in path(),
        visible in proptest::collection::vec(path(), 0..4),
        separator in proptest::sample::select(vec![".", "__", "[", "][", "-", "%5B", "%2E", "+"]),
        before in proptest::sample::select(vec!["", "filter[", "-", "x__", "q."]),
        behind in proptest::sample::select(vec!["", "]", "[]", "__gte", ".z", "%00"]),
        upper in any::<bool>(),
    ) {
        let outside = |path: &&String| !path.contains(&*hidden) && !path.eq_ignore_ascii_case(&hidden);
        let mut visible: Vec<&str> = visible.iter().filter(outside).map(String::as_str).collect();
        visible.sort_unstable();
        visible.dedup();
        let spelled = if upper { hidden.to_uppercase() } else { hidden.clone() };
        let query = format!("{before}{}{behind}=1", spelled.replace('.', separator));
        // Upper case may spell a part of a visible column to the letter; that is another column.
        let within = |path: &&str| path.to_uppercase().contains(&hidden.to_uppercase());
        if !visible.iter().any(within) {
            prop_assert!(!passes(&visible, &[&hidden], &query), "{query} without {hidden}");
        }
    }

    /// C9, against the naive version.
    #[test]
    fn the_guard_agrees_with_trying_every_run_of_words(
        visible in proptest::collection::btree_set(path(), 0..4),
        hidden in proptest::collection::btree_set(path(), 0..4),
        words in proptest::collection::vec(
            proptest::sample::select(vec!["a", "b", "A", "ab", "cd", "e", "E", "f1", "z"]), 1..6),
        separators in proptest::collection::vec(proptest::sample::select(vec![".", "__"]), 6),
    ) {
        let visible: Vec<&str> = visible.iter().map(String::as_str).collect();
        let hidden: Vec<&str> =
            hidden.iter().map(String::as_str).filter(|path| !visible.contains(path)).collect();
        let name: String = words.iter().zip(&separators).flat_map(|(word, between)| [*word, *between]).collect();
        let name = name.trim_end_matches(['.', '_']);
        prop_assert_eq!(
            !passes(&visible, &hidden, name), naive::refuses(&visible, &hidden, name),
            "{} with {:?}, without {:?}", name, visible, hidden
        );
    }

    /// T6: a visible column, spelled exactly, always passes, whatever else is hidden but it and its
    /// ancestors; and no query at all makes the guard panic.
    #[test]
    fn a_visible_column_passes_and_nothing_panics(
        visible in path(),
        hidden in proptest::collection::btree_set(path(), 0..5),
        noise in "[a-c%.;&=_\\[\\]é+-]{0,24}",
    ) {
        let hidden: Vec<&str> = hidden.iter().map(String::as_str).filter(|path| *path != visible).collect();
        for query in [format!("{visible}=1"), format!("sort=-{visible}")] {
            prop_assert!(passes(&[&visible], &hidden, &query), "{query} without {hidden:?}");
        }
        passes(&[&visible], &hidden, &noise);
    }
}
