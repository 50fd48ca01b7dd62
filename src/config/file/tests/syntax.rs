//! What is YAML, what variables do in it, and that nothing makes it panic.

use std::ffi::OsString;
use std::time::Duration;

use proptest::prelude::*;

use super::super::{FileConfig, substitute, yaml};
use super::{env, parse, right, says};
use crate::config::{BatchSettings, Env};

#[test]
fn what_is_no_yaml_is_named_with_its_line() {
    for (text, expected) in [
        ("a: [", "otel.yaml:2: it is not YAML: "),
        ("a: 1\nb: {", "otel.yaml:3: it is not YAML: "),
        ("a: 1\n b: 2\n", "otel.yaml:2: it is not YAML: "),
        (
            "file_format: '1.0'\nfile_format: '1.0'",
            "otel.yaml:2: the key \"file_format\" is there twice",
        ),
        ("a: *b", "otel.yaml:1: it is not YAML: "),
        ("a: !x b", "otel.yaml:1: a tag that is not of the core schema"),
        ("? [a]\n: b", "otel.yaml:1: a key is not a scalar"),
        ("a: 1\n---\nb: 2", "otel.yaml:2: there is a second document"),
        ("- a", "otel.yaml:1: it is not a map"),
        ("text", "otel.yaml:1: it is not a map"),
        ("a: &x {b: *x}", "otel.yaml:1: an alias refers to itself"),
        ("<<: 1", "otel.yaml:1: << needs a map"),
    ] {
        let errors = parse(text).expect_err(text);
        assert!(errors.len() == 1 && errors[0].starts_with(expected), "{text}: {errors:?}");
    }
}

#[test]
fn it_is_bounded_in_bytes_depth_and_nodes() {
    let laughs = (0..10).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        let item = format!("*a{n}, ").repeat(10);
        format!("{text}a{}: &a{} [{item}]\n", n + 1, n + 1)
    });
    let errors = parse(&laughs).expect_err("more than memory has");
    assert_eq!(errors, ["otel.yaml:6: it has more than 100000 nodes"]);
    let errors = parse(&"- ".repeat(200_000)).expect_err("more than the stack has");
    assert_eq!(errors, ["otel.yaml:1: it is nested more than 64 deep"]);
    let errors = parse(&"#".repeat(2 << 20)).expect_err("too much");
    assert_eq!(errors, ["otel.yaml:1: the file has more than 1048576 bytes"]);
}

/// The specification's table, "Environment variable substitution".
#[test]
fn substitution_is_the_specifications() {
    use yaml::Type;
    let variables = env(&[
        ("STRING_VALUE", "value"),
        ("BOOL_VALUE", "true"),
        ("INT_VALUE", "1"),
        ("FLOAT_VALUE", "1.1"),
        ("HEX_VALUE", "0xdeadbeef"),
        ("INVALID_MAP_VALUE", "value\nkey:value"),
        ("DO_NOT_REPLACE_ME", "Never use this value"),
        ("REPLACE_ME", "${DO_NOT_REPLACE_ME}"),
        ("VALUE_WITH_ESCAPE", "value$$"),
        ("EMPTY", ""),
    ]);
    for (input, text, resolved) in [
        ("${STRING_VALUE}", "value", Type::String),
        ("${BOOL_VALUE}", "true", Type::Bool(true)),
        ("${INT_VALUE}", "1", Type::Int(1)),
        ("${FLOAT_VALUE}", "1.1", Type::Float(1.1)),
        ("${HEX_VALUE}", "0xdeadbeef", Type::Int(0xdead_beef)),
        ("\"${STRING_VALUE}\"", "value", Type::String),
        ("\"${BOOL_VALUE}\"", "true", Type::String),
        ("'${INT_VALUE}'", "1", Type::String),
        ("\"${HEX_VALUE}\"", "0xdeadbeef", Type::String),
        ("!!str ${INT_VALUE}", "1", Type::String),
        ("${env:STRING_VALUE}", "value", Type::String),
        ("${INVALID_MAP_VALUE}", "value\nkey:value", Type::String),
        ("foo ${STRING_VALUE} ${FLOAT_VALUE}", "foo value 1.1", Type::String),
        ("${UNDEFINED_KEY}", "", Type::Null),
        ("${EMPTY}", "", Type::Null),
        ("${EMPTY:-fallback}", "fallback", Type::String),
        ("${UNDEFINED_KEY:-fallback}", "fallback", Type::String),
        ("${UNDEFINED_KEY:-}", "", Type::Null),
        ("${UNDEFINED_KEY:-5000}", "5000", Type::Int(5000)),
        ("'${UNDEFINED_KEY:-a: b :-c}'", "a: b :-c", Type::String),
        ("${REPLACE_ME}", "${DO_NOT_REPLACE_ME}", Type::String),
        ("${UNDEFINED_KEY:-${STRING_VALUE}}", "${STRING_VALUE}", Type::String),
        ("$${STRING_VALUE}", "${STRING_VALUE}", Type::String),
        ("$$${STRING_VALUE}", "$value", Type::String),
        ("$$$${STRING_VALUE}", "$${STRING_VALUE}", Type::String),
        ("$${STRING_VALUE:-fallback}", "${STRING_VALUE:-fallback}", Type::String),
        ("$${STRING_VALUE:-${STRING_VALUE}}", "${STRING_VALUE:-value}", Type::String),
        ("${UNDEFINED_KEY:-$${UNDEFINED_KEY}}", "${UNDEFINED_KEY:-${UNDEFINED_KEY}}", Type::String),
        ("${VALUE_WITH_ESCAPE}", "value$$", Type::String),
        ("a $$ b", "a $ b", Type::String),
        ("a $ b", "a $ b", Type::String),
        ("$", "$", Type::String),
        ("${", "${", Type::String),
        ("|\n  ${STRING_VALUE}", "value\n", Type::String),
        ("{b: 1}", "", Type::Null),
    ] {
        let mut node = yaml::parse(&format!("key: {input}")).expect(input).expect(input);
        let mut problems = Vec::new();
        substitute::substitute(&mut node, &variables, &mut problems);
        assert_eq!(problems, [], "{input}");
        let yaml::Content::Map(entries) = node.content else { panic!("{input}: no map") };
        match &entries[0].node.content {
            yaml::Content::Scalar(scalar) => {
                assert_eq!((scalar.text.as_str(), scalar.resolved()), (text, resolved), "{input}");
            }
            _ => assert_eq!(input, "{b: 1}", "only this one is no scalar"),
        }
    }
}

