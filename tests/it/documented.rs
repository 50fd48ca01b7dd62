//! What tracing-opentelemetry documents and tests of its layer, of ours.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context, KeyValue, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use otel_setup::Sampler;
use tracing::dispatcher::WeakDispatch;
use tracing::{Dispatch, Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetrySpanExt as _, get_otel_context};
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::support::{attribute, span, spans};
use crate::{run, stack};

fn remote(trace: u128, flags: TraceFlags) -> SpanContext {
    let (trace, span) = (TraceId::from(trace), SpanId::from(7_u64));
    SpanContext::new(trace, span, flags, true, TraceState::default())
}

fn value(attributes: &[KeyValue], key: &str) -> Option<Value> {
    attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|a| a.value.clone())
}

#[test]
fn special_fields_set_name_kind_and_status() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let name = "GET http://example.com".to_owned();
        tracing::info_span!("request", otel.name = name.as_str(), otel.kind = "server");
        for (n, kind) in
            ["client", "Producer", "CONSUMER", "internal", "nonsense"].into_iter().enumerate()
        {
            tracing::info_span!("kind", otel.kind = kind, n);
        }
        tracing::info_span!("fine", otel.status_code = ?Status::Ok);
        tracing::info_span!("broken", otel.status_description = "message");
        tracing::info_span!("failed", otel.status_code = "ERROR");
    });
    assert_eq!(span(&seen, "GET http://example.com").span_kind, SpanKind::Server);
    let mut kinds: Vec<_> = spans(&seen).into_iter().filter(|s| s.name == "kind").collect();
    kinds.sort_by_key(|span| attribute(span, "n"));
    let kinds: Vec<_> = kinds.into_iter().map(|span| span.span_kind).collect();
    let expected = [
        SpanKind::Client,
        SpanKind::Producer,
        SpanKind::Consumer,
        SpanKind::Internal,
        SpanKind::Internal,
    ];
    assert_eq!(kinds, expected);
    assert_eq!(span(&seen, "fine").status, Status::Ok);
    assert_eq!(span(&seen, "broken").status, Status::error("message"));
    assert!(matches!(span(&seen, "failed").status, Status::Error { .. }));
    // what has a meaning of its own is no attribute
    assert!(spans(&seen).iter().all(|s| s.attributes.iter().all(|a| a.key.as_str() == "n")));
}

#[test]
fn the_trace_of_the_current_context_goes_on() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let context = Context::new().with_remote_span_context(remote(42, TraceFlags::SAMPLED));
        let _attached = context.attach();
        tracing::info_span!("request", otel.kind = "server");
    });
    assert_eq!(span(&seen, "request").span_context.trace_id(), TraceId::from(42_u128));
}

#[derive(Debug)]
struct Chained(&'static str, Option<Box<Chained>>);

impl std::fmt::Display for Chained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Chained {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|inner| inner as _)
    }
}

fn user_error() -> Chained {
    let intermediate = Chained("intermediate error", Some(Box::new(Chained("base error", None))));
    Chained("user error", Some(Box::new(intermediate)))
}

fn sources() -> Value {
    Value::Array(Array::String(vec!["intermediate error".into(), "base error".into()]))
}

#[test]
fn error_fields_of_a_span_have_their_sources() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let error = user_error();
        tracing::info_span!("request", error = &error as &(dyn Error + 'static));
    });
    let request = span(&seen, "request");
    assert_eq!(attribute(&request, "error").as_deref(), Some("user error"));
    assert_eq!(value(&request.attributes, "error.chain"), Some(sources()));
}

#[test]
fn an_errors_fields_are_on_its_event_and_on_its_span() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let error = user_error();
        let _request = tracing::info_span!("request").entered();
        tracing::error!(error = &error as &(dyn Error + 'static), "request error!");
    });
    let request = span(&seen, "request");
    for attributes in [&request.attributes, &request.events[0].attributes] {
        let message = value(attributes, "exception.message");
        assert_eq!(message, Some("user error".into()), "{attributes:?}");
        assert_eq!(value(attributes, "exception.stacktrace"), Some(sources()));
    }
    assert_eq!(request.events[0].name, "request error!");
}

#[test]
fn a_function_instrumented_with_err_maps_its_error_to_the_status() {
    #[tracing::instrument(err)]
    fn fails() -> Result<(), &'static str> {
        Err("test error")
    }
    let (stack, seen) = stack(|s| s);
    run(&stack, || fails().expect_err("it says so"));
    let fails = span(&seen, "fails");
    assert_eq!(fails.status, Status::error("test error"));
    assert_eq!(value(&fails.events[0].attributes, "exception.message"), Some("test error".into()));
}

