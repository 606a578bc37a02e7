//! Compiling what a resource's rows may hold.

use gateway_rewrite::{
    COLUMNS_MAX, Catalogue, CatalogueError, CatalogueSpec, ColumnId, ColumnsSpec, Shown, Unmapped,
    VisibilitySpec,
};

use crate::setting::{Setting, column};

fn spec(columns: &[&str], visibility: VisibilitySpec) -> CatalogueSpec {
    let columns = ColumnsSpec::Listed(columns.iter().map(|text| column(text).spec).collect());
    CatalogueSpec { columns, visibility, unmapped: Unmapped::Null }
}

fn faults(columns: &[&str]) -> Vec<CatalogueError> {
    Catalogue::compile(&spec(columns, VisibilitySpec::default())).err().unwrap_or_default()
}

#[test]
fn a_faulty_catalogue_says_everything_that_is_wrong() {
    use CatalogueError::*;
    let duplicate = |path: &str| Duplicate { path: path.to_owned() };
    let segment = |path: &str| EmptySegment { path: path.to_owned() };
    let member = |whole: &str, member: &str| WholeAndMember {
        whole: whole.to_owned(),
        member: member.to_owned(),
    };
    for (columns, expected) in [
        (&["a", "a.b", "b.c@", "d!"][..], vec![]),
        (&["a!", "a.b@", "a.b.c@"], vec![]),
        (&["ab!", "a.b"], vec![]),
        (
            &["", "a..b", ".a", "a.", "a", "a"],
            vec![EmptyPath, segment("a..b"), segment(".a"), segment("a."), duplicate("a")],
        ),
        (
            &["a[].b", "c[]"],
            vec![Brackets { path: "a[].b".to_owned() }, Brackets { path: "c[]".to_owned() }],
        ),
        (&["a!", "a.b", "a.c.d"], vec![member("a", "a.b"), member("a", "a.c.d")]),
        (
            &["a.b.c", "a!", "a.b!"],
            vec![member("a.b", "a.b.c"), member("a", "a.b.c"), member("a", "a.b")],
        ),
        (&["a!", "a.b@", "a.b.c"], vec![member("a", "a.b.c")]),
    ] {
        assert_eq!(faults(columns), expected, "{columns:?}");
    }
    let visibility = VisibilitySpec {
        private: Some("a..b".to_owned()),
        owner: vec!["x".to_owned(), "x".to_owned(), String::new()],
        team: Some("t[]".to_owned()),
    };
    assert_eq!(
        Catalogue::compile(&spec(&["x"], visibility)).unwrap_err(),
        vec![duplicate("x"), EmptyPath, segment("a..b"), Brackets { path: "t[]".to_owned() },]
    );
    let all = ColumnsSpec::All { assistants: vec!["a".to_owned(), "a".to_owned()] };
    let all = CatalogueSpec { columns: all, ..spec(&[], VisibilitySpec::default()) };
    assert_eq!(Catalogue::compile(&all).unwrap_err(), vec![duplicate("a")]);
}

