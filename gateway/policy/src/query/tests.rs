#![allow(clippy::unwrap_used)]

use super::*;
use gateway_rewrite::{CatalogueSpec, ColumnSpec, ColumnsSpec, Unmapped, VisibilitySpec};

mod oracle;

fn catalogue(columns: ColumnsSpec, visibility: VisibilitySpec) -> Catalogue {
    Catalogue::compile(&CatalogueSpec { columns, visibility, unmapped: Unmapped::Null }).unwrap()
}

/// A catalogue of `visible` and `hidden` columns, and what shows the first.
fn columns(visible: &[&str], hidden: &[&str]) -> (Catalogue, Shown) {
    judged(visible, hidden, VisibilitySpec::default())
}

/// The same where rows are judged.
fn judged(visible: &[&str], hidden: &[&str], rows: VisibilitySpec) -> (Catalogue, Shown) {
    let spec = |path: &&str| ColumnSpec { path: (*path).to_owned(), ..ColumnSpec::default() };
    let listed = visible.iter().chain(hidden).map(spec).collect();
    let catalogue = catalogue(ColumnsSpec::Listed(listed), rows);
    let shown =
        Shown::from_ids(&catalogue, visible.iter().map(|path| catalogue.column(path).unwrap()));
    (catalogue, shown)
}

fn guard() -> QueryRule {
    QueryRule::Guard { columns: QUERY_COLUMNS_DEFAULT.map(Box::from).to_vec() }
}

fn not_allowed(parameter: &str) -> Result<(), QueryError> {
    Err(QueryError::ColumnNotAllowed { parameter: parameter.to_owned() })
}

/// Whether the guard lets `query` pass with these columns.
fn passes(visible: &[&str], hidden: &[&str], query: &str) -> bool {
    let (catalogue, shown) = columns(visible, hidden);
    guard().check(Some(query), &catalogue, &shown, None).is_ok()
}

const VISIBLE: [&str; 6] =
    ["call_id", "created_at", "agent.name", "agent.id", "custom.field", "a__b"];
const HIDDEN: [&str; 9] = [
    "user_email",
    "email",
    "customer.name",
    "customer.phone",
    "agent.secret",
    "meta.deep.score",
    "custom-field",
    "имя",
    "$",
];

/// C9, T6: a list is of raw names; the values are nobody's business.
#[test]
fn a_list_takes_its_names_byte_for_byte_and_no_other() {
    let rule = QueryRule::Allow(["limit", "offset", "filter[x]"].map(Box::from).to_vec());
    let (catalogue, shown) = columns(&["call_id"], &["email"]);
    for (query, unknown) in [
        (None, None),
        (Some(""), None),
        (Some("limit=5&offset=0"), None),
        (Some("&&limit=5&"), None),
        (Some("limit"), None),
        (Some("limit=email&limit=%zz"), None),
        (Some("limit=5;offset=0"), None),
        (Some("limit=;;"), None),
        (Some("filter[x]=1"), None),
        (Some("include_raw=true"), Some("include_raw")),
        (Some("limit=5&include_raw=true"), Some("include_raw")),
        (Some("limit=5;include_raw=true"), Some("include_raw")),
        (Some("limit;offset=1"), Some("limit;offset")),
        (Some("%6cimit=5"), Some("%6cimit")),
        (Some("Limit=5"), Some("Limit")),
        (Some("limit%00=5"), Some("limit%00")),
        (Some("limit[]=5"), Some("limit[]")),
        (Some("filter%5Bx%5D=1"), Some("filter%5Bx%5D")),
        (Some("+limit=5"), Some("+limit")),
        (Some("=5"), Some("")),
        (Some("?limit=5"), Some("?limit")),
    ] {
        let expected = match unknown {
            None => Ok(()),
            Some(name) => Err(QueryError::UnknownParameter { parameter: name.to_owned() }),
        };
        assert_eq!(rule.check(query, &catalogue, &shown, None), expected, "{query:?}");
    }
}

