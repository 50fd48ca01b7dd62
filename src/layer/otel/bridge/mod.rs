//! The ecosystem's `OpenTelemetrySpanExt` on our spans.
//!
//! Every crate that propagates context calls `Span::current().context()` and `span.set_parent(…)` of
//! tracing-opentelemetry, and these look for that crate's own layer in the subscriber, by type. The
//! bridge has one: a second, empty stack with the stock layer in it, the *shadow*. What our layer is
//! asked for and does not know, it passes on to there, and stock code then finds a subscriber whose
//! spans have the ids of ours. A span's stock data is made when somebody asks for it, and not
//! before: a span that nobody touches costs nothing here.
//!
//! The stock data of a span that has not started takes over its start: whatever stock code changes
//! (the parent, attributes, links) is there when our tracer is called. For a span that has started
//! it is a mere proxy.
//!
//! Locks, in the order in which they may be held: stock's own for a span, then ours for it.

mod entries;
mod handover;
mod shadow;
mod tracer;

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use opentelemetry::Context;
use tracing::dispatcher::WeakDispatch;
use tracing::span::Id;
use tracing::{Dispatch, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

use self::entries::Entries;
use self::handover::Found;
use self::shadow::Shadow;
use self::tracer::BridgeTracer;
use super::Core;
use crate::layer::filter::Refused;

pub(super) struct Bridge<S: 'static> {
    stack: ShadowStack<S>,
    link: Arc<Link<S>>,
}

type StockLayer<S> = OpenTelemetryLayer<Shadow<S>, BridgeTracer<S>>;
type ShadowStack<S> = Layered<StockLayer<S>, Shadow<S>>;

/// The way from the shadow back to the real spans.
pub(super) struct Link<S> {
    core: Arc<Core>,
    dispatch: OnceLock<WeakDispatch>,
    entries: Entries,
    _subscriber: PhantomData<fn(S)>,
}

impl<S> Bridge<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    pub(super) fn new(core: Arc<Core>) -> Self {
        let dispatch = OnceLock::new();
        let entries = Entries::default();
        let link = Arc::new(Link { core, dispatch, entries, _subscriber: PhantomData });
        // whatever it would add to a span is our layer's to decide
        let stock = tracing_opentelemetry::layer::<Shadow<S>>()
            .with_tracer(BridgeTracer::new(link.clone()))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false);
        Self { stack: Shadow::new(link.clone()).with(stock), link }
    }

    /// Called once, when the finished stack becomes a dispatcher.
    pub(super) fn bind(&self, dispatch: WeakDispatch) {
        // a second call would bring the same dispatcher
        let _ = self.link.dispatch.set(dispatch);
    }

    /// The context of a span whose start the shadow has taken over.
    pub(super) fn context(&self, id: &Id) -> Option<Context> {
        let dispatch = self.link.dispatch()?;
        tracing_opentelemetry::get_otel_context(id, &dispatch)
    }

    /// Whether any span without state has been touched.
    #[inline]
    pub(super) fn knows_stateless(&self) -> bool {
        self.link.entries.has_stateless()
    }

    /// Forgets a span, which has ended.
    #[cold]
    pub(super) fn close(&self, id: &Id) {
        shadow::forget(&self.stack, id);
    }

    #[inline]
    pub(super) fn close_stateless(&self, id: &Id) {
        if self.knows_stateless() {
            self.close(id);
        }
    }

    /// Stock code asks the dispatcher for the types of its own layer, and for the subscriber that
    /// it was built on, which is the shadow.
    // SAFETY: the stack, which the pointers lead into, is part of `self`
    #[expect(unsafe_code, reason = "passes on what the layer was asked")]
    pub(super) unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        // the real one answers for itself
        if id == TypeId::of::<Registry>() {
            return None;
        }
        unsafe { self.stack.downcast_raw(id) }
    }
}

impl<S> Link<S> {
    fn dispatch(&self) -> Option<Dispatch> {
        self.dispatch.get()?.upgrade()
    }
}

/// Our state of a real span.
fn find<S>(core: &Core, dispatch: &Dispatch, id: &Id) -> Option<Found>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if let Some(span) = core.spans.find(id) {
        return Some(Found::Own(span));
    }
    let span = dispatch.downcast_ref::<S>()?.span(id)?;
    if span.extensions().get::<Refused>().is_some() {
        return None;
    }
    let nearest = span.scope().skip(1).find_map(|ancestor| core.spans.find(&ancestor.id()))?;
    // the recorded parent of a span that the filter refused is not that span
    nearest.is_passive().then_some(Found::Inherited(nearest))
}
