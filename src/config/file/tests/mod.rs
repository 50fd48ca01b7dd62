//! The file as a whole; the others have its parts.

#[cfg(all(feature = "otlp-http", feature = "gzip", feature = "tls"))]
mod examples;
mod syntax;
mod traces;

use std::ffi::OsString;

use super::*;
use crate::config::SpanLimits;
use crate::error::Severity;

fn env(pairs: &'static [(&'static str, &'static str)]) -> Env {
    Env::new(move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v)))
}

fn parse(text: &str) -> Result<FileConfig, Vec<String>> {
    FileConfig::parse(text, "otel.yaml", &env(&[])).map_err(|refused| refused.errors)
}

/// What is right, without a warning.
#[track_caller]
fn right(text: &str) -> FileConfig {
    let config = parse(text).unwrap_or_else(|errors| panic!("{text}\n{errors:#?}"));
    assert_eq!(config.warnings, [], "{text}");
    config
}

/// A `tracer_provider` that prints on the console, and more of it.
fn traces(more: &str) -> String {
    format!(
        "file_format: \"1.0\"\n\
         tracer_provider:\n\
         \x20 processors: [{{simple: {{exporter: {{console: }}}}}}]\n{more}"
    )
}

/// All that is said of the file, errors first.
#[track_caller]
fn says(text: &str, expected: &[&str]) {
    let said = match parse(text) {
        Ok(config) => {
            config.warnings.into_iter().map(|w| format!("{}: {}", w.place, w.what)).collect()
        }
        Err(errors) => errors,
    };
    assert_eq!(said, expected, "{text}");
}

#[test]
fn the_least_file_records_nothing_and_propagates_nothing() {
    let config = right("file_format: '1.0'");
    assert!(config.traces.is_none());
    assert_eq!(config.settings.propagators.as_deref(), Some(&[][..]));
    assert_eq!(config.settings.disabled, None);
}

#[test]
fn versions() {
    for good in ["\"1.0\"", "'1.2'", "1.1", "\"1.0-rc.1\""] {
        right(&format!("file_format: {good}"));
    }
    says("a: 1", &["otel.yaml:1: file_format is missing"]);
    says("", &["otel.yaml:1: file_format is missing: the file is empty"]);
    says("# nothing\n---\n", &["otel.yaml:3: file_format is missing"]);
    says(
        "file_format: \"0.4\"",
        &["otel.yaml:1: file_format: \"0.4\" is not supported: this crate reads 1.2"],
    );
    says(
        "\nfile_format: '2.0'",
        &["otel.yaml:2: file_format: \"2.0\" is not supported: this crate reads 1.2"],
    );
    for bad in ["one", "1", "1.0.0", "1.x"] {
        says(
            &format!("file_format: {bad}"),
            &[&format!("otel.yaml:1: file_format: {bad:?} is not a version, as \"1.2\" is")],
        );
    }
    says(
        "\
file_format: '1.9'
tracer_provider:
  processors: [{batch: {exporter: {console: }}}]
  news: 1",
        &[
            "otel.yaml:1: file_format 1.9 is newer than 1.2: what came later has no effect",
            "otel.yaml:4: tracer_provider.news is not known, and has no effect",
        ],
    );
}

#[test]
fn unknown_keys_are_named_with_their_lines_and_all_at_once() {
    says(
        &traces(
            "\
\x20 limit: 1
  limits:
    event_count: 3
  tracer_configurator/development: {}
meter_provider:
  readers: []
news: 1
",
        ),
        &[
            "otel.yaml:4: tracer_provider.limit: the key is not one of processors, limits, sampler, \
         id_generator, tracer_configurator/development",
            "otel.yaml:6: tracer_provider.limits.event_count: the key is not one of \
         attribute_value_length_limit, attribute_count_limit, event_count_limit, \
         link_count_limit, event_attribute_count_limit, link_attribute_count_limit",
        ],
    );
    says(
        &traces(
            "\
\x20 x/development: 1
meter_provider:
  readers: []
news: 1
logger_provider:
instrumentation/development: {}
",
        ),
        &[
            "otel.yaml:4: tracer_provider.x/development is not known, and has no effect",
            "otel.yaml:5: meter_provider has no effect: this crate makes no metrics",
            "otel.yaml:7: news is not known, and has no effect",
            "otel.yaml:8: logger_provider has no effect: this crate exports no logs",
            "otel.yaml:9: instrumentation/development has no effect: this crate has no \
         instrumentation to configure",
        ],
    );
    says(
        &traces("  sampler: {always_on: {a: 1}}\n"),
        &[
            "otel.yaml:4: tracer_provider.sampler.always_on.a: the key is not known: there are no settings",
        ],
    );
}

#[test]
fn general_settings() {
    let config = right(
        "\
file_format: '1.0'
disabled: true
log_level: warn2
attribute_limits:
  attribute_count_limit: 7
",
    );
    assert_eq!(config.settings.disabled, Some(true));
    assert_eq!(config.settings.diagnostics, Some(Level(Some(Severity::Warning))));
    assert_eq!(config.settings.limits, SpanLimits::new().with_attributes(7));
    says(
        "\
file_format: '1.0'
disabled: yes
log_level: loud
",
        &[
            "otel.yaml:2: disabled: \"yes\" is not true or false",
            "otel.yaml:3: log_level: \"loud\" is not one of trace, debug, info, warn, error, fatal",
        ],
    );
}

#[test]
fn propagators_of_both_forms_each_once() {
    use PropagatorKind::{Baggage, TraceContext};
    let of = |text: &str| {
        right(&format!("file_format: '1.0'\npropagator:\n{text}")).settings.propagators
    };
    assert_eq!(
        of("  composite: [{tracecontext: }, {baggage: }]"),
        Some(vec![TraceContext, Baggage])
    );
    assert_eq!(
        of("  composite_list: \"baggage, TraceContext,baggage\""),
        Some(vec![Baggage, TraceContext])
    );
    assert_eq!(
        of("  composite:\n    - baggage:\n  composite_list: tracecontext,baggage"),
        Some(vec![Baggage, TraceContext])
    );
    assert_eq!(of("  composite_list: none"), Some(vec![]));
    assert_eq!(of("  composite_list:"), Some(vec![]));
    let errors = parse(
        "\
file_format: '1.0'
propagator:
  composite:
    - carrier_pigeon:
",
    )
    .expect_err("no such propagator");
    assert!(
        errors[0].starts_with(
            "otel.yaml:4: propagator.composite[0]: \"carrier_pigeon\" is not one of tracecontext"
        ),
        "{errors:?}"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let refused =
        FileConfig::load(Path::new("/nowhere/otel.yaml"), &env(&[])).expect_err("it is not there");
    let errors = refused.errors;
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("configuration file \"/nowhere/otel.yaml\": "), "{errors:?}");
}
