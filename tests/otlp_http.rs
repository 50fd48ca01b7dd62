//! OTLP over HTTP, against a collector that misbehaves as it is told.

#![cfg(feature = "otlp-http")]

#[path = "support/collector.rs"]
mod collector;
mod support;

use std::time::{Duration, Instant, SystemTime};

use collector::{Answer, Collector, Reply, dead_url};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use otel_setup::{DropReason, Exporter, LogFormat, OtlpExporter, Setup, Stack};
use support::{Said, spans_in, with_variables};

fn otlp(collector: &Collector) -> OtlpExporter {
    Exporter::otlp().with_endpoint(collector.url())
}

fn setup(exporter: impl Into<Exporter>) -> Setup {
    Setup::new("checkout").with_exporter(exporter).with_log_format(LogFormat::Off)
}

fn stack(exporter: impl Into<Exporter>) -> Stack {
    setup(exporter).with_env(|_| None).build().expect("the settings are right")
}

/// A stack that gives up after the first attempt.
fn impatient(exporter: impl Into<Exporter>) -> (Stack, Said) {
    let said = Said::default();
    // no longer than the first pause, and long enough for one answer
    let env = with_variables(&[("OTEL_BSP_EXPORT_TIMEOUT", "250")]);
    let setup = setup(exporter).with_env(env).with_diagnostics(said.sink());
    (setup.build().expect("the settings are right"), said)
}

#[test]
fn spans_arrive_with_their_resource_and_their_parents() {
    let collector = Collector::kind();
    let stack = stack(otlp(&collector).with_header("x-tenant", "shop"));
    tracing::dispatcher::with_default(stack.dispatch(), || {
        let _outer = tracing::info_span!("outer", items = 3).entered();
        tracing::info_span!("inner").in_scope(|| tracing::info!("an event"));
    });
    stack.flush(PATIENCE).expect("nothing is lost");

    let seen = collector.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path, "/v1/traces");
    assert_eq!(seen[0].header("content-type"), Some("application/x-protobuf"));
    assert_eq!(seen[0].header("content-encoding"), None);
    assert_eq!(seen[0].header("x-tenant"), Some("shop"));
    let request = seen[0].decoded();
    let resource = request.resource_spans[0].resource.clone().expect("there is a resource");
    let name = resource.attributes.iter().find(|a| a.key == "service.name");
    let name = name.and_then(|a| a.value.clone()?.value);
    assert_eq!(name, Some(Value::StringValue("checkout".to_owned())));
    let spans = seen[0].spans();
    let named = |name| spans.iter().find(|s| s.name == name).expect("it was exported");
    assert_eq!(named("inner").parent_span_id, named("outer").span_id);
    assert_eq!(named("inner").trace_id, named("outer").trace_id);
    assert_eq!(named("outer").parent_span_id, Vec::<u8>::new());
    assert_eq!(named("inner").events[0].name, "an event");
}

#[test]
fn an_unavailable_collector_is_tried_again_and_gets_the_same_bytes_once() {
    let collector = Collector::start([Reply::new(503)]);
    let stack = stack(otlp(&collector));
    spans_in(&stack, 2);
    stack.flush(PATIENCE).expect("the second attempt succeeds");
    let seen = collector.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(stack.stats().exporters[0].exported, 2);
}

#[test]
fn a_pause_in_seconds_is_kept() {
    let collector = Collector::start([Reply::new(429).header("retry-after", "1")]);
    let stack = stack(otlp(&collector));
    spans_in(&stack, 1);
    stack.flush(PATIENCE).expect("the second attempt succeeds");
    let seen = collector.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(1));
}

#[test]
fn a_pause_until_a_date_is_kept() {
    let date = SystemTime::now() + Duration::from_secs(2);
    let text = httpdate::fmt_http_date(date);
    let date = httpdate::parse_http_date(&text).expect("it was just formatted");
    let collector = Collector::start([Reply::new(503).header("retry-after", text)]);
    let stack = stack(otlp(&collector));
    spans_in(&stack, 1);
    stack.flush(PATIENCE).expect("the second attempt succeeds");
    let seen = collector.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[0].wall < date && seen[1].wall >= date);
}

