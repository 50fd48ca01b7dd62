//! Context across processes: carriers, formats, relations.

#[cfg(feature = "http")]
mod carrier;
mod env;
mod formats;
mod garbage;
mod relation;
mod task;
mod trace_carrier;

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};

/// A sampled span of another process.
fn remote() -> SpanContext {
    SpanContext::new(
        TraceId::from(77_u128),
        SpanId::from(7_u64),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    )
}

fn remote_context() -> Context {
    Context::new().with_remote_span_context(remote())
}
