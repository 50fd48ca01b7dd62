//! The OTLP exporters' variables, by what a collector gets.

#![cfg(all(feature = "otlp-json", feature = "gzip"))]

#[path = "support/collector.rs"]
mod collector;
mod support;

use std::time::Duration;

use collector::{Answer, Collector, Seen};
use otel_setup::{Exporter, LogFormat, OtlpExporter, Setup, Stack};
use support::{Said, spans_in, with_variables};

/// A stack whose exporter, if it is nothing, is chosen by variables.
fn stack(exporter: Option<OtlpExporter>, pairs: &[(&str, &str)]) -> (Stack, Vec<String>) {
    let said = Said::default();
    let mut setup = Setup::new("checkout")
        .with_env(with_variables(pairs))
        .with_log_format(LogFormat::Off)
        .with_diagnostics(said.sink());
    if let Some(exporter) = exporter {
        setup = setup.with_exporter(exporter);
    }
    let stack = setup.build().expect("the code's settings are right");
    (stack, said.lines())
}

/// What one span looks like where these variables send it, the endpoint among them.
#[track_caller]
fn arrives(exporter: Option<OtlpExporter>, pairs: &[(&str, &str)]) -> (Seen, Vec<String>) {
    let collector = Collector::kind();
    let url = collector.url();
    let mut pairs = pairs.to_vec();
    pairs.push(("OTEL_EXPORTER_OTLP_ENDPOINT", &url));
    let (stack, said) = stack(exporter, &pairs);
    spans_in(&stack, 1);
    stack.flush(PATIENCE).expect("nothing is lost");
    let [seen] = <[Seen; 1]>::try_from(collector.seen()).expect("one batch is one request");
    (seen, said)
}

#[track_caller]
fn header_is(
    exporter: Option<OtlpExporter>,
    pairs: &[(&str, &str)],
    name: &str,
    expected: Option<&str>,
) {
    let (seen, said) = arrives(exporter, pairs);
    assert_eq!(seen.header(name), expected, "{pairs:?}");
    assert_eq!(said, [""; 0], "{pairs:?}");
}

const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";

#[test]
fn headers_arrive() {
    header_is(None, &[(HEADERS, "x-key=1")], "x-key", Some("1"));
    header_is(None, &[(HEADERS, " X-Key = a%20b%2Cc , ")], "x-key", Some("a b,c"));
    header_is(None, &[(HEADERS, "x-key=1,x-key=2")], "x-key", Some("2"));
    // cases of Java's `createExporter_HttpWithGeneralConfiguration`, Go's `TestStringToHeader` and
    // Datadog's `test_metrics_percent_encoded_value`
    for (text, expected) in [
        ("other=header%20value1,x-key=header value2", "header value2"),
        (" x-key = alice+test ", "alice+test"),
        ("x-key=DF%3A28,other=false", "DF:28"),
        ("other=1,x-key=localhost/test", "localhost/test"),
        ("x-key=hello%20world%2Cvalue%3D1", "hello world,value=1"),
    ] {
        header_is(None, &[(HEADERS, text)], "x-key", Some(expected));
    }
    header_is(
        None,
        &[(HEADERS, "authorization=Basic a=b==")],
        "authorization",
        Some("Basic a=b=="),
    );
    header_is(None, &[(HEADERS, "x-key=1"), (TRACES_HEADERS, "x-key=2")], "x-key", Some("2"));
    header_is(None, &[(HEADERS, "x-key=1"), (TRACES_HEADERS, "other=2")], "x-key", None);
    // stock: an empty one masks the general one
    header_is(None, &[(HEADERS, "x-key=1"), (TRACES_HEADERS, "")], "x-key", Some("1"));
    let in_code = || Some(Exporter::otlp().with_header("x-key", "code"));
    // stock: the variable comes before the code
    header_is(in_code(), &[(HEADERS, "x-key=1")], "x-key", Some("code"));
    header_is(in_code(), &[(HEADERS, "x-other=1")], "x-other", Some("1"));
}

