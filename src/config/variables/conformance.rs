//! Every variable of the specification, and what this crate does when it is set: not claimed, but
//! tried. `cargo test --features full --lib conformance -- --nocapture` prints the table.

use std::ffi::OsString;

use super::{Kind, Owner, Row, all};
use crate::config::{
    Config, ConfigFile, Env, Explanation, OtlpConfig, OtlpSettings, Resolver, Settings, Source,
    exporters, propagators, sampler,
};

/// The specification's list, version 1.56: the page on environment variables, and the OTLP
/// exporter's. The last column is what opentelemetry-rust 0.33 does.
const SPECIFIED: &[(&str, &str, &str)] = &[
    ("OTEL_SDK_DISABLED", "false", "not read"),
    ("OTEL_ENTITIES", "none", "not read"),
    ("OTEL_RESOURCE_ATTRIBUTES", "none", "not percent-decoded"),
    ("OTEL_SERVICE_NAME", "none", "loses to OTEL_RESOURCE_ATTRIBUTES"),
    ("OTEL_LOG_LEVEL", "info", "not read"),
    ("OTEL_PROPAGATORS", "tracecontext,baggage", "not read"),
    ("OTEL_TRACES_SAMPLER", "parentbased_always_on", "in lower case"),
    ("OTEL_TRACES_SAMPLER_ARG", "1", "a bad one samples nothing"),
    ("OTEL_BSP_SCHEDULE_DELAY", "5000", "0 spins a core"),
    ("OTEL_BSP_EXPORT_TIMEOUT", "30000", "not read"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "2048", "0 drops all, a huge one panics"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512", "read"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "1000", ""),
    ("OTEL_BLRP_EXPORT_TIMEOUT", "30000", ""),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", "2048", ""),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "512", ""),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "no limit", "not read"),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", "128", "not read"),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "no limit", "not read"),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "128", "a bad one is silent"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "128", "a bad one is silent"),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "128", "a bad one is silent"),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "128", "not read"),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "128", "not read"),
    ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "no limit", ""),
    ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "128", ""),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318", "read"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:4318/v1/traces", "read"),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://localhost:4318/v1/metrics", ""),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://localhost:4318/v1/logs", ""),
    ("OTEL_EXPORTER_OTLP_INSECURE", "false", "read"),
    ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "false", "read"),
    ("OTEL_EXPORTER_OTLP_METRICS_INSECURE", "false", ""),
    ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", "false", ""),
    ("OTEL_EXPORTER_OTLP_SPAN_INSECURE", "obsolete", "not read"),
    ("OTEL_EXPORTER_OTLP_METRIC_INSECURE", "obsolete", ""),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "none", "not read"),
    ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "none", "not read"),
    ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "none", ""),
    ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "none", ""),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "none", "not read"),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "none", "not read"),
    ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "none", ""),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "none", ""),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "none", "not read"),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "none", "not read"),
    ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", "none", ""),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "none", ""),
    ("OTEL_EXPORTER_OTLP_HEADERS", "none", "overrides code; masked by an empty one"),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "none", "overrides code"),
    ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "none", ""),
    ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "none", ""),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "none", "read"),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none", "read"),
    ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none", ""),
    ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "none", ""),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "10000", "0 fails at once"),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "10000", "0 fails at once"),
    ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "10000", ""),
    ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "10000", ""),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "read"),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf", "read"),
    ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf", ""),
    ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf", ""),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative", ""),
    ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram", ""),
    ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "http://localhost:9411/api/v2/spans", "not read"),
    ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", "10000", "not read"),
    ("OTEL_EXPORTER_ZIPKIN_PROTOCOL", "reserved", "not read"),
    ("OTEL_EXPORTER_PROMETHEUS_HOST", "localhost", ""),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", "9464", ""),
    ("OTEL_TRACES_EXPORTER", "otlp", "not read"),
    ("OTEL_METRICS_EXPORTER", "otlp", ""),
    ("OTEL_LOGS_EXPORTER", "otlp", ""),
    ("OTEL_METRICS_EXEMPLAR_FILTER", "trace_based", ""),
    ("OTEL_METRIC_EXPORT_INTERVAL", "60000", ""),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "30000", ""),
    ("OTEL_CONFIG_FILE", "none", "not read"),
    ("OTEL_EXPERIMENTAL_CONFIG_FILE", "renamed", "not read"),
];

/// Where the default is not the specification's, and why: each is a line of the guide, too.
const OTHER_DEFAULTS: &[(&str, &str)] = &[
    ("OTEL_SERVICE_NAME", "the code has a name in any case"),
    (
        "OTEL_TRACES_EXPORTER",
        "with no endpoint set there is nobody to send to, and a developer to show spans to",
    ),
    (
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "2048 spans are a burst of a few milliseconds; ours are bounded by their bytes (32 MiB), and take them only when they are there",
    ),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "none given, the system's are trusted"),
];

