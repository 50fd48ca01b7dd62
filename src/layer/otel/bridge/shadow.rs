//! A subscriber whose spans are those of the real one, seen by the stock layer.

use std::cell::Cell;
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use opentelemetry::Context;
use parking_lot::Mutex;
use tracing::callsite::{Callsite, Identifier};
use tracing::field::{Field, FieldSet, Value};
use tracing::metadata::Kind;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Identity, Layered, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::super::inside::Inside;
use super::super::state::State;
use super::{Found, Link, ShadowStack, find};

pub(crate) struct Shadow<S: 'static> {
    /// Where the stock layer keeps its data. With a layer, since a registry alone never clears.
    registry: Layered<Identity, Registry>,
    /// Stands for spans that we know nothing of: stock code panics where there is none.
    nothing: Id,
    shards: [Shard; SHARDS],
    link: Arc<Link<S>>,
}

#[derive(Default)]
struct Shard {
    /// From a real span's id to that of its data.
    ids: Mutex<HashMap<u64, Entry>>,
    /// Held by whoever makes an entry.
    making: Mutex<()>,
}

struct Entry {
    id: Id,
    is_stateless: bool,
}

impl<S> Shadow<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    pub(super) fn new(link: Arc<Link<S>>) -> Self {
        let registry = Registry::default().with(Identity::new());
        let none: [(&Field, Option<&dyn Value>); 0] = [];
        let values = METADATA.fields().value_set(&none);
        let nothing = registry.new_span(&Attributes::new_root(&METADATA, &values));
        Self { registry, nothing, shards: Default::default(), link }
    }

    /// Drops a span's data without a word to the stock layer, which would end the span.
    pub(super) fn forget(&self, id: &Id) {
        let entry = self.shard(id).ids.lock().remove(&id.into_u64());
        if let Some(entry) = entry {
            if entry.is_stateless {
                self.link.stateless.fetch_sub(1, Relaxed);
            }
            self.registry.try_close(entry.id);
        }
    }

    fn shard(&self, id: &Id) -> &Shard {
        let number = usize::try_from(id.into_u64() % SHARDS as u64);
        &self.shards[number.expect("it is less than the number of shards")]
    }

    fn known(&self, id: &Id) -> Option<Id> {
        self.shard(id).ids.lock().get(&id.into_u64()).map(|entry| entry.id.clone())
    }

    /// Makes the stock layer's data of a real span.
    #[cold]
    fn materialise(&self, id: &Id) -> Option<Id> {
        let dispatch = self.link.dispatch()?;
        let making = self.shard(id).making.lock();
        if let Some(known) = self.known(id) {
            return Some(known);
        }
        let found = find::<S>(&self.link.core, &dispatch, id)?;
        let is_stateless = matches!(found, Found::Inherited(_));
        // of a span that has not started, the stock data must know the parent
        let parent = match found {
            Found::Own(span) => take_over(&span)?,
            Found::Inherited(_) => Parent::Started,
        };
        let stack = dispatch.downcast_ref::<ShadowStack<S>>()?;
        // for this thread alone, until the stock layer has put its data there
        let _in_making = InMaking::of(id);
        {
            let parent = match &parent {
                Parent::Pending(context) => context.clone(),
                Parent::Started => Context::new(),
            };
            let _parent = parent.attach();
            let field = METADATA.fields().field(REAL_ID)?;
            let real = id.into_u64().cast_signed();
            let values = [(&field, Some(&real as &dyn Value))];
            stack.new_span(&Attributes::new(&METADATA, &METADATA.fields().value_set(&values)));
        }
        if matches!(parent, Parent::Started) {
            // at once: what is set on it must not land in a builder that nobody builds
            tracing_opentelemetry::get_otel_context(id, &dispatch);
        }
        let made = InMaking::made()?;
        if is_stateless {
            self.link.stateless.fetch_add(1, Relaxed);
        }
        let entry = Entry { id: made.clone(), is_stateless };
        self.shard(id).ids.lock().insert(id.into_u64(), entry);
        drop(making);
        Some(made)
    }
}

enum Parent {
    Pending(Context),
    Started,
}

/// From here on the span starts through the bridge, if it has not yet. `None`: it is closed, or
/// being started by this very thread.
fn take_over(span: &super::super::OtelSpan) -> Option<Parent> {
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
                if Inside::is_sdk() {
                    return None;
                }
                std::thread::yield_now();
                continue;
            }
            State::Closed => return None,
            started => {
                inner.state = started;
                Parent::Started
            }
        };
        inner.is_shadowed = true;
        return Some(parent);
    }
}

/// What this thread is making an entry for, and the entry once there is one.
#[derive(Clone, Copy)]
struct Making {
    real: u64,
    made: Option<NonZeroU64>,
}

/// Ends with it.
struct InMaking(Option<Making>);

impl InMaking {
    fn of(id: &Id) -> Self {
        Self(MAKING.replace(Some(Making { real: id.into_u64(), made: None })))
    }

    fn made() -> Option<Id> {
        MAKING.get()?.made.map(Id::from_non_zero_u64)
    }
}

impl Drop for InMaking {
    fn drop(&mut self) {
        MAKING.set(self.0);
    }
}

impl<S> Subscriber for Shadow<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attrs: &Attributes<'_>) -> Id {
        let id = self.registry.new_span(attrs);
        let Some(making) = MAKING.get() else { return id };
        MAKING.set(Some(Making { made: Some(id.into_non_zero_u64()), ..making }));
        Id::from_u64(making.real)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl<'a, S> LookupSpan<'a> for Shadow<S>
where
    S: Subscriber + for<'b> LookupSpan<'b>,
{
    type Data = <Layered<Identity, Registry> as LookupSpan<'a>>::Data;

    fn span_data(&'a self, id: &Id) -> Option<Self::Data> {
        let in_making = MAKING.get().filter(|making| making.real == id.into_u64());
        let data = match in_making {
            Some(making) => making.made.map(Id::from_non_zero_u64),
            // a sampler that asks for the span it is asked about would wait for itself
            None if Inside::is_sdk() => None,
            None => self.known(id).or_else(|| self.materialise(id)),
        };
        self.registry.span_data(data.as_ref().unwrap_or(&self.nothing))
    }
}

/// The callsite of all shadow spans.
struct ShadowSpan;

static SHADOW_SPAN: ShadowSpan = ShadowSpan;

static METADATA: Metadata<'static> = Metadata::new(
    "shadow",
    "otel_setup::bridge",
    Level::TRACE,
    None,
    None,
    None,
    FieldSet::new(&[REAL_ID], Identifier(&SHADOW_SPAN)),
    Kind::SPAN,
);

impl Callsite for ShadowSpan {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        &METADATA
    }
}

thread_local! {
    static MAKING: Cell<Option<Making>> = const { Cell::new(None) };
}

/// The field that tells the tracer of the shadow which span it is asked to start.
pub(super) const REAL_ID: &str = "otel_setup.real_id";
const SHARDS: usize = 16;
