//! How a span follows from a context that came from elsewhere.

use opentelemetry::Context;
use opentelemetry::baggage::{Baggage, BaggageExt as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::b3::is_made_up;

/// How a new span follows from the context that caused it: in its trace, or with a link to it.
///
/// A message that one worker handles soon is a [`Child`](Self::Child) as a rule: one request, one
/// trace. [`Link`](Self::Link) is for what must not make the causing trace longer (a nightly job),
/// has several causes (a batch), or comes from somebody who is not trusted to decide on sampling.
///
/// The span that is current where the work is done has a part in it as well, if it is another than
/// the cause's, as in a loop with a span of its own: whichever of the two is not the parent is
/// linked to (semantic conventions for messaging, "Consumer spans"). If the cause has no span, the
/// current one is the parent; where neither is there, the new span is a root.
///
/// | | child of | linked to |
/// |---|---|---|
/// | `Child` | the cause | the current span |
/// | `Link` | the current span, or none: the root of a new trace | the cause |
/// | either, of a cause without a span | the current span, or none | |
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
    /// The span continues the cause's trace, as a child, and links to the current span.
    #[default]
    Child,
    /// The span is in the current trace or the root of a new one, and links to the cause, whose
    /// baggage comes along.
    Link,
}

impl Relation {
    /// The span that `make` makes, related to `cause`.
    ///
    /// Its parent is current while `make` runs, so the span must be a contextual one, as the macros
    /// make without `parent:`.
    pub fn span(self, cause: &Context, make: impl FnOnce() -> Span) -> Span {
        let link = self.link(cause);
        let _attached = self.parent(cause).attach();
        let span = make();
        if let Some(link) = link {
            span.add_link(link);
        }
        span
    }

    /// The context that a span related to `cause` is to be started in here: `cause` itself, or one
    /// with its baggage and the current span or none. A `cause` that says nothing leaves the current
    /// one. Where telemetry is suppressed it stays so.
    pub fn parent(self, cause: &Context) -> Context {
        let has_span = cause.span().span_context().is_valid();
        let current = Context::current();
        let is_suppressed = current.is_telemetry_suppressed();
        let parent = if self == Self::Child && has_span {
            cause.clone()
        } else if is_another(&current, cause) {
            // of baggage, the message's own counts if it has some, or if it has a span of its own
            let is_silent = !has_span && cause.baggage().is_empty();
            if is_silent { current } else { current.with_baggage(copy(cause.baggage())) }
        } else if self == Self::Link && cause.has_active_span() {
            // no invalid span in place of none: the SDK's `ParentBased` drops its children
            let baggage = cause.baggage();
            let root = Context::new();
            if baggage.is_empty() { root } else { root.with_baggage(copy(baggage)) }
        } else {
            cause.clone()
        };
        let is_suppressed = is_suppressed || cause.is_telemetry_suppressed();
        if is_suppressed { parent.with_telemetry_suppressed() } else { parent }
    }

    /// What a span related to `cause` is to link to here, if there is such a span: the current one
    /// for a child of `cause`, and else that of `cause`. Ids that were made up for a denial of B3
    /// without ids are those of no span.
    pub fn link(self, cause: &Context) -> Option<SpanContext> {
        match self {
            Self::Link => linkable(cause),
            Self::Child if cause.span().span_context().is_valid() => {
                Context::map_current(|current| {
                    if is_another(current, cause) { linkable(current) } else { None }
                })
            }
            Self::Child => None,
        }
    }
}

/// Whether there is a current span, and it is not the cause's.
fn is_another(current: &Context, cause: &Context) -> bool {
    let (current, cause) = (current.span(), cause.span());
    let (current, cause) = (current.span_context(), cause.span_context());
    current.is_valid()
        && (current.span_id() != cause.span_id() || current.trace_id() != cause.trace_id())
}

fn linkable(context: &Context) -> Option<SpanContext> {
    let span = context.span();
    let span = span.span_context();
    (span.is_valid() && !is_made_up(context)).then(|| span.clone())
}

fn copy(baggage: &Baggage) -> Baggage {
    baggage.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}
