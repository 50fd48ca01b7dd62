//! Losses that were not told, and ends that were not awaited.

#![cfg(feature = "otlp-http")]

#[path = "support/collector.rs"]
mod collector;
mod support;

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use collector::{Answer, Collector, Reply, dead_url};
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use otel_setup::{BatchSettings, DropReason, Exporter, LogFormat, Setup, Stack};
use support::{Said, attribute, memory, span, spans, with_variables};

fn stack(exporter: impl Into<Exporter>, said: &Said, variables: &[(&str, &str)]) -> Stack {
    Setup::new("losses")
        .with_exporter(exporter)
        .with_log_format(LogFormat::Off)
        .with_env(with_variables(variables))
        .with_diagnostics(said.sink())
        .build()
        .expect("these settings are right")
}

fn end(stack: &Stack, spans: usize) {
    tracing::dispatcher::with_default(stack.dispatch(), || {
        for _ in 0..spans {
            tracing::info_span!("work").in_scope(|| {});
        }
    });
}

const SOON: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "10");
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);

#[test]
fn what_was_lost_while_the_backend_was_waited_for_was_not_said() {
    let collector = Collector::failing(Reply::new(429).header("retry-after", "300"));
    let said = Said::default();
    let exporter = Exporter::otlp().with_endpoint(collector.url());
    let stack = stack(exporter, &said, &[SOON, ("OTEL_BSP_MAX_QUEUE_SIZE", "10")]);
    end(&stack, 2);
    collector.wait_for(1);
    end(&stack, 100);
    said.wait_for(&["losing spans", "queue full", "429"]);
    let _ = stack.shutdown(Duration::ZERO);
}

#[test]
fn a_shutdown_in_the_middle_of_a_retry_hammered_the_collector() {
    let collector = Collector::failing(Reply::new(503));
    let exporter = Exporter::otlp().with_endpoint(collector.url());
    let stack = stack(exporter, &Said::default(), &[SOON]);
    end(&stack, 10);
    collector.wait_for(2);
    let before = collector.seen().len();
    stack.shutdown(Duration::from_secs(2)).expect_err("the spans are lost");
    let asked = collector.seen().len() - before;
    assert!(asked < 20, "{asked} requests in two seconds");
}

#[test]
fn a_shutdown_sent_the_rest_to_a_collector_that_had_asked_for_silence() {
    let collector = Collector::failing(Reply::new(429).header("retry-after", "300"));
    let exporter = Exporter::otlp().with_endpoint(collector.url());
    let small = ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10");
    let stack = stack(exporter, &Said::default(), &[SOON, small]);
    end(&stack, 1_000);
    collector.wait_for(1);
    stack.shutdown(Duration::from_secs(2)).expect_err("the spans are lost");
    assert!(collector.seen().len() < 4, "{} requests", collector.seen().len());
    assert_eq!(stack.stats().lost(), 1_000);
}

/// Waits in its export, flush, shutdown or end until the test lets go.
#[derive(Debug)]
struct Waits {
    at: &'static str,
    go: Arc<Mutex<Receiver<()>>>,
}

impl Waits {
    /// For as long as the sender is there.
    fn at(at: &'static str) -> (Self, mpsc::Sender<()>) {
        let (held, go) = mpsc::channel();
        (Self { at, go: Arc::new(Mutex::new(go)) }, held)
    }

    fn wait(&self, at: &str) -> OTelSdkResult {
        if self.at != at {
            return Ok(());
        }
        let _ = self.go.lock().expect("no panic").recv();
        Err(OTelSdkError::InternalFailure("what it held is lost".to_owned()))
    }
}

impl SpanExporter for Waits {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        self.wait("export").or(Ok(()))
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.wait("flush")
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.wait("shutdown")
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        let _ = self.wait("drop");
    }
}

#[test]
fn a_flush_that_had_not_ended_was_a_success() {
    let (exporter, held) = Waits::at("flush");
    let stack = stack(Exporter::custom(exporter), &Said::default(), &[SOON]);
    end(&stack, 3);
    assert!(stack.flush(SHORT).expect_err("it has not ended").is_timeout());
    drop(held);
    stack.flush(LONG).expect_err("it says that it has failed");
}

