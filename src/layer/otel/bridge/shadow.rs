//! A subscriber whose spans are those of the real one, seen by the stock layer.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::Arc;

use opentelemetry::Context;
use tracing::callsite::{Callsite, Identifier};
use tracing::field::{Field, FieldSet, Value};
use tracing::metadata::Kind;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Identity, Layered, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::super::inside::Inside;
use super::handover::{Stock, hand_over};
use super::{Link, ShadowStack, find};

pub(crate) struct Shadow<S: 'static> {
    /// Where the stock layer keeps its data. With a layer, since a registry alone never clears.
    registry: Layered<Identity, Registry>,
    /// Stands for spans that we know nothing of: stock code panics where there is none.
    nothing: Id,
    link: Arc<Link<S>>,
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
        Self { registry, nothing, link }
    }

    /// Drops a span's data without a word to the stock layer, which would end the span.
    pub(super) fn forget(&self, id: &Id) {
        if let Some(data) = self.link.entries.remove(id) {
            self.registry.try_close(data);
        }
    }

    /// Makes the stock layer's data of a real span.
    #[cold]
    fn materialise(&self, id: &Id) -> Option<Id> {
        let dispatch = self.link.dispatch()?;
        let found = find::<S>(&self.link.core, &dispatch, id)?;
        // for this thread alone, until there is an entry
        let _in_making = InMaking::of(id);
        hand_over(
            &self.link.entries,
            id,
            &found,
            &StockOf { shadow: self, dispatch: &dispatch, id },
        )
    }
}

/// The stock layer, for one span.
struct StockOf<'a, S: 'static> {
    shadow: &'a Shadow<S>,
    dispatch: &'a Dispatch,
    id: &'a Id,
}

impl<S> Stock for StockOf<'_, S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn make(&self, parent: Context) -> Option<Id> {
        let stack = self.dispatch.downcast_ref::<ShadowStack<S>>()?;
        let _parent = parent.attach();
        let field = METADATA.fields().field(REAL_ID)?;
        let real = self.id.into_u64().cast_signed();
        let values = [(&field, Some(&real as &dyn Value))];
        stack.new_span(&Attributes::new(&METADATA, &METADATA.fields().value_set(&values)));
        InMaking::made()
    }

    fn start(&self) {
        tracing_opentelemetry::get_otel_context(self.id, self.dispatch);
    }

    fn forget(&self) {
        self.shadow.forget(self.id);
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
            None => self.link.entries.known(id).or_else(|| self.materialise(id)),
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
