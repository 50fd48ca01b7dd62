//! What is in a span's context beside the span, and who it is in the end.

use std::sync::{Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{
    SpanId, TraceContextExt as _, TraceFlags, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span as SdkSpan, SpanData, SpanProcessor};
use otel_setup::{Sampler, Setup, Stack};
use tracing::dispatcher::WeakDispatch;
use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::{remote, unsampled};
use crate::support::{span, spans};
use crate::{run, stack};

fn tenant(context: &Context) -> Option<String> {
    context.baggage().get("tenant").map(ToString::to_string)
}

fn acme() -> Context {
    Context::current_with_baggage([KeyValue::new("tenant", "acme")])
}

/// reqwest-tracing injects by `Span::current().context()`.
#[test]
fn the_context_of_an_entered_span_had_lost_its_baggage() {
    for sampler in [Sampler::always_on(), unsampled()] {
        let (stack, _seen) = stack(|s| s.with_sampler(sampler));
        run(&stack, || {
            let request = tracing::info_span!("request", otel.kind = "server");
            request.set_parent(acme()).expect("it has not started");
            let _request = request.enter();
            tracing::info_span!("call").in_scope(|| {
                assert_eq!(tenant(&Context::current()).as_deref(), Some("acme"));
                assert_eq!(tenant(&Span::current().context()).as_deref(), Some("acme"));
            });
            assert_eq!(tenant(&request.context()).as_deref(), Some("acme"));
        });
    }
}

#[test]
fn a_child_of_an_unsampled_span_had_the_baggage_of_that_and_not_its_own() {
    let (stack, seen) = stack(|s| s.with_sampler(unsampled()));
    run(&stack, || {
        let root = tracing::info_span!("root").entered();
        let with_baggage = acme().attach();
        let (child, touched) = (tracing::info_span!("child"), tracing::info_span!("touched"));
        drop(with_baggage);
        assert_eq!(tenant(&touched.context()).as_deref(), Some("acme"));
        let inside = || {
            tracing::info_span!("grandchild").in_scope(|| {
                let current = Context::current();
                (tenant(&current), current.span().span_context().trace_id())
            })
        };
        let here = child.in_scope(inside);
        let there = thread::scope(|scope| {
            let on_thread =
                || tracing::dispatcher::with_default(stack.dispatch(), || child.in_scope(inside));
            scope.spawn(on_thread).join().expect("no panic")
        });
        let trace = root.context().span().span_context().trace_id();
        assert_eq!(here, (Some("acme".to_owned()), trace));
        assert_eq!(there, here);
        assert_eq!(tenant(&Context::current()), None);
    });
    assert!(spans(&seen).is_empty());
}

/// What is exported of a trace that is not sampled, whatever the filter says meanwhile.
fn exported(adjust: impl Fn(Setup) -> Setup, work: impl Fn(&Stack)) -> Vec<String> {
    let sampler = Sampler::parent_based(Sampler::rules().dropping("request"));
    let (stack, seen) = stack(|s| adjust(s.with_sampler(sampler)));
    run(&stack, || work(&stack));
    spans(&seen).into_iter().map(|span| span.name.to_string()).collect()
}

#[test]
fn an_unsampled_trace_under_a_filter_by_spans_fell_apart() {
    let by_spans = |s: Setup| s.with_trace_filter("info,[request]=debug");
    let all = exported(by_spans, |stack| {
        let child = tracing::info_span!("request").in_scope(|| tracing::debug_span!("child"));
        // the filter would refuse it now
        child.in_scope(|| tracing::info_span!("grandchild").in_scope(|| {}));
        tracing::info_span!(parent: &child, "grandchild").in_scope(|| {});
        let elsewhere = || child.in_scope(|| tracing::info_span!("grandchild").in_scope(|| {}));
        thread::scope(|scope| {
            scope.spawn(|| tracing::dispatcher::with_default(stack.dispatch(), elsewhere));
        });
    });
    assert!(all.is_empty(), "{all:?}");
}

#[test]
fn an_unsampled_trace_fell_apart_when_the_filter_was_changed() {
    let all = exported(
        |s| s,
        |stack| {
            let root = tracing::info_span!("request").entered();
            let trace = Context::current().span().span_context().trace_id();
            let child = tracing::info_span!("child");
            stack.set_trace_filter("warn").expect("it is right");
            let elsewhere = || {
                child.in_scope(|| {
                    tracing::warn_span!("grandchild")
                        .in_scope(|| Context::current().span().span_context().trace_id())
                })
            };
            let there = thread::scope(|scope| {
                scope
                    .spawn(|| tracing::dispatcher::with_default(stack.dispatch(), elsewhere))
                    .join()
                    .expect("no panic")
            });
            assert_eq!(there, trace);
            drop(root);
        },
    );
    assert!(all.is_empty(), "{all:?}");
}

/// Asks for each span's context as soon as it is made, before our layer has heard of it.
struct Asks(OnceLock<WeakDispatch>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Asks {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.0.set(dispatch.downgrade());
    }

    fn on_new_span(
        &self,
        _: &Attributes<'_>,
        id: &Id,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) {
        if let Some(dispatch) = self.0.get().and_then(WeakDispatch::upgrade) {
            let _ = tracing_opentelemetry::get_otel_context(id, &dispatch);
        }
    }
}

#[test]
fn a_layer_that_asked_early_took_a_servers_parent_away() {
    let asks = Asks(OnceLock::new());
    let (stack, seen) = stack(|s| s.with_sampler(unsampled()).with_layer(asks));
    run(&stack, || {
        let _loop = tracing::info_span!("accept loop").entered();
        for _ in 0..3 {
            let server = tracing::info_span!("server", otel.kind = "server");
            server.set_parent(remote(TraceFlags::SAMPLED)).expect("it has not started");
            server.in_scope(|| {
                let (current, own) = (Context::current(), server.context());
                assert_eq!(current.span().span_context(), own.span().span_context());
            });
        }
    });
    let parents: Vec<_> = spans(&seen).into_iter().map(|span| span.parent_span_id).collect();
    assert_eq!(parents, [SpanId::from(7); 3]);
}

static HELD: Mutex<Option<Span>> = Mutex::new(None);

/// Asks, when a native span ends, for the context of a span that it has got hold of.
#[derive(Debug)]
struct AsksAtTheEnd;

impl SpanProcessor for AsksAtTheEnd {
    fn on_start(&self, _: &mut SdkSpan, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let held = HELD.lock().expect("no panic").clone();
        if let Some(held) = held.filter(|_| span.name == "native") {
            let _ = held.context();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[test]
fn a_start_that_ends_its_parent_waited_for_itself() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let (stack, seen) = stack(|s| s.with_span_processor(AsksAtTheEnd));
        run(&stack, || {
            let native = stack.tracer_provider().tracer("native").start("native");
            let guard = Context::current_with_span(native).attach();
            let span = tracing::info_span!("inside");
            drop(guard);
            // the span has the last reference to its parent, and gives it up when it starts
            *HELD.lock().expect("no panic") = Some(span.clone());
            span.in_scope(|| {});
            HELD.lock().expect("no panic").take();
        });
        done.send(span(&seen, "inside").parent_span_id).expect("the test waits");
    });
    let parent = is_done.recv_timeout(Duration::from_secs(30)).expect("it has not hung");
    assert_ne!(parent, SpanId::INVALID);
}
