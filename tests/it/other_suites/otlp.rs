//! `OTEL_TRACES_EXPORTER` and `OTEL_EXPORTER_OTLP_*`. What collectors get is in
//! `tests/otlp_variables.rs`.

use otel_setup::{Compression, Exporter, OtlpExporter, Setup};

use super::{Pairs, is, says, warns};
use crate::support::{Said, with_variables};

const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const GENERAL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
const OTLP: (&str, &str) = (EXPORTER, "otlp");

/// The names of a stack's exporters.
#[track_caller]
fn exporters(case: &str, pairs: Pairs<'_>, expected: &[&str], wrong: Pairs<'_>) {
    let setup = || Setup::new("it").with_env(with_variables(pairs)).with_resource_detectors([]);
    says(case, &setup().explain(), wrong);
    let stack = setup().with_diagnostics(Said::default().sink()).build();
    let stats = stack.expect("variables fail no setup").stats();
    let names: Vec<_> = stats.exporters.iter().map(|exporter| exporter.name.as_str()).collect();
    assert_eq!(names, expected, "{case}");
}

#[test]
fn exporters_by_name() {
    exporters(
        "Go TestSpanExporterNone, Datadog test_none_exporter",
        &[(EXPORTER, "none")],
        &[],
        &[],
    );
    exporters("Go TestSpanExporterConsole", &[(EXPORTER, "console")], &["console"], &[]);
    exporters("Go TestSpanExporterOTLP", &[OTLP], &["otlp-http"], &[]);
    for (protocol, expected) in [
        ("http/protobuf", "otlp-http"),
        ("", "otlp-http"),
        #[cfg(feature = "otlp-grpc")]
        ("grpc", "otlp-grpc"),
        #[cfg(feature = "otlp-grpc")]
        ("GRPC", "otlp-grpc"),
    ] {
        let case = "Go TestSpanExporterOTLP, Datadog test_case_insensitive";
        exporters(case, &[OTLP, (PROTOCOL, protocol)], &[expected], &[]);
    }
    for protocol in ["invalid-protocol", "unsupported", "foo"] {
        let part = format!("\"{protocol}\" is not one of http/protobuf, ");
        exporters(
            "Go TestSpanExporterOTLPOverInvalidProtocol, Java createExporter_UnsupportedProtocol",
            &[OTLP, (PROTOCOL, protocol)],
            &["otlp-http"],
            &[(PROTOCOL, &part)],
        );
    }
    let endpoint = (TRACES, "http://127.0.0.1:1/v1/traces");
    for unset in [&[endpoint][..], &[endpoint, (EXPORTER, "")]] {
        let case = "Datadog test_default_matches_specification, test_empty_is_treated_as_unset";
        exporters(case, unset, &["otlp-http"], &[]);
    }
    let (case, part) = ("Datadog test_invalid_is_ignored", "\"invalid\" is not one of console, ");
    let invalid = [endpoint, (EXPORTER, "invalid")];
    exporters(case, &invalid, &["otlp-http"], &[(EXPORTER, part)]);
    // deprecated, and in development
    for name in ["logging", "otlp/stdout"] {
        let part = format!("\"{name}\" is not one of console, ");
        let case = "Datadog test_deprecated_values, test_development_values";
        exporters(case, &[(EXPORTER, name)], &["console"], &[(EXPORTER, &part)]);
    }
    let both = [(EXPORTER, "otlp,zipkin")];
    exporters(
        "Java configureSpanProcessors_multipleExporters",
        &both,
        &["otlp-http", "zipkin"],
        &[],
    );
    // each once, where Java refuses
    let twice = [(EXPORTER, "otlp,otlp,console")];
    exporters("Java configureSpanExporters_duplicates", &twice, &["otlp-http", "console"], &[]);
    exporters(
        "Java configureSpanExporters_multipleWithNone",
        &[(EXPORTER, "otlp,none")],
        &["otlp-http"],
        &[(EXPORTER, "none beside others; none is left out")],
    );
}

#[test]
fn protocols() {
    let setting = TRACES_PROTOCOL;
    is("Java getOtlpProtocolDefault, Datadog test_unset", &[OTLP], setting, "http/protobuf");
    for (value, expected) in [("http/json", "http/json"), ("", "http/protobuf")] {
        if cfg!(feature = "otlp-json") {
            let case = "Datadog test_http_protocol_is_used, test_empty_is_treated_as_unset";
            is(case, &[OTLP, (TRACES_PROTOCOL, value)], setting, expected);
        }
    }
    let both = [OTLP, (PROTOCOL, "grpc"), (TRACES_PROTOCOL, "http/protobuf")];
    is("Java createExporter_HttpWithSignalConfiguration", &both, setting, "http/protobuf");
}