#[test]
fn headers_that_are_none_are_left_out_and_never_shown() {
    for (text, problems) in [
        ("hunter2,x-key=1", 1),
        ("=hunter2,x-key=1", 1),
        ("x y=hunter2,x-key=1", 1),
        ("x-bad=hunter2%0a,x-key=1", 1),
        ("x-bad=hunter2%zz,x-key=1", 1),
        ("x-bad=hunter2%ff,x-key=1,hunter2", 2),
    ] {
        let (seen, said) = arrives(None, &[(HEADERS, text)]);
        assert_eq!(seen.header("x-key"), Some("1"), "{text}");
        assert_eq!(said.len(), problems, "{text}: {said:?}");
        assert!(said[0].starts_with(HEADERS) && !said.concat().contains("hunter2"), "{said:?}");
    }
}

#[test]
fn protocols_and_compressions_are_spoken() {
    let kind = "content-type";
    let (protocol, compression) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_COMPRESSION");
    header_is(None, &[], kind, Some("application/x-protobuf"));
    header_is(None, &[(protocol, "HTTP/JSON")], kind, Some("application/json"));
    let own = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf");
    header_is(None, &[(protocol, "http/json"), own], kind, Some("application/x-protobuf"));
    header_is(None, &[(compression, "gzip")], "content-encoding", Some("gzip"));
    header_is(None, &[(compression, "none")], "content-encoding", None);
    let own = ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none");
    header_is(None, &[(compression, "gzip"), own], "content-encoding", None);
    let empty = ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", " ");
    header_is(None, &[(compression, "gzip"), empty], "content-encoding", Some("gzip"));

    let bad = ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "lzma");
    let (seen, said) = arrives(None, &[(compression, "gzip"), bad]);
    assert_eq!(seen.header("content-encoding"), Some("gzip"));
    let expected = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: \"lzma\" is not one of none, gzip, zstd; \
                    gzip is used";
    assert_eq!(said, [expected]);
}

#[test]
fn endpoints_are_sent_to() {
    let path = |pairs: &[(&str, &str)]| arrives(None, pairs).0.path;
    assert_eq!(path(&[]), "/v1/traces");
    let collector = Collector::kind();
    let url = format!("{}/own", collector.url());
    let nowhere = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let (stack, said) = stack(None, &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &url), nowhere]);
    spans_in(&stack, 1);
    stack.flush(PATIENCE).expect("nothing is lost");
    assert_eq!(collector.seen()[0].path, "/own");
    assert_eq!(said, [""; 0]);
}

/// Of an attempt, of a batch with its attempts, and none at all.
#[test]
fn timeouts_end_the_wait_for_a_collector_that_hangs() {
    let (general, of_traces) = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT");
    for (timeout, attempt, batch) in [
        (general, "30", "120"),
        (of_traces, "30", "120"),
        (general, "0", "60"),
        (general, "600000", "60"),
    ] {
        let collector = Collector::start(vec![Answer::Hang; 50]);
        let url = collector.url();
        let (stack, said) = stack(
            None,
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
                (timeout, attempt),
                ("OTEL_BSP_EXPORT_TIMEOUT", batch),
            ],
        );
        assert_eq!(said, [""; 0]);
        spans_in(&stack, 1);
        let error = stack.flush(PATIENCE).expect_err("nobody answers");
        assert!(error.is_lost(), "{attempt} {batch}: {error}");
    }
}

#[test]
fn the_presets_are_exporters_of_their_names() {
    for name in ["jaeger", "zipkin", "datadog"] {
        let collector = Collector::kind();
        let url = collector.url();
        let pairs = [("OTEL_TRACES_EXPORTER", name), ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url)];
        let (stack, said) = stack(None, &pairs);
        spans_in(&stack, 1);
        stack.flush(PATIENCE).expect("nothing is lost");
        assert_eq!(said, [""; 0]);
        assert_eq!(stack.stats().exporters[0].name, name);
        assert_eq!(collector.seen().len(), 1);
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