#[test]
fn events_have_the_name_of_their_message_or_their_own() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let _request = tracing::info_span!("request").entered();
        tracing::info!("a message");
        tracing::info!(name: "a name", "beside a message");
        tracing::info!(name: "a name alone", n = 1);
    });
    let names: Vec<_> = span(&seen, "request").events.iter().map(|e| e.name.to_string()).collect();
    assert_eq!(names, ["a message", "beside a message", "a name alone"]);
}

/// Looks into the extensions of the span that it is a field of, as tracing-error's `SpanTrace` does.
struct Looks;

impl std::fmt::Debug for Looks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        LOOKS_INTO.with_borrow(|slot| {
            if let Some((dispatch, id)) = slot {
                let registry = dispatch.downcast_ref::<tracing_subscriber::Registry>();
                let span = registry.and_then(|registry| registry.span(id)).expect("it is open");
                span.extensions_mut().replace(7_u8);
            }
        });
        f.write_str("looked")
    }
}

thread_local! {
    static LOOKS_INTO: std::cell::RefCell<Option<(Dispatch, tracing::Id)>> =
        const { std::cell::RefCell::new(None) };
}

#[test]
fn values_that_look_into_their_spans_extensions_do_not_hang() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let span = tracing::info_span!("looked into", value = tracing::field::Empty);
        let id = span.id().expect("it is enabled");
        LOOKS_INTO.set(Some((stack.dispatch().clone(), id)));
        span.record("value", tracing::field::debug(Looks));
        span.in_scope(|| tracing::info!(value = ?Looks, "event"));
        span.record("value", tracing::field::debug(Looks));
        LOOKS_INTO.take();
    });
    let span = span(&seen, "looked into");
    assert_eq!(attribute(&span, "value").as_deref(), Some("looked"));
    assert_eq!(value(&span.events[0].attributes, "value"), Some("looked".into()));
}

#[derive(Debug, PartialEq)]
struct Outer(&'static str);
#[derive(Debug, PartialEq)]
struct Inner(&'static str);

#[test]
fn values_of_the_context_travel_with_spans() {
    let (stack, seen) = stack(|s| s);
    let tracer = stack.tracer_provider().tracer("native");
    run(&stack, || {
        let outer = Context::new().with_value(Outer("outer")).attach();
        let root = tracing::info_span!("root");
        drop(outer);
        assert!(Context::current().get::<Outer>().is_none());

        let entered = root.enter();
        assert_eq!(Context::current().get(), Some(&Outer("outer")));
        let inner = Context::current_with_value(Inner("inner")).attach();
        let child = tracing::info_span!("child");
        drop(inner);
        assert!(Context::current().get::<Inner>().is_none());

        let entered_child = child.enter();
        assert_eq!(Context::current().get(), Some(&Outer("outer")));
        assert_eq!(Context::current().get(), Some(&Inner("inner")));
        let native = Context::current_with_span(tracer.start("native")).attach();
        let last = tracing::info_span!("last");
        drop(native);
        drop(entered_child);
        assert!(Context::current().get::<Inner>().is_none());
        drop(entered);
        assert!(Context::current().get::<Outer>().is_none());
        drop(last);
    });
    let id = |name| span(&seen, name).span_context.span_id();
    let parent = |name| span(&seen, name).parent_span_id;
    assert_eq!(parent("root"), SpanId::INVALID);
    assert_eq!((parent("child"), parent("native")), (id("root"), id("child")));
    assert_eq!(parent("last"), id("native"));
}

#[test]
fn a_context_is_a_parent_before_and_after_its_span_was_entered() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let root = tracing::info_span!("root");
        let before = tracing::info_span!("before");
        before.set_parent(root.context()).expect("it has not started");
        drop(root.enter());
        let after = tracing::info_span!("after");
        after.set_parent(root.context()).expect("it has not started");

        tracing::info_span!(parent: &after, "child");
        // too late, and harmless
        assert!(after.set_parent(Context::new()).is_err());
        tracing::info_span!(parent: &after, "later child");
    });
    let id = |name| span(&seen, name).span_context.span_id();
    let parent = |name| span(&seen, name).parent_span_id;
    assert_eq!(parent("root"), SpanId::INVALID);
    assert_eq!((parent("before"), parent("after")), (id("root"), id("root")));
    assert_eq!((parent("child"), parent("later child")), (id("after"), id("after")));
}

#[test]
fn a_parent_cannot_be_set_once_a_span_was_entered() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let span = tracing::info_span!("entered").entered();
        let context = Context::new().with_remote_span_context(remote(42, TraceFlags::SAMPLED));
        span.set_parent(context).expect_err("it has started");
    });
    assert_ne!(span(&seen, "entered").span_context.trace_id(), TraceId::from(42_u128));
}

