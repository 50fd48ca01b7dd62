//! Span processors of the user's own, beside ours.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry::trace::{Link, Span as _, SpanKind, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor,
};
use otel_setup::Sampler;

use crate::support::{Said, attribute, span, spans};
use crate::{run, stack};

/// Does what a test says at each of the processor's calls.
#[derive(Debug, Default, Clone)]
struct Probe {
    seen: Arc<Mutex<Vec<String>>>,
    panics: bool,
    flush: Option<Duration>,
    fails: bool,
}

impl Probe {
    fn note(&self, what: impl Into<String>) {
        self.seen.lock().expect("no panic under it").push(what.into());
        assert!(!self.panics, "a processor's bug");
    }
}

impl SpanProcessor for Probe {
    fn on_start(&self, span: &mut Span, _: &Context) {
        span.set_attribute(KeyValue::new("seen.by", "probe"));
        self.note("start");
    }

    fn on_end(&self, span: SpanData) {
        self.note(format!("end {}", span.name));
    }

    fn force_flush(&self) -> OTelSdkResult {
        if let Some(pause) = self.flush {
            std::thread::park_timeout(pause);
        }
        self.note("flush");
        if self.fails { Err(OTelSdkError::InternalFailure("disk full".into())) } else { Ok(()) }
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.note("shutdown");
        Ok(())
    }
}

#[test]
fn they_see_every_span_and_what_they_add_is_exported() {
    let probe = Probe::default();
    let (stack, seen) = stack(|s| s.with_span_processor(probe.clone()));
    run(&stack, || tracing::info_span!("work").in_scope(|| {}));
    // before shutdown, at which the memory exporter forgets
    assert_eq!(attribute(&span(&seen, "work"), "seen.by").as_deref(), Some("probe"));
    stack.shutdown(Duration::from_secs(10)).expect("nothing is lost");
    let calls = probe.seen.lock().expect("no panic under it").clone();
    assert_eq!(calls, ["start", "end work", "flush", "shutdown"]);
}

#[test]
fn one_that_panics_loses_no_span_and_is_said() {
    let said = Said::default();
    let probe = Probe { panics: true, ..Probe::default() };
    let (stack, seen) = stack(|s| s.with_span_processor(probe).with_diagnostics(said.sink()));
    tracing::dispatcher::with_default(stack.dispatch(), || {
        tracing::info_span!("one").in_scope(|| {});
        tracing::info_span!("two").in_scope(|| {});
    });
    let error = stack.flush(Duration::from_secs(10)).expect_err("the processor panics here too");
    assert_eq!(error.to_string(), "flush: a span processor panicked");
    span(&seen, "one");
    span(&seen, "two");
    assert_eq!(said.lines(), ["a span processor panicked; the span goes on without it"]);
}

#[test]
fn one_that_hangs_cannot_hold_a_flush() {
    let probe = Probe { flush: Some(Duration::from_secs(30)), ..Probe::default() };
    let (stack, _seen) = stack(|s| s.with_span_processor(probe));
    let started = Instant::now();
    let error = stack.flush(Duration::from_millis(50)).expect_err("it does not return");
    assert_eq!(error.to_string(), "flush: a span processor did not return in time");
    let error = stack.flush(Duration::from_millis(50)).expect_err("it still has not");
    let busy = "flush: a span processor is still busy with an earlier flush";
    assert_eq!(error.to_string(), busy);
    assert!(started.elapsed() < Duration::from_secs(15));
    std::mem::forget(stack);
}

#[test]
fn one_that_fails_fails_the_flush() {
    let probe = Probe { fails: true, ..Probe::default() };
    let (stack, _seen) = stack(|s| s.with_span_processor(probe));
    let error = stack.flush(Duration::from_secs(10)).expect_err("the disk is full");
    assert!(error.to_string().contains("disk full"), "{error}");
}

/// Records what it is asked about, and samples nothing.
#[derive(Debug, Clone)]
struct RecordOnly;

impl ShouldSample for RecordOnly {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        SamplingResult {
            decision: SamplingDecision::RecordOnly,
            attributes: Vec::new(),
            trace_state: TraceState::NONE,
        }
    }
}

/// Keeps what has ended.
#[derive(Debug, Clone, Default)]
struct Keep(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Keep {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().expect("no panic under it").push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[test]
fn a_span_that_is_only_recorded_has_its_events_and_children_for_processors() {
    let keep = Keep::default();
    let sampler = Sampler::custom(RecordOnly);
    let (stack, seen) = stack(|s| s.with_sampler(sampler).with_span_processor(keep.clone()));
    run(&stack, || {
        tracing::info_span!("outer", user = "alice").in_scope(|| {
            tracing::info!("in the outer one");
            tracing::info_span!("inner").in_scope(|| tracing::warn!("in the inner one"));
            tracing::info!("again in the outer one");
        });
    });
    assert!(spans(&seen).is_empty(), "it is not sampled, and so not exported");
    let ended = keep.0.lock().expect("no panic under it");
    let found: Vec<_> = ended
        .iter()
        .map(|span| (&*span.name, span.events.iter().map(|event| &*event.name).collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        found,
        [
            ("inner", vec!["in the inner one"]),
            ("outer", vec!["in the outer one", "again in the outer one"]),
        ]
    );
    assert_eq!(ended[0].parent_span_id, ended[1].span_context.span_id());
    assert_eq!(attribute(&ended[1], "user").as_deref(), Some("alice"));
    assert!(ended.iter().all(|span| !span.span_context.is_sampled()));
}

#[test]
fn one_that_hangs_left_the_exporter_no_time() {
    let probe = Probe { flush: Some(Duration::from_secs(30)), ..Probe::default() };
    let (stack, seen) = stack(|s| s.with_span_processor(probe));
    tracing::dispatcher::with_default(stack.dispatch(), || {
        tracing::info_span!("work").in_scope(|| {});
        let error = stack.flush(Duration::from_millis(300)).expect_err("the processor hangs");
        assert_eq!(error.to_string(), "flush: a span processor did not return in time");
    });
    assert_eq!(stack.stats().exporters[0].exported, 1, "{}", stack.stats());
    assert_eq!(span(&seen, "work").name, "work");
    std::mem::forget(stack);
}
