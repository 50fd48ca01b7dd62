//! How a span follows from a context that came from elsewhere.

use opentelemetry::Context;
use opentelemetry::baggage::{Baggage, BaggageExt as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::b3::is_made_up;

/// How a new span follows from the context that caused it: in its trace, or in one of its own.
///
/// A message that one worker handles soon is a [`Child`](Self::Child) as a rule: one request, one
/// trace. [`Link`](Self::Link) is for what must not make the causing trace longer (a nightly job),
/// has several causes (a batch), or comes from somebody who is not trusted to decide on sampling.
///
/// ```
/// use otel_setup::propagation::{self, Relation};
///
/// # let headers = std::collections::HashMap::<String, String>::new();
/// let remote = propagation::extract(&headers);
/// let span = Relation::Link.span(&remote, || tracing::info_span!("nightly report"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Relation {
    /// The span continues the trace, as a child.
    #[default]
    Child,
    /// The span is the root of a new trace, and links to the context. Baggage comes along.
    Link,
}

impl Relation {
    /// The span that `make` makes, related to `cause`.
    ///
    /// `cause` takes the place of the current context while `make` runs, so the span must be a
    /// contextual one, as the macros make without `parent:`. If there is no span in `cause`, the
    /// new span is a root with no link.
    pub fn span(self, cause: &Context, make: impl FnOnce() -> Span) -> Span {
        let _attached = self.parent(cause).attach();
        let span = make();
        if let Some(link) = self.link(cause) {
            span.add_link(link);
        }
        span
    }

    /// The context that a span related to `cause` is to be started in: `cause` itself, or one with
    /// its baggage and no span. Where telemetry is suppressed it stays so.
    pub fn parent(self, cause: &Context) -> Context {
        let is_suppressed = Context::is_current_telemetry_suppressed();
        match self {
            // not an invalid span in place of the valid one: the SDK's `ParentBased` drops its children
            Self::Link if cause.has_active_span() => {
                let is_suppressed = is_suppressed || cause.is_telemetry_suppressed();
                let baggage = cause.baggage();
                let root = Context::new();
                let root = if baggage.is_empty() { root } else { root.with_baggage(copy(baggage)) };
                if is_suppressed { root.with_telemetry_suppressed() } else { root }
            }
            Self::Child | Self::Link if is_suppressed => cause.with_telemetry_suppressed(),
            Self::Child | Self::Link => cause.clone(),
        }
    }

    /// What a span related to `cause` is to link to: its span, if there is one. Ids that were made up
    /// for a denial of B3 without ids are those of no span.
    pub fn link(self, cause: &Context) -> Option<SpanContext> {
        let span = cause.span();
        let context = span.span_context();
        let is_linked = self == Self::Link && context.is_valid() && !is_made_up(cause);
        is_linked.then(|| context.clone())
    }
}

fn copy(baggage: &Baggage) -> Baggage {
    baggage.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}