#[test]
fn a_shutdown_that_had_not_ended_was_a_success() {
    for at in ["shutdown", "drop"] {
        let (exporter, held) = Waits::at(at);
        let stack = stack(Exporter::custom(exporter), &Said::default(), &[SOON]);
        end(&stack, 3);
        stack.flush(LONG).expect("all arrives");
        // not even its end takes more time than there is: nobody lets go until it has returned
        assert!(stack.shutdown(SHORT).expect_err("it has not ended").is_timeout(), "{at}");
        drop(held);
    }
}

#[test]
fn a_second_shutdown_did_not_wait_for_the_first() {
    let (exporter, held) = Waits::at("export");
    let stack = stack(Exporter::custom(exporter), &Said::default(), &[SOON]);
    end(&stack, 3);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| stack.shutdown(LONG));
        // until it has begun, spans are taken
        while stack.stats().exporters[0].dropped.by(DropReason::AfterShutdown) == 0 {
            end(&stack, 1);
            std::thread::yield_now();
        }
        assert!(stack.shutdown(SHORT).expect_err("the first has not ended").is_timeout());
        drop(held);
        first.join().expect("no panic").ok();
        stack.shutdown(LONG).expect("it has ended");
    });
}

/// Of a native span, and of one of our own tracer's.
#[test]
fn a_trace_state_took_no_memory() {
    for is_native in [true, false] {
        let small = BatchSettings::new().with_max_queue_bytes(1 << 20).with_max_queue_size(1 << 20);
        let stack = Setup::new("losses")
            .with_exporter(Exporter::otlp().with_endpoint(dead_url()))
            .with_log_format(LogFormat::Off)
            .with_env(|_| None)
            .with_diagnostics(|_, _| {})
            .with_batch(small)
            .build()
            .expect("these settings are right");
        let members: Vec<_> = (0..32).map(|n| format!("vendor{n}=value{n}")).collect();
        let state: TraceState = members.join(",").parse().expect("it is valid");
        let (trace, id) = (TraceId::from(5_u128), SpanId::from(7_u64));
        let parent = SpanContext::new(trace, id, TraceFlags::SAMPLED, true, state);
        let parent = Context::new().with_remote_span_context(parent);
        let tracer = stack.tracer_provider().tracer("native");
        tracing::dispatcher::with_default(stack.dispatch(), || {
            for _ in 0..2_000 {
                let _parent = parent.clone().attach();
                if is_native {
                    tracer.start("span").end();
                } else {
                    tracing::info_span!("span").in_scope(|| {});
                }
            }
        });
        let held = 2_000 - stack.stats().lost();
        // more than 2 KiB each, in the queue and one batch
        assert!(held < 1_300, "{held} spans, native: {is_native}");
        let _ = stack.shutdown(Duration::ZERO);
    }
}

#[test]
fn what_was_lost_while_an_exporter_did_not_return_was_said_at_shutdown_only() {
    let (exporter, held) = Waits::at("export");
    let said = Said::default();
    let short = ("OTEL_BSP_EXPORT_TIMEOUT", "100");
    let queue = ("OTEL_BSP_MAX_QUEUE_SIZE", "10");
    let stack = stack(Exporter::custom(exporter), &said, &[SOON, short, queue]);
    end(&stack, 5);
    said.wait_for(&["Waits", "as long as there is room", "has not returned for"]);
    end(&stack, 100);
    said.wait_for(&["Waits", "losing spans", "queue full", "has not returned for"]);
    assert!(stack.flush(SHORT).expect_err("it has not returned").is_timeout());
    drop(held);
    // then it goes on
    let _ = stack.flush(LONG);
    end(&stack, 5);
    stack.flush(LONG).expect("it returns now");
    let stats = stack.stats();
    let account = &stats.exporters[0];
    assert!(account.exported >= 15, "{stats}");
    assert_eq!(account.exported + account.dropped.by(DropReason::QueueFull), 110, "{stats}");
}

