//! The configuration that the README shows is one that loads.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use gateway_settings::{LookUp, load};

struct Nothing;

impl LookUp for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        Err(std::io::Error::other(path.display().to_string()))
    }
}

#[test]
fn the_twenty_lines_of_the_readme_load_without_a_warning() {
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("```yaml\n").expect("a YAML block");
    let (text, _) = rest.split_once("```").expect("its end");
    let loaded = load(text, Path::new("gateway.yaml"), &Nothing)
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(loaded.warnings.len(), 0, "{:#?}", loaded.warnings);
    assert_eq!(loaded.rules.routes.routes().len(), 2);
}
