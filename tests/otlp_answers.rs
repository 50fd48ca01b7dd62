//! OTLP over HTTP: what answers mean, and what is shown of them.

#![cfg(feature = "otlp-http")]

#[path = "support/collector.rs"]
mod collector;
mod support;

use std::time::Duration;

use collector::{Collector, Reply};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use otel_setup::{DropReason, Exporter, LogFormat, OtlpExporter, Setup, Stack};
use support::{Said, spans_in};

fn stack(exporter: OtlpExporter) -> Stack {
    let setup = Setup::new("checkout").with_exporter(exporter).with_log_format(LogFormat::Off);
    setup.with_env(|_| None).build().expect("the settings are right")
}

/// What is said when each of five spans is lost, after one attempt.
#[track_caller]
fn refusal(answer: Reply, exporter: impl FnOnce(&str) -> OtlpExporter) -> String {
    let collector = Collector::failing(answer);
    let stack = stack(exporter(&collector.url()));
    spans_in(&stack, 5);
    let error = stack.flush(PATIENCE).expect_err("it is no success").to_string();
    let stats = &stack.stats().exporters[0];
    assert_eq!(stats.dropped.by(DropReason::ExportFailed), 5, "{stats}");
    assert_eq!(collector.seen().len(), 1);
    error
}

fn plain(url: &str) -> OtlpExporter {
    Exporter::otlp().with_endpoint(url)
}

fn of(kind: &str) -> Reply {
    Reply::new(200).header("content-type", kind)
}

fn partial(message: String) -> Reply {
    let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: message };
    Reply::new(200).message(&ExportTraceServiceResponse { partial_success: Some(partial) })
}

#[test]
fn a_warning_of_the_backend_was_not_told() {
    let words = "attributes are deprecated".to_owned();
    let partial = ExportTracePartialSuccess { rejected_spans: 0, error_message: words };
    let answer = ExportTraceServiceResponse { partial_success: Some(partial) };
    let collector = Collector::failing(Reply::new(200).message(&answer));
    let said = Said::default();
    let stack = Setup::new("checkout")
        .with_exporter(plain(&collector.url()))
        .with_log_format(LogFormat::Off)
        .with_env(|_| None)
        .with_diagnostics(said.sink())
        .build()
        .expect("the settings are right");
    spans_in(&stack, 5);
    stack.flush(PATIENCE).expect("all has arrived");
    said.wait_for(&["otlp-http", "attributes are deprecated"]);
}

#[test]
fn a_page_with_status_200_counted_as_exported() {
    let error = refusal(of("text/html; charset=utf-8").body("<html>log in</html>"), plain);
    let expected = "/v1/traces answered 200 with text/html, which is no OTLP answer: \
                    is the path right?";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn an_answer_that_nobody_could_read_counted_as_exported() {
    let error = refusal(of("application/x-protobuf").body([0xff; 100]), plain);
    let expected = "answered 200 with application/x-protobuf that is no OTLP answer: \
                    what became of the spans is not known";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn an_empty_body_is_success_whatever_its_type() {
    for kind in ["text/html", "text/plain", "application/json", "application/x-protobuf"] {
        let collector = Collector::failing(of(kind));
        let stack = stack(plain(&collector.url()));
        spans_in(&stack, 1);
        stack.flush(PATIENCE).expect("it says 200, and nothing else");
    }
}

#[test]
fn a_long_partial_success_counted_as_all_exported() {
    let collector = Collector::failing(partial("x".repeat(70_000)));
    let stack = stack(plain(&collector.url()));
    spans_in(&stack, 5);
    let error = stack.flush(PATIENCE).expect_err("two are lost").to_string();
    assert!(error.len() < 1000, "{} bytes", error.len());
    let stats = &stack.stats().exporters[0];
    assert_eq!((stats.exported, stats.rejected), (3, 2), "{stats}");
}

#[test]
fn the_reason_in_plain_text_was_not_shown() {
    let text = |words: String| Reply::new(400).header("content-type", "text/plain").body(words);
    let error = refusal(text("unknown tenant\x1b[31m acme\n".to_owned()), plain);
    assert!(error.contains("answered 400 Bad Request: unknown tenant\\u{1b}[31m acme"), "{error}");
    let error = refusal(text("x".repeat(70_000)), plain);
    assert!(error.contains(&"x".repeat(200)) && !error.contains(&"x".repeat(201)), "{error}");
}

/// By query, by user and password, and by header.
fn secret(url: &str) -> OtlpExporter {
    let url = url.replace("http://", "http://ali%40ce:pa55%2Fword@");
    Exporter::otlp()
        .with_endpoint(format!("{url}/v1/traces?api_key=hunt%3Der2&v=1"))
        .with_header("x-key", "hunter3")
}

const QUOTED: &str = "hunt=er2 hunt%3Der2 ali@ce pa55/word pa55%2Fword \
                      YWxpQGNlOnBhNTUvd29yZA== hunter3 v1 1";
const SHOWN: &str = "[redacted] [redacted] [redacted] [redacted] [redacted] [redacted] [redacted] \
                     v1 [redacted]";

#[test]
fn secrets_of_the_endpoint_were_shown_where_the_backend_quoted_them() {
    let answer = Reply::new(401).header("content-type", "text/plain").body(QUOTED);
    let error = refusal(answer, secret);
    assert!(error.contains(&format!("401 Unauthorized: {SHOWN}")), "{error}");

    let collector = Collector::failing(partial(QUOTED.to_owned()));
    let stack = stack(secret(&collector.url()));
    spans_in(&stack, 5);
    let error = stack.flush(PATIENCE).expect_err("two are lost").to_string();
    assert!(error.contains(SHOWN), "{error}");
}

#[test]
fn a_secret_in_a_redirect_was_shown() {
    let target = "https://login/hunter3/hunt%3Der2/v1?again=hunter3";
    let error = refusal(Reply::new(302).header("location", target), secret);
    assert!(error.contains("to https://login/[redacted]/[redacted]/v1?[redacted]"), "{error}");
}

#[test]
fn what_was_encoded_in_user_and_password_was_sent_encoded() {
    let sent = |exporter: &dyn Fn(&str) -> OtlpExporter| {
        let collector = Collector::kind();
        let stack = stack(exporter(&collector.url()));
        spans_in(&stack, 1);
        stack.flush(PATIENCE).expect("it is taken");
        assert!(!format!("{stack:?}").contains("pa55"), "{stack:?}");
        let seen = collector.seen().remove(0);
        assert_eq!(seen.header("host").map(|host| host.contains('@')), Some(false));
        let all = seen.headers.iter().filter(|(name, _)| name == "authorization");
        all.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(sent(&secret), ["Basic YWxpQGNlOnBhNTUvd29yZA=="]);
    // a header of its own goes before
    let both = |url: &str| secret(url).with_header("authorization", "Bearer x");
    assert_eq!(sent(&both), ["Bearer x"]);
}

const PATIENCE: Duration = Duration::from_secs(20);