#[test]
fn a_reference_that_is_none_is_an_error_and_keys_are_left_alone() {
    for bad in ["${1API_KEY}", "${API_$KEY}", "${STRING_VALUE:?error}", "${}", "${A B}", "${env:}"]
    {
        let errors = parse(&format!("\nfile_format: '1.0'\nx: a {bad}")).expect_err(bad);
        let expected = format!("otel.yaml:3: {bad:?} is not a reference to a variable");
        assert!(errors.len() == 1 && errors[0].starts_with(&expected), "{bad}: {errors:?}");
    }
    says("file_format: '1.0'\n${A}: 1", &["otel.yaml:2: ${A} is not known, and has no effect"]);
}

#[test]
fn a_secret_from_a_variable_is_in_no_message() {
    let env = env(&[("SECRET", "hunter2 \n")]);
    let text = "file_format: '1.0'\n\
        disabled: ${SECRET}\n\
        log_level: ${SECRET}\n\
        tracer_provider:\n  processors:\n    - batch: {schedule_delay: \"${SECRET}\", exporter: {console: {}}}\n\
        \x20 sampler:\n    trace_id_ratio_based:\n      ratio: ${SECRET}\n\
        resource:\n  attributes_list: a=${SECRET},b\n  attributes:\n    - {name: a, type: int, value: \"${SECRET}\"}\n";
    let errors =
        FileConfig::parse(text, "otel.yaml", &env).expect_err("nothing of it is right").errors;
    assert_eq!(errors.len(), 6, "{errors:#?}");
    for error in errors {
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn what_a_variable_holds_was_quoted_where_it_is_a_list_a_name_or_a_version() {
    let env =
        env(&[("SEC", "hunter2"), ("URL", "hunter2:x"), ("NEW", "1.99"), ("BAD", "\u{1}hunter2")]);
    for (text, expected) in [
        (
            "file_format: '1.0'\nresource: {attributes_list: 'x=${SEC}%zz'}",
            "otel.yaml:2: resource.attributes_list: the variable's value is not a list of \
             key=value, percent-encoded",
        ),
        (
            "file_format: '1.0'\npropagator: {composite_list: '${SEC}'}",
            "otel.yaml:2: propagator.composite_list: a part of the variable's value is no \
             propagator of this crate",
        ),
        (
            "file_format: '1.0'\nresource: {attributes: [{name: service.name, value: '${BAD}'}]}",
            "otel.yaml:2: resource.attributes[0].value: the variable's value is no service name: \
             it is empty, longer than 255 bytes, or has a control character in it",
        ),
        (
            "file_format: '${SEC}'",
            "otel.yaml:1: file_format: the variable's value is not a version, as \"1.2\" is",
        ),
        (
            "file_format: 9.${NEW}",
            "otel.yaml:1: file_format: the variable's value is not a version, as \"1.2\" is",
        ),
    ] {
        let errors = FileConfig::parse(text, "otel.yaml", &env).expect_err(text).errors;
        assert_eq!(errors, [expected], "{text}");
    }
    let newer = FileConfig::parse("file_format: ${NEW}", "otel.yaml", &env).expect("it is newer");
    assert!(newer.warnings[0].what.starts_with("file_format the variable's value is newer"));
    let nameless = "file_format: '1.0'\nresource: {attributes: [{name: '${SEC}', value: }]}";
    let nameless = FileConfig::parse(nameless, "otel.yaml", &env).expect("it has no value");
    assert!(!nameless.warnings[0].what.contains("hunter2"), "{:?}", nameless.warnings);
}

#[cfg(feature = "otlp-http")]
#[test]
fn a_header_of_an_unset_variable_vanished_without_a_word() {
    let path = "tracer_provider.processors[0].batch.exporter.otlp_http.headers[0]";
    says(
        "file_format: '1.0'\ntracer_provider:\n  processors:\n    - batch:\n        exporter:\n\
         \x20         otlp_http:\n            headers:\n              - name: authorization\n\
         \x20               value: ${UNSET}\n",
        &[&format!("otel.yaml:8: {path} authorization has no value, and is left out")],
    );
}

#[cfg(feature = "otlp-http")]
#[test]
fn bad_headers_of_a_list_were_one_error_and_those_of_the_exporter_none() {
    let text = |list: &str, name: &str| {
        format!(
            "file_format: '1.0'\ntracer_provider:\n  processors:\n    - batch:\n        exporter:\n\
             \x20         otlp_http:\n            headers_list: {list}\n            headers:\n\
             \x20             - {{name: {name}, value: x}}\n"
        )
    };
    let path = "tracer_provider.processors[0].batch.exporter.otlp_http.headers";
    says(
        &text("a,b=%zz,c=\u{e9}", "x y"),
        &[
            &format!("otel.yaml:7: {path}_list: entry 1 is not name=value"),
            &format!(
                "otel.yaml:7: {path}_list: entry 2, b: the value is not percent-encoded UTF-8"
            ),
            &format!("otel.yaml:9: {path}[0]: the name is not one of HTTP's"),
        ],
    );
    let ours = "the exporter sets it itself; it is left out";
    says(
        &text("a=1,host=x", "Content-Type"),
        &[
            &format!("otel.yaml:7: {path}_list: entry 2, host: {ours}"),
            &format!("otel.yaml:9: {path}[0]: {ours}"),
        ],
    );
    let env = env(&[("SEC", "hunter2=%zz")]);
    let errors =
        FileConfig::parse(&text("${SEC}", "a"), "otel.yaml", &env).expect_err("it is none").errors;
    let expected =
        format!("otel.yaml:7: {path}_list: the variable's value has an entry that cannot be sent");
    assert_eq!(errors, [expected]);
}

#[test]
fn an_empty_service_name_among_attributes_was_taken() {
    let hint = "give the name that backends shall show, \"my-service\" for instance";
    says(
        "file_format: '1.0'\nresource: {attributes_list: 'a=1,service.name='}",
        &[&format!("otel.yaml:2: resource.attributes_list: service name \"\" is empty; {hint}")],
    );
}

#[test]
fn aliases_of_a_long_scalar_took_gigabytes() {
    let long = "x".repeat(600_000);
    let text = format!("a: &a {long}\nb: [{}]\n", "*a,".repeat(90_000));
    says(&text, &["otel.yaml:2: it has more than 16777216 bytes where aliases are expanded"]);
    let text = format!("a: {}{long}{}\n", "&a [".repeat(40).replace("&a", "&a "), "]".repeat(40));
    says(&text, &["otel.yaml:1: it has more than 16777216 bytes where aliases are expanded"]);
    let text = format!("a: &a {{{long}: 1}}\nb: [{}]\n", "*a,".repeat(90_000));
    says(&text, &["otel.yaml:2: it has more than 16777216 bytes where aliases are expanded"]);
}

#[test]
fn references_to_a_long_variable_took_gigabytes() {
    let env = Env::new(|name| (name == "LONG").then(|| OsString::from("x".repeat(1 << 20))));
    let text = format!("file_format: '1.0'\na: {}\n", "${LONG}".repeat(10));
    FileConfig::parse(&text, "otel.yaml", &env).expect("10 MiB are few");
    let text = format!("file_format: '1.0'\na: {0}\nb: {0}\n", "${LONG}".repeat(10));
    let errors = FileConfig::parse(&text, "otel.yaml", &env).expect_err("20 MiB are many").errors;
    assert_eq!(errors, ["otel.yaml:3: the variables in the file hold more than 16777216 bytes"]);
}

#[test]
fn a_map_of_many_keys_was_looked_up_key_by_key_for_minutes() {
    let keys: Vec<_> = (0..90_000).map(|n| format!("k{n}: \n")).collect();
    let text = format!("file_format: '1.0'\n{}", keys.concat());
    let path = std::env::temp_dir().join(format!("otel-setup-keys-{}.yaml", std::process::id()));
    std::fs::write(&path, text).expect("the name is ours");
    let setup = crate::Setup::new("code").with_env(|_| None).with_config_file(&path);
    let explanation = setup.explain();
    std::fs::remove_file(&path).expect("it was just there");
    assert!(explanation.ignored().len() > 90_000);
    says("a: {b: 1}\na: 2", &["otel.yaml:2: the key \"a\" is there twice"]);
}

#[test]
fn anchors_and_merges_are_expanded() {
    let config = right(
        "file_format: '1.0'\n\
         tracer_provider:\n\
         \x20 processors:\n\
         \x20   - batch: &batch {schedule_delay: 7, exporter: {console: }}\n\
         \x20   - batch:\n\
         \x20       <<: *batch\n\
         \x20       schedule_delay: 9\n\
         \x20   - batch: *batch\n",
    );
    let delays: Vec<_> =
        config.traces.expect("it has one").exporters.into_iter().map(|e| e.batch).collect();
    let of = |millis| BatchSettings::new().with_schedule_delay(Duration::from_millis(millis));
    assert_eq!(delays, [of(7), of(9), of(7)]);
}

/// Pieces of the schema, of YAML and of noise, in any order.
fn some_yaml() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "file_format: '1.0'\n",
        "tracer_provider:\n",
        "  processors:\n",
        "    - batch:\n",
        "        exporter: {console: }\n",
        "  sampler:\n",
        "    parent_based:\n",
        "      root: {always_on: }\n",
        "resource:\n",
        "  attributes:\n",
        "    - {name: a, value: b}\n",
        "propagator:\n",
        "  composite_list: tracecontext\n",
        "${A}",
        "${A:-b}",
        "$$",
        "&x ",
        "*x",
        "<<: *x\n",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ": ",
        "'",
        "\"",
        "|\n",
        ">\n",
        "!!str ",
        "? ",
        "---\n",
        "...\n",
        "\t",
        "\u{feff}",
        "é",
        "# c\n",
        "\r\n",
        "  ",
        "%YAML 1.2\n",
        "\\x",
        "\0",
    ]);
    prop_oneof![
        4 => prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat()),
        1 => ".{0,200}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_file_holds_there_is_no_panic(text in some_yaml()) {
        if let Err(errors) = parse(&text) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(error.starts_with("otel.yaml:"), "{}", error);
            }
        }
    }

    #[test]
    fn a_value_cannot_become_structure_or_another_reference(value in ".{1,40}", quote in "['\"]?") {
        let held = value.clone();
        let env = Env::new(move |name| (name == "V").then(|| OsString::from(&held)));
        let text = format!("a: {quote}${{V}}{quote}\nb: 1");
        let mut node = yaml::parse(&text).unwrap().unwrap();
        let mut problems = Vec::new();
        substitute::substitute(&mut node, &env, &mut problems);
        prop_assert_eq!(problems, []);
        let yaml::Content::Map(entries) = node.content else { unreachable!("it is a map") };
        prop_assert_eq!(entries.len(), 2);
        let yaml::Content::Scalar(scalar) = &entries[0].node.content else {
            return Err(TestCaseError::fail("structure"));
        };
        prop_assert_eq!(&scalar.text, &value);
        prop_assert!(scalar.is_substituted);
        prop_assert!(quote.is_empty() || scalar.resolved() == yaml::Type::String);
    }

    #[test]
    fn text_without_a_dollar_sign_stays_as_it_is(text in "[^$\0]{0,60}") {
        let mut node = yaml::Node {
            line: 1,
            content: yaml::Content::Scalar(yaml::Scalar { text: text.clone(), is_plain: true, is_substituted: false }),
        };
        let before = node.clone();
        substitute::substitute(&mut node, &env(&[]), &mut Vec::new());
        prop_assert_eq!(node, before);
    }

    #[test]
    fn what_is_escaped_comes_out_as_it_went_in(text in "([a-z${}:-]|\\$\\{[A-Z]+\\}){0,20}") {
        let escaped = text.replace('$', "$$");
        let scalar = yaml::Scalar { text: escaped, is_plain: false, is_substituted: false };
        let mut node = yaml::Node { line: 1, content: yaml::Content::Scalar(scalar) };
        substitute::substitute(&mut node, &env(&[]), &mut Vec::new());
        let yaml::Content::Scalar(scalar) = node.content else { unreachable!("it is a scalar") };
        prop_assert_eq!(scalar.text, text);
    }
}
