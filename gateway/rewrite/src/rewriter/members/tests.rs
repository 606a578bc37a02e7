//! That the quick ways are taken where they should be. What comes out is the same without them, so it
//! is tested from outside that they do no harm, and here that they are of use.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;
use crate::{
    Bounds, Catalogue, CatalogueSpec, ColumnSpec, ColumnsSpec, Names, RowRule, Shape, Shown,
    Unmapped, VisibilitySpec,
};

const LONG: &str = "a_name_of_more_than_thirty_two_bytes";

/// Rows of two columns that are shown, hidden, a whole one, an id and one of a long name.
fn job(fallback: Option<&str>) -> Job {
    let column = |path: &str| ColumnSpec { path: path.to_owned(), ..ColumnSpec::default() };
    let mut columns: Vec<ColumnSpec> = ["a", "b", LONG, "h"].map(column).to_vec();
    columns.push(ColumnSpec { whole: true, ..column("w") });
    columns.push(ColumnSpec { assistant: true, ..column("id") });
    let visibility = VisibilitySpec::default();
    let columns = ColumnsSpec::Listed(columns);
    let catalogue =
        Catalogue::compile(&CatalogueSpec { columns, visibility, unmapped: Unmapped::Keep });
    let catalogue = Arc::new(catalogue.unwrap());
    let shown = catalogue.columns().filter(|(_, path)| *path != "h").map(|(id, _)| id);
    Job {
        shown: Arc::new(Shown::from_ids(&catalogue, shown)),
        shape: Arc::new(Shape::compile("[]", &[], false).unwrap()),
        names: Arc::new(Names::new([("known", "name")], fallback)),
        rows: Arc::new(RowRule::default()),
        bounds: Bounds { depth: 8, row_bytes: 1 << 20 },
        catalogue,
    }
}

/// A rewriter that has read the beginning of a body, and what its thread works with.
fn behind(job: &Job, beginning: &str) -> (Rewriter, Box<Work>) {
    let mut rewriter = Rewriter::new(job.clone());
    rewriter.write(beginning.as_bytes(), &mut Vec::new()).unwrap();
    let work = rewriter.begin_work();
    (rewriter, work)
}

