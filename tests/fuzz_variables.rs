//! Text from nowhere in the variables that hold lists: what is no header is left out, what is one
//! arrives as it is, and no value is ever shown.
//!
//! A fuzz target on the stable compiler: `OTEL_SETUP_FUZZ_CASES=1000000 cargo test --release
//! --features full --test fuzz_variables` runs as many cases as are asked for, and shrinks what
//! fails. Its inputs are made of the bytes that matter to these parsers.

#![cfg(feature = "otlp-http")]

mod support;

use std::sync::LazyLock;

use otel_setup::{Explanation, Exporter, Setup, Source};
use proptest::prelude::*;
use proptest::test_runner::Config;
use support::with_variables;

const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

fn explained(pairs: &[(&str, &str)]) -> Explanation {
    let setup = Setup::new("fuzz").with_env(with_variables(pairs)).with_resource_detectors([]);
    setup.with_exporter(Exporter::otlp()).explain()
}

/// An independent reading of a header list: names and values of the entries that are headers.
fn headers(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for entry in text.trim().split(',') {
        let Some((name, value)) = entry.trim().split_once('=') else { continue };
        let name = name.trim().to_ascii_lowercase();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) || OF_THE_EXPORTER.contains(&&*name) {
            continue;
        }
        let Some(value) = decoded(value.trim()) else { continue };
        if value.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
            continue;
        }
        found.retain(|(known, _)| *known != name);
        found.push((name, value));
    }
    found
}

fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits are a byte"));
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

/// What matters to the parsers, more often than chance would have it.
fn list() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[abAB-]{1,3}",
        1 => prop_oneof![Just("te="), Just("Host="), Just("content-type=")].prop_map(str::to_owned),
        3 => Just("=".to_owned()),
        2 => Just(",".to_owned()),
        2 => "%[0-9a-fA-F]{2}",
        1 => "%[ -~]{0,2}",
        1 => "[ \t\r\n;\"]",
        1 => "\\PC",
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn cases() -> Config {
    let asked = std::env::var("OTEL_SETUP_FUZZ_CASES").ok();
    let cases = asked.map_or(256, |n| n.parse().expect("a number of cases"));
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn header_lists(text in list()) {
        let explanation = explained(&[(HEADERS, &text)]);
        let shown = explanation
            .settings()
            .iter()
            .find(|s| s.source == Source::Variable(HEADERS))
            .map(|s| s.value.clone());
        let mut names: Vec<_> = headers(&text).into_iter().map(|(name, _)| name).collect();
        names.sort();
        let shown = shown.unwrap_or_default();
        let mut found: Vec<_> = shown
            .split(',')
            .filter(|part| !part.is_empty())
            .map(|part| part.strip_suffix("=[redacted]").expect("no value is shown").to_owned())
            .collect();
        found.sort();
        prop_assert_eq!(&found, &names);
        for ignored in explanation.ignored() {
            prop_assert_eq!(&ignored.setting, HEADERS);
            if ignored.is_wrong {
                let why = &ignored.why;
                let fits = why.starts_with("entry ") && why.ends_with("; it is left out");
                prop_assert!(fits, "{}", why);
            } else {
                // separators alone
                prop_assert_eq!(&ignored.why, NOTHING);
                prop_assert!(names.is_empty());
            }
        }
    }

    #[test]
    fn attribute_lists_are_read_whole_or_not_at_all(text in list()) {
        let explanation = explained(&[(ATTRIBUTES, &text)]);
        let found = explanation.settings().iter();
        let found = found.filter(|s| s.source == Source::Variable(ATTRIBUTES)).count();
        prop_assert!(explanation.ignored().len() <= 1);
        if let [ignored] = explanation.ignored() {
            prop_assert_eq!(found, 0);
            let is_whole = ignored.why.ends_with("the whole variable is ignored");
            let fits = if ignored.is_wrong { is_whole } else { ignored.why == NOTHING };
            prop_assert!(fits, "{}", ignored.why);
        }
        let json: Result<serde_json::Value, _> = serde_json::from_str(&explanation.to_json());
        prop_assert!(json.is_ok());
    }

    #[test]
    fn attributes_that_are_encoded_arrive(value in "\\PC{0,20}") {
        let encoded: Vec<_> = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let encoded = encoded.concat();
        let explanation = explained(&[(ATTRIBUTES, &format!("key={encoded}"))]);
        let found = explanation.settings().iter().find(|s| s.value.starts_with("key="));
        prop_assert_eq!(&found.expect("it is in effect").value, &format!("key={value}"));
    }

    /// What is behind a slash is the path, and no secret.
    #[test]
    fn no_endpoint_shows_its_password(password in "[a-zA-Z0-9@:?#%]{0,8}hunter2") {
        for text in [
            format!("http://user:{password}@host/path"),
            format!("https://{password}@host"),
            format!("http://host/?{password}"),
            format!("ftp://user:{password}@host"),
            format!("user:{password}@host"),
        ] {
            let explanation = explained(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &text)]);
            prop_assert!(!explanation.to_string().contains("hunter2"), "{text}: {explanation}");
        }
    }

    #[test]
    fn whatever_a_variable_holds_is_no_panic(
        name in proptest::sample::select(NAMES.clone()),
        text in prop_oneof![list(), "\\PC*", "-?[0-9]{0,25}(\\.[0-9]{0,3})?"],
    ) {
        let explanation = explained(&[
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            (&name, &text),
        ]);
        let known = explanation.settings().iter().all(|s| s.setting.starts_with(['O', 'R', 'N']));
        prop_assert!(known);
    }
}

/// Every variable of the documentation's table, but for the one that names a file of them.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let guide = include_str!("../src/lib.rs");
    let rows = guide.lines().filter_map(|line| line.strip_prefix("//! | `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let names = cells.flat_map(|cell| cell.split('`'));
    let is_name = |name: &&str| name.contains('_') && *name != "OTEL_CONFIG_FILE";
    let names: Vec<_> = names.filter(is_name).map(ToOwned::to_owned).collect();
    assert!(names.len() > 35, "{names:?}");
    names
});

/// What says how the body or the connection is to be read (`Exporter::otlp`'s documentation).
const OF_THE_EXPORTER: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-timeout",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const NOTHING: &str = "nothing that is in effect comes from it";
