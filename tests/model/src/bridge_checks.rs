//! What must hold of a span that stock code touches while our layer goes on with it.
//!
//! The rooms are the crate's own: the state, what happens to a span, its hand-over and its entry. What
//! stands for others is the stock layer's data (a builder or a context, behind one lock that is held
//! while the span is built) and the SDK's span, which remembers what it was told.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Mutex as Unscheduled;
use std::time::SystemTime;

use opentelemetry::trace::{
    Link, Span, SpanBuilder, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags,
    TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use tracing::span::Id;

use super::super::inside::Inside;
use super::super::life::Keeper;
use super::super::state::{LinkTo, OtelSpan, Pending, State};
use super::entries::Entries;
use super::handover::{Found, Own, Stock, claim, hand_over, merge};
use crate::sync::{Arc, Mutex, check, thread};

/// One span, its layer and its bridge.
struct Bridged {
    real: Id,
    span: std::sync::Arc<OtelSpan>,
    entries: Entries,
    /// The shadow's registry: the stock layer's data, by its own ids.
    shadow: Mutex<HashMap<u64, Arc<Mutex<Data>>>>,
    seen: std::sync::Arc<Unscheduled<Seen>>,
}

/// What the stock layer keeps of a span.
enum Data {
    Builder { builder: SpanBuilder, parent: Context },
    Context(Context),
}

/// What the SDK was told.
#[derive(Debug, Default, Clone, PartialEq)]
struct Seen {
    built: u64,
    parent: Option<SpanId>,
    attributes: Vec<String>,
    links: Vec<SpanId>,
    ended: u64,
}

impl Bridged {
    fn new() -> Arc<Self> {
        let builder = SpanBuilder::from_name("checked");
        let pending = Pending { parent: remote(OLD), builder, status: Status::Unset };
        Arc::new(Self {
            real: Id::from_u64(7),
            span: std::sync::Arc::new(OtelSpan::new(State::Pending(pending), false)),
            entries: Entries::default(),
            shadow: Mutex::new(HashMap::new()),
            seen: std::sync::Arc::default(),
        })
    }

    fn build(&self, builder: SpanBuilder, parent: &Context) -> Context {
        let _inside = Inside::sdk();
        // a sampler that asks for the very span, by our layer or by stock code, gets nothing
        assert!(self.span.context(self).is_none());
        assert!(self.data().is_none());
        let id = {
            let mut seen = self.seen.lock().unwrap();
            seen.built += 1;
            seen.parent = Some(parent.span().span_context().span_id());
            let attributes = builder.attributes.unwrap_or_default();
            seen.attributes.extend(attributes.into_iter().map(|a| a.key.to_string()));
            let links: Vec<Link> = builder.links.unwrap_or_default();
            seen.links.extend(links.into_iter().map(|link| link.span_context.span_id()));
            seen.built
        };
        // where the SDK calls samplers and processors, the others go on
        thread::yield_now();
        parent.with_span(SdkSpan {
            context: span_context(id),
            seen: self.seen.clone(),
            ended: false,
        })
    }

    /// `Shadow::span_data`: the stock layer's data, made if there is none.
    fn data(&self) -> Option<Arc<Mutex<Data>>> {
        if Inside::is_sdk() {
            return None;
        }
        let found = Found::Own(self.span.clone());
        let known = self.entries.known(&self.real);
        let id = known.or_else(|| hand_over(&self.entries, &self.real, &found, self))?;
        self.shadow.lock().get(&id.into_u64()).cloned()
    }

    /// `OpenTelemetryLayer::start_cx`, with `BridgeTracer::build_with_context`.
    fn start_data(&self, data: &mut Data) -> Context {
        if let Data::Builder { builder, parent } = data {
            let (added, parent) = (std::mem::take(builder), std::mem::take(parent));
            let context = match claim(&self.span) {
                Some(Own::Pending(Pending { mut builder, .. })) => {
                    merge(&mut builder, added);
                    self.build(builder, &parent)
                }
                Some(Own::Has(context)) => context,
                None => Context::new(),
            };
            *data = Data::Context(context);
        }
        match data {
            Data::Context(context) => context.clone(),
            Data::Builder { .. } => unreachable!("it was started above"),
        }
    }

    /// `OpenTelemetrySpanExt::context`.
    fn stock_context(&self) -> Option<Context> {
        let data = self.data()?;
        let context = self.start_data(&mut data.lock());
        Some(context)
    }

    /// `OpenTelemetrySpanExt::set_parent`: whether it was in time.
    fn set_parent(&self, id: u64) -> bool {
        let Some(data) = self.data() else { return false };
        match &mut *data.lock() {
            Data::Builder { parent, .. } => {
                *parent = remote(id);
                true
            }
            Data::Context(_) => false,
        }
    }

    /// `OpenTelemetrySpanExt::set_attribute`.
    fn set_attribute(&self, key: &'static str) {
        let Some(data) = self.data() else { return };
        match &mut *data.lock() {
            Data::Builder { builder, .. } => {
                builder.attributes.get_or_insert_default().push(KeyValue::new(key, true));
            }
            Data::Context(context) => context.span().set_attribute(KeyValue::new(key, true)),
        }
    }

    /// What our layer does when the span is entered, told something, and left.
    fn enter_and_tell(&self) -> Option<SpanId> {
        let context = self.span.context(self)?;
        self.span.change(self, LinkTo(span_context(LINKED)));
        self.span.leave();
        Some(context.span().span_context().span_id())
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Nothing of a span that has ended is left.
    fn assert_forgotten(&self) {
        assert!(self.entries.known(&self.real).is_none(), "an entry is left");
        assert!(self.shadow.lock().is_empty(), "stock data is left");
        assert!(matches!(self.span.lock().state, State::Closed));
    }
}

impl Keeper for Bridged {
    fn start(&self, pending: Pending) -> (Context, bool) {
        (self.build(pending.builder, &pending.parent), true)
    }

    fn start_late(&self, pending: Pending) -> Context {
        Keeper::start(self, pending).0
    }

    fn bridged(&self) -> Option<Context> {
        self.stock_context()
    }

    fn forget(&self) {
        Stock::forget(self);
    }
}

impl Stock for Bridged {
    fn make(&self, parent: Context) -> Option<std::sync::Arc<Id>> {
        let mut shadow = self.shadow.lock();
        let id = shadow.len() as u64 + 1;
        let data = Data::Builder { builder: SpanBuilder::default(), parent };
        shadow.insert(id, Arc::new(Mutex::new(data)));
        Some(std::sync::Arc::new(Id::from_u64(id)))
    }

    fn start(&self) {
        let data = self.shadow.lock().values().next().cloned().expect("it was made above");
        self.start_data(&mut data.lock());
    }

    fn forget(&self) {
        if let Some(id) = self.entries.remove(&self.real) {
            let data = self.shadow.lock().remove(&id.into_u64());
            drop(data);
        }
    }
}

/// The SDK's span, which ends when it is dropped if nobody has ended it.
#[derive(Debug)]
struct SdkSpan {
    context: SpanContext,
    seen: std::sync::Arc<Unscheduled<Seen>>,
    ended: bool,
}

impl Span for SdkSpan {
    fn add_event_with_timestamp<T>(&mut self, _: T, _: SystemTime, _: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
    }

    fn span_context(&self) -> &SpanContext {
        &self.context
    }

    fn is_recording(&self) -> bool {
        !self.ended
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        assert!(!self.ended, "nothing is told to a span that has ended");
        self.seen.lock().unwrap().attributes.push(attribute.key.to_string());
    }

    fn set_status(&mut self, _: Status) {}

    fn update_name<T>(&mut self, _: T)
    where
        T: Into<Cow<'static, str>>,
    {
    }

    fn add_link(&mut self, to: SpanContext, _: Vec<KeyValue>) {
        assert!(!self.ended, "nothing is told to a span that has ended");
        self.seen.lock().unwrap().links.push(to.span_id());
    }

    fn end_with_timestamp(&mut self, _: SystemTime) {
        if !std::mem::replace(&mut self.ended, true) {
            self.seen.lock().unwrap().ended += 1;
        }
    }
}

impl Drop for SdkSpan {
    fn drop(&mut self) {
        self.end();
    }
}

fn span_context(id: u64) -> SpanContext {
    let (trace, span) = (TraceId::from(1_u128), SpanId::from(id));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default())
}

fn remote(id: u64) -> Context {
    Context::new().with_remote_span_context(span_context(id))
}

/// The parent that the span was made with, and the one that it is given.
const OLD: u64 = 1_000;
const NEW: u64 = 2_000;
const LINKED: u64 = 3_000;

#[test]
fn a_span_touched_while_another_thread_enters_it_starts_once_and_loses_nothing() {
    check(|| {
        let bridged = Bridged::new();
        let touching = {
            let bridged = bridged.clone();
            thread::spawn(move || {
                let was_in_time = bridged.set_parent(NEW);
                bridged.set_attribute("set");
                was_in_time
            })
        };
        assert_eq!(bridged.enter_and_tell(), Some(SpanId::from(1)));
        let was_in_time = touching.join().unwrap();
        bridged.span.end(&*bridged);
        let parent = Some(SpanId::from(if was_in_time { NEW } else { OLD }));
        let (attributes, links) = (vec!["set".to_owned()], vec![SpanId::from(LINKED)]);
        assert_eq!(bridged.seen(), Seen { built: 1, parent, attributes, links, ended: 1 });
        bridged.assert_forgotten();
    });
}

#[test]
fn a_span_touched_in_two_threads_has_one_context_for_all() {
    check(|| {
        let bridged = Bridged::new();
        let id = |context: Context| context.span().span_context().span_id();
        let asking = {
            let bridged = bridged.clone();
            thread::spawn(move || bridged.stock_context().map(id))
        };
        // loom has too many orders for a third
        let touching = (!cfg!(feature = "loom")).then(|| {
            let bridged = bridged.clone();
            thread::spawn(move || {
                bridged.set_attribute("set");
                bridged.stock_context().map(id)
            })
        });
        let here = bridged.span.context(&*bridged).map(id);
        assert_eq!(here, Some(SpanId::from(1)));
        assert_eq!(asking.join().unwrap(), here);
        if let Some(touching) = touching {
            assert_eq!(touching.join().unwrap(), here);
            assert_eq!(bridged.seen().attributes, ["set"]);
        }
        bridged.span.end(&*bridged);
        assert_eq!((bridged.seen().built, bridged.seen().ended), (1, 1));
        bridged.assert_forgotten();
    });
}

#[test]
fn what_our_layer_is_told_as_stock_code_takes_over_reaches_the_span() {
    check(|| {
        let bridged = Bridged::new();
        let asking = {
            let bridged = bridged.clone();
            thread::spawn(move || drop(bridged.stock_context()))
        };
        bridged.span.change(&*bridged, LinkTo(span_context(LINKED)));
        asking.join().unwrap();
        bridged.span.end(&*bridged);
        assert_eq!(bridged.seen().links, [SpanId::from(LINKED)]);
        assert_eq!((bridged.seen().built, bridged.seen().ended), (1, 1));
        bridged.assert_forgotten();
    });
}

/// By its id alone, which keeps no span open: whoever has a handle cannot see it close.
#[test]
fn a_span_that_closes_while_somebody_asks_for_it_ends_once_and_leaves_no_entry() {
    check(|| {
        let bridged = Bridged::new();
        let asking = {
            let bridged = bridged.clone();
            thread::spawn(move || drop(bridged.stock_context()))
        };
        bridged.span.end(&*bridged);
        let by_the_layer = bridged.seen();
        assert_eq!((by_the_layer.built, by_the_layer.ended), (1, 1));
        asking.join().unwrap();
        assert_eq!(bridged.seen(), by_the_layer);
        bridged.assert_forgotten();
    });
}

#[test]
fn a_started_span_that_closes_while_somebody_asks_for_it_leaves_no_entry() {
    check(|| {
        let bridged = Bridged::new();
        assert!(bridged.span.context(&*bridged).is_some());
        let asking = {
            let bridged = bridged.clone();
            thread::spawn(move || drop(bridged.stock_context()))
        };
        bridged.span.end(&*bridged);
        asking.join().unwrap();
        assert_eq!((bridged.seen().built, bridged.seen().ended), (1, 1));
        bridged.assert_forgotten();
    });
}
