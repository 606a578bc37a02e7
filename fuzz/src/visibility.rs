//! Judged rows: of one that is hidden no byte leaves, however it is cut, garbled or cut off.
//!
//! The input is a recipe, so every row's bounds and verdict are known without reading JSON: what must
//! come of the body, refusals and their places included, follows from the recipe alone. Every row carries
//! its own mark in what is shown. Bodies without garbage are held against the oracle as well.

use std::ops::Range;

use gateway_rewrite::{Owner, Reason, RowRule};

use crate::cuts::of_every_cut;
use crate::draw::Draw;
use crate::oracle;
use crate::setting::{Outcome, Setting};

/// What a member says of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// Of the private flag: whether it is the plain false.
    Private(bool),
    /// Of an owner: at which of the two paths, and whether it is the caller.
    Owner(Path, bool),
    /// Of the team: whether all are the caller's, and one at least is named.
    Team(bool),
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    User,
    Nested,
}

use Path::{Nested, User};

const MEMBERS: [(&str, Says); 27] = [
    (r#""p":false"#, Says::Private(true)),
    (r#""\u0070":false"#, Says::Private(true)),
    (r#""p":true"#, Says::Private(false)),
    (r#""p":"false""#, Says::Private(false)),
    (r#""p":null"#, Says::Private(false)),
    (r#""p":[false]"#, Says::Private(false)),
    (r#""p":{"p":false}"#, Says::Private(false)),
    (r#""u":"u1""#, Says::Owner(User, true)),
    (r#""u":"\u00751""#, Says::Owner(User, true)),
    (r#""u":["x",["é"]]"#, Says::Owner(User, true)),
    (r#""u":"u2""#, Says::Owner(User, false)),
    (r#""u":"u1 ""#, Says::Owner(User, false)),
    (r#""u":null"#, Says::Owner(User, false)),
    (r#""u":{"u":"u1"}"#, Says::Owner(User, false)),
    (r#""o":{"u":"é"}"#, Says::Owner(Nested, true)),
    (r#""o":[{"u":"x"},{"u":"u1"}]"#, Says::Owner(Nested, true)),
    (r#""o":{"x":1}"#, Says::Owner(Nested, false)),
    (r#""o":"u1""#, Says::Owner(Nested, false)),
    (r#""t":7"#, Says::Team(true)),
    (r#""t":["7","x"]"#, Says::Team(true)),
    (r#""t":"\u0037""#, Says::Team(true)),
    (r#""t":["7","9"]"#, Says::Team(false)),
    (r#""t":[]"#, Says::Team(false)),
    (r#""t":7.0"#, Says::Team(false)),
    (r#""t":null"#, Says::Team(false)),
    (r#""w":{"p":false,"u":"u1","t":7}"#, Says::Nothing),
    (r#""x":[{"p":false}]"#, Says::Nothing),
];

struct Row {
    text: Vec<u8>,
    says: Vec<Says>,
}

impl Row {
    fn is_visible(&self, rule: &RowRule) -> bool {
        let said = |is: fn(&Says) -> bool| self.says.iter().filter(move |says| is(says));
        let private = || said(|says| matches!(says, Says::Private(_)));
        let team = || said(|says| matches!(says, Says::Team(_)));
        let of = |path: Path| {
            let here = move |says: &&Says| matches!(says, Says::Owner(at, _) if *at == path);
            self.says.iter().filter(here).count()
        };
        let is_owned = of(User) < 2
            && of(Nested) < 2
            && said(|says| matches!(says, Says::Owner(_, true))).count() > 0;
        (!rule.hide_private || private().eq(&[Says::Private(true)]))
            && (rule.owner.is_none() || is_owned)
            && (rule.teams.is_none() || team().eq(&[Says::Team(true)]))
    }
}

/// A mark that is in the row of this number and nowhere else.
fn mark(number: usize) -> String {
    format!("<{number}>")
}

/// Dropped bytes that end where they should: no line feed, which would end a row of lines.
fn garbage(bytes: &[u8]) -> Vec<u8> {
    let mut text = b"\"h\":[\"".to_vec();
    for byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend([b'\\', *byte]),
            b'\n' => text.push(b' '),
            _ => text.push(*byte),
        }
    }
    text.extend(b"\",NaN]");
    text
}

fn row(draw: &mut Draw<'_>, number: usize, has_garbage: &mut bool) -> Row {
    let (mut members, mut says) = (Vec::new(), Vec::new());
    let shown_at = draw.below(8);
    let count = draw.below(8);
    for place in 0..=count {
        if place == shown_at.min(count) {
            members.push(format!(r#""m":"{}""#, mark(number)).into_bytes());
        }
        let choice = draw.below(MEMBERS.len() + 2);
        match MEMBERS.get(choice) {
            Some((text, what)) => {
                members.push(text.as_bytes().to_vec());
                says.push(*what);
            }
            None => {
                *has_garbage = true;
                members.push(garbage(draw.some()));
            }
        }
    }
    Row { text: [b"{", members.join(&b',').as_slice(), b"}"].concat(), says }
}

fn rule(choice: usize) -> RowRule {
    let owner = || Owner { id: "u1".to_owned(), email: Some("é".to_owned()) };
    RowRule {
        hide_private: choice & 1 == 0,
        owner: (choice & 2 == 0).then(owner),
        teams: (choice & 4 == 0).then(|| vec!["7".to_owned(), "x".to_owned()]),
    }
}

struct Recipe {
    setting: Setting,
    rows: Vec<Row>,
    places: Vec<Range<usize>>,
    body: Vec<u8>,
    is_cut_off: bool,
    has_garbage: bool,
}

fn recipe(draw: &mut Draw<'_>) -> Recipe {
    let (form, open, between, close) = draw.of(&[
        ("data[]", r#"{"x":"<","data":["#, ",", "]}"),
        ("[]", "[", ",", "]"),
        ("$*", "", "\n", "\n"),
        ("data", r#"{"data":"#, "", "}"),
        ("$", "", "", ""),
    ]);
    let rule = rule(draw.below(7));
    let row_bytes = draw.of(&[1 << 20, 120, 40, 12]);
    let end = draw.byte();
    let most = if between.is_empty() { 1 } else { 1 + draw.below(7) };
    let (mut rows, mut has_garbage) = (Vec::new(), false);
    for number in 0..most {
        rows.push(row(draw, number, &mut has_garbage));
        if draw.is_empty() {
            break;
        }
    }
    let (mut body, mut places) = (open.as_bytes().to_vec(), Vec::new());
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            body.extend(between.as_bytes());
        }
        places.push(body.len()..body.len() + row.text.len());
        body.extend(&row.text);
    }
    body.extend(close.as_bytes());
    let is_cut_off = end >= 128;
    if is_cut_off {
        body.truncate(body.len() * usize::from(end - 128) / 128);
    }
    let setting = Setting::new(form, &["m", "w!"])
        .judged_by(Some("p"), &["u", "o.u"], Some("t"))
        .rule(rule)
        .bounds(16, row_bytes);
    Recipe { setting, rows, places, body, is_cut_off, has_garbage }
}

pub fn run(input: &[u8]) {
    let mut draw = Draw(input);
    let seed = draw.byte();
    let recipe = recipe(&mut draw);
    let whole = of_every_cut(&recipe.setting.job(), &recipe.body, seed);
    recipe.holds_marks(&whole);
    recipe.holds_result(&whole);
    let too_long = whole.result.is_err_and(|error| error.reason == Reason::RowTooLong);
    if !recipe.has_garbage && !too_long {
        let expected = oracle::expect(&recipe.setting, &recipe.body);
        assert_eq!(whole.result.is_ok().then_some(whole.out), expected, "other than the oracle's");
    }
}

impl Recipe {
    /// No mark of a hidden row, and once the mark of every other that was whole.
    fn holds_marks(&self, whole: &Outcome) {
        let text = String::from_utf8_lossy(&whole.out);
        for (number, row) in self.rows.iter().enumerate() {
            let seen = text.matches(&mark(number)).count();
            if !row.is_visible(&self.setting.rule) {
                assert_eq!(seen, 0, "bytes of the hidden row {number} left: {text}");
            } else if whole.result.is_ok() && self.places[number].end <= self.body.len() {
                assert_eq!(seen, 1, "the row {number} is missing: {text}");
            }
        }
    }

    fn holds_result(&self, whole: &Outcome) {
        let (bound, end) = (self.setting.bounds.row_bytes, self.body.len());
        let reaches = |at: &&Range<usize>| at.len() > bound && at.start + bound < end;
        let too_long = self.places.iter().find(reaches);
        if let Some(at) = too_long {
            let error = whole.result.expect_err("a row beyond its bound");
            let found = (error.at, error.reason);
            assert_eq!(found, ((at.start + bound) as u64, Reason::RowTooLong));
            return;
        }
        let is_lines = self.setting.rows == "$*";
        let is_within_row = self.places.iter().any(|at| at.start < end && end < at.end);
        if self.is_cut_off && (is_within_row || !is_lines) {
            let error = whole.result.expect_err("a body that was cut off");
            assert_eq!((error.at, error.reason), (end as u64, Reason::Truncated));
            return;
        }
        let totals = whole.result.expect("a sound body");
        let read = self.places.iter().filter(|at| at.end <= end).count();
        let hidden = self.rows[..read].iter().filter(|row| !row.is_visible(&self.setting.rule));
        let is_single = matches!(&*self.setting.rows, "data" | "$");
        let hidden = hidden.count() as u64;
        assert_eq!((totals.rows, totals.rows_hidden), (read as u64, hidden));
        assert_eq!(totals.single_row_hidden, is_single && hidden == 1);
    }
}
