//! A subscriber whose spans are those of the real one, seen by the stock layer.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use opentelemetry::Context;
use tracing::callsite::{Callsite, Identifier};
use tracing::field::{Field, FieldSet, Value};
use tracing::metadata::Kind;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::super::inside::Inside;
use super::handover::{Stock, hand_over};
use super::{Link, ShadowStack, find};
use crate::sync::Mutex;

pub(crate) struct Shadow<S: 'static> {
    /// Where the stock layer keeps its data.
    registry: Registry,
    /// Places for data that are free again. A registry clears nothing while a span of any registry
    /// is being closed on the thread, which is when data is dropped here.
    spare: Mutex<Vec<Id>>,
    /// Stands for spans that we know nothing of: stock code panics where there is none.
    nothing: Id,
    link: Arc<Link<S>>,
}

impl<S> Shadow<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    pub(super) fn new(link: Arc<Link<S>>) -> Self {
        let registry = Registry::default();
        let none: [(&Field, Option<&dyn Value>); 0] = [];
        let values = METADATA.fields().value_set(&none);
        let nothing = registry.new_span(&Attributes::new_root(&METADATA, &values));
        Self { registry, spare: Mutex::default(), nothing, link }
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
            &StockOf::<S> { stack: dispatch.downcast_ref()?, dispatch: &dispatch, id },
        )
    }
}

/// Has the stock layer drop its data of a span, which has ended: that it ends it again is nothing.
pub(super) fn forget<S>(stack: &ShadowStack<S>, id: &Id)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(shadow) = (stack as &dyn Subscriber).downcast_ref::<Shadow<S>>() else { return };
    let Some(data) = shadow.link.entries.remove(id) else { return };
    let (_inside, _in_closing) = (Inside::sdk(), InMaking::of_data(id, &data));
    // stock code panics in debug builds if somebody has the data in hand just now, by a bare id
    let _ = catch_unwind(AssertUnwindSafe(|| stack.try_close(id.clone())));
    shadow.spare.lock().push(data);
}

/// The stock layer, for one span.
struct StockOf<'a, S: 'static> {
    stack: &'a ShadowStack<S>,
    dispatch: &'a Dispatch,
    id: &'a Id,
}

impl<S> Stock for StockOf<'_, S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn make(&self, parent: Context) -> Option<Id> {
        let _parent = parent.attach();
        let field = METADATA.fields().field(REAL_ID)?;
        let real = self.id.into_u64().cast_signed();
        let values = [(&field, Some(&real as &dyn Value))];
        self.stack.new_span(&Attributes::new(&METADATA, &METADATA.fields().value_set(&values)));
        InMaking::made()
    }

    fn start(&self) {
        tracing_opentelemetry::get_otel_context(self.id, self.dispatch);
    }

    fn forget(&self) {
        forget(self.stack, self.id);
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

    /// For a span whose data is there, whatever the entries say.
    fn of_data(id: &Id, data: &Id) -> Self {
        let made = Some(data.into_non_zero_u64());
        Self(MAKING.replace(Some(Making { real: id.into_u64(), made })))
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
        let spare = self.spare.lock().pop();
        let id = spare.unwrap_or_else(|| self.registry.new_span(attrs));
        let Some(making) = MAKING.get() else { return id };
        MAKING.set(Some(Making { made: Some(id.into_non_zero_u64()), ..making }));
        Id::from_u64(making.real)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    /// True for a span that is being [forgotten](forget), of which the stock layer then hears.
    fn try_close(&self, id: Id) -> bool {
        MAKING.get().is_some_and(|making| making.real == id.into_u64())
    }
}

impl<'a, S> LookupSpan<'a> for Shadow<S>
where
    S: Subscriber + for<'b> LookupSpan<'b>,
{
    type Data = <Registry as LookupSpan<'a>>::Data;

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