/// A value of use, and what else is to be set for it.
pub(super) fn sample(row: &Row) -> (&'static str, &'static [(&'static str, &'static str)]) {
    let value = match (row.name, row.kind) {
        ("OTEL_TRACES_SAMPLER_ARG", _) => {
            return ("0.5", &[("OTEL_TRACES_SAMPLER", "traceidratio")]);
        }
        (name, _) if name.ends_with("CLIENT_KEY") => {
            return ("key.pem", &[("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "certificate.pem")]);
        }
        (name, _) if name.ends_with("CLIENT_CERTIFICATE") => {
            return ("certificate.pem", &[("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem")]);
        }
        ("OTEL_RUST_OTLP_FILE", _) => return ("f", &[("OTEL_TRACES_EXPORTER", "otlp_file")]),
        (name, _) if name.ends_with("PROTOCOL") => "http/protobuf",
        (name, _) if name.ends_with("ENDPOINT") => "http://collector:4318",
        (name, _) if name.ends_with("COMPRESSION") => "none",
        ("OTEL_PROPAGATORS", _) => "baggage",
        ("OTEL_RUST_RESOURCE_DETECTORS", _) => "none",
        ("OTEL_TRACES_SAMPLER", _) => "always_off",
        ("OTEL_TRACES_EXPORTER", _) => "console",
        ("OTEL_LOG_LEVEL", _) => "warn",
        ("OTEL_RUST_LOG_FORMAT", _) => "off",
        (_, Kind::Boolean) => "true",
        (_, Kind::Integer | Kind::Duration | Kind::Timeout) => "100",
        (_, Kind::Pairs) => "key=value",
        (_, Kind::String | Kind::Enum | Kind::List) => "text",
    };
    (value, &[])
}

pub(super) fn explained(pairs: Vec<(&'static str, String)>) -> Explanation {
    explained_by(move |name| {
        pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value))
    })
}

pub(super) fn explained_by(
    lookup: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
) -> Explanation {
    let env = Env::new(lookup);
    let code = Settings { service_name: "code".to_owned(), ..Default::default() };
    let file = ConfigFile::load(None, &env, true);
    let mut resolver = Resolver::new(&code, file.settings(), &env);
    file.tell(&mut resolver);
    Config::resolve(&mut resolver);
    sampler(&mut resolver);
    propagators(&mut resolver);
    exporters(&mut resolver);
    OtlpConfig::resolve(&OtlpSettings::default(), &mut resolver);
    resolver.find_unsupported();
    resolver.find_unused();
    resolver.explanation()
}

/// What is done with it, by trying.
fn ours(row: &'static Row) -> String {
    let (value, others) = sample(row);
    let others = others.iter().copied().chain([(row.name, value)]);
    let explanation = explained(others.map(|(name, value)| (name, value.into())).collect());
    let is_used = explanation.settings().iter().any(|s| s.source == Source::Variable(row.name));
    let ignored = explanation.ignored().iter().find(|i| i.setting == row.name);
    match (row.owner, is_used, ignored) {
        (Owner::Specification | Owner::Ours, true, _) => "honoured".to_owned(),
        (Owner::Unsupported(_), false, Some(ignored)) if ignored.is_wrong => {
            "refused with a warning".to_owned()
        }
        (Owner::Elsewhere(whose), false, Some(ignored)) if !ignored.is_wrong => {
            format!("not ours ({whose})")
        }
        (owner, ..) => panic!("{} is {owner:?}, but: {explanation:?}", row.name),
    }
}

/// The first of a row's defaults, which is the general one.
fn default_of(row: &Row) -> String {
    row.default.split(';').next().unwrap_or_default().trim().replace('`', "")
}

#[test]
fn conformance() {
    let head = ["variable", "specified", "default", "ours", "stock 0.33"];
    println!("{:<57} {:<36} {:<36} {:<24} {}", head[0], head[1], head[2], head[3], head[4]);
    for (name, specified, stock) in SPECIFIED {
        let row = all().find(|row| row.name == *name);
        let row = row.unwrap_or_else(|| panic!("{name} has no row"));
        let default = match default_of(row) {
            same if same == *specified || row.owner != Owner::Specification => "the same".into(),
            // stands in the row of the variable that comes before it
            none if none.is_empty() => "the same".into(),
            other => other,
        };
        println!("{name:<57} {specified:<36} {default:<36} {:<24} {stock}", ours(row));
    }
    for row in all().filter(|row| SPECIFIED.iter().all(|(name, ..)| *name != row.name)) {
        assert_eq!(row.owner, Owner::Ours, "{} is not in the specification's list", row.name);
        println!("{:<57} {:<36} {:<36} {:<24} not read", row.name, "-", default_of(row), ours(row));
    }
}

#[test]
fn defaults_are_the_specifications_but_for_a_list() {
    let guide = include_str!("../../lib.rs").replace("\n//! ", " ");
    for (name, specified, _) in SPECIFIED {
        let row = all().find(|row| row.name == *name).expect("each has a row");
        if row.owner != Owner::Specification || row.default.is_empty() {
            continue;
        }
        let (ours, listed) = (
            default_of(row),
            OTHER_DEFAULTS.iter().find(|(n, _)| n == name || row.over == Some(*n)),
        );
        assert_eq!(ours != *specified, listed.is_some(), "{name}: {ours}, specified {specified}");
        if let Some((name, why)) = listed {
            assert!(guide.contains(&format!("`{name}`: {why}")), "{name}: the guide says so");
        }
    }
}

#[test]
fn the_defaults_of_the_table_are_those_in_effect() {
    let explanation = explained(Vec::new());
    for effective in explanation.settings() {
        let row = all().find(|row| row.name == effective.setting).expect("each has a row");
        let is = effective.value.as_str();
        let said = row.default.replace('`', "");
        let in_words = match row.name {
            "OTEL_SERVICE_NAME" => is == "code",
            "OTEL_BSP_SCHEDULE_DELAY" => is == "the exporter's own",
            "OTEL_TRACES_EXPORTER" => is == "console",
            "OTEL_RESOURCE_ATTRIBUTES" => true,
            _ => false,
        };
        assert!(in_words || said.split("; ").any(|s| s == is), "{}: {is}, not {said}", row.name);
    }
}
