//! Span processors of the user's own, beside ours.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry::trace::Span as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::support::{Said, attribute, span};
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
