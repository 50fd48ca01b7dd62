//! `OpenTelemetrySpanExt`, as every crate that uses tracing-opentelemetry calls it, on our stack.

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::support::{attribute, span};
use crate::{run, stack};

#[test]
fn the_span_extension_works_on_the_stack() {
    let (stack, seen) = stack(|s| s);
    let remote = SpanContext::new(
        TraceId::from(77_u128),
        SpanId::from(7_u64),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    run(&stack, || {
        let server = tracing::info_span!("server");
        server.set_parent(Context::new().with_remote_span_context(remote)).expect("not started");
        server.set_attribute("early", "x");
        let _entered = server.enter();
        server.set_attribute("late", "y");
        let context = server.context();
        assert_eq!(context.span().span_context(), Context::current().span().span_context());
    });
    let server = span(&seen, "server");
    assert_eq!(server.span_context.trace_id(), TraceId::from(77_u128));
    assert_eq!(server.parent_span_id, SpanId::from(7_u64));
    assert_eq!(attribute(&server, "early").as_deref(), Some("x"));
    assert_eq!(attribute(&server, "late").as_deref(), Some("y"));
}
