//! What each thread remembers: the spans it has entered, and the span it made or left last.
//!
//! Both spare the hot path the look-up in the registry. A span is made, entered, left and closed by
//! one thread as a rule, and then every step finds here what the one before has left.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, ContextGuard};
use tracing::span::Id;

use super::quiet::{self, Heritage};
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
    /// What its children have of it, if it is unsampled.
    pub(super) unsampled: Option<Heritage>,
    /// `None`: the context was current before.
    pub(super) guard: Option<ContextGuard>,
    /// It was entered already. The registry takes another span for the innermost, so those that are
    /// made inside find their context in a state of their own.
    is_again: bool,
}

struct Local {
    entered: Vec<Entry>,
    /// The state of the span that was made or left last, if [`RECENT`] says so.
    recent: Option<Arc<OtelSpan>>,
    /// The state of a span that has ended, to be that of the next one.
    spare: Option<Arc<OtelSpan>>,
}

thread_local! {
    /// Made after the SDK's own thread-local, and so destroyed before it: as long as this one is
    /// there, the current context can be used.
    static LOCAL: RefCell<Local> = {
        Context::map_current(|_| ());
        RefCell::new(Local { entered: Vec::new(), recent: None, spare: None })
    };

    /// The span with state that was made or left last. Without the price of a destructor, in step
    /// with `LOCAL`, and empty once that is gone.
    static RECENT: Cell<Key> = const { Cell::new(NO_KEY) };
}

/// False in a thread that is ending.
#[inline]
pub(super) fn is_alive() -> bool {
    LOCAL.try_with(|_| ()).is_ok()
}

/// Nothing that runs code of others (a drop, a clone of a context) may happen in `f`.
#[expect(clippy::inline_always, reason = "what it returns would go through memory")]
#[inline(always)]
fn with<R>(f: impl FnOnce(&mut Local) -> R) -> Option<R> {
    LOCAL.try_with(|local| local.try_borrow_mut().ok().map(|mut local| f(&mut local))).ok()?
}

/// Takes the span if it is the one that this thread made or left last.
#[inline]
pub(super) fn take_recent(key: Key) -> Option<Arc<OtelSpan>> {
    if RECENT.get() != key {
        return None;
    }
    RECENT.set(NO_KEY);
    with(|local| local.recent.take()).flatten()
}

#[inline]
pub(super) fn set_recent(key: Key, span: Arc<OtelSpan>) {
    let before = with(|local| {
        RECENT.set(key);
        local.recent.replace(span)
    });
    // outside of the borrow: it may be the last reference
    drop(before);
}

/// The state of a new span, at the place of one that has ended if there is one.
#[inline]
pub(super) fn renew(state: OtelSpan) -> Arc<OtelSpan> {
    let Some(mut span) = with(|local| local.spare.take()).flatten() else {
        return Arc::new(state);
    };
    // it is nobody else's: `spare` has seen to that
    if let Some(place) = Arc::get_mut(&mut span) {
        *place = state;
        return span;
    }
    Arc::new(state)
}

/// Keeps the state of a span that has ended, if nobody else does.
#[inline]
pub(super) fn spare(mut span: Arc<OtelSpan>) {
    if Arc::get_mut(&mut span).is_some() {
        // there is none as a rule: the span has used it up
        let before = with(|local| local.spare.replace(span));
        drop(before);
    }
}

#[inline]
pub(super) fn push(mut entry: Entry) {
    // where it cannot be kept its guard ends at once
    let _ = with(|local| {
        local.take_over();
        entry.is_again = local.entered.iter().any(|entered| entered.key == entry.key);
        entry.tell();
        local.entered.push(entry);
    });
}

/// What is to be dropped when nothing is borrowed: both may be the last references.
pub(super) struct Left {
    _guard: Option<ContextGuard>,
    _recent_before: Option<Arc<OtelSpan>>,
}

/// Leaves the span that was entered last under this key, and tells its state if it is recorded.
#[inline]
pub(super) fn leave(key: Key, tell: impl FnOnce(&OtelSpan)) -> Option<Left> {
    with(|local| {
        local.take_over();
        let Entry { span, unsampled, guard, is_again, .. } = match local.entered.last() {
            Some(top) if top.key == key => local.entered.pop()?,
            _ => remove(&mut local.entered, key)?,
        };
        match local.entered.last() {
            Some(top) => top.tell(),
            None => quiet::set_none(),
        }
        let Some(span) = span else {
            // a span without state is unsampled
            if let Some(unsampled) = unsampled
                && !is_again
            {
                quiet::left(key.layer, key.span, unsampled);
            }
            return Some(Left { _guard: guard, _recent_before: None });
        };
        if unsampled.is_none() {
            tell(&span);
        }
        RECENT.set(key);
        Some(Left { _guard: guard, _recent_before: local.recent.replace(span) })
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

impl Local {
    /// Spans without state become entries like the others.
    #[inline]
    fn take_over(&mut self) {
        if quiet::is_entered() {
            self.entries_of_quiet();
        }
    }

    #[cold]
    #[inline(never)]
    fn entries_of_quiet(&mut self) {
        quiet::take(|layer, unsampled, span| {
            let key = Key { layer, span };
            let unsampled = Some(unsampled);
            self.entered.push(Entry::new(key, None, unsampled, None));
        });
    }
}

impl Entry {
    /// Entered for the first time, until [`push`] finds otherwise.
    #[inline]
    pub(super) fn new(
        key: Key,
        span: Option<Arc<OtelSpan>>,
        unsampled: Option<Heritage>,
        guard: Option<ContextGuard>,
    ) -> Self {
        Self { key, span, unsampled, guard, is_again: false }
    }

    /// Tells `quiet` that this is what was entered last.
    #[inline]
    fn tell(&self) {
        match self.unsampled {
            Some(unsampled) if !self.is_again => {
                quiet::set(self.key.layer, self.key.span, unsampled);
            }
            _ => quiet::set_none(),
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        RECENT.set(NO_KEY);
        quiet::set_none();
    }
}

/// What children have of a context's span, if that is local and records nothing. One that is recorded
/// and not sampled is for processors, which want its events too.
#[inline]
pub(super) fn local_unsampled(context: &Context) -> Option<Heritage> {
    if !context.has_active_span() {
        return None;
    }
    let span = context.span();
    let own = span.span_context();
    if own.is_sampled() || own.is_remote() || span.is_recording() {
        return None;
    }
    own.is_valid().then(|| Heritage::new(own.span_id(), context))
}

/// Layers are counted from one.
const NO_KEY: Key = Key { layer: 0, span: 0 };