#[test]
fn what_was_lost_before_an_endless_timeout_was_over_was_not_said() {
    let collector = Collector::failing(Answer::Hang);
    let said = Said::default();
    let exporter = Exporter::otlp().with_endpoint(collector.url()).with_timeout(Duration::ZERO);
    let endless = ("OTEL_BSP_EXPORT_TIMEOUT", "0");
    let stack = stack(exporter, &said, &[SOON, endless, ("OTEL_BSP_MAX_QUEUE_SIZE", "10")]);
    end(&stack, 2);
    collector.wait_for(1);
    end(&stack, 100);
    said.wait_for(&["losing spans", "queue full", "has not returned for"]);
    let _ = stack.shutdown(Duration::ZERO);
}

#[test]
fn a_hang_that_was_over_was_blamed_for_later_losses() {
    let (exporter, held) = Waits::at("export");
    let said = Said::default();
    let short = ("OTEL_BSP_EXPORT_TIMEOUT", "100");
    let queue = ("OTEL_BSP_MAX_QUEUE_SIZE", "10");
    let stack = stack(Exporter::custom(exporter), &said, &[SOON, short, queue]);
    end(&stack, 5);
    said.wait_for(&["has not returned for"]);
    drop(held);
    stack.flush(LONG).expect("nothing is lost");
    said.wait_for(&["exporting again"]);
    while stack.stats().lost() == 0 {
        end(&stack, 1_000);
    }
    let error = stack.flush(LONG).expect_err("spans were lost").to_string();
    assert!(error.contains("queue full") && !error.contains("has not returned"), "{error}");
}

#[test]
fn what_was_lost_before_a_shutdown_that_ran_out_of_time_was_in_no_error() {
    let (exporter, held) = Waits::at("export");
    let queue = ("OTEL_BSP_MAX_QUEUE_SIZE", "10");
    let stack = stack(Exporter::custom(exporter), &Said::default(), &[SOON, queue]);
    while stack.stats().lost() == 0 {
        end(&stack, 100);
    }
    let error = stack.shutdown(SHORT).expect_err("it has not returned");
    assert!(error.is_timeout());
    let lost = format!("{} spans lost: Waits", stack.stats().lost());
    let error = error.to_string();
    assert!(error.contains(&lost) && error.contains("queue full"), "{error}, not {lost}");
    drop(held);
}

#[test]
fn a_hang_was_all_that_was_said_of_a_backend_that_answers_late() {
    let collector = Collector::failing(Answer::Hang);
    let said = Said::default();
    let exporter = Exporter::otlp().with_endpoint(collector.url());
    let exporter = exporter.with_timeout(Duration::from_secs(4));
    let stack = stack(exporter, &said, &[SOON, ("OTEL_BSP_MAX_QUEUE_SIZE", "10")]);
    end(&stack, 2);
    collector.wait_for(1);
    end(&stack, 100);
    said.wait_for(&["losing spans", "has not returned for"]);
    said.wait_for(&["cannot export", &collector.url()]);
    let _ = stack.shutdown(Duration::ZERO);
}

#[test]
fn a_shutdown_that_took_long_was_said_to_keep_spans() {
    let (exporter, held) = Waits::at("shutdown");
    let said = Said::default();
    let stack = stack(Exporter::custom(exporter), &said, &[SOON, ("OTEL_BSP_EXPORT_TIMEOUT", "1")]);
    end(&stack, 3);
    let error = stack.shutdown(Duration::from_secs(3)).expect_err("it has not ended");
    assert!(error.is_timeout(), "{error}");
    drop(held);
    assert_eq!(said.lines(), [""; 0]);
}

