//! The pipeline against exporters that misbehave on command.

mod scripted;

use std::time::Duration;

use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::Sampler;

use self::scripted::{Act, Script};
use super::*;
use crate::error::Severity;

const SHORT: Duration = Duration::from_secs(10);

fn spec(script: &Script) -> PipelineSpec {
    PipelineSpec {
        resource: Resource::builder_empty().build(),
        sampler: Box::new(Sampler::AlwaysOn),
        exporters: vec![script.exporter().into()],
        processors: vec![],
        batch: BatchConfig::default(),
        limits: Limits::default(),
        diagnostics: Diagnostics::stderr(Some(Severity::Error)),
    }
}

fn spans(pipeline: &Pipeline, n: usize) {
    let tracer = pipeline.provider().tracer("test");
    for _ in 0..n {
        drop(tracer.start("span"));
    }
}

#[track_caller]
fn balanced(pipeline: &Pipeline) -> Stats {
    let stats = pipeline.stats();
    for exporter in &stats.exporters {
        assert_eq!(
            stats.started,
            exporter.exported + exporter.lost() + exporter.in_flight,
            "{stats}"
        );
    }
    stats
}

#[test]
fn flush_exports_what_has_ended() {
    let script = Script::new();
    let pipeline = Pipeline::start(spec(&script)).unwrap();
    spans(&pipeline, 1000);
    pipeline.flush(SHORT).unwrap();
    assert_eq!(script.exported(), 1000);
    let stats = balanced(&pipeline);
    assert_eq!((stats.started, stats.exporters[0].exported, stats.queued()), (1000, 1000, 0));
    assert!(pipeline.is_idle());
    pipeline.shutdown(SHORT).unwrap();
    pipeline.shutdown(SHORT).unwrap();
}

#[test]
fn failed_exports_fail_the_flush() {
    let script = Script::new();
    script.act(Act::Fail);
    let pipeline = Pipeline::start(spec(&script)).unwrap();
    spans(&pipeline, 10);
    let error = pipeline.flush(SHORT).unwrap_err();
    assert!(error.is_lost());
    assert_eq!(
        error.to_string(),
        "flush: 10 spans lost: scripted: 10 dropped (export failed 10): refused on command"
    );
    balanced(&pipeline);
    script.act(Act::Accept);
    spans(&pipeline, 10);
    pipeline.flush(SHORT).unwrap();
}

#[test]
fn a_panic_costs_one_batch() {
    let script = Script::new();
    script.act(Act::Panic);
    let pipeline = Pipeline::start(spec(&script)).unwrap();
    spans(&pipeline, 10);
    assert!(pipeline.flush(SHORT).unwrap_err().is_lost());
    script.act(Act::Accept);
    spans(&pipeline, 10);
    pipeline.flush(SHORT).unwrap();
    let stats = balanced(&pipeline);
    assert_eq!(stats.exporters[0].dropped.by(DropReason::ExporterPanic), 10);
}

#[test]
fn a_hung_exporter_cannot_hold_shutdown() {
    let script = Script::new();
    script.act(Act::Hang);
    let pipeline = Pipeline::start(spec(&script)).unwrap();
    spans(&pipeline, 10);
    let error = pipeline.shutdown(Duration::from_millis(50)).unwrap_err();
    assert!(error.is_timeout());
    let stats = balanced(&pipeline);
    assert_eq!(stats.exporters[0].dropped.by(DropReason::ShutdownTimeout), 10);
    script.act(Act::Accept);
    script.wait_for_exports(1);
    assert_eq!(balanced(&pipeline), stats);
}

#[test]
fn a_flush_cuts_a_backoff_short_and_nothing_arrives_twice() {
    let script = Script::new();
    script.act(Act::Backoff);
    let pipeline = Pipeline::start(spec(&script)).unwrap();
    spans(&pipeline, 10);
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| pipeline.flush(SHORT));
        script.wait_for_attempts(1);
        script.act(Act::Accept);
        flush.join().unwrap().unwrap();
    });
    assert_eq!(script.exported(), 10);
    assert!(script.attempts() >= 2);
    balanced(&pipeline);
}

#[test]
fn the_backends_pause_is_kept() {
    let script = Script::new();
    let pause = Duration::from_millis(300);
    script.act_once(Act::After(pause), Act::Accept);
    let pipeline = Pipeline::start(spec(&script)).unwrap();
    let started = Instant::now();
    spans(&pipeline, 10);
    pipeline.flush(SHORT).unwrap();
    assert!(started.elapsed() >= pause);
    assert_eq!((script.attempts(), script.exported()), (2, 10));
}

