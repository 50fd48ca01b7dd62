//! OTLP's JSON over HTTP, as the specification wants it.

#![cfg(feature = "otlp-json")]

#[path = "support/collector.rs"]
mod collector;
mod support;

use std::time::Duration;

use collector::{Collector, Reply};
use otel_setup::{Exporter, LogFormat, OtlpExporter, Protocol, Setup, Stack};
use support::{Said, spans_in, with_variables};

fn otlp(collector: &Collector) -> OtlpExporter {
    Exporter::otlp().with_endpoint(collector.url())
}

/// A stack of which the environment is `pairs`, and what it said.
fn stack(exporter: OtlpExporter, pairs: &[(&str, &str)]) -> (Stack, Said) {
    let said = Said::default();
    let setup = Setup::new("checkout").with_exporter(exporter).with_log_format(LogFormat::Off);
    let setup = setup.with_env(with_variables(pairs)).with_diagnostics(said.sink());
    (setup.build().expect("the settings are right"), said)
}

#[test]
fn json_follows_the_specification() {
    let collector = Collector::kind();
    let (stack, _) = stack(otlp(&collector).with_protocol(Protocol::HttpJson), &[]);
    tracing::dispatcher::with_default(stack.dispatch(), || {
        let outer = tracing::info_span!("outer", otel.kind = "server", items = 3, big = i64::MAX);
        let _outer = outer.entered();
        let _inner = tracing::info_span!("inner", ok = true, ratio = 0.5).entered();
        tracing::error!(code = -7, "it \"broke\"");
    });
    stack.flush(PATIENCE).expect("nothing is lost");

    let seen = collector.seen();
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    let json: serde_json::Value = serde_json::from_slice(&seen[0].body).expect("it is JSON");
    let resource = &json["resourceSpans"][0]["resource"]["attributes"];
    let name = &attribute(resource, "service.name")["stringValue"];
    assert_eq!(name, "checkout");
    let spans = json["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans");
    let span = |name| spans.iter().find(|span| span["name"] == name).expect("it was exported");
    let (outer, inner) = (span("outer"), span("inner"));
    assert_eq!(inner["parentSpanId"], outer["spanId"]);
    assert_eq!(inner["traceId"], outer["traceId"]);
    for (id, digits) in [(&outer["traceId"], 32), (&outer["spanId"], 16)] {
        let id = id.as_str().expect("ids are strings");
        assert!(id.len() == digits && id.bytes().all(|c| c.is_ascii_hexdigit()), "{id}");
    }
    assert_eq!(outer["kind"], 2);
    assert_eq!(inner["status"]["code"], 2);
    for time in ["startTimeUnixNano", "endTimeUnixNano"] {
        let nanos = outer[time].as_str().expect("64-bit integers are strings");
        assert!(nanos.parse::<u64>().expect("decimal") > 1_600_000_000_000_000_000);
    }
    assert_eq!(attribute(&outer["attributes"], "big")["intValue"], "9223372036854775807");
    assert_eq!(attribute(&inner["attributes"], "ok")["boolValue"], true);
    assert_eq!(attribute(&inner["attributes"], "ratio")["doubleValue"], 0.5);
    let event = &inner["events"][0];
    assert_eq!(event["name"], "it \"broke\"");
    assert_eq!(attribute(&event["attributes"], "code")["intValue"], "-7");
    assert_lower_camel_case_without_null(&json);
}

#[test]
fn numbers_that_json_cannot_write_are_strings_and_not_null() {
    let collector = Collector::kind();
    let (stack, _) = stack(otlp(&collector).with_protocol(Protocol::HttpJson), &[]);
    tracing::dispatcher::with_default(stack.dispatch(), || {
        let span = tracing::info_span!("work", nan = f64::NAN, least = f64::NEG_INFINITY);
        span.in_scope(|| tracing::info!(most = f64::INFINITY, "an event"));
    });
    stack.flush(PATIENCE).expect("nothing is lost");
    let json: serde_json::Value =
        serde_json::from_slice(&collector.seen()[0].body).expect("it is JSON");
    assert_lower_camel_case_without_null(&json);
    let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(attribute(&span["attributes"], "nan")["stringValue"], "NaN");
    assert_eq!(attribute(&span["attributes"], "least")["stringValue"], "-Infinity");
    assert_eq!(attribute(&span["events"][0]["attributes"], "most")["stringValue"], "Infinity");
}

#[test]
fn json_is_chosen_by_variable() {
    let collector = Collector::kind();
    let pairs = [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")];
    let (stack, said) = stack(otlp(&collector), &pairs);
    spans_in(&stack, 1);
    stack.flush(PATIENCE).expect("nothing is lost");
    assert_eq!(collector.seen()[0].header("content-type"), Some("application/json"));
    assert_eq!(said.lines(), Vec::<String>::new());
}

#[test]
fn json_answers_are_understood() {
    let json = |status| Reply::new(status).header("content-type", "application/json");
    let partial = r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too long"}}"#;
    let collector = Collector::start([
        json(200).body(partial),
        json(200).body(r#"{"partialSuccess":{"rejectedSpans":1}}"#),
        json(200).body("{}"),
        json(400).body(r#"{"code":3,"message":"no such tenant"}"#),
    ]);
    let (stack, _) = stack(otlp(&collector).with_protocol(Protocol::HttpJson), &[]);
    let export = || {
        spans_in(&stack, 5);
        stack.flush(PATIENCE).map_err(|error| error.to_string())
    };
    let error = export().expect_err("two are rejected");
    assert!(error.contains("2 spans lost") && error.contains("too long"), "{error}");
    let error = export().expect_err("one is rejected");
    assert!(error.contains("1 span lost"), "{error}");
    export().expect("nothing is rejected");
    let error = export().expect_err("all are refused");
    assert!(error.contains("400 Bad Request: no such tenant"), "{error}");
    let stats = &stack.stats().exporters[0];
    assert_eq!((stats.exported, stats.rejected, stats.dropped.total()), (12, 3, 5));
}

fn attribute<'a>(attributes: &'a serde_json::Value, key: &str) -> &'a serde_json::Value {
    let all = attributes.as_array().expect("attributes are a list");
    &all.iter().find(|attribute| attribute["key"] == key).expect("it has this attribute")["value"]
}

fn assert_lower_camel_case_without_null(json: &serde_json::Value) {
    match json {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                let is_camel = name.starts_with(|c: char| c.is_ascii_lowercase());
                assert!(is_camel && !name.contains('_'), "{name}");
                assert_lower_camel_case_without_null(value);
            }
        }
        serde_json::Value::Array(all) => all.iter().for_each(assert_lower_camel_case_without_null),
        other => assert!(!other.is_null(), "a null"),
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
