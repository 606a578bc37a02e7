//! Every way to pass a container, beside a plain reader. What the quick ways would only leave to the slow one is
//! asked for too: nobody could tell it from what comes out.
#![allow(clippy::unwrap_used)]

use super::*;

/// What containers are made of here: strings with marks in them among it.
const TOKENS: [&str; 10] = ["{", "}", "[", "]", ",", "1", "\"s,]\"", "\"n\":", " ", "x"];

/// Passes tokens from an opening bracket to the one that answers it, with no more than so many open. How many
/// tokens, and how many brackets were open at most.
fn answered(tokens: &[&str]) -> Option<(usize, usize)> {
    let (mut open, mut most) = (Vec::new(), 0);
    for (number, token) in tokens.iter().enumerate() {
        match *token {
            "{" => open.push("}"),
            "[" => open.push("]"),
            "}" | "]" if open.pop() != Some(token) => return None,
            _ => {}
        }
        most = most.max(open.len());
        if open.is_empty() {
            return (number > 0).then_some((number + 1, most));
        }
    }
    None
}

/// Bytes of so many tokens.
fn len(tokens: &[&str]) -> usize {
    tokens.concat().len()
}

/// The tokens stand for a member's value and what follows it.
fn check(index: &mut Index, tokens: &[&str]) {
    const LEAD: &str = "{\"n\":";
    let piece = [LEAD, &tokens.concat(), ",\"m\":1}"].concat().into_bytes();
    index.fill(&piece, 0);
    let shown = piece.escape_ascii();
    // Behind the first brace.
    let marks = index.marks().get(1..).unwrap();
    let bracket = LEAD.len();
    let tokens = [tokens, &[","]].concat();
    let (Some(&first), true) = (marks.first(), matches!(tokens[0], "{" | "[")) else { return };
    assert_eq!(first as usize, bracket, "{shown}");
    let marks = &marks[1..];

    let passed = answered(&tokens);
    let next = |at: usize| {
        matches!(tokens.get(at), Some(&("," | "}"))).then_some(bracket + len(&tokens[..at]))
    };
    let flat = passed.filter(|(_, most)| *most == 1).and_then(|(end, _)| next(end));
    let mut behind = marks.iter();
    assert_eq!(flat_end(&piece, bracket, &mut behind), flat, "{shown}");
    let number = marks.iter().position(|mark| Some(*mark as usize) == flat);
    assert_eq!(marks.len() - behind.len(), number.map_or(0, |number| number + 1), "{shown}");

    for room in 0..4 {
        let passed = passed.filter(|(_, most)| *most <= room);
        let spaced = passed.and_then(|(end, _)| {
            next(end + tokens[end..].iter().take_while(|token| **token == " ").count())
        });
        let over = pass_over(&piece, bracket, marks, room);
        assert_eq!(over.map(|(mark, _)| mark), spaced, "{shown} {room}");
        if let Some((mark, behind)) = over {
            assert_eq!(marks[marks.len() - behind.len() - 1] as usize, mark, "{shown} {room}");
        }
    }

    let is_sound = |end: &usize| {
        let text = &piece[bracket..*end];
        !text.contains(&b' ') && serde_json::from_slice::<serde_json::Value>(text).is_ok()
    };
    let kept = flat.filter(is_sound);
    let ask = || Flat { piece: &piece, bracket, marks, index };
    let widest = scan::run(ask());
    assert_eq!(widest, scan::Task::run(ask(), scan::Words), "{shown}");
    assert_eq!(widest.map(|(mark, _)| mark), kept, "{shown}");
    if let Some((mark, passed)) = widest {
        assert_eq!(marks[passed - 1] as usize, mark, "{shown}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "a hundred thousand containers")]
fn containers_of_any_few_tokens_are_passed_as_a_plain_reader_passes_them() {
    let mut index = Index::new();
    let count = TOKENS.len();
    for open in ["[", "{"] {
        for number in 0..count.pow(4) {
            let tokens = [0, 1, 2, 3].map(|at| TOKENS[number / count.pow(at) % count]);
            check(&mut index, &[&[open], &tokens[..]].concat());
            check(&mut index, &[&[open, "\"n\":", "1"], &tokens[..]].concat());
        }
    }
}

#[test]
fn brackets_in_brackets_are_passed_as_long_as_there_is_room() {
    let mut index = Index::new();
    for kinds in 0..1 << 4_u32 {
        let pair = |at: usize| [("[", "]"), ("{", "}")][kinds >> at & 1];
        let open: Vec<&str> = (0..4).map(|at| pair(at).0).collect();
        let close: Vec<&str> = (0..4).rev().map(|at| pair(at).1).collect();
        for inside in [&[][..], &["1", ",", "[", "]", ","], &["{", "}", " "]] {
            for behind in [&[][..], &[" "], &["x"], &["]"], &["}"]] {
                check(&mut index, &[&open, inside, &close, behind].concat());
            }
        }
    }
}