#[test]
fn endpoints_over_http() {
    for (base, expected) in [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/foo", "http://localhost:4318/foo/v1/traces"),
        ("http://localhost:4318/foo/", "http://localhost:4318/foo/v1/traces"),
        ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces/v1/traces"),
        ("http://localhost:4318/v1/metrics", "http://localhost:4318/v1/metrics/v1/traces"),
        ("http://localhost", "http://localhost/v1/traces"),
        ("http://foo:bar@localhost", "http://[redacted]@localhost/v1/traces"),
        // Java refuses a query; a backend may want one
        ("http://localhost:4317?foo=bar", "http://localhost:4317/v1/traces?[redacted]"),
    ] {
        let case = "Java configureOtlpExporterBuilder_HttpGenericEndpointKey, _ValidEndpoints";
        is(case, &[(GENERAL, base)], TRACES, expected);
    }
    for (url, expected) in [
        ("http://localhost:4318", "http://localhost:4318/"),
        ("http://localhost:4318/", "http://localhost:4318/"),
        ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/foo/bar", "http://localhost:4318/foo/bar"),
    ] {
        let case = "Java configureOtlpExporterBuilder_HttpTracesEndpointKey";
        is(case, &[(TRACES, url)], TRACES, expected);
        let both = [(TRACES, url), (GENERAL, "http://localhost:4318/foo/bar")];
        is(case, &both, TRACES, expected);
    }
    for (bad, part) in [
        ("/foo/bar", "does not begin with http:// or https://"),
        ("file://localhost:4317", "does not begin with http:// or https://"),
        ("http://localhost:4317#fragment", "has a fragment"),
        ("i nvalid://url", "is not a URL"),
        ("%invalid", "is not a URL"),
    ] {
        let case = "Java configureOtlpExporterBuilder_InvalidEndpoints, Go with invalid URL";
        let default = "http://localhost:4318/v1/traces";
        warns(case, &[OTLP, (GENERAL, bad)], TRACES, default, &[(GENERAL, part)]);
        warns(case, &[OTLP, (TRACES, bad)], TRACES, default, &[(TRACES, part)]);
    }
    let spaces = [(GENERAL, "      http://env_endpoint    ")];
    let case = "Go Test Environment Endpoint with HTTP scheme and leading & trailingspaces";
    is(case, &spaces, TRACES, "http://env_endpoint/v1/traces");
    let upper = [(GENERAL, "HTTPS://overrode"), (TRACES, "HtTp://env_traces_endpoint")];
    let case = "Go Test Environment Signal Specific Endpoint with uppercase scheme";
    is(case, &upper, TRACES, "http://env_traces_endpoint/");
    let fallback = [(GENERAL, "http://a:4318"), (TRACES, "")];
    let case = "Datadog test_unset_and_empty_fall_back_to_global_endpoint";
    is(case, &fallback, TRACES, "http://a:4318/v1/traces");
    is("Datadog test_default_endpoint_is_used", &[OTLP, (GENERAL, "")], TRACES, DEFAULT);
    #[cfg(feature = "tls")]
    {
        let https = [(GENERAL, "https://env.endpoint/prefix")];
        let expected = "https://env.endpoint/prefix/v1/traces";
        is("Go Test Environment Endpoint", &https, TRACES, expected);
    }
}

#[cfg(feature = "otlp-grpc")]
#[test]
fn endpoints_over_grpc() {
    let grpc = (PROTOCOL, "grpc");
    let (case, expected) = ("Datadog test_otlp_custom_endpoint_grpc", "http://agent:4317/");
    is(case, &[grpc, (GENERAL, "http://agent:4317/")], TRACES, expected);
    is(case, &[grpc, (TRACES, "http://agent:4317")], TRACES, expected);
    is("Go Test default configs", &[OTLP, grpc], TRACES, "http://localhost:4317");
    // Java refuses it; gRPC has its own paths
    for (name, with_path) in
        [(GENERAL, "http://localhost:4317/path"), (TRACES, "http://localhost:4317/v1/traces")]
    {
        let case = "Java configureOtlpExporterBuilder_InvalidEndpoints (path)";
        let part = "gRPC has paths of its own; http://localhost:4317/ is used";
        warns(case, &[grpc, (name, with_path)], TRACES, "http://localhost:4317/", &[(name, part)]);
    }
}

