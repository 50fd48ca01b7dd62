//! What each thread remembers: the spans it has entered, and the span it made or left last.
//!
//! Both spare the hot path the look-up in the registry. A span is made, entered, left and closed by
//! one thread as a rule, and then every step finds here what the one before has left.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use opentelemetry::trace::{SpanId, TraceContextExt as _};
use opentelemetry::{Context, ContextGuard};
use tracing::span::Id;

use super::state::OtelSpan;

/// A span of one layer: several subscribers can meet on a thread, and each counts its ids anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) layer: u64,
    pub(super) span: u64,
}

/// An entered span.
pub(super) struct Entry {
    pub(super) key: Key,
    /// `None`: it has no state. Its unsampled parent's context is its own.
    pub(super) span: Option<Arc<OtelSpan>>,
    /// Its id, if it is unsampled.
    pub(super) unsampled: Option<SpanId>,
    /// `None`: the context was current before.
    pub(super) guard: Option<ContextGuard>,
}

struct Local {
    entered: Vec<Entry>,
    /// The state of the span that was made or left last, if [`RECENT`] says that it has one.
    recent: Option<Arc<OtelSpan>>,
}

/// The span that was made or left last.
#[derive(Clone, Copy)]
struct Recent {
    key: Key,
    /// `Some`: it has no state, and the context of the unsampled span with this id.
    inherits: Option<SpanId>,
}

/// An unsampled span that is current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsampled {
    /// What the registry calls the span entered last, the unsampled one or one without state in it.
    pub(super) entered: u64,
    pub(super) id: SpanId,
}

/// What was entered last.
#[derive(Clone, Copy)]
struct Top {
    key: Key,
    unsampled: Option<SpanId>,
}

thread_local! {
    /// Made after the SDK's own thread-local, and so destroyed before it: as long as this one is
    /// there, the current context can be used.
    static LOCAL: RefCell<Local> = {
        Context::map_current(|_| ());
        RefCell::new(Local { entered: Vec::new(), recent: None })
    };

    // These two tell what an unsampled span asks, without the price of a destructor. Both are in
    // step with `LOCAL`, and empty once it is gone.
    static RECENT: Cell<Recent> = const { Cell::new(NO_RECENT) };
    static TOP: Cell<Top> = const { Cell::new(NO_TOP) };
}

/// False in a thread that is ending.
#[inline]
pub(super) fn is_alive() -> bool {
    LOCAL.try_with(|_| ()).is_ok()
}

/// Nothing that runs code of others (a drop, a clone of a context) may happen in `f`.
#[inline]
fn with<R>(f: impl FnOnce(&mut Local) -> R) -> Option<R> {
    LOCAL.try_with(|local| local.try_borrow_mut().ok().map(|mut local| f(&mut local))).ok()?
}

/// Whether a span is the one that this thread made or left last.
pub(super) enum Hit {
    Span(Arc<OtelSpan>),
    /// It is, and has no state but the context of the unsampled span with this id.
    Stateless(SpanId),
    Miss,
}

/// Takes the span if it is the recent one.
#[inline]
pub(super) fn take_recent(key: Key) -> Hit {
    let recent = RECENT.get();
    if recent.key != key {
        return Hit::Miss;
    }
    RECENT.set(NO_RECENT);
    if let Some(unsampled) = recent.inherits {
        return Hit::Stateless(unsampled);
    }
    with(|local| local.recent.take()).flatten().map_or(Hit::Miss, Hit::Span)
}

#[inline]
pub(super) fn set_recent(key: Key, span: Arc<OtelSpan>) {
    let before = with(|local| {
        RECENT.set(Recent { key, inherits: None });
        local.recent.replace(span)
    });
    // outside of the borrow: it may be the last reference
    drop(before);
}

/// Only for a thread that is not ending.
#[inline]
pub(super) fn set_recent_stateless(key: Key, unsampled: SpanId) {
    RECENT.set(Recent { key, inherits: Some(unsampled) });
}

/// Whether what was entered last is an unsampled span of this layer.
#[inline]
pub(super) fn is_unsampled(layer: u64) -> bool {
    let top = TOP.get();
    top.key.layer == layer && top.unsampled.is_some()
}

/// The unsampled span of this layer that is the current context, entered last.
#[inline]
pub(super) fn unsampled_parent(layer: u64) -> Option<Unsampled> {
    let top = TOP.get();
    if top.key.layer != layer {
        return None;
    }
    let own = Unsampled { entered: top.key.span, id: top.unsampled? };
    // somebody may have made another context current since
    (Context::map_current(local_unsampled) == Some(own.id)).then_some(own)
}

#[inline]
pub(super) fn push(entry: Entry) {
    // where it cannot be kept its guard ends at once
    let _ = with(|local| {
        TOP.set(Top { key: entry.key, unsampled: entry.unsampled });
        local.entered.push(entry);
    });
}

/// Removes the span that was entered last under this key.
#[inline]
pub(super) fn pop(key: Key) -> Option<Entry> {
    with(|local| {
        let entry = match local.entered.last() {
            Some(top) if top.key == key => local.entered.pop(),
            _ => remove(&mut local.entered, key),
        };
        let top = local.entered.last();
        TOP.set(top.map_or(NO_TOP, |top| Top { key: top.key, unsampled: top.unsampled }));
        entry
    })
    .flatten()
}

/// The state of the span, if it is the one that this thread entered last.
#[inline]
pub(super) fn innermost(key: Key) -> Option<Arc<OtelSpan>> {
    with(|local| local.entered.last().filter(|top| top.key == key)?.span.clone()).flatten()
}

/// Out of order: a span without state that was entered inside keeps the context it has inherited.
#[cold]
fn remove(entered: &mut Vec<Entry>, key: Key) -> Option<Entry> {
    let at = entered.iter().rposition(|entry| entry.key == key)?;
    let mut removed = entered.remove(at);
    let heir = entered[at..].iter_mut().find(|entry| {
        entry.key.layer == key.layer
            && entry.guard.is_none()
            && entry.unsampled.is_some()
            && entry.unsampled == removed.unsampled
    });
    if let Some(heir) = heir {
        heir.guard = removed.guard.take();
    }
    Some(removed)
}

/// The span of this layer that was entered last, if it is recorded.
#[inline]
pub(super) fn current(layer: u64) -> Option<(Arc<OtelSpan>, Id)> {
    with(|local| {
        let top = local.entered.iter().rev().find(|entry| entry.key.layer == layer)?;
        if top.unsampled.is_some() {
            return None;
        }
        Some((top.span.clone()?, Id::from_u64(top.key.span)))
    })
    .flatten()
}

impl Drop for Local {
    fn drop(&mut self) {
        RECENT.set(NO_RECENT);
        TOP.set(NO_TOP);
    }
}

/// The id of a context's span, if that is local and unsampled.
#[inline]
pub(super) fn local_unsampled(context: &Context) -> Option<SpanId> {
    if !context.has_active_span() {
        return None;
    }
    let span = context.span();
    let context = span.span_context();
    if context.is_sampled() || context.is_remote() {
        return None;
    }
    context.is_valid().then(|| context.span_id())
}

/// Layers are counted from one.
const NO_KEY: Key = Key { layer: 0, span: 0 };
const NO_RECENT: Recent = Recent { key: NO_KEY, inherits: None };
const NO_TOP: Top = Top { key: NO_KEY, unsampled: None };
