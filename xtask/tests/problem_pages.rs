//! A client that meets a code finds its page, and no page speaks of a code that is gone.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gateway_policy::ProblemCode;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/problems")
}

/// The index is the one page that is not a code's.
fn pages() -> BTreeSet<String> {
    let entries =
        folder().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries
        .filter_map(|name| name.strip_suffix(".md").map(String::from))
        .filter(|name| name != "README")
        .collect()
}

fn page(code: ProblemCode) -> String {
    std::fs::read_to_string(folder().join(format!("{}.md", code.as_str()))).unwrap_or_default()
}

/// The status of a code; one passes the upstream's on.
fn own_status(code: ProblemCode) -> Option<u16> {
    (code != ProblemCode::UpstreamError).then(|| code.status())
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let codes: BTreeSet<String> =
        ProblemCode::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    let pages = pages();
    let missing: Vec<_> = codes.difference(&pages).collect();
    let stale: Vec<_> = pages.difference(&codes).collect();
    assert!(missing.is_empty(), "codes without a page in docs/problems: {missing:?}");
    assert!(stale.is_empty(), "pages in docs/problems without a code: {stale:?}");
}

#[test]
fn a_page_names_its_code_and_status_and_answers_three_questions() {
    for code in ProblemCode::ALL {
        let page = page(*code);
        let heading = format!("# `{}`", code.as_str());
        assert_eq!(page.lines().next(), Some(heading.as_str()), "{code:?}");
        let status = match own_status(*code) {
            Some(status) => format!("\nStatus {status}."),
            None => "\nStatus: the upstream's own.".to_owned(),
        };
        assert!(page.contains(&status), "{code:?} lacks `{}`", status.trim());
        for question in
            ["## What it means", "## What the client does", "## What the operator looks at"]
        {
            assert!(page.contains(question), "{code:?} lacks `{question}`");
        }
    }
}

#[test]
fn the_index_lists_every_code_with_its_status() {
    let index = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for code in ProblemCode::ALL {
        let status = own_status(*code).map_or("as it was".to_owned(), |status| status.to_string());
        let row = format!("| {status} | [`{code}`]({code}.md) |", code = code.as_str());
        assert!(index.contains(&row), "docs/problems/README.md lacks the row `{row}`");
    }
}