#[test]
fn what_is_recorded_before_and_after_a_span_was_entered_counts() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let span = tracing::info_span!("root", before = "before", after = "before");
        span.record("before", "after");
        drop(span.enter());
        span.record("after", "after");
    });
    let root = span(&seen, "root");
    // once each, with the last value
    assert_eq!(root.attributes.len(), 2);
    assert_eq!(attribute(&root, "before").as_deref(), Some("after"));
    assert_eq!(attribute(&root, "after").as_deref(), Some("after"));
}

#[test]
fn spans_that_are_followed_are_links() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let (one, two) = (tracing::info_span!("one"), tracing::info_span!("two"));
        let closed = tracing::info_span!("closed").id();
        let follower = tracing::info_span!("follower");
        follower.follows_from(&one);
        drop(follower.enter());
        follower.follows_from(&two);
        // one that is not there any more is no panic
        follower.follows_from(closed);
    });
    let links: Vec<_> =
        span(&seen, "follower").links.iter().map(|l| l.span_context.span_id()).collect();
    let id = |name| span(&seen, name).span_context.span_id();
    assert_eq!(links, [id("one"), id("two")]);
}

/// Lets a test act while a span is being closed.
struct WhileClosing<F>(F);

impl<S: Subscriber, F: Fn() + Send + Sync + 'static> Layer<S> for WhileClosing<F> {
    fn on_close(&self, _: tracing::Id, _: tracing_subscriber::layer::Context<'_, S>) {
        (self.0)();
    }
}

#[test]
fn a_span_that_is_just_being_closed_can_be_followed() {
    let cause = Arc::new(Mutex::new(None::<tracing::Id>));
    let (id, waits) = (cause.clone(), Arc::new(std::sync::Barrier::new(2)));
    let of_layer = waits.clone();
    let layer = WhileClosing(move || {
        if id.lock().expect("no panic under it").take().is_some() {
            of_layer.wait();
            of_layer.wait();
        }
    });
    let (stack, seen) = stack(|s| s.with_layer(layer));
    run(&stack, || {
        let closing = tracing::info_span!("closing");
        let id = closing.id().expect("it is enabled");
        *cause.lock().expect("no panic under it") = Some(id.clone());
        std::thread::scope(|scope| {
            let dispatch = stack.dispatch();
            scope.spawn(|| tracing::dispatcher::with_default(dispatch, || drop(closing)));
            waits.wait();
            tracing::info_span!("follower").follows_from(id);
            waits.wait();
        });
    });
    assert_eq!(spans(&seen).len(), 2);
}

#[test]
fn explicit_parents_of_events_are_obeyed() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let root = tracing::info_span!("root").entered();
        tracing::info!("1");
        tracing::info!(parent: &root, "2");
        tracing::info!(parent: None, "3");
        let child = tracing::info_span!(parent: &root, "child");
        child.in_scope(|| {
            tracing::info!("4");
            tracing::info!(parent: &root, "5");
            tracing::info!(parent: &child, "6");
            tracing::info!(parent: None, "7");
        });
        tracing::info!("8");
        tracing::info!(parent: &child, "9");
        let root = root.exit();
        tracing::info!("10");
        tracing::info!(parent: &root, "11");
        tracing::info!(parent: &child, "12");
    });
    let events = |name| -> Vec<String> {
        span(&seen, name).events.iter().map(|event| event.name.to_string()).collect()
    };
    assert_eq!(events("root"), ["1", "2", "5", "8", "11"]);
    assert_eq!(events("child"), ["4", "6", "9", "12"]);
}

#[test]
fn the_extension_sets_status_events_and_links() {
    let (stack, seen) = stack(|s| s);
    let at = SystemTime::now() - Duration::from_secs(10);
    let attributes = vec![KeyValue::new("key", "value"), KeyValue::new("number", 123)];
    run(&stack, || {
        for (name, status) in [("fine", Status::Ok), ("broken", Status::error("too much fuel"))] {
            tracing::info_span!("status", otel.name = name).in_scope(|| {
                Span::current().set_status(status);
            });
        }
        let root = tracing::info_span!("root");
        root.add_link(remote(1, TraceFlags::default()));
        let _entered = root.enter();
        root.add_event("event", attributes.clone());
        root.add_event_with_timestamp("earlier", at, attributes.clone());
        root.add_link_with_attributes(remote(2, TraceFlags::default()), attributes.clone());
    });
    assert_eq!(span(&seen, "fine").status, Status::Ok);
    assert_eq!(span(&seen, "broken").status, Status::error("too much fuel"));
    let root = span(&seen, "root");
    let events: Vec<_> = root.events.iter().map(|e| (e.name.as_ref(), &e.attributes)).collect();
    assert_eq!(events, [("event", &attributes), ("earlier", &attributes)]);
    assert_eq!(root.events[1].timestamp, at);
    let links: Vec<_> =
        root.links.iter().map(|l| (l.span_context.trace_id(), l.attributes.len())).collect();
    assert_eq!(links, [(TraceId::from(1_u128), 0), (TraceId::from(2_u128), 2)]);
}

