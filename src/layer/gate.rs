//! Two layers, each under its own filter, without tracing-subscriber's per-layer filters.
//!
//! Those keep a bit for each filter in each span, and look the span up in the registry at every
//! enter, exit and close to read it: about 600 instructions a span. Our two layers know by
//! themselves which spans are theirs, so the filter need only be asked when a span is made and when
//! an event happens. What is left is to tell `tracing` which callsites anybody wants: the gate.

use std::any::TypeId;

use tracing::metadata::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::filter::SwapFilter;

/// Lets through what at least one of the filters lets through.
pub(crate) struct Gate {
    filters: Vec<SwapFilter>,
}

impl Gate {
    pub(crate) fn new(filters: impl IntoIterator<Item = SwapFilter>) -> Self {
        Self { filters: filters.into_iter().collect() }
    }
}

impl Gate {
    fn interest<S>(&self, metadata: &'static Metadata<'static>) -> Interest
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let interests = self.filters.iter().map(|f| Filter::<S>::callsite_enabled(f, metadata));
        interests.fold(Interest::never(), |one, other| {
            if one.is_always() || other.is_always() {
                Interest::always()
            } else if one.is_sometimes() || other.is_sometimes() {
                Interest::sometimes()
            } else {
                Interest::never()
            }
        })
    }

    fn max_level_hint<S>(&self) -> Option<LevelFilter>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let mut hints = self.filters.iter().map(Filter::<S>::max_level_hint);
        hints.try_fold(LevelFilter::OFF, |most, hint| Some(most.max(hint?)))
    }
}

/// A layer that is shown what its filter lets through. It must know its own spans again: it hears of
/// the others' when they are entered, left and closed.
pub(crate) struct Gated<L> {
    layer: L,
    filter: SwapFilter,
    /// One layer of a stack keeps it for all: a layer more is 150 instructions a span.
    gate: Option<Gate>,
}

impl<L> Gated<L> {
    pub(crate) fn new(layer: L, filter: SwapFilter) -> Self {
        Self { layer, filter, gate: None }
    }

    /// Keeps the gate of the whole stack.
    pub(crate) fn with_gate(mut self, gate: Gate) -> Self {
        self.gate = Some(gate);
        self
    }
}

impl<S, L> Layer<S> for Gated<L>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    L: Layer<S>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.layer.on_register_dispatch(dispatch);
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        self.layer.on_layer(subscriber);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.gate.as_ref().map_or_else(Interest::always, |gate| gate.interest::<S>(metadata))
    }

    fn enabled(&self, metadata: &Metadata<'_>, cx: Context<'_, S>) -> bool {
        let gate = self.gate.as_ref();
        gate.is_none_or(|gate| gate.filters.iter().any(|filter| filter.allows(metadata, &cx)))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.gate.as_ref().and_then(Gate::max_level_hint::<S>)
    }

    #[inline]
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        if self.filter.follows_spans() {
            self.filter.on_new_span(attrs, id, cx.clone());
        }
        if self.filter.allows(attrs.metadata(), &cx) {
            self.layer.on_new_span(attrs, id, cx);
        } else {
            self.filter.note_refused_span(id, &cx);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        if self.filter.follows_spans() {
            self.filter.on_record(id, values, cx.clone());
        }
        // the layer that keeps the gate knows its spans by the state that it has of them
        let knows_its_own = self.gate.is_some();
        if knows_its_own
            || cx.metadata(id).is_some_and(|metadata| self.filter.allows(metadata, &cx))
        {
            self.layer.on_record(id, values, cx);
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, cx: Context<'_, S>) {
        self.layer.on_follows_from(id, follows, cx);
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        if self.filter.allows(event.metadata(), &cx) {
            self.layer.on_event(event, cx);
        }
    }

    #[inline]
    fn on_enter(&self, id: &Id, cx: Context<'_, S>) {
        if self.filter.follows_spans() {
            self.filter.on_enter(id, cx.clone());
        }
        self.layer.on_enter(id, cx);
    }

    #[inline]
    fn on_exit(&self, id: &Id, cx: Context<'_, S>) {
        if self.filter.follows_spans() {
            self.filter.on_exit(id, cx.clone());
        }
        self.layer.on_exit(id, cx);
    }

    #[inline]
    fn on_close(&self, id: Id, cx: Context<'_, S>) {
        if self.filter.follows_spans() {
            self.filter.on_close(id.clone(), cx.clone());
        }
        self.layer.on_close(id, cx);
    }

    fn on_id_change(&self, old: &Id, new: &Id, cx: Context<'_, S>) {
        self.layer.on_id_change(old, new, cx);
    }

    // SAFETY: the pointer is the inner layer's, which is part of `self`
    #[expect(unsafe_code, reason = "passes on what the layer inside is asked")]
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        unsafe { self.layer.downcast_raw(id) }
    }
}
