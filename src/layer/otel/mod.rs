//! `tracing` spans and events as OpenTelemetry spans.
//!
//! Each concern has a room: `state` is one span and how it starts, `life` what happens to it up to its
//! end, `parent` where a new one belongs, `spans` which there are, `local` what each thread remembers
//! and `quiet` what it does of spans that store nothing, `fields` and `events` turn values into
//! attributes, `detail` says which are added, `bridge` makes the ecosystem's `OpenTelemetrySpanExt`
//! work on our spans. This file is the layer itself: what happens when.
//!
//! Three rules keep it fast and safe:
//!
//! - No lock is held, and no thread-local borrowed, while code of others runs: the SDK with its
//!   samplers and processors, and the `Debug` of a field.
//! - What a thread did last is at hand without the registry.
//! - A child of an unsampled span of ours stores nothing at all, if the sampler obeys the parent.
//!
//! Where it differs from tracing-opentelemetry is said once, in `src/guide/migrating.md`.

mod bridge;
mod detail;
mod events;
mod fields;
mod inside;
mod life;
mod local;
mod parent;
mod quiet;
mod spans;
mod state;

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

use opentelemetry::Context as OtelContext;
use opentelemetry::trace::{SpanBuilder, TraceContextExt as _};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use self::bridge::Bridge;
pub use self::detail::SpanDetail;
use self::events::OtelEvent;
use self::fields::SpanFields;
use self::inside::Inside;
use self::life::Keeper;
use self::local::{Entry, Key, local_unsampled};
pub(crate) use self::parent::Unsampled;
use self::parent::{Parent, is_boundary};
use self::spans::Spans;
use self::state::{LinkTo, OtelSpan, Pending, State};
use super::filter::SwapFilter;
use crate::tracer::Tracer;

/// The layer. `S` is the subscriber below it.
pub(crate) struct OtelLayer<S: 'static> {
    core: Arc<Core>,
    bridge: Bridge<S>,
    /// Where the layer hears of spans that its filter refuses.
    filter: Option<SwapFilter>,
}

/// What the layer and its bridge share.
#[derive(Debug)]
struct Core {
    tracer: Tracer,
    detail: SpanDetail,
    unsampled: Unsampled,
    spans: Spans,
    /// Tells the layers of a process apart.
    id: u64,
}

impl<S> OtelLayer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    pub(crate) fn new(tracer: Tracer, detail: SpanDetail, unsampled: Unsampled) -> Self {
        let id = NEXT_ID.fetch_add(1, Relaxed);
        let core = Arc::new(Core { tracer, detail, unsampled, spans: Spans::new(), id });
        Self { bridge: Bridge::new(core.clone()), core, filter: None }
    }

    /// For a stack with one gate: tells spans that were refused from those that store nothing.
    pub(crate) fn with_refusals_of(mut self, filter: SwapFilter) -> Self {
        self.filter = Some(filter);
        self
    }

    fn key(&self, id: &Id) -> Key {
        Key { layer: self.core.id, span: id.into_u64() }
    }

    /// A new span that has state.
    #[inline(never)]
    fn keep(&self, attrs: &Attributes<'_>, id: &Id, ctx: &Context<'_, S>) {
        if Inside::is_sdk() || !local::is_alive() {
            if let Some(filter) = &self.filter {
                filter.note_refused_span(id, ctx);
            }
            return;
        }
        // a layer before this one may have asked for its context, and got that of an ancestor
        self.bridge.close_stateless(id);
        let Unsampled { skips_children_of_own, skips_children_of_any } = self.core.unsampled;
        let state = match self.parent(attrs, ctx) {
            Parent::Is(context) => self.state(attrs, context, skips_children_of_any),
            Parent::Own(context) => self.state(attrs, context, skips_children_of_own),
        };
        let span = local::renew(OtelSpan::new(state, self.core.detail.timings));
        self.core.spans.insert(id, span.clone());
        quiet::forget();
        local::set_recent(self.key(id), span);
    }

    /// Enters a span that has state, or whose context is not the current one.
    #[inline(never)]
    fn enter(&self, id: &Id, ctx: &Context<'_, S>) {
        let key = self.key(id);
        if let Some(span) = local::take_recent(key)
            && let Some(context) = span.context(&self.keeper(id))
        {
            return self.activate(key, span, context);
        }
        self.enter_other(key, id, ctx);
    }

    /// Enters a span that is not the one that this thread made or left last.
    #[cold]
    fn enter_other(&self, key: Key, id: &Id, ctx: &Context<'_, S>) {
        if !local::is_alive() {
            return;
        }
        if let Some(unsampled) = quiet::inherits(key.layer, key.span) {
            let unsampled = Some(unsampled);
            return local::push(Entry::new(key, None, unsampled, None));
        }
        if let Some(span) = self.find(id) {
            if let Some(context) = span.context(&self.keeper(id)) {
                self.activate(key, span, context);
            }
        } else if let Some(ancestor) = self.inherited(id, ctx)
            && let Some(context) = ancestor.context(&self.keeper(id))
        {
            // its context alone: what happens to this span does not happen to the ancestor
            let unsampled = local_unsampled(&context);
            let guard = Some(context.attach());
            local::push(Entry::new(key, None, unsampled, guard));
        }
    }

    #[expect(clippy::inline_always, reason = "half of what entering again costs")]
    #[inline(always)]
    fn activate(&self, key: Key, span: Arc<OtelSpan>, context: OtelContext) {
        if self.core.detail.timings
            && let Some(timings) = &mut span.lock().timings
        {
            timings.enter();
        }
        let unsampled = local_unsampled(&context);
        let guard = Some(context.attach());
        local::push(Entry::new(key, Some(span), unsampled, guard));
    }

    #[inline(never)]
    fn close(&self, id: &Id) {
        match local::take_recent(self.key(id)).or_else(|| self.find(id)) {
            Some(span) => {
                span.end(&self.keeper(id));
                drop(self.core.spans.remove(id));
                local::spare(span);
            }
            None => self.bridge.close_stateless(id),
        }
    }

    /// `skips` if the sampler would not sample the child of an unsampled parent.
    fn state(&self, attrs: &Attributes<'_>, parent: OtelContext, skips: bool) -> State {
        if skips && local_unsampled(&parent).is_some() && !is_boundary(attrs) {
            return State::Passive(parent);
        }
        let metadata = attrs.metadata();
        let fields = metadata.fields().len().min(MOST_AT_ONCE);
        let attributes = self.core.detail.attributes(metadata, fields);
        let mut fields = SpanFields::new(attributes);
        attrs.record(&mut fields);
        let name = fields.name.unwrap_or_else(|| metadata.name().into());
        let mut builder = SpanBuilder::from_name(name);
        builder.span_kind = fields.kind;
        builder.attributes = Some(fields.attributes);
        builder.start_time = Some(SystemTime::now());
        State::Pending(Pending { parent, builder, status: fields.status.unwrap_or_default() })
    }

    /// The state of a span of this layer.
    fn find(&self, id: &Id) -> Option<Arc<OtelSpan>> {
        self.core.spans.find(id)
    }

    #[inline]
    fn keeper<'a>(&'a self, id: &'a Id) -> KeeperOf<'a, S> {
        KeeperOf { layer: self, id }
    }

    #[inline(never)]
    fn record_event(&self, event: &Event<'_>) {
        if Inside::is_sdk() {
            return;
        }
        let found = match event.parent() {
            Some(id) => self.find(id).filter(|span| !span.is_passive()).map(|s| (s, id.clone())),
            None if event.is_contextual() => local::current(self.core.id),
            None => None,
        };
        let Some((span, id)) = found else { return };
        let event = OtelEvent::of(event, self.core.detail);
        span.change(&self.keeper(&id), event);
    }
}