#[test]
fn refusals_that_no_retry_can_mend_are_final() {
    for status in [400, 401, 404, 413, 500] {
        let collector = Collector::start([Reply::new(status)]);
        let stack = stack(otlp(&collector));
        spans_in(&stack, 3);
        let error = stack.flush(PATIENCE).expect_err("the collector refuses");
        assert!(error.is_lost(), "{error}");
        let cause = format!("{}/v1/traces answered {status}", collector.url());
        assert!(error.to_string().contains(&cause), "{error}");
        assert_eq!(collector.seen().len(), 1);
        let dropped = stack.stats().exporters[0].dropped;
        assert_eq!(dropped.by(DropReason::ExportFailed), 3);
    }
}

#[test]
fn a_redirect_is_not_followed_and_its_target_gets_no_header() {
    let elsewhere = Collector::kind();
    let moved = Reply::new(307).header("location", format!("{}/v1/traces", elsewhere.url()));
    let collector = Collector::start([moved]);
    let stack = stack(otlp(&collector).with_header("authorization", "Bearer hunter2"));
    spans_in(&stack, 1);
    let error = stack.flush(PATIENCE).expect_err("a redirect is no success").to_string();
    assert!(error.contains(&elsewhere.url()), "{error}");
    assert!(error.contains("redirects are not followed"), "{error}");
    assert_eq!(elsewhere.seen().len(), 0);
}

#[test]
fn partial_success_counts_what_was_rejected() {
    let partial =
        ExportTracePartialSuccess { rejected_spans: 2, error_message: "names too long".to_owned() };
    let answer = ExportTraceServiceResponse { partial_success: Some(partial) };
    let collector = Collector::start([Reply::new(200).message(&answer)]);
    let stack = stack(otlp(&collector));
    spans_in(&stack, 5);
    let error = stack.flush(PATIENCE).expect_err("two are lost").to_string();
    assert!(error.contains("2 spans lost") && error.contains("names too long"), "{error}");
    let stats = &stack.stats().exporters[0];
    assert_eq!((stats.exported, stats.rejected, stats.dropped.total()), (3, 2, 0));
    assert_eq!(collector.seen().len(), 1);
}