/// Members without their braces, and whether there is nothing between their rows but a comma.
fn plain_rows() -> Vec<(String, bool)> {
    let text = |len: usize| "x".repeat(len);
    let mut rows: Vec<String> = [
        r#""a":1"#,
        r#""a":"x","b":-12.5e3"#,
        r#""a":null,"b":true,"a":false,"b":0"#,
        r#""h":1,"a":"é","x":"y","b":"\n\"""#,
        r#""h":[],"x":{},"a":1"#,
        r#""x":[[{"y":"]}"},1,2],{"z":[{}]}],"a":1,"h":{"y":[1,{"z":2}]},"b":2"#,
        r#""id":"known","a":1"#,
        r#""a":1,"id":"unknown","b":2"#,
        r#""a":1,"b":2,"id":7"#,
        r#""id":null"#,
        r#""h":"\u0041\\","x":"é","a":1"#,
    ]
    .map(str::to_owned)
    .to_vec();
    rows.push(format!(r#""{LONG}":1,"x{LONG}":2,"h":3,"{LONG}":"{}""#, text(40)));
    for len in [30, 31, 32, 33, 63, 64, 65, 100, 500] {
        rows.push(format!(r#""a":"{0}","h":"{0}","x":"{0}","b":"{0}é""#, text(len)));
        rows.push(format!(r#""a":{},"h":{0},"x":{0}"#, "7".repeat(len)));
    }
    let spread = rows.iter().map(|row| {
        let row = row.replace(r#"":"#, r#"":  "#).replace(r#","#, " ,\n  ");
        format!(" {row}\t")
    });
    let spread: Vec<String> = spread.collect();
    // Containers that pass as they stand do so without white space only.
    rows.extend(
        [
            r#""a":[1,"x",null,false,"é\n",-1.5e3],"b":[]"#,
            r#""w":{"n":"é","":2,"m":"\\"},"h":[1]"#,
            r#""w":{},"a":1"#,
            r#""h":{},"w":[1,"x"]"#,
            r#""h":1,"a":["x"],"x":{},"id":"known","w":{"n":1}"#,
        ]
        .map(str::to_owned),
    );
    rows.push(format!(r#""w":{{"{0}":"{1}","m":"{1}é\t"}}"#, text(31), text(70)));
    let compact = rows.into_iter().map(|row| (row, true));
    compact.chain(spread.into_iter().map(|row| (row, false))).collect()
}

/// Each name that is new is looked up, and the way goes on.
#[test]
fn a_row_of_new_members_goes_the_quick_way() {
    for (row, _) in plain_rows() {
        for fallback in [None, Some("x")] {
            let (mut rewriter, mut work) = behind(&job(fallback), "[{");
            // The bracket is the machine's, and there all the same.
            let piece = format!("{{{row}}}]");
            let end = rewriter.members(piece.as_bytes(), 1, &mut work).unwrap();
            assert_eq!(end, piece.len() - 1, "{row}");
        }
    }
}

/// No name is looked up again, and rows that touch go in one.
#[test]
fn rows_of_known_members_go_the_quick_way_by_guesses_alone() {
    for (row, is_compact) in plain_rows() {
        let row = &row;
        let (mut rewriter, mut work) = behind(&job(None), &format!("[{{{row}}},{{{row}}},{{"));
        let rows = if is_compact { 4 } else { 1 };
        let piece = format!("{{{}}}]", vec![row.as_str(); rows].join("},{"));
        work.look(piece.as_bytes(), 1);
        work.start = work.memo.start(rewriter.top.node);
        rewriter.top.last = work.start;
        let known = work.memo.len();
        let (work, piece) = (&mut *work, piece.as_bytes());
        let stop = scan::run(Members { rewriter: &mut rewriter, piece, at: 1, work });
        assert!(matches!(stop, Stop::Closed(mark) if mark == piece.len() - 2), "{row}");
        assert_eq!(work.memo.len(), known, "{row}");
    }
}

/// What a piece's end cut is the guess of what came before, and no other guess is lost over it.
#[test]
fn a_piece_that_begins_in_a_row_goes_on_with_the_guess_of_the_last() {
    let members = [r#""a":"x""#, r#""b":"x""#, r#""h":"x""#, r#""x":"x""#, r#""a":"x""#];
    let row = members.join(",");
    for cut in 1..members.len() {
        let (head, tail) = row.split_at(members[..cut].join(",").len() - 1);
        let (mut rewriter, mut work) =
            behind(&job(None), &format!("[{{{row}}},{{{row}}},{{{head}"));
        let start = work.memo.start(rewriter.top.node);
        let (known, first) = (work.memo.len(), work.memo.member(start).next);
        let tail = format!("{tail}}}");
        let piece = tail.as_bytes();
        let at = rewriter.string(piece, 0).unwrap();
        let at = rewriter.after(piece, at).unwrap();
        assert_eq!(rewriter.members(piece, at, &mut work).unwrap(), piece.len(), "{head}");
        assert_eq!((work.memo.len(), work.memo.member(start).next), (known, first), "{head}");
    }
}

/// A name takes one place in the memory, however often it comes.
#[test]
fn a_member_is_remembered_once() {
    let row = r#""a":1,"x":2,"b":3,"h":4,"a":5"#;
    let (_, work) = behind(&job(None), &format!("[{{{}}}", vec![row; 100].join("},{")));
    // Nothing, the bracket, and the four names.
    assert_eq!(work.memo.len(), 6);
}

#[test]
fn what_passes_whole_goes_the_quick_way() {
    let inner = |text: &str, name: &str| {
        format!(
            r#""x":1,"{name}":"{text}","y":[1,"a",{{"z":null}},[],[[2]],"é"],"e":{{}},"n":-1.5,"t":true"#
        )
    };
    for (text, name) in [
        ("", ""),
        ("x", "a"),
        (&*"x".repeat(33), &*"n".repeat(31)),
        (&"x".repeat(64), "n"),
        (&"é".repeat(100), "n"),
    ] {
        let row = inner(text, name);
        let spread = row.replace("\":", "\": ").replace(',', " ,\n  ").replace('[', "[ ");
        for row in [row, spread] {
            for (open, close) in [("{", "}"), (r#"{"z":[{"#, "}]}")] {
                let (mut rewriter, mut work) = behind(&job(None), &format!("[{{\"w\":{open}"));
                let piece = format!("{row}{close},");
                let end = rewriter.verbatim(piece.as_bytes(), 0, &mut work).unwrap();
                assert_eq!(end, piece.len() - 1, "{row}");
            }
        }
    }
}
