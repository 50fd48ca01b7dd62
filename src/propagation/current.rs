//! The current context: who it is, and in and out of a carrier by the global propagator.

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceId};

use super::with_propagator;

/// The id of the current trace, for a response or a log; `None` outside of every trace.
///
/// It is printed as 32 hexadecimal digits, and is there whether the trace is sampled or not.
///
/// ```
/// let answer = match otel_setup::propagation::current_trace_id() {
///     Some(id) => format!("something went wrong; please quote {id}"),
///     None => "something went wrong".to_owned(),
/// };
/// ```
pub fn current_trace_id() -> Option<TraceId> {
    with_current(SpanContext::trace_id)
}

/// The ids, flags and state of the current span; `None` outside of every span.
pub fn current_span_context() -> Option<SpanContext> {
    with_current(SpanContext::clone)
}

/// Reads a context from a carrier by the global propagator.
///
/// What is not in the carrier is not in the context either: the current context plays no part. The
/// global propagator is what setup installed (`OTEL_PROPAGATORS`); without a setup it reads
/// nothing.
pub fn extract(carrier: &dyn Extractor) -> Context {
    with_propagator(|p| p.extract_with_context(&Context::new(), carrier))
}

/// Writes the current context into a carrier by the global propagator, as [`extract`] reads it.
pub fn inject(carrier: &mut dyn Injector) {
    inject_context(&Context::current(), carrier);
}

/// Writes `context` into a carrier by the global propagator.
pub fn inject_context(context: &Context, carrier: &mut dyn Injector) {
    with_propagator(|propagator| propagator.inject_context(context, carrier));
}

fn with_current<R>(f: impl FnOnce(&SpanContext) -> R) -> Option<R> {
    Context::map_current(|current| {
        let span = current.span();
        let context = span.span_context();
        context.is_valid().then(|| f(context))
    })
}
