//! What holds for every variable, tried on every row.

#[cfg(unix)]
use std::ffi::OsString;

#[cfg(unix)]
use super::conformance::explained_by;
use super::conformance::{explained, sample};
use super::{Kind, Owner, Row, all};
use crate::config::{Explanation, Source};

fn honoured() -> impl Iterator<Item = &'static Row> {
    all().filter(|row| matches!(row.owner, Owner::Specification | Owner::Ours))
}

/// With the variable at this value, and whatever else it needs.
fn with(row: &'static Row, value: &str) -> Explanation {
    let (_, others) = sample(row);
    let others = others.iter().map(|(name, value)| (*name, (*value).into()));
    explained(others.chain([(row.name, value.into())]).collect())
}

fn without(row: &'static Row) -> Explanation {
    let (_, others) = sample(row);
    explained(others.iter().map(|(name, value)| (*name, (*value).into())).collect())
}

fn problems(explanation: &Explanation, row: &Row) -> Vec<String> {
    let wrong = explanation.ignored().iter().filter(|i| i.is_wrong && i.setting == row.name);
    wrong.map(|ignored| ignored.why.clone()).collect()
}

#[test]
fn empty_and_blank_are_unset() {
    for row in honoured() {
        for empty in ["", " ", "\t\n"] {
            assert_eq!(with(row, empty), without(row), "{}", row.name);
        }
    }
}

#[test]
fn white_space_around_a_value_does_not_count() {
    for row in honoured() {
        let (value, _) = sample(row);
        assert_eq!(with(row, &format!(" \t{value} \n")), with(row, value), "{}", row.name);
    }
}

#[test]
fn the_case_of_booleans_and_enumerations_does_not_count() {
    let kinds = [Kind::Boolean, Kind::Enum, Kind::List];
    for row in honoured().filter(|row| kinds.contains(&row.kind)) {
        let (value, _) = sample(row);
        assert_eq!(with(row, &value.to_uppercase()), with(row, value), "{}", row.name);
    }
}

#[test]
fn a_value_of_no_use_is_named_and_counts_as_unset() {
    for row in honoured() {
        let bad: &[&str] = match row.kind {
            Kind::Integer | Kind::Duration | Kind::Timeout => {
                &["-1", "+1", "1.5", "1e3", "0x10", "NaN", "7s", "18446744073709551616", "１"]
            }
            Kind::Boolean => &["1", "yes", "on", "truee", "t rue"],
            Kind::Enum | Kind::List => &["unheard-of", "unheard-of,,", "\u{1b}[31m"],
            Kind::Pairs | Kind::String => continue,
        };
        for value in bad {
            let (found, unset) = (with(row, value), without(row));
            let told = problems(&found, row);
            assert_eq!(told.len(), 1, "{}={value}: {told:?}", row.name);
            let quoted = value.trim_end_matches(',').escape_debug().to_string();
            assert!(told[0].contains(&quoted) || row.secret, "{}: {told:?}", row.name);
            if row.kind == Kind::Boolean {
                // it is false, and not unset: the specification does not let another one decide
                let is_false =
                    |s: &&crate::config::Effective| s.source == Source::Variable(row.name);
                let effective = found.settings().iter().find(is_false).expect("it is in effect");
                assert_eq!(effective.value, "false", "{}", row.name);
            } else {
                assert_eq!(found.settings(), unset.settings(), "{}={value}", row.name);
            }
        }
    }
}

#[test]
fn the_bounds_of_numbers() {
    for row in honoured().filter(|row| row.kind == Kind::Integer) {
        let told = problems(&with(row, "0"), row);
        let positive = row.name.contains("_BSP_");
        assert_eq!(told.len(), usize::from(positive), "{}=0: {told:?}", row.name);
        for large in ["2147483647", "4294967296", "18446744073709551615"] {
            let told = problems(&with(row, large), row);
            let batch = row.name == "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
            assert_eq!(told.len(), usize::from(batch), "{}={large}: {told:?}", row.name);
        }
    }
    for row in honoured().filter(|row| matches!(row.kind, Kind::Duration | Kind::Timeout)) {
        for valid in ["0", "1", "2147483647", "18446744073709551615"] {
            assert_eq!(problems(&with(row, valid), row), [""; 0], "{}={valid}", row.name);
        }
    }
}

/// Of one signal over all, of spans over all: the first that is of use.
#[test]
fn the_narrower_variable_comes_first() {
    for row in honoured() {
        let Some(over) = row.over else { continue };
        let wide = all().find(|other| other.name == over).expect("each row that is named exists");
        let (value, others) = sample(row);
        let source = |narrow: &str| {
            let pairs = others.iter().map(|(name, value)| (*name, (*value).into()));
            let own = [(row.name, narrow.into()), (wide.name, sample(wide).0.into())];
            let explanation = explained(pairs.chain(own).collect());
            let found = explanation.settings().iter().rfind(|s| s.setting == row.name);
            let hidden = explanation.ignored().iter().any(|i| i.setting == wide.name);
            (found.expect("it is in effect").source, hidden)
        };
        let (narrow, wide) = (Source::Variable(row.name), Source::Variable(wide.name));
        assert_eq!(source(value), (narrow, true), "{}", row.name);
        assert_eq!(source(" "), (wide, false), "{}", row.name);
        if matches!(row.kind, Kind::Integer | Kind::Timeout | Kind::Enum) {
            assert_eq!(source("unheard-of"), (wide, false), "{}", row.name);
        }
    }
}

#[test]
fn what_may_be_secret_is_shown_nowhere() {
    for row in honoured().filter(|row| row.secret) {
        let values = match row.kind {
            Kind::Pairs => ["key=hunter2,hunter2,=hunter2,a b=hunter2,c=%zzhunter2", "hunter2"],
            _ => ["http://user:hunter2@host:1/path?key=hunter2#hunter2", "user:hunter2@host"],
        };
        for value in values {
            let explanation = with(row, value);
            let all = format!("{explanation}{}", explanation.to_json());
            assert!(!all.contains("hunter2"), "{}={value}: {all}", row.name);
        }
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_utf8_is_named_and_counts_as_unset() {
    use std::os::unix::ffi::OsStringExt as _;
    // a path need not be UTF-8: `tests/config_file.rs` has one that is not
    for row in honoured().filter(|row| row.name != "OTEL_CONFIG_FILE") {
        let (_, others) = sample(row);
        let explanation = explained_by(move |name| {
            let text = || others.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
            let bytes = vec![b'a', 0xff, b'b'];
            (name == row.name).then(|| OsString::from_vec(bytes)).or_else(text)
        });
        let told = problems(&explanation, row);
        let named = told.iter().any(|why| why.starts_with("a value that is not UTF-8; "));
        assert!(named, "{}: {told:?}", row.name);
        assert_eq!(explanation.settings(), without(row).settings(), "{}", row.name);
    }
}