#[test]
#[cfg_attr(miri, ignore = "thousands of columns")]
fn a_catalogue_has_a_bound() {
    let names: Vec<String> = (0..=COLUMNS_MAX).map(|n| format!("c{n}.d.e")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(faults(&names[1..]), vec![]);
    let too_many = CatalogueError::TooMany { columns: COLUMNS_MAX + 1, max: COLUMNS_MAX };
    assert_eq!(faults(&names), vec![too_many]);
    let deep = ["a"; 70_000].join(".");
    assert_eq!(faults(&[&deep]).len(), 1, "more parts than there are nodes");
}

#[test]
fn columns_are_found_by_path_and_by_any_part_of_it() {
    let visibility =
        VisibilitySpec { private: Some("is_private".to_owned()), ..VisibilitySpec::default() };
    let catalogue =
        Catalogue::compile(&spec(&["id", "customer.name", "agent.id@", "name"], visibility))
            .unwrap();
    let paths = |ids: Vec<ColumnId>| -> Vec<&str> {
        let path = |id| catalogue.columns().find(|(other, _)| *other == id).map(|(_, path)| path);
        ids.into_iter().filter_map(path).collect()
    };
    for (word, expected) in [
        ("id", &["id", "agent.id"][..]),
        ("name", &["customer.name", "name"]),
        ("customer", &["customer.name"]),
        ("customer.name", &["customer.name"]),
        ("Name", &[]),
        ("is_private", &[]),
        ("", &[]),
    ] {
        assert_eq!(paths(catalogue.names_column(word).collect()), expected, "{word}");
    }
    assert_eq!(paths(catalogue.column("customer.name").into_iter().collect()), ["customer.name"]);
    for path in ["customer", "is_private", "agent", ""] {
        assert_eq!(catalogue.column(path), None, "{path}");
    }
    assert!(catalogue.has_assistants() && !catalogue.is_all());
}

#[test]
fn a_catalogue_says_what_its_rows_are_judged_by() {
    let path = || "a.b".to_owned();
    let none = VisibilitySpec::default;
    for (visibility, expected) in [
        (none(), (false, false, false)),
        (VisibilitySpec { private: Some(path()), ..none() }, (true, false, false)),
        (VisibilitySpec { owner: vec![path(), "c".to_owned()], ..none() }, (false, true, false)),
        (VisibilitySpec { team: Some(path()), ..none() }, (false, false, true)),
    ] {
        let catalogue = Catalogue::compile(&spec(&["id"], visibility.clone())).unwrap();
        let judges =
            (catalogue.judges_private(), catalogue.judges_owner(), catalogue.judges_team());
        assert_eq!(judges, expected, "{visibility:?}");
        assert!(!catalogue.has_assistants());
    }
}

#[test]
fn shown_columns_are_those_that_were_asked_for() {
    let names: Vec<String> = (0..130).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let catalogue = Catalogue::compile(&spec(&names, VisibilitySpec::default())).unwrap();
    let few = [0, 63, 64, 129].map(|index: usize| catalogue.column(names[index]).unwrap());
    let shown = Shown::from_ids(&catalogue, few);
    for (id, path) in catalogue.columns() {
        assert_eq!(shown.contains(id), few.contains(&id), "{path}");
        assert!(Shown::all(&catalogue).contains(id), "{path}");
        assert!(!Shown::none(&catalogue).contains(id), "{path}");
    }
    let small = Catalogue::compile(&spec(&["a"], VisibilitySpec::default())).unwrap();
    assert_eq!(Shown::from_ids(&small, few[1..].iter().copied()), Shown::none(&small), "strangers");
}

#[test]
fn a_catalogue_of_all_columns_lists_none() {
    let catalogue = Setting::new("$", &["a@", "b"]).all().job().catalogue;
    assert!(catalogue.is_all() && catalogue.has_assistants());
    assert_eq!(catalogue.columns().count(), 0);
    assert_eq!(catalogue.column("a"), None);
}

/// C9: what rows are judged by is known to a query's guard, also where no column is listed for it.
#[test]
fn what_rows_are_judged_by_is_told_unless_it_is_a_column() {
    let visibility = VisibilitySpec {
        private: Some("is_private".to_owned()),
        owner: vec!["email".to_owned(), "agent.email".to_owned()],
        team: Some("meta.team".to_owned()),
    };
    for (columns, expected) in [
        (&["id"][..], &["is_private", "email", "agent.email", "meta.team"][..]),
        (&["id", "email", "meta"], &["is_private", "agent.email", "meta.team"]),
        (&["meta.team", "agent.email", "email", "is_private"], &[]),
    ] {
        let catalogue = Catalogue::compile(&spec(columns, visibility.clone())).unwrap();
        assert_eq!(catalogue.judged_only().collect::<Vec<_>>(), expected, "{columns:?}");
    }
    let columns = ColumnsSpec::All { assistants: vec!["agent.id".to_owned()] };
    let all = CatalogueSpec { columns, visibility, unmapped: Unmapped::Null };
    assert_eq!(Catalogue::compile(&all).unwrap().judged_only().count(), 0, "all is shown");
}
