//! Native spans and `tracing` spans nest in each other, both ways.

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};

use crate::support::{attribute, span, spans};
use crate::{run, stack};

#[test]
fn native_and_tracing_spans_nest_both_ways() {
    let (stack, seen) = stack(|setup| setup);
    let tracer = stack.tracer_provider().tracer("native");
    run(&stack, || {
        tracing::info_span!("a").in_scope(|| {
            tracer.in_span("b", |_| {
                tracing::info_span!("c").in_scope(|| tracer.in_span("d", |_| {}));
            });
        });
    });
    for (child, parent) in [("b", "a"), ("c", "b"), ("d", "c")] {
        let (child, parent) = (span(&seen, child), span(&seen, parent));
        assert_eq!(child.parent_span_id, parent.span_context.span_id());
        assert_eq!(child.span_context.trace_id(), parent.span_context.trace_id());
    }
}

#[test]
fn native_calls_reach_the_tracing_span_that_is_entered() {
    let (stack, seen) = stack(|setup| setup);
    run(&stack, || {
        tracing::info_span!("entered").in_scope(|| {
            Context::current().span().set_attribute(KeyValue::new("native", 1));
        });
    });
    assert_eq!(attribute(&span(&seen, "entered"), "native").as_deref(), Some("1"));
}

#[test]
fn an_attached_remote_context_is_the_parent() {
    let (stack, seen) = stack(|setup| setup);
    let remote = SpanContext::new(
        TraceId::from(77_u128),
        SpanId::from(7_u64),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    run(&stack, || {
        let _remote = Context::new().with_remote_span_context(remote).attach();
        tracing::info_span!("server", otel.kind = "server").in_scope(|| {});
    });
    let server = span(&seen, "server");
    assert_eq!(server.span_context.trace_id(), TraceId::from(77_u128));
    assert_eq!(server.parent_span_id, SpanId::from(7_u64));
    assert!(server.parent_span_is_remote);
    assert_eq!(server.span_kind, SpanKind::Server);
}

#[test]
fn events_and_errors_are_on_their_span() {
    let (stack, seen) = stack(|setup| setup);
    run(&stack, || {
        tracing::info_span!("outer").in_scope(|| {
            tracing::info_span!("inner").in_scope(|| tracing::error!(code = 7, "it broke"));
        });
    });
    let inner = span(&seen, "inner");
    assert_eq!(inner.events[0].name, "it broke");
    assert!(inner.events[0].attributes.contains(&KeyValue::new("code", 7_i64)));
    assert!(matches!(inner.status, opentelemetry::trace::Status::Error { .. }));
    assert!(span(&seen, "outer").events.is_empty());
    assert_eq!(spans(&seen).len(), 2);
}