/// Names with [`VISIBLE`] and [`HIDDEN`] columns, and whether they pass.
const NAMES: [(&str, bool); 63] = [
    ("limit", true),
    ("start_date", true),
    ("email_count", true),
    ("customer_id", true),
    ("", true),
    ("-", true),
    ("call_id", true),
    ("email", false),
    ("EMAIL", false),
    ("-email", false),
    ("email[]", false),
    ("email[gte]", false),
    ("filter[email]", false),
    ("filter[user][email]", false),
    ("email__icontains", false),
    ("email___icontains", false),
    ("__email", false),
    ("a.b.email.c", false),
    ("user_email", false),
    ("userEmail", false),
    ("user-email", false),
    ("user.email", false),
    ("u%C5%BFer_email", false),
    ("filter.userEmail.eq", false),
    ("%65mail", false),
    ("e%6Dail__in", false),
    ("%2565mail", false),
    ("50%25", false),
    ("a%", false),
    ("a%z1", false),
    ("%ff", false),
    ("filter%5Bemail%5D", false),
    ("x+email", false),
    ("email%00", false),
    ("customer.name", false),
    ("customer__name", false),
    ("customerName", false),
    ("customer[phone]", false),
    ("phone", false),
    ("customer", false),
    ("Customer", false),
    ("meta", false),
    ("meta.deep", false),
    ("deep", false),
    ("deep.score", false),
    ("meta__deep__score__gt", false),
    ("agent", true),
    ("agent.name", true),
    ("agent[name]", true),
    ("agent__name__in", true),
    ("name", true),
    ("NAME", false),
    ("agent.secret", false),
    ("secret", false),
    ("custom.field", true),
    ("filter[custom.field]", true),
    ("custom-field", false),
    ("filter[custom-field]", false),
    ("a__b", true),
    ("%D0%B8%D0%BC%D1%8F", false),
    ("%D0%98%D0%9C%D0%AF__in", false),
    ("%24", false),
    ("$", false),
];

/// C9: no spelling of a name reaches a hidden column.
#[test]
fn a_name_that_reaches_a_hidden_column_is_refused() {
    for (name, pass) in NAMES {
        let (catalogue, shown) = columns(&VISIBLE, &HIDDEN);
        let expected = if pass { Ok(()) } else { not_allowed(name) };
        for query in [
            name.to_owned(),
            format!("{name}=1"),
            format!("limit=5&{name}=a=b"),
            format!("limit=5;{name}"),
        ] {
            assert_eq!(guard().check(Some(&query), &catalogue, &shown, None), expected, "{query}");
        }
    }
}

/// A part that a visible column has too is no secret; the whole path of a hidden one always is,
/// unless it stands within a visible one.
#[test]
fn a_shared_part_passes_and_a_whole_hidden_path_does_not() {
    for (visible, hidden, query, pass) in [
        (&["customer.name"][..], &["name"][..], "name=x", false),
        (&["customer.name"], &["name"], "customer.name=x", true),
        (&["customer.name"], &["name"], "filter[customer][name]=x", true),
        (&["customer.name"], &["name"], "customer__name__in=x", true),
        (&["customer.name"], &["name"], "customer.name.name=x", false),
        (&["name"], &["customer.name"], "name=x", true),
        (&["name"], &["customer.name"], "customer.name=x", false),
        (&["name"], &["customer.name"], "customer=x", false),
        (&["customer.id", "name"], &["customer.name"], "customer=x", true),
        (&["customer"], &["agent.customer"], "customer=x", true),
        (&["order.customer"], &["customer.name"], "customer=x", false),
        (&["Name"], &["name"], "Name=x", true),
        (&["Name"], &["name"], "name=x", false),
        (&["Name"], &["name"], "NAME=x", false),
        (&["_id"], &["id"], "_id=x", true),
        (&["_id"], &["id"], "id=x", false),
        (&["x.agent.name"], &["y.agent.id"], "agent=x", true),
        (&["agent.id"], &["agent"], "agent.id=x", true),
        (&["agent.id"], &["agent"], "agent=x", false),
        (&["a.b"], &["a-b"], "a.b=x", true),
        (&["a.b"], &["a-b"], "q[a-b]=x", false),
        (&[], &["a"], "b=x", true),
        (&[], &["__"], "__=x", false),
        (&["a"], &[], "b=x", true),
    ] {
        assert_eq!(
            passes(visible, hidden, query),
            pass,
            "{query} with {visible:?}, without {hidden:?}"
        );
    }
}