#[test]
fn a_secret_header_is_shown_nowhere_even_if_the_collector_quotes_it() {
    let status = RpcStatus { code: 3, message: "no such key hunter2, Bearer hunter2".to_owned() };
    let collector = Collector::start([Reply::new(400).message(&status)]);
    let exporter = otlp(&collector).with_header("authorization", "Bearer hunter2");
    assert!(!format!("{exporter:?}").contains("hunter2"));
    let (stack, said) = impatient(exporter);
    spans_in(&stack, 1);
    let error = stack.flush(PATIENCE).expect_err("the collector refuses");
    let shown = format!("{error} {error:?} {stack:?} {:?}", said.lines());
    assert!(shown.contains("no such key [redacted]"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(collector.seen()[0].header("authorization"), Some("Bearer hunter2"));
}

#[test]
fn a_refused_connection_names_the_endpoint() {
    let url = dead_url();
    let (stack, said) = impatient(Exporter::otlp().with_endpoint(&url));
    spans_in(&stack, 1);
    let error = stack.flush(PATIENCE).expect_err("nobody listens").to_string();
    let cause = format!("connection refused by {url}/v1/traces");
    assert!(error.contains(&cause), "{error}");
    assert!(said.lines().iter().any(|line| line.contains(&cause)), "{:?}", said.lines());
    assert_eq!(stack.stats().exporters[0].dropped.by(DropReason::RetryExhausted), 1);
}

#[test]
fn a_connection_closed_without_an_answer_is_tried_again() {
    for answer in [Answer::Close, Reply::new(200).body("cut off").cut(20).into()] {
        let collector = Collector::start([answer]);
        let stack = stack(otlp(&collector));
        spans_in(&stack, 1);
        stack.flush(PATIENCE).expect("the second attempt succeeds");
        assert_eq!(collector.seen().len(), 2);
    }
}

#[test]
fn a_kept_connection_that_the_collector_closed_meanwhile_is_no_failure() {
    let collector = Collector::start([Reply::new(200).closing(), Reply::new(200).closing()]);
    let (stack, said) = impatient(otlp(&collector));
    for exported in 1..=3 {
        spans_in(&stack, 1);
        stack.flush(PATIENCE).expect("the collector is there");
        assert_eq!(stack.stats().exporters[0].exported, exported);
    }
    assert_eq!(said.lines(), Vec::<String>::new());
    assert_eq!(collector.seen().len(), 3);
}

#[test]
fn a_timeout_of_zero_is_none() {
    let collector = Collector::kind();
    let env = with_variables(&[("OTEL_BSP_EXPORT_TIMEOUT", "0")]);
    let setup = setup(otlp(&collector).with_timeout(Duration::ZERO)).with_env(env);
    let stack = setup.build().expect("the settings are right");
    spans_in(&stack, 1);
    stack.flush(PATIENCE).expect("there is time");
}

#[test]
fn an_answer_in_single_bytes_and_garbage_of_no_type_are_still_success() {
    let slow = Reply::new(200).message(&ExportTraceServiceResponse::default()).bytewise();
    let garbage = Reply::new(200).body(vec![0xff; 100]);
    let collector = Collector::start([slow, garbage]);
    let stack = stack(otlp(&collector));
    for exported in 1..=2 {
        spans_in(&stack, 1);
        stack.flush(PATIENCE).expect("both say 200");
        assert_eq!(stack.stats().exporters[0].exported, exported);
    }
}

#[test]
fn spans_whose_answer_came_too_late_count_as_dropped_though_they_arrived() {
    let collector = Collector::failing(Answer::TooLate);
    let exporter = otlp(&collector).with_timeout(Duration::from_millis(100));
    let variables = [("OTEL_BSP_EXPORT_TIMEOUT", "50")];
    let stack = setup(exporter).with_env(with_variables(&variables)).build().expect("it opens");
    spans_in(&stack, 3);
    let error = stack.flush(PATIENCE).expect_err("no answer came");
    assert!(error.to_string().contains("no answer in time from"), "{error}");
    let stats = &stack.stats().exporters[0];
    assert_eq!((stats.exported, stats.dropped.by(DropReason::RetryExhausted)), (0, 3), "{stats}");
    assert_eq!(collector.accepted(), 3);
}

#[test]
fn a_batch_whose_answer_came_too_late_is_sent_again_and_counts_once() {
    let collector = Collector::start([Answer::TooLate]);
    let stack = stack(otlp(&collector).with_timeout(Duration::from_millis(100)));
    spans_in(&stack, 3);
    stack.flush(PATIENCE).expect("the second answer comes");
    let stats = &stack.stats().exporters[0];
    assert_eq!((stats.exported, stats.lost()), (3, 0), "{stats}");
    // at least once is what OTLP promises
    assert_eq!(collector.accepted(), 6);
}

#[test]
fn a_hung_collector_does_not_hold_up_shutdown() {
    let collector = Collector::start([Answer::Hang]);
    let stack = stack(otlp(&collector));
    spans_in(&stack, 1);
    let started = Instant::now();
    let error = stack.shutdown(Duration::from_millis(200)).expect_err("it hangs");
    let took = started.elapsed();
    assert!(took < Duration::from_millis(1200), "{took:?}");
    assert!(error.is_timeout() || error.is_lost(), "{error}");
    let stats = &stack.stats().exporters[0];
    assert_eq!((stats.exported, stats.lost(), stats.in_flight), (0, 1, 0));
}

#[test]
fn the_time_of_a_shutdown_is_one_budget_for_all_exporters() {
    let collectors: Vec<_> = (0..5).map(|_| Collector::start([Answer::Hang])).collect();
    let mut setup = setup(otlp(&collectors[0]));
    for collector in &collectors[1..] {
        setup = setup.with_exporter(otlp(collector));
    }
    let stack = setup.with_env(|_| None).build().expect("the settings are right");
    spans_in(&stack, 1);
    let budget = Duration::from_secs(1);
    let started = Instant::now();
    let error = stack.flush(budget).expect_err("they hang");
    assert!(error.is_timeout(), "{error}");
    stack.shutdown(budget).expect_err("they hang");
    let took = started.elapsed();
    // five each would be ten
    assert!(took < Duration::from_secs(6), "{took:?}");
    for exporter in stack.stats().exporters {
        let counts = (exporter.exported, exporter.lost(), exporter.in_flight);
        assert_eq!(counts, (0, 1, 0), "{exporter}");
    }
}

#[test]
fn a_dead_exporter_does_not_starve_a_live_one() {
    let collector = Collector::kind();
    let dead = Exporter::otlp().with_endpoint(dead_url());
    let stack =
        setup(dead).with_exporter(otlp(&collector)).with_env(|_| None).build().expect("both open");
    for round in 1..=3 {
        spans_in(&stack, 1);
        let error = stack.flush(Duration::from_millis(100)).expect_err("one is dead");
        assert!(error.is_timeout() || error.is_lost(), "{error}");
        collector.wait_for(round);
    }
    let _ = stack.shutdown(Duration::from_millis(100));
}

#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

const PATIENCE: Duration = Duration::from_secs(20);
