//! The layer where it is hard to get right; each test is named after what went wrong somewhere.

mod context;
mod endings;
mod fields;
mod samplers;
mod threads;
mod unsampled;

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use otel_setup::Sampler;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::support::span;
use crate::{run, stack};

fn remote(flags: TraceFlags) -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from(77_u128),
        SpanId::from(7_u64),
        flags,
        true,
        TraceState::default(),
    ))
}

fn unsampled() -> Sampler {
    Sampler::parent_based(Sampler::always_off()).into()
}

#[test]
fn a_span_that_follows_itself_does_not_hang() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let span = tracing::info_span!("narcissus");
        span.follows_from(&span);
    });
    assert_eq!(span(&seen, "narcissus").links.len(), 1);
}

/// Samples all but what begins with `drop`, and logs and traces meanwhile.
#[derive(Debug, Clone)]
struct Named;

impl ShouldSample for Named {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let _span = tracing::info_span!("from the sampler").entered();
        tracing::info!("sampling");
        // of the span that it is asked about, or of its parent
        let _ = Span::current().context();
        let decision = if name.starts_with("drop") {
            SamplingDecision::Drop
        } else {
            SamplingDecision::RecordAndSample
        };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::default() }
    }
}

#[test]
fn a_span_entered_again_inside_another_gets_the_events_inside() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let (a, b) = (tracing::info_span!("a"), tracing::info_span!("b"));
        a.in_scope(|| b.in_scope(|| a.in_scope(|| tracing::info!("where"))));
    });
    assert_eq!((span(&seen, "a").events.len(), span(&seen, "b").events.len()), (1, 0));
}

#[test]
fn a_never_entered_span_is_exported_and_its_events_are_bounded() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let waiting = tracing::info_span!("waiting");
        for n in 0..1_000 {
            tracing::info!(parent: &waiting, n, "event");
        }
    });
    let waiting = span(&seen, "waiting");
    assert_eq!((waiting.events.len(), waiting.events.dropped_count), (128, 872));
}
