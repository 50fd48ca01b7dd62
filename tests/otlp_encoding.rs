//! What OTLP over HTTP looks like on the wire: compressed, in JSON, and named by variables.

#![cfg(feature = "otlp-http")]
#![allow(dead_code, unused_imports, reason = "each set of features uses its own part of this")]

#[path = "support/collector.rs"]
mod collector;
mod support;

use std::io::Read as _;
use std::time::Duration;

use collector::{Collector, Reply, all_spans};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otel_setup::{Compression, Exporter, LogFormat, OtlpExporter, Protocol, Setup, Stack};
use prost::Message as _;
use support::{Said, spans_in, with_variables};

fn setup(exporter: impl Into<Exporter>) -> Setup {
    Setup::new("checkout").with_exporter(exporter).with_log_format(LogFormat::Off)
}

fn otlp(collector: &Collector) -> OtlpExporter {
    Exporter::otlp().with_endpoint(collector.url())
}

/// A stack of which the environment is `pairs`, and what it said.
fn stack(exporter: OtlpExporter, pairs: &[(&str, &str)]) -> (Stack, Said) {
    let said = Said::default();
    let setup = setup(exporter).with_env(with_variables(pairs)).with_diagnostics(said.sink());
    (setup.build().expect("the settings are right"), said)
}

/// What a setup with this exporter complains of.
fn complaint(exporter: OtlpExporter) -> String {
    let error = setup(exporter).with_env(|_| None).build().expect_err("it cannot be opened");
    assert!(error.is_config(), "{error}");
    error.to_string()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).expect("it is gzip");
    out
}

fn unzstd(bytes: &[u8]) -> Vec<u8> {
    zstd::decode_all(bytes).expect("it is zstd")
}

#[track_caller]
fn arrives_as(
    exporter: OtlpExporter,
    pairs: &[(&str, &str)],
    collector: &Collector,
    encoding: Option<&str>,
    decode: fn(&[u8]) -> Vec<u8>,
) {
    let (stack, said) = stack(exporter, pairs);
    spans_in(&stack, 100);
    stack.flush(PATIENCE).expect("nothing is lost");
    assert_eq!(said.lines(), Vec::<String>::new());
    let seen = collector.seen();
    let seen = seen.last().expect("a request came");
    assert_eq!(seen.header("content-encoding"), encoding);
    assert_eq!(seen.header("content-type"), Some("application/x-protobuf"));
    let bytes = decode(&seen.body);
    assert_eq!(bytes.len() > seen.body.len(), encoding.is_some(), "{} bytes", seen.body.len());
    let request = ExportTraceServiceRequest::decode(&*bytes).expect("it is OTLP");
    assert_eq!(all_spans(request).len(), 100);
}

#[cfg(feature = "gzip")]
#[test]
fn gzip_by_code_and_by_variable() {
    let collector = Collector::kind();
    let by_code = || otlp(&collector).with_compression(Compression::Gzip);
    arrives_as(by_code(), &[], &collector, Some("gzip"), gunzip);
    for name in ["OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"] {
        arrives_as(otlp(&collector), &[(name, "gzip")], &collector, Some("gzip"), gunzip);
    }
    let code_wins = otlp(&collector).with_compression(Compression::None);
    let variable = [("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")];
    arrives_as(code_wins, &variable, &collector, None, <[u8]>::to_vec);
    let own_wins = [
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
    ];
    arrives_as(otlp(&collector), &own_wins, &collector, None, <[u8]>::to_vec);
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_by_code_and_by_variable() {
    let collector = Collector::kind();
    let by_code = otlp(&collector).with_compression(Compression::Zstd);
    arrives_as(by_code, &[], &collector, Some("zstd"), unzstd);
    let variable = [("OTEL_EXPORTER_OTLP_COMPRESSION", "ZSTD")];
    arrives_as(otlp(&collector), &variable, &collector, Some("zstd"), unzstd);
}

#[cfg(feature = "gzip")]
#[test]
fn a_retry_sends_the_same_compressed_bytes() {
    let collector = Collector::start([Reply::new(503)]);
    let (stack, _) = stack(otlp(&collector).with_compression(Compression::Gzip), &[]);
    spans_in(&stack, 10);
    stack.flush(PATIENCE).expect("the second attempt succeeds");
    let seen = collector.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(seen[1].header("content-encoding"), Some("gzip"));
}

#[cfg(feature = "gzip")]
#[test]
fn a_header_of_the_operators_does_not_deny_the_compression() {
    let collector = Collector::kind();
    let lying = otlp(&collector)
        .with_header("content-encoding", "br")
        .with_header("content-type", "text/html")
        .with_compression(Compression::Gzip);
    arrives_as(lying, &[], &collector, Some("gzip"), gunzip);
}

#[test]
fn unknown_choices_in_variables_are_said_and_passed_over() {
    let collector = Collector::kind();
    let pairs = [
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "brotli"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/xml"),
    ];
    let (stack, said) = stack(otlp(&collector), &pairs);
    spans_in(&stack, 1);
    stack.flush(PATIENCE).expect("nothing is lost");
    assert_eq!(
        said.lines(),
        [
            "OTEL_EXPORTER_OTLP_PROTOCOL: \"http/xml\" is not one of http/protobuf, http/json, \
             grpc; http/protobuf is used",
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: \"brotli\" is not one of none, gzip, zstd; \
             none is used",
        ]
    );
    assert_eq!(collector.seen()[0].spans().len(), 1);
}

#[cfg(not(feature = "gzip"))]
#[test]
fn gzip_without_its_feature_is_an_error_in_code_and_said_of_a_variable() {
    let collector = Collector::kind();
    let error = complaint(otlp(&collector).with_compression(Compression::Gzip));
    assert_eq!(error, "OTLP compression: gzip needs the feature gzip");
    let (_, said) = stack(otlp(&collector), &[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")]);
    let expected = "OTEL_EXPORTER_OTLP_COMPRESSION: gzip needs the feature gzip; none is used";
    assert_eq!(said.lines(), [expected]);
}

#[cfg(not(feature = "otlp-json"))]
#[test]
fn json_without_its_feature_is_an_error_in_code() {
    let error = complaint(Exporter::otlp().with_protocol(Protocol::HttpJson));
    assert_eq!(error, "OTLP protocol: http/json needs the feature otlp-json");
}

#[test]
fn presets_are_otlp_under_the_name_of_the_backend() {
    let collector = Collector::kind();
    let presets = [
        (Exporter::jaeger(), "jaeger", "http://localhost:4318/v1/traces"),
        (Exporter::zipkin(), "zipkin", "http://localhost:9411/v1/traces"),
        (Exporter::datadog(), "datadog", "http://localhost:4318/v1/traces"),
    ];
    for (preset, name, endpoint) in presets {
        assert!(format!("{preset:?}").contains(endpoint), "{preset:?}");
        let pairs = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url())];
        let (stack, _) = stack(preset, &pairs);
        spans_in(&stack, 1);
        stack.flush(PATIENCE).expect("the variable says where to");
        assert_eq!(stack.stats().exporters[0].name, name);
    }
    assert_eq!(collector.seen().len(), 3);
}

const PATIENCE: Duration = Duration::from_secs(20);
