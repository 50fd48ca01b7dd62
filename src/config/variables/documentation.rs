//! The table in the crate's documentation is this table.

use std::collections::HashSet;
#[cfg(all(feature = "otlp-http", feature = "file", feature = "config-file"))]
use std::fmt::Write as _;

use super::{Owner, Row, all};

/// As it stands in `lib.rs`.
#[cfg(all(feature = "otlp-http", feature = "file", feature = "config-file"))]
fn table() -> String {
    let mut table = String::from(
        "//! | variable | type | default | meaning | in code |\n//! |---|---|---|---|---|\n",
    );
    // a variable that others come before stands in their rows
    for row in all().filter(|row| is_honoured(row) && !row.meaning.is_empty()) {
        let over = row.over.map_or_else(String::new, |over| format!(", else `{over}`"));
        let kind = format!("{:?}", row.kind).to_lowercase();
        let Row { name, default, meaning, code, .. } = row;
        writeln!(table, "//! | `{name}`{over} | {kind} | {default} | {meaning} | {code} |")
            .expect("a String takes everything");
    }
    table
}

fn is_honoured(row: &Row) -> bool {
    matches!(row.owner, Owner::Specification | Owner::Ours)
}

/// A row behind a feature that is off is not honoured, and the guide is of all features.
#[cfg(all(feature = "otlp-http", feature = "file", feature = "config-file"))]
#[test]
fn the_guide_has_this_table() {
    let table = table();
    let guide = include_str!("../../lib.rs");
    assert!(guide.contains(&table), "the table of variables in src/lib.rs is to be:\n{table}");
}

#[test]
fn each_name_once_and_each_row_complete() {
    let mut names = HashSet::new();
    let overridden: HashSet<_> = all().filter_map(|row| row.over).collect();
    for row in all() {
        assert!(names.insert(row.name), "{} is there twice", row.name);
        if is_honoured(row) && !overridden.contains(row.name) {
            let complete = !row.meaning.is_empty() && !row.default.is_empty();
            assert!(complete && !row.code.is_empty(), "{row:?}");
        }
    }
    for over in overridden {
        assert!(names.contains(over), "{over} has no row");
    }
}