#[test]
fn a_sink_that_panics_took_the_export_thread_with_it() {
    let collector = Collector::failing(Reply::new(401));
    let told = Arc::new(Mutex::new(0));
    let counted = told.clone();
    let stack = Setup::new("losses")
        .with_exporter(Exporter::otlp().with_endpoint(collector.url()))
        .with_log_format(LogFormat::Off)
        .with_env(with_variables(&[SOON]))
        .with_diagnostics(move |_, _| {
            *counted.lock().expect("it is let go before the panic") += 1;
            panic!("the sink has no room");
        })
        .build()
        .expect("these settings are right");
    for n in 1..3 {
        end(&stack, 3);
        assert!(stack.flush(LONG).expect_err("they are lost").to_string().contains("401"));
        let stats = stack.stats();
        assert_eq!(stats.exporters[0].dropped.by(DropReason::ExportFailed), 3 * n, "{stats}");
    }
    assert!(*told.lock().expect("no panic holds it") > 0);
}

#[test]
fn one_span_has_room_in_a_queue_of_no_bytes() {
    for bytes in [0, 1, 600] {
        let (exporter, seen) = memory();
        let stack = Setup::new("losses")
            .with_exporter(exporter)
            .with_log_format(LogFormat::Off)
            .with_env(|_| None)
            .with_batch(BatchSettings::new().with_max_queue_bytes(bytes))
            .build()
            .expect("these settings are right");
        for n in 1..=3 {
            end(&stack, 1);
            stack.flush(LONG).expect("it has room");
            assert_eq!(spans(&seen).len(), n);
        }
    }
}

#[test]
fn a_value_beyond_its_own_limit_took_all_others_with_it() {
    let (exporter, seen) = memory();
    let limit = ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100");
    let stack = stack(exporter, &Said::default(), &[limit]);
    let long = "x".repeat(2 << 20);
    let tracer = stack.tracer_provider().tracer("native");
    let mut native = tracer.start("native");
    native.add_event("event", Vec::new());
    native.set_attribute(KeyValue::new("body", long));
    native.set_attribute(KeyValue::new("late", 2));
    native.end();
    stack.flush(LONG).expect("all arrives");
    let native = span(&seen, "native");
    assert_eq!(attribute(&native, "body").map(|body| body.len()), Some(100));
    assert_eq!(attribute(&native, "late").as_deref(), Some("2"));
    assert_eq!((native.events.len(), native.dropped_attributes_count), (1, 0));
}

#[test]
fn of_a_span_that_was_too_large_the_first_value_of_a_key_was_kept() {
    let (exporter, seen) = memory();
    let stack = stack(exporter, &Said::default(), &[]);
    let mut native = stack.tracer_provider().tracer("native").start("native");
    native.set_attribute(KeyValue::new("state", "old"));
    native.set_attribute(KeyValue::new("big", "x".repeat(2 << 20)));
    native.set_attribute(KeyValue::new("state", "new"));
    native.end();
    let mut named = stack.tracer_provider().tracer("native").start("é".repeat(2 << 20));
    named.set_attribute(KeyValue::new("kept", true));
    named.end();
    stack.flush(LONG).expect("all arrives");
    let native = span(&seen, "native");
    assert_ne!(attribute(&native, "state").as_deref(), Some("old"));
    let all = spans(&seen);
    let named = all.iter().find(|span| span.name.starts_with('é')).expect("it is there");
    assert_eq!(named.name.len(), 1 << 18);
    assert_eq!(attribute(named, "kept").as_deref(), Some("true"));
}

#[test]
fn a_batch_of_large_spans_was_larger_than_the_queue() {
    let collector = Collector::kind();
    let exporter = Exporter::otlp().with_endpoint(collector.url());
    let stack = stack(exporter, &Said::default(), &[]);
    let tracer = stack.tracer_provider().tracer("native");
    let started = Instant::now();
    for _ in 0..200 {
        let mut span = tracer.start("large");
        span.set_attribute(KeyValue::new("body", "x".repeat(60_000)));
        span.end();
    }
    stack.flush(LONG).expect("all arrives");
    assert_eq!(collector.accepted(), 200);
    let largest = collector.seen().iter().map(|seen| seen.spans().len()).max();
    assert!(largest < Some(60), "{largest:?} spans of 60,000 bytes in {:?}", started.elapsed());
}
