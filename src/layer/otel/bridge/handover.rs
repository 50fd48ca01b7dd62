//! How a span is handed over to stock code, and its start with it.
//!
//! Stock code asks for the span to be built when it has its own lock for it, and knows better by
//! then what the parent is and what was added. Of a span that has started it gets a proxy.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::SpanBuilder;
use tracing::span::Id;

use super::super::state::{OtelSpan, Pending, State};
use super::entries::{Entries, Entry};
use crate::sync::thread;

/// Stock code, for one span.
pub(super) trait Stock {
    /// Makes its data of the span, which is to have this parent unless it is given another; the
    /// data's id.
    fn make(&self, parent: Context) -> Option<Arc<Id>>;

    /// Has it start what it has made.
    fn start(&self);

    /// Drops its data.
    fn forget(&self);
}

/// What a span has of ours.
pub(super) enum Found {
    Own(Arc<OtelSpan>),
    /// Nothing: the context of its unsampled ancestor is its own.
    Inherited(Arc<OtelSpan>),
}

/// What stock code gets when it starts a span.
pub(super) enum Own {
    /// All that there is to be built.
    Pending(Pending),
    /// It had started.
    Has(Context),
}

/// Has stock code make its data of a span, unless another thread has: the data's id.
pub(super) fn hand_over(
    entries: &Entries,
    real: &Id,
    found: &Found,
    stock: &impl Stock,
) -> Option<Arc<Id>> {
    let id = entries.make(real, || {
        let (is_stateless, parent) = match found {
            Found::Own(span) => (false, take_over(span)?),
            Found::Inherited(span) => (true, Parent::Started(span.passive()?)),
        };
        let (has_started, parent) = match parent {
            Parent::Pending(context) => (false, context),
            Parent::Started(own) => (true, own),
        };
        let id = stock.make(parent)?;
        if has_started {
            // at once: what is set on it must not land in a builder that nobody builds
            stock.start();
        }
        Some(Entry { id, is_stateless })
    })?;
    if let Found::Own(span) = found
        && span.is_closed()
    {
        // by a thread that could not see the entry yet
        stock.forget();
        return None;
    }
    Some(id)
}

/// What stock code has to know of a span when it makes its data.
enum Parent {
    Pending(Context),
    /// With a context of its own, whose values the stock layer's is to have.
    Started(Context),
}

/// From here on the span starts through the bridge, if it has not yet. `None`: it is closed. Not for
/// a thread that is starting one, which would wait for itself.
fn take_over(span: &OtelSpan) -> Option<Parent> {
    loop {
        let mut inner = span.lock();
        let parent = match std::mem::replace(&mut inner.state, State::Closed) {
            State::Pending(pending) | State::Shadowed(pending) => {
                let parent = Parent::Pending(pending.parent.clone());
                inner.state = State::Shadowed(pending);
                parent
            }
            State::Starting => {
                inner.state = State::Starting;
                drop(inner);
                thread::yield_now();
                continue;
            }
            State::Closed => return None,
            started => {
                let own = match &started {
                    State::Started(context) | State::Passive(context) => context.clone(),
                    _ => Context::new(),
                };
                inner.state = started;
                Parent::Started(own)
            }
        };
        inner.is_shadowed = true;
        return Some(parent);
    }
}

/// Stock code starts the span, which it does once. `None`: there is nothing to start.
pub(super) fn claim(span: &OtelSpan) -> Option<Own> {
    let mut inner = span.lock();
    match &inner.state {
        State::Started(context) | State::Passive(context) => Some(Own::Has(context.clone())),
        State::Shadowed(_) => match std::mem::replace(&mut inner.state, State::ShadowStarted) {
            State::Shadowed(pending) => Some(Own::Pending(pending)),
            // as looked at above, under the same lock
            _ => None,
        },
        _ => None,
    }
}

/// What stock code was told joins what our layer was.
pub(super) fn merge(builder: &mut SpanBuilder, added: SpanBuilder) {
    if let Some(attributes) = added.attributes {
        builder.attributes.get_or_insert_default().extend(attributes);
    }
    if let Some(links) = added.links {
        builder.links.get_or_insert_default().extend(links);
    }
    if let Some(events) = added.events {
        let all = builder.events.get_or_insert_default();
        all.extend(events);
        all.sort_by_key(|event| event.timestamp);
    }
}