#[test]
fn retries_end_with_the_export_timeout() {
    let script = Script::new();
    script.act(Act::Backoff);
    let mut spec = spec(&script);
    spec.batch.export_timeout = Duration::from_millis(1);
    let pipeline = Pipeline::start(spec).unwrap();
    spans(&pipeline, 10);
    assert!(pipeline.flush(SHORT).unwrap_err().is_lost());
    let stats = balanced(&pipeline);
    assert_eq!(stats.exporters[0].dropped.by(DropReason::RetryExhausted), 10);
}

#[test]
fn what_the_backend_rejects_is_counted() {
    let script = Script::new();
    script.act(Act::Reject(3));
    let pipeline = Pipeline::start(spec(&script)).unwrap();
    spans(&pipeline, 10);
    let error = pipeline.flush(SHORT).unwrap_err();
    assert!(error.to_string().contains("rejected by the backend"), "{error}");
    let stats = balanced(&pipeline);
    assert_eq!((stats.exporters[0].exported, stats.exporters[0].rejected), (7, 3));
}

#[test]
fn a_full_queue_drops_and_counts() {
    let script = Script::new();
    script.act(Act::Hang);
    let mut spec = spec(&script);
    spec.batch.max_queue_size = 16;
    let pipeline = Pipeline::start(spec).unwrap();
    spans(&pipeline, 16);
    script.wait_for_attempts(1);
    spans(&pipeline, 1000);
    let dropped = balanced(&pipeline).exporters[0].dropped.by(DropReason::QueueFull);
    assert!((900..1000).contains(&dropped), "{dropped}");
    script.act(Act::Accept);
    assert!(pipeline.flush(SHORT).unwrap_err().is_lost());
    assert_eq!(script.exported() as u64 + dropped, 1016);
    balanced(&pipeline);
}

#[test]
fn a_queue_of_any_size_works() {
    for size in [0, 1, 2, usize::MAX] {
        let script = Script::new();
        let mut spec = spec(&script);
        spec.batch.max_queue_size = size;
        spec.batch.max_export_batch_size = size;
        spec.batch.export_timeout = Duration::ZERO;
        spec.batch.schedule_delay = Some(Duration::ZERO);
        let pipeline = Pipeline::start(spec).unwrap();
        spans(&pipeline, 1);
        pipeline.flush(SHORT).unwrap();
        assert_eq!(script.exported(), 1, "size {size}");
        pipeline.shutdown(Duration::MAX).unwrap();
    }
}

#[test]
fn a_span_larger_than_allowed_is_cut_and_says_so() {
    let script = Script::new();
    let mut spec = spec(&script);
    spec.limits.span_bytes = 4096;
    let pipeline = Pipeline::start(spec).unwrap();
    let tracer = pipeline.provider().tracer("test");
    let mut span = tracer.start("large");
    for n in 0..20 {
        span.add_event("event", vec![opentelemetry::KeyValue::new("text", "x".repeat(1000))]);
        span.set_attribute(opentelemetry::KeyValue::new("last", n));
    }
    drop(span);
    pipeline.flush(SHORT).unwrap();
    let span = script.last();
    assert!(limits::estimate(&span) <= 4096);
    assert_eq!(span.events.len() + span.events.dropped_count as usize, 20);
    assert!(!span.events.is_empty() && span.events.dropped_count > 0);
    // and a key comes once, with its last value
    assert_eq!(span.attributes, [opentelemetry::KeyValue::new("last", 19)]);
}

#[test]
fn loss_is_said_when_it_starts_and_not_for_every_batch() {
    let said = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let sink = said.clone();
    let script = Script::new();
    script.act(Act::Fail);
    let mut spec = spec(&script);
    let voice = Box::new(move |_: Severity, line: &str| sink.lock().push(line.to_owned()));
    spec.diagnostics = Diagnostics::to(Some(Severity::Info), voice);
    let pipeline = Pipeline::start(spec).unwrap();
    for _ in 0..5 {
        spans(&pipeline, 10);
        assert!(pipeline.flush(SHORT).unwrap_err().is_lost());
    }
    let first = "scripted: losing spans: 10 dropped (export failed 10): refused on command";
    assert_eq!(*said.lock(), [first]);
    assert!(pipeline.has_untold_losses());
}

#[test]
fn a_flush_after_shutdown_returns_at_once() {
    let script = Script::new();
    let pipeline = Pipeline::start(spec(&script)).unwrap();
    pipeline.shutdown(SHORT).unwrap();
    let started = Instant::now();
    pipeline.flush(SHORT).unwrap();
    spans(&pipeline, 3);
    let error = pipeline.flush(SHORT).unwrap_err();
    assert!(error.to_string().contains("3 spans lost"), "{error}");
    assert!(started.elapsed() < SHORT / 2);
    assert_eq!(balanced(&pipeline).exporters[0].dropped.by(DropReason::AfterShutdown), 3);
}