#[test]
fn numbers_and_choices() {
    let (timeout, traces) = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT");
    is("Go Test default configs", &[OTLP], traces, "10000");
    is("Go Test Environment Timeout", &[OTLP, (timeout, "15000")], traces, "15000");
    let both = [OTLP, (timeout, "15000"), (traces, "27000")];
    is("Go Test Environment Signal Specific Timeout", &both, traces, "27000");
    is("Datadog test_stable_values", &[OTLP, (traces, "500")], traces, "500");
    is("Datadog test_stable_values", &[OTLP, (traces, "0")], traces, "0");
    is("Datadog test_empty_is_treated_as_unset", &[OTLP, (traces, "")], traces, "10000");
    let (case, part) = ("Datadog test_invalid_value_is_ignored", "\"-1\" is not a number of ");
    warns(case, &[OTLP, (traces, "-1")], traces, "10000", &[(traces, part)]);

    let general = "OTEL_EXPORTER_OTLP_COMPRESSION";
    let traces = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION";
    is("Datadog test_default", &[OTLP], traces, "none");
    is("Datadog test_empty", &[OTLP, (general, "")], traces, "none");
    is("Datadog test_stable_values", &[OTLP, (general, "none")], traces, "none");
    let part = "\"not-a-compression\" is not one of none, gzip, zstd; none is used";
    let invalid = [OTLP, (general, "not-a-compression")];
    warns("Datadog test_invalid", &invalid, traces, "none", &[(general, part)]);
    #[cfg(feature = "gzip")]
    for name in [general, traces] {
        is("Go Test Environment Compression", &[OTLP, (name, "gzip")], traces, "gzip");
    }
}

#[test]
fn headers() {
    let (general, traces) = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS");
    let by = |value| [OTLP, (general, value)];
    is("Go Test default configs", &[OTLP], traces, "none");
    let names = "h1=[redacted],h2=[redacted]";
    is("Go Test Environment Headers", &by("h1=v1,h2=v2"), traces, names);
    let both = [OTLP, (general, "overrode_by_signal_specific"), (traces, "h1=v1,h2=v2")];
    is("Go Test Environment Signal Specific Headers", &both, traces, names);
    let none = "entry 1 is not name=value; it is left out";
    let undecoded =
        |name| format!("entry 1, {name}: the value is not percent-encoded UTF-8; it is left out");
    for (bad, part) in
        [("userId:alice", none), ("world", none), ("header-key=%-1", &undecoded("header-key"))]
    {
        let case = "Go invalid headers format, Java createExporter_decodingError";
        warns(case, &by(bad), traces, "none", &[(general, part)]);
    }
    let kept = "userid=[redacted]";
    let part = undecoded("missing");
    warns("Go invalid value", &by("missing=%XX,userId=alice"), traces, kept, &[(general, &part)]);
    // a name is not decoded, and `%` may be in one
    let kept = "%xx=[redacted],userid=[redacted]";
    is("Go invalid key", &by("%XX=missing,userId=alice"), traces, kept);
}

/// What the code says, under variables that would have it otherwise.
#[track_caller]
fn code(case: &str, exporter: OtlpExporter, pairs: Pairs<'_>, setting: &str, value: &str) {
    let setup = Setup::new("it").with_env(with_variables(pairs)).with_exporter(exporter);
    let explanation = setup.explain();
    let found = explanation.settings().iter().rfind(|s| s.setting == setting);
    assert_eq!(found.map(|found| found.value.as_str()), Some(value), "{case}: {explanation}");
    says(case, &explanation, &[]);
}

#[test]
fn the_code_comes_first() {
    let env = [(GENERAL, "env_endpoint"), (TRACES, "env_endpoint2")];
    let exporter = || Exporter::otlp();
    let case = "Go Test Mixed Environment and With Endpoint";
    code(case, exporter().with_endpoint("http://a/b"), &env, TRACES, "http://a/b");
    let last = exporter().with_endpoint("http://a/b").with_endpoint("http://c");
    code("Go Test With Endpoint last used", last, &env, TRACES, "http://c/v1/traces");
    let compression = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION";
    let none = exporter().with_compression(Compression::None);
    let case = "Go Test Mixed Environment and With Compression";
    code(case, none, &[(compression, "gzip")], compression, "none");
    let timeout = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT";
    let own = exporter().with_timeout(std::time::Duration::from_secs(5));
    let case = "Go Test Mixed Environment and With Timeout";
    code(case, own, &[(timeout, "27000")], timeout, "5000");
    // Go falls back to the default, silently
    let bad =
        Setup::new("it").with_env(|_| None).with_exporter(exporter().with_endpoint("%invalid"));
    let error = bad.build().map(drop).expect_err("Go Test With Invalid Endpoint URL");
    assert!(error.is_config() && error.to_string().contains("%invalid"), "{error}");
}

const DEFAULT: &str = "http://localhost:4318/v1/traces";