/// The layer, for one span.
struct KeeperOf<'a, S: 'static> {
    layer: &'a OtelLayer<S>,
    id: &'a Id,
}

impl<S> Keeper for KeeperOf<'_, S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    #[inline]
    fn start(&self, pending: Pending) -> (OtelContext, bool) {
        pending.start(&self.layer.core.tracer)
    }

    /// What samplers and processors trace meanwhile would never be cleared by the registry, and
    /// would keep its parent open: they have no subscriber.
    #[cold]
    fn start_late(&self, pending: Pending) -> OtelContext {
        let start = || self.start(pending).0;
        tracing::dispatcher::with_default(&Dispatch::none(), start)
    }

    fn bridged(&self) -> Option<OtelContext> {
        self.layer.bridge.context(self.id)
    }

    #[cold]
    fn bridged_late(&self) -> Option<OtelContext> {
        tracing::dispatcher::with_default(&Dispatch::none(), || self.bridged())
    }

    fn forget(&self) {
        self.layer.bridge.close(self.id);
    }
}

impl<S> Layer<S> for OtelLayer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.bridge.bind(dispatch.downgrade());
    }

    #[inline]
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if self.stores_nothing(attrs, &ctx) {
            quiet::made(id.into_u64());
        } else {
            self.keep(attrs, id, &ctx);
        }
    }

    #[inline]
    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        if !quiet::enter(self.core.id, id.into_u64()) {
            self.enter(id, &ctx);
        }
    }

    #[inline]
    fn on_exit(&self, id: &Id, _ctx: Context<'_, S>) {
        if !quiet::exit(self.core.id, id.into_u64()) {
            drop(local::leave(self.key(id), OtelSpan::leave));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _ctx: Context<'_, S>) {
        let span = local::innermost(self.key(id)).or_else(|| self.find(id));
        let Some(span) = span.filter(|span| !span.is_passive()) else { return };
        let mut fields = SpanFields::new(Vec::with_capacity(values.len()));
        values.record(&mut fields);
        span.change(&self.keeper(id), fields);
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, S>) {
        // one without state has the id of its unsampled ancestor
        let known = |id: &Id| self.find(id).or_else(|| self.inherited(id, &ctx));
        let (Some(span), Some(followed)) = (known(id), known(follows)) else { return };
        // its id is taken, also if nobody is going to record it
        let Some(followed) = followed.context(&self.keeper(follows)) else { return };
        let link = LinkTo(followed.span().span_context().clone());
        span.change(&self.keeper(id), link);
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, _ctx: Context<'_, S>) {
        // most events of a service that samples little, so nothing comes before it
        if event.is_contextual() && quiet::is_unsampled(self.core.id) {
            return;
        }
        self.record_event(event);
    }

    #[inline]
    fn on_close(&self, id: Id, _ctx: Context<'_, S>) {
        if quiet::close(self.core.id, id.into_u64()) && !self.bridge.knows_stateless() {
            return;
        }
        self.close(&id);
    }

    /// Types that we do not know may be the stock layer's, which the bridge has one of.
    // SAFETY: pointers to `self`, which lives as long as whoever asks for it borrows it, or what
    // the stack inside the bridge, which is part of `self`, answers by the same rule
    #[expect(unsafe_code, reason = "the trait's only way to hand out a part of a layer")]
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        unsafe { self.bridge.downcast_raw(id) }
    }
}

impl<S> fmt::Debug for OtelLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtelLayer").field("core", &self.core).finish_non_exhaustive()
    }
}

/// Room for attributes that the allocator has at hand. Of more fields some are empty, as a rule.
const MOST_AT_ONCE: usize = 16;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
