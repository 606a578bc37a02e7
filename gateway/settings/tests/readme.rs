//! The configuration and the directories that the documentation shows are such that load.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use gateway_policy::{Meters, compile};
use gateway_settings::{Loaded, LookUp, load, load_directory};

struct Nothing;

impl LookUp for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        Err(std::io::Error::other(path.display().to_string()))
    }
}

const README: &str = include_str!("../../../README.md");

/// The YAML blocks of a page.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").expect("its end").0).collect()
}

fn configuration() -> Loaded {
    let text = blocks(README)[0];
    load(text, Path::new("gateway.yaml"), &Nothing).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

#[test]
fn the_twenty_lines_of_the_readme_load_without_a_warning() {
    let loaded = configuration();
    assert_eq!(loaded.warnings.len(), 0, "{:#?}", loaded.warnings);
    assert_eq!(loaded.rules.routes.routes().len(), 2);
}

/// The directory of the page goes with the configuration of the README, and no record of it is left out.
#[test]
fn the_directory_that_is_shown_serves_under_the_readmes_configuration() {
    let page = include_str!("../../../docs/directory.md");
    let (text, loaded) = (blocks(page)[0], configuration());
    let form = &loaded.settings.keys;
    let directory = load_directory(text, Path::new("directory.yaml"), &Nothing, form)
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(directory.left_out.len(), 0, "{:#?}", directory.left_out);
    let compiled = compile(&directory.directory, &loaded.rules, &Meters::new());
    assert_eq!(compiled.left_out, []);
    assert_eq!(compiled.keys.len(), 2);
}

/// The page names every field that a record may have.
#[test]
fn the_page_of_the_directory_names_every_field() {
    let page = include_str!("../../../docs/directory.md");
    let model = include_str!("../src/model/directory.rs");
    let fields = model.lines().filter_map(|line| line.strip_prefix("    pub(crate) "));
    let fields: Vec<&str> =
        fields.filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
    assert!(fields.len() > 20, "{fields:?}");
    for field in fields {
        let named = [format!("`{field}`"), format!("`assistants.{field}`")];
        assert!(field == "assistants" || named.iter().any(|name| page.contains(name)), "{field}");
    }
}
