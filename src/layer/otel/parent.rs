//! Where a new span belongs, and whether it stores anything.

use std::sync::Arc;

use opentelemetry::Context as OtelContext;
use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::super::filter::Refused;
use super::inside::Inside;
use super::state::OtelSpan;
use super::{OtelLayer, quiet};

/// Whose unsampled spans have children that the sampler need not be asked about, since it would not
/// sample them either.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unsampled {
    pub(crate) skips_children_of_own: bool,
    /// Those of another provider's spans, too.
    pub(crate) skips_children_of_any: bool,
}

/// Where a new span belongs.
pub(super) enum Parent {
    Is(OtelContext),
    /// A span of this layer.
    Own(OtelContext),
}

impl<S> OtelLayer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    pub(super) fn parent(&self, attrs: &Attributes<'_>, ctx: &Context<'_, S>) -> Parent {
        if let Some(id) = attrs.parent() {
            let parent = self.find(id).or_else(|| self.inherited(id, ctx));
            // a parent that this layer does not see, or that has ended: a root
            let context = parent.and_then(|span| span.context(&self.keeper(id)));
            return context.map_or_else(|| Parent::Is(OtelContext::new()), Parent::Own);
        }
        if !attrs.is_contextual() {
            return Parent::Is(OtelContext::new());
        }
        Parent::Is(OtelContext::current())
    }

    /// Whether a new span stores nothing: a child of an unsampled span of ours, which is also the
    /// current context.
    #[inline]
    pub(super) fn stores_nothing(&self, attrs: &Attributes<'_>, ctx: &Context<'_, S>) -> bool {
        self.core.unsampled.skips_children_of_own
            && attrs.is_contextual()
            && !Inside::is_sdk()
            && quiet::innermost(self.core.id).is_some_and(|span| self.is_innermost(span, ctx))
            && !is_boundary(attrs)
    }

    /// Whether the registry, too, takes this span for the parent of a new one: a span without state
    /// finds its context by that. Between the two can be spans that this layer has not been shown.
    #[inline]
    fn is_innermost(&self, entered: u64, ctx: &Context<'_, S>) -> bool {
        if self.filter.as_ref().is_some_and(|filter| !filter.has_refused_spans()) {
            return true;
        }
        ctx.current_span().id().is_some_and(|id| id.into_u64() == entered)
    }

    /// The unsampled span whose context a span without state inherits.
    #[cold]
    pub(super) fn inherited(&self, id: &Id, ctx: &Context<'_, S>) -> Option<Arc<OtelSpan>> {
        let span = ctx.span(id)?;
        if span.extensions().get::<Refused>().is_some() {
            return None;
        }
        let nearest = span.scope().skip(1).find_map(|span| self.find(&span.id()))?;
        nearest.is_passive().then_some(nearest)
    }
}

/// Declares a kind, as servers and clients do: others may yet give it another parent.
pub(super) fn is_boundary(attrs: &Attributes<'_>) -> bool {
    attrs.metadata().fields().field("otel.kind").is_some()
}