/// Parameters with what they select of the same columns, and whether they pass.
const SELECTIONS: [(&str, &str, bool); 57] = [
    ("fields", "", true),
    ("fields", "call_id", true),
    ("fields", "call_id,created_at,agent.name", true),
    ("fields", "call_id,,created_at,", true),
    ("fields", "call_id,%20created_at", true),
    ("fields", "call_id,email", false),
    ("fields", "unlisted", false),
    ("fields", "*", false),
    ("fields", "CALL_ID", false),
    ("fields", "agent", false),
    ("fields", "%63all_id", true),
    ("fields", "%2563all_id", false),
    ("fields", "call_id%00", false),
    ("fields", "%ff", false),
    ("fields", "call_id;unlisted", false),
    ("fields[]", "email", false),
    ("fields[0]", "unlisted", false),
    ("fields[1]", "call_id", true),
    ("fields[calls]", "call_id", true),
    ("fields[calls]", "unlisted", false),
    ("Fields", "unlisted", false),
    ("%66ields", "unlisted", false),
    ("$select", "unlisted", false),
    ("options[fields]", "unlisted", false),
    ("sort", "created_at", true),
    ("sort", "-created_at", true),
    ("sort", "%2Bcreated_at", true),
    ("sort", "+created_at", true),
    ("sort", "--created_at", false),
    ("sort", "-", false),
    ("sort", "created_at:desc", true),
    ("sort", "created_at:DESC,-call_id", true),
    ("sort", "created_at:down", false),
    ("sort", "created_at+desc", true),
    ("sort", "created_at%09asc", true),
    ("sort", "email+desc", false),
    ("sort", "created_at|email", false),
    ("order", "asc", true),
    ("order", "DESC", true),
    ("order_by", "unlisted", false),
    ("orderBy", "unlisted", false),
    ("order-by", "unlisted", false),
    ("group_by", "agent.id", true),
    ("group_by", "user_email", false),
    ("include", "customer", false),
    ("filter", "call_id", true),
    ("filter", "email:eq:x", false),
    ("filter[call_id]", "anything%25", true),
    ("filter[0][call_id][gte]", "5", true),
    ("filter[agent.name]", "x", true),
    ("filter[agent][name]", "x", true),
    ("filter[unlisted]", "x", false),
    ("filter[0][field]", "unlisted", false),
    ("filter__created_at__gte", "2026", true),
    ("sort[created_at]", "desc", true),
    ("sorted", "unlisted", true),
    ("limit", "email", true),
];

/// C9: sorting, selecting, grouping and filtering is by visible columns only.
#[test]
fn a_selecting_parameter_takes_visible_columns_only() {
    for (parameter, value, pass) in SELECTIONS {
        let (catalogue, shown) = columns(&VISIBLE, &HIDDEN);
        let expected = if pass { Ok(()) } else { not_allowed(parameter) };
        let query = format!("limit=5&{parameter}={value}");
        assert_eq!(guard().check(Some(&query), &catalogue, &shown, None), expected, "{query}");
    }
}

fn by_flag_owner_and_team() -> VisibilitySpec {
    VisibilitySpec {
        private: Some("is_private".to_owned()),
        owner: vec!["owner.email".to_owned(), "asc".to_owned()],
        team: Some("team_no".to_owned()),
    }
}

