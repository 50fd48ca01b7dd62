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
use tracing_subscriber::registry::{Extensions, ExtensionsMut, LookupSpan, Registry, SpanData};

use super::super::Core;
use super::super::inside::Inside;
use super::super::life::Keeper;
use super::super::local;
use super::super::state::Pending;
use super::handover::{Found, Stock, hand_over};
use super::{Link, ShadowStack, find};
use crate::sync::Mutex;

pub(crate) struct Shadow<S: 'static> {
    /// Where the stock layer keeps its data.
    registry: Registry,
    /// Places for data that are free again. A registry clears nothing while a span of any registry
    /// is being closed on the thread, which is when data is dropped here. One that somebody has in
    /// hand just now, by a bare id, is not for another span yet.
    spare: Mutex<Vec<Arc<Id>>>,
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
        let one = registry.new_span(&Attributes::new_root(&METADATA, &values));
        Self { registry, spare: Mutex::new(vec![Arc::new(one)]), nothing, link }
    }

    /// Makes the stock layer's data of a real span.
    #[cold]
    fn materialise(&self, id: &Id) -> Option<Arc<Id>> {
        let dispatch = self.link.dispatch()?;
        let found = find::<S>(&self.link.core, &dispatch, id)?;
        if let Found::Own(span) = &found
            && !local::is_alive()
        {
            // there is no current context by which the stock layer could be told of its parent
            span.context(&InEndingThread(&self.link.core));
        }
        // for this thread alone, until there is an entry
        let _in_making = InMaking::of(id);
        hand_over(
            &self.link.entries,
            id,
            &found,
            &StockOf { shadow: self, stack: dispatch.downcast_ref()?, dispatch: &dispatch, id },
        )
    }

    /// `None` in a thread that is ending, for which a registry has no new places, if no other is
    /// free.
    fn place(&self, attrs: &Attributes<'_>) -> Option<Arc<Id>> {
        let mut spare = self.spare.lock();
        if let Some(free) = spare.iter_mut().rposition(|place| Arc::get_mut(place).is_some()) {
            return Some(spare.swap_remove(free));
        }
        drop(spare);
        local::is_alive().then(|| Arc::new(self.registry.new_span(attrs)))
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

/// Starts a span in a thread whose thread-locals are being destroyed.
struct InEndingThread<'a>(&'a Core);

impl Keeper for InEndingThread<'_> {
    fn start(&self, pending: Pending) -> (Context, bool) {
        pending.start(&self.0.tracer)
    }

    fn start_late(&self, pending: Pending) -> Context {
        self.start(pending).0
    }

    fn bridged(&self) -> Option<Context> {
        None
    }

    fn forget(&self) {}
}

/// The stock layer, for one span.
struct StockOf<'a, S: 'static> {
    shadow: &'a Shadow<S>,
    stack: &'a ShadowStack<S>,
    dispatch: &'a Dispatch,
    id: &'a Id,
}

impl<S> Stock for StockOf<'_, S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn make(&self, parent: Context) -> Option<Arc<Id>> {
        let has_current = local::is_alive();
        let _parent = has_current.then(|| parent.attach());
        let field = METADATA.fields().field(REAL_ID)?;
        let real = self.id.into_u64().cast_signed();
        let values = [(&field, Some(&real as &dyn Value))];
        let values = METADATA.fields().value_set(&values);
        let new = if has_current { Attributes::new } else { Attributes::new_root };
        let attrs = new(&METADATA, &values);
        let data = self.shadow.place(&attrs)?;
        // until there is an entry
        InMaking::make(&data);
        self.stack.new_span(&attrs);
        Some(data)
    }

    fn start(&self) {
        tracing_opentelemetry::get_otel_context(self.id, self.dispatch);
    }

    fn forget(&self) {
        forget(self.stack, self.id);
    }
}

/// What this thread is making an entry for, and the entry's data once there is some.
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

    fn make(data: &Id) {
        let made = Some(data.into_non_zero_u64());
        MAKING.set(MAKING.get().map(|making| Making { made, ..making }));
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

    /// Has nothing to make: the data of the span that this thread is making has its place.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        MAKING.get().map_or_else(|| self.nothing.clone(), |making| Id::from_u64(making.real))
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
    type Data = InHand<'a>;

    fn span_data(&'a self, id: &Id) -> Option<Self::Data> {
        let in_making = MAKING.get().filter(|making| making.real == id.into_u64());
        if let Some(making) = in_making {
            let made = making.made.map(Id::from_non_zero_u64);
            let data = self.registry.span_data(made.as_ref().unwrap_or(&self.nothing))?;
            return Some(InHand { data, _held: None });
        }
        // a sampler that asks for the span it is asked about would wait for itself
        let is_askable = !Inside::is_sdk();
        let held = is_askable
            .then(|| self.link.entries.known(id).or_else(|| self.materialise(id)))
            .flatten();
        let data = self.registry.span_data(held.as_deref().unwrap_or(&self.nothing))?;
        Some(InHand { data, _held: held })
    }
}

/// The stock layer's data of a span, which is not another span's meanwhile.
pub(crate) struct InHand<'a> {
    data: <Registry as LookupSpan<'a>>::Data,
    _held: Option<Arc<Id>>,
}

impl<'a> SpanData<'a> for InHand<'a> {
    fn id(&self) -> Id {
        self.data.id()
    }

    fn metadata(&self) -> &'static Metadata<'static> {
        self.data.metadata()
    }

    fn parent(&self) -> Option<&Id> {
        self.data.parent()
    }

    fn extensions(&self) -> Extensions<'_> {
        self.data.extensions()
    }

    fn extensions_mut(&self) -> ExtensionsMut<'_> {
        self.data.extensions_mut()
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