#[test]
fn an_extracted_context_that_is_empty_makes_a_root_with_children() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let empty = TraceContextPropagator::new().extract(&HashMap::<String, String>::new());
        let root = tracing::info_span!("root");
        root.set_parent(empty).expect("it has not started");
        root.in_scope(|| tracing::info_span!("child"));
    });
    let (root, child) = (span(&seen, "root"), span(&seen, "child"));
    assert_eq!(root.parent_span_id, SpanId::INVALID);
    assert_eq!(child.span_context.trace_id(), root.span_context.trace_id());
    assert_eq!(child.parent_span_id, root.span_context.span_id());
}

#[test]
fn what_was_extracted_is_injected_again() {
    let (stack, seen) = stack(|s| s);
    let incoming = HashMap::from([
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "vendor1=a,vendor2=b"),
    ]);
    let incoming: HashMap<String, String> =
        incoming.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let propagator = TraceContextPropagator::new();
    let mut outgoing = HashMap::<String, String>::new();
    run(&stack, || {
        let root = tracing::info_span!("root");
        let context = propagator.extract(&incoming);
        root.set_parent(context).expect("it has not started");
        let _entered = root.enter();
        let child = tracing::info_span!("child");
        propagator.inject_context(&child.context(), &mut outgoing);
    });
    let child = span(&seen, "child").span_context.span_id();
    let expected = format!("00-0af7651916cd43dd8448eb211c80319c-{child}-01");
    assert_eq!(outgoing["traceparent"], expected);
    assert_eq!(outgoing["tracestate"], incoming["tracestate"]);
}

#[test]
fn the_sampler_is_asked_with_the_parent_that_was_set_last() {
    let sampler = Sampler::parent_based(Sampler::always_off());
    let (stack, seen) = stack(|s| s.with_sampler(sampler));
    run(&stack, || {
        let child = tracing::info_span!("child");
        let parent = Context::new().with_remote_span_context(remote(1, TraceFlags::SAMPLED));
        child.set_parent(parent).expect("it has not started");
        assert!(child.context().span().span_context().is_sampled());
        let dropped = tracing::info_span!("dropped");
        let unsampled = Context::new().with_remote_span_context(remote(1, TraceFlags::default()));
        dropped.set_parent(unsampled).expect("it has not started");
        assert!(!dropped.context().span().span_context().is_sampled());
    });
    span(&seen, "child");
    assert_eq!(spans(&seen).len(), 1);
}

/// Asks for the OpenTelemetry context of each span that is entered.
#[derive(Clone, Default)]
struct Asks {
    dispatch: Arc<OnceLock<WeakDispatch>>,
    contexts: Arc<Mutex<Vec<SpanContext>>>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Asks {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_enter(&self, id: &tracing::Id, _: tracing_subscriber::layer::Context<'_, S>) {
        let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade).expect("it is there");
        let context = get_otel_context(id, &dispatch).expect("the span is traced");
        let context = context.span().span_context().clone();
        self.contexts.lock().expect("no panic under it").push(context);
    }
}

#[test]
fn another_layer_gets_the_context_of_each_span() {
    let asks = Asks::default();
    let (stack, seen) = stack(|s| s.with_layer(asks.clone()));
    run(&stack, || {
        tracing::info_span!("outer").in_scope(|| tracing::info_span!("inner").in_scope(|| {}));
    });
    let contexts = asks.contexts.lock().expect("no panic under it").clone();
    let expected = ["outer", "inner"].map(|name| span(&seen, name).span_context);
    assert_eq!(contexts, expected);
    assert_eq!(span(&seen, "inner").parent_span_id, contexts[0].span_id());
}

#[test]
fn spans_of_threads_belong_to_the_span_that_was_handed_to_them() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let root = tracing::info_span!("root");
        std::thread::scope(|scope| {
            for n in 0..4 {
                let (root, dispatch) = (root.clone(), stack.dispatch());
                scope.spawn(move || {
                    tracing::dispatcher::with_default(dispatch, || {
                        tracing::info_span!(parent: &root, "child", n).in_scope(|| {});
                    });
                });
            }
        });
    });
    let root = span(&seen, "root").span_context;
    let children: Vec<_> = spans(&seen).into_iter().filter(|s| s.name == "child").collect();
    assert_eq!(children.len(), 4);
    assert!(children.iter().all(|child| child.parent_span_id == root.span_id()));
}
