//! The cases of other languages' suites, each as a row of ours: the variables of the case, and what
//! is in effect under them.
//!
//! Java: `sdk-extensions/autoconfigure` and `exporters/otlp` of opentelemetry-java. Go: the SDK and
//! `otlpconfig` of opentelemetry-go, `exporters/autoexport` of opentelemetry-go-contrib. Datadog:
//! `tests/parametric` of system-tests. Each row names the case that it answers. Where theirs refuses
//! to start, ours warns and goes on, as the specification has it; `Setup::strict` refuses too.
//!
//! Cases that have no row here:
//!
//! | case | why |
//! |---|---|
//! | Java `ConfigPropertiesTest.durationUnitParsing` (`7 ms`, `3s`) | units are Java's own: the specification has milliseconds, and a unit is warned about (`behaviour.rs`) |
//! | Java `DefaultConfigPropertiesTest`, `SpiUtilTest`, `*NotOnClasspath*` | system properties and class paths; a feature that is off is named (`src/config/choice.rs`) |
//! | Java `ResourceConfigurationTest.filterAttributes` | `otel.resource.disabled.keys` is Java's own; detectors are chosen by name |
//! | Java `ResourceConfigurationFuzzTest` | `tests/fuzz_variables.rs` |
//! | Java `configureSpanProcessors_*` | one kind of processor serves every exporter |
//! | Java `configureTraceConfig_full`, Go `TestSettingSpanLimits`, `TestSpanLimits` | `variables.rs` cuts spans with them; `-1` is no limit in Go alone, and a bad value by the specification |
//! | Java `OtlpSpanExporterProviderTest` with certificates, Go `TestWithClientCert` | `tests/otlp_tls.rs`, by handshakes |
//! | Java `FullConfigTest`, `EndpointConfigurationTest`, Datadog's headers and compressions | `tests/otlp_variables.rs`, `tests/otlp_grpc.rs`, by what collectors get |
//! | Java `DeclarativeConfigurationTest` | `tests/config_file.rs` |
//! | Java `memory_mode`, `retry.enabled` | Java's own; retries are always on |
//! | Go `TestRegistry*`, `WithFallbackSpanExporter` | exporters are registered in code: `Exporter::custom` |
//! | Go `Test With Proxy` | the exporters use no proxy |
//! | Go `TestEnvParse` | `behaviour.rs` of the variables tries each row |
//! | Datadog `*_takes_precedence` | `DD_*` is read by nobody here |
//! | Datadog `test_default_follows_otel_spec` (`unknown_service`) | the code has a name in any case |
//! | Datadog `test_*_blrp_*`, `test_otel_*_logs_*`, `*_metrics_*` | of log records and metrics |

#[cfg(feature = "otlp-http")]
mod otlp;
mod propagators;
mod resources;
mod samplers;

use otel_setup::{Explanation, Setup};

use crate::support::with_variables;

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn explained(pairs: Pairs<'_>) -> Explanation {
    Setup::new("it").with_env(with_variables(pairs)).with_resource_detectors([]).explain()
}

/// What nothing is wrong with, and the value that is in effect.
#[track_caller]
fn is(case: &str, pairs: Pairs<'_>, setting: &str, value: &str) {
    warns(case, pairs, setting, value, &[]);
}

/// As [`is`], and what is wrong: variables, and a part of what is said of each.
#[track_caller]
fn warns(case: &str, pairs: Pairs<'_>, setting: &str, value: &str, wrong: Pairs<'_>) {
    let explanation = explained(pairs);
    // what an exporter has for itself comes last
    let found = explanation.settings().iter().rfind(|s| s.setting == setting);
    assert_eq!(found.map(|found| found.value.as_str()), Some(value), "{case}: {explanation}");
    says(case, &explanation, wrong);
}

#[track_caller]
fn says(case: &str, explanation: &Explanation, wrong: Pairs<'_>) {
    let told: Vec<_> = explanation.ignored().iter().filter(|ignored| ignored.is_wrong).collect();
    assert_eq!(told.len(), wrong.len(), "{case}: {explanation}");
    for (told, (name, part)) in told.iter().zip(wrong) {
        assert!(told.setting == *name && told.why.contains(part), "{case}: {explanation}");
    }
}

#[test]
fn levels_of_our_own_voice() {
    let level = "OTEL_LOG_LEVEL";
    for name in ["debug", "info", "warn", "error"] {
        is("Datadog test_stable_values", &[(level, name)], level, name);
    }
    for (name, expected) in [("DEBUG", "debug"), ("DeBuG", "debug"), ("ERROR", "error")] {
        is("Datadog test_case_insensitive_values", &[(level, name)], level, expected);
    }
    is("Datadog test_default_matches_specification", &[], level, "info");
    is("Datadog test_empty_is_treated_as_unset", &[(level, "")], level, "info");
    warns(
        "Datadog test_invalid_value_is_ignored, _emits_warning",
        &[(level, "not-a-log-level")],
        level,
        "info",
        &[(level, "\"not-a-log-level\" is not one of none, error, warn, info, debug")],
    );
}

#[test]
fn batches() {
    let (size, queue) = ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_MAX_QUEUE_SIZE");
    let all = [
        ("OTEL_BSP_SCHEDULE_DELAY", "100000"),
        (queue, "2"),
        (size, "3"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "4"),
    ];
    let case = "Java configureBatchSpanProcessor_configured";
    // Java takes the larger batch, the specification does not
    for (name, value) in all {
        let value = if name == size { "2" } else { value };
        warns(case, &all, name, value, &[(size, "3 is more than the queue's 2")]);
    }
    let none = [
        ("OTEL_BSP_SCHEDULE_DELAY", "100000"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_TRACES_EXPORTER", "none"),
    ];
    for (name, value) in none {
        is("Java configureTracerProvider", &none, name, value);
    }
}

#[test]
fn disabling() {
    let disabled = "OTEL_SDK_DISABLED";
    is("Datadog test_stable_true", &[(disabled, "true")], disabled, "true");
    is("Datadog test_stable_false", &[(disabled, "false")], disabled, "false");
    is("Datadog test_default_matches_specification", &[], disabled, "false");
    is("Datadog test_default_matches_specification", &[(disabled, "")], disabled, "false");
    warns(
        "Go with an invalid bool config",
        &[(disabled, "world")],
        disabled,
        "false",
        &[(disabled, "\"world\" is not `true` or `false`")],
    );
}
