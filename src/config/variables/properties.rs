//! Any text in any variable: it is used or told, on one line, and nothing panics.

use proptest::prelude::*;

use super::conformance::{explained, sample};
use super::{Owner, Row, all};
use crate::config::Source;

fn honoured() -> Vec<&'static Row> {
    all().filter(|row| matches!(row.owner, Owner::Specification | Owner::Ours)).collect()
}

/// What matters to one of the parsers, more often than chance would have it.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(
        &[
            ",",
            "=",
            " ",
            "\t",
            "\n",
            "\u{1b}[31m",
            "\0",
            "\u{85}",
            "%",
            "%2C",
            "%zz",
            "%ff",
            "%0a",
            "é",
            "http://",
            "HTTPS://",
            "://",
            "host",
            ":4318",
            ":",
            "/",
            "/v1/traces",
            "?",
            "#",
            "@",
            "[::1]",
            "user:hunter2@",
            "key=value",
            "service.name=x",
            "0",
            "1",
            "-1",
            "+1",
            "0.5",
            "NaN",
            "inf",
            "18446744073709551615",
            "18446744073709551616",
            "true",
            "FALSE",
            "none",
            "all",
            "always_on",
            "traceidratio",
            "otlp",
            "console",
            "tracecontext",
            "baggage",
            "grpc",
            "http/json",
            "gzip",
            "debug",
            "json",
            "off",
            "info,a[b{c=\"d\"}]=trace",
        ][..],
    );
    prop_oneof![
        4 => prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
        1 => ".{0,12}",
        1 => ("[a-z,=]", 100_usize..4000).prop_map(|(piece, n)| piece.repeat(n)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_a_variable_holds_is_used_or_told(at in any::<prop::sample::Index>(), text in text()) {
        let rows = honoured();
        let row = rows[at.index(rows.len())];
        let (_, others) = sample(row);
        let others = others.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let explanation = explained(others.chain([(row.name, text.clone())]).collect());
        let is_used = explanation.settings().iter().any(|s| s.source == Source::Variable(row.name));
        let is_told = explanation.ignored().iter().any(|ignored| ignored.setting == row.name);
        let is_unset = text.trim().is_empty();
        prop_assert_eq!(is_used || is_told, !is_unset, "{}={:?}: {}", row.name, text, explanation);
        for effective in explanation.settings() {
            let value = &effective.value;
            prop_assert!(!value.chars().any(char::is_control), "{}: {:?}", effective.setting, value);
        }
        for ignored in explanation.ignored() {
            let (name, why) = (&ignored.setting, &ignored.why);
            prop_assert!(!why.chars().any(char::is_control), "{}: {:?}", name, why);
            prop_assert!(!name.chars().any(char::is_control), "{:?}: {}", name, why);
        }
        let json = explanation.to_json();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
    }
}
