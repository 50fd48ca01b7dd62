//! What is current inside of a span, whether or not the span is there.

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt as _};

/// The span that was current before another was entered.
///
/// A span that has an exporter's eye makes itself current when it is entered. One that does not,
/// because a filter has refused it or nothing is set up, leaves what was current, and what came
/// with a request or a message has to be made current in its stead.
pub(super) struct Before(SpanId);

impl Before {
    pub(super) fn now() -> Self {
        Self(Context::map_current(span_id))
    }

    /// Whether `current`, inside of the span, is the span's own context.
    pub(super) fn is_replaced_by(&self, current: &Context) -> bool {
        current.has_active_span() && span_id(current) != self.0
    }
}

fn span_id(context: &Context) -> SpanId {
    if context.has_active_span() {
        context.span().span_context().span_id()
    } else {
        SpanId::INVALID
    }
}