/// C9, P1: what rows are judged by is hidden where it is no column, and judged like any where it is one.
#[test]
fn a_column_that_rows_are_judged_by_is_guarded_without_being_listed() {
    for (visible, hidden, query, pass) in [
        (&["id"][..], &[][..], "is_private=true", false),
        (&["id"], &[], "filter[isPrivate]=true", false),
        (&["id"], &[], "is_private__in=true", false),
        (&["id"], &[], "sort=is_private", false),
        (&["id"], &[], "sort=-owner.email", false),
        (&["id"], &[], "sort=asc", false),
        (&["id"], &[], "sort=id:desc", true),
        (&["id"], &[], "owner[email]=x", false),
        (&["id"], &[], "email=x", false),
        (&["id", "email"], &[], "email=x", true),
        (&["id", "email"], &[], "owner.email=x", false),
        (&["id"], &[], "team_no=1", false),
        (&["id"], &[], "team=1&private=1&is_private_too=1", true),
        (&["id", "is_private"], &[], "is_private=true", true),
        (&["id", "is_private"], &[], "sort=is_private", true),
        (&["id"], &["is_private"], "is_private=true", false),
    ] {
        let (catalogue, shown) = judged(visible, hidden, by_flag_owner_and_team());
        let passed = guard().check(Some(query), &catalogue, &shown, None).is_ok();
        assert_eq!(passed, pass, "{query} with {visible:?}, without {hidden:?}");
    }
    // A parameter that names the team is judged as one, whatever rows are judged by.
    let (catalogue, shown) = judged(&["id"], &[], by_flag_owner_and_team());
    assert_eq!(guard().check(Some("team_no=1"), &catalogue, &shown, Some("team_no")), Ok(()));
}

#[test]
fn the_selecting_parameters_are_those_of_the_rule() {
    let (catalogue, shown) = columns(&["a"], &["b", "desc"]);
    let rule = QueryRule::Guard { columns: vec!["page[by]".into()] };
    for (query, pass) in [
        ("sort=b", true),
        ("page[by]=a", true),
        ("page[by]=x", false),
        ("pageBy=x", false),
        ("page=x", true),
    ] {
        assert_eq!(rule.check(Some(query), &catalogue, &shown, None).is_ok(), pass, "{query}");
    }
    // Of two that begin alike the longer one is meant.
    assert!(passes(&["by"], &[], "sort[by]=x"));
    assert!(!passes(&["by"], &[], "order[by]=x"));
    // A hidden column may be called like a direction.
    assert_eq!(guard().check(Some("sort=a:desc,asc"), &catalogue, &shown, None), Ok(()));
    assert_eq!(guard().check(Some("sort=DESC"), &catalogue, &shown, None), not_allowed("sort"));
}

#[test]
fn nothing_is_judged_where_everything_passes_or_nothing_is_asked() {
    let columns_of_all = ColumnsSpec::All { assistants: vec!["agent.id".to_owned()] };
    let all = catalogue(columns_of_all, by_flag_owner_and_team());
    let shown = Shown::none(&all);
    assert_eq!(
        guard().check(Some("sort=anything&agent.id=%&is_private=1"), &all, &shown, None),
        Ok(())
    );
    let (catalogue, shown) = columns(&[], &["email"]);
    for query in [None, Some(""), Some("&"), Some(";;&;")] {
        assert_eq!(guard().check(query, &catalogue, &shown, None), Ok(()), "{query:?}");
    }
}

#[test]
fn a_refusal_repeats_no_more_than_128_bytes_of_the_name() {
    let (catalogue, shown) = columns(&[], &["email"]);
    for (name, expected) in [
        (format!("{}email", "x.".repeat(61)), format!("{}email", "x.".repeat(61))),
        (format!("email.{}", "x".repeat(200)), format!("email.{}", "x".repeat(122))),
        (format!("email.{}é", "x".repeat(121)), format!("email.{}", "x".repeat(121))),
    ] {
        assert_eq!(guard().check(Some(&name), &catalogue, &shown, None), not_allowed(&expected));
    }
}

/// The longest query of the default bound against a wide catalogue ends, and is judged.
#[test]
fn many_words_and_many_columns_are_judged_all_the_same() {
    let hidden: Vec<String> = (0..300).map(|n| format!("part{n}.name")).collect();
    let hidden: Vec<&str> = hidden.iter().map(String::as_str).collect();
    for (query, pass) in [
        ("customer.name.".repeat(580), true),
        (format!("{}part299.name", "customer.name.".repeat(580)), false),
        ("a&".repeat(4000), true),
        (format!("{}part0", "a&".repeat(4000)), false),
    ] {
        assert_eq!(
            passes(&["customer.name"], &hidden, &query),
            pass,
            "{}",
            &query[query.len() - 20..]
        );
    }
}
