//! Spans in odd places, code of others that panics or comes back to us, and
//! `OpenTelemetrySpanExt` on every kind of span.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use opentelemetry::trace::{Link, SpanKind};
use opentelemetry::trace::{Span as _, TraceId, TraceState, Tracer as _, TracerProvider as _};
use opentelemetry::trace::{SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanProcessor};
use otel_setup::{Sampler, SpanDetail};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;

use crate::support::{attribute, span, spans};
use crate::{run, stack};

#[test]
fn a_cloned_span_ends_with_its_last_handle() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let span = tracing::info_span!("cloned");
        span.in_scope(|| {});
        let clones: Vec<_> = (0..100).map(|_| span.clone()).collect();
        drop(span);
        stack.flush(Duration::from_secs(10)).expect("nothing is lost");
        assert_eq!((spans(&seen).len(), stack.stats().live), (0, 1));
        clones[50].in_scope(|| tracing::info!("event"));
    });
    assert_eq!(span(&seen, "cloned").events.len(), 1);
}

#[test]
fn a_span_entered_many_times_is_one_and_ends_with_its_last_exit() {
    let (stack, seen) = stack(|s| s.with_span_detail(SpanDetail::default().with_timings(true)));
    let mut last = std::time::SystemTime::UNIX_EPOCH;
    run(&stack, || {
        let span = tracing::info_span!("entered");
        for _ in 0..1_000 {
            span.in_scope(|| tracing::info!("inside"));
        }
        // and within itself
        span.in_scope(|| span.in_scope(|| span.in_scope(|| tracing::info!("deep"))));
        last = std::time::SystemTime::now();
        tracing::info!("nowhere");
    });
    let entered = span(&seen, "entered");
    assert_eq!(entered.events.len() + entered.events.dropped_count as usize, 1_001);
    assert!(entered.end_time <= last);
    for key in ["busy_ns", "idle_ns"] {
        let time: i64 = attribute(&entered, key).expect(key).parse().expect("a number");
        assert!(time > 0, "{key} {time}");
    }
    assert!(!Context::current().has_active_span());
}

#[test]
fn guards_dropped_in_the_wrong_order_leave_no_context_behind() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let spans: Vec<_> = (0..10).map(|n| tracing::info_span!("mixed", n).entered()).collect();
        // outermost first
        spans.into_iter().for_each(drop);
        assert!(!Context::current().has_active_span());
        tracing::info_span!("after").in_scope(|| {});
    });
    assert_eq!(span(&seen, "after").parent_span_id, SpanId::INVALID);
    assert_eq!(spans(&seen).len(), 11);
}

#[test]
fn spans_made_in_a_thread_locals_destructor_are_no_abort() {
    struct MakesSpans(tracing::Dispatch);
    impl Drop for MakesSpans {
        fn drop(&mut self) {
            // `tracing`'s own thread-locals may be gone as well: then it is for nothing, and no harm
            let _ = catch_unwind(AssertUnwindSafe(|| {
                tracing::dispatcher::with_default(&self.0, || {
                    let span = tracing::info_span!("late");
                    tracing::info!(parent: &span, "event");
                });
            }));
        }
    }
    thread_local! {
        static LATE: RefCell<Option<MakesSpans>> = const { RefCell::new(None) };
    }
    let (stack, seen) = stack(|s| s);
    let dispatch = stack.dispatch().clone();
    thread::spawn(move || {
        LATE.set(Some(MakesSpans(dispatch.clone())));
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::info_span!("before").in_scope(|| {});
        });
    })
    .join()
    .expect("no panic");
    run(&stack, || tracing::info_span!("after").in_scope(|| {}));
    span(&seen, "before");
    span(&seen, "after");
}

#[test]
fn filters_of_other_layers_change_nothing_of_what_is_traced() {
    let off = tracing_subscriber::layer::Identity::new().with_filter(LevelFilter::OFF);
    let all = tracing_subscriber::layer::Identity::new().with_filter(LevelFilter::TRACE);
    let (stack, seen) = stack(|s| s.with_layer(off).with_layer(all).with_trace_filter("debug"));
    run(&stack, || {
        tracing::info_span!("info").in_scope(|| {
            // another layer wants it, so it exists; we do not
            tracing::trace_span!("trace").in_scope(|| {
                tracing::debug_span!("debug").in_scope(|| tracing::trace!("refused"));
            });
        });
    });
    assert_eq!(spans(&seen).len(), 2);
    let (info, debug) = (span(&seen, "info"), span(&seen, "debug"));
    assert_eq!(debug.parent_span_id, info.span_context.span_id());
    assert!(debug.events.is_empty() && info.events.is_empty());
}

/// Panics once, at the call that it is told to.
#[derive(Clone)]
struct PanicsAt(Arc<AtomicU8>);

impl PanicsAt {
    fn at(&self, call: u8) {
        let hit = self.0.compare_exchange(call, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        assert!(!hit, "a layer's bug at call {call}");
    }
}

type LayerContext<'a, S> = tracing_subscriber::layer::Context<'a, S>;

impl<S: tracing::Subscriber> Layer<S> for PanicsAt {
    fn on_new_span(
        &self,
        _: &tracing::span::Attributes<'_>,
        _: &tracing::Id,
        _: LayerContext<'_, S>,
    ) {
        self.at(1);
    }

    fn on_enter(&self, _: &tracing::Id, _: LayerContext<'_, S>) {
        self.at(2);
    }

    fn on_event(&self, _: &tracing::Event<'_>, _: LayerContext<'_, S>) {
        self.at(3);
    }

    fn on_record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>, _: LayerContext<'_, S>) {
        self.at(4);
    }

    fn on_exit(&self, _: &tracing::Id, _: LayerContext<'_, S>) {
        self.at(5);
    }

    fn on_close(&self, _: tracing::Id, _: LayerContext<'_, S>) {
        self.at(6);
    }
}

#[test]
fn another_layer_that_panics_costs_no_other_span() {
    let call = Arc::new(AtomicU8::new(0));
    let (stack, seen) = stack(|s| s.with_layer(PanicsAt(call.clone())));
    let work = |name: &'static str| {
        tracing::info_span!("work", otel.name = name, late = tracing::field::Empty).in_scope(
            || {
                tracing::info!("event");
                Span::current().record("late", 1);
            },
        );
    };
    run(&stack, || {
        for at in 1..=6 {
            call.store(at, Ordering::SeqCst);
            tracing::info_span!("around").in_scope(|| {
                let panicked = catch_unwind(|| work("unlucky"));
                assert_eq!(call.load(Ordering::SeqCst), 0, "call {at} was never made");
                assert_eq!(panicked.is_err(), at == 3 || at == 4, "call {at}");
            });
            assert!(!Context::current().has_active_span(), "call {at}");
            work("lucky");
        }
    });
    let around = spans(&seen).into_iter().filter(|span| span.name == "around").count();
    assert_eq!(around, 6, "those around it end, too");
    let lucky: Vec<_> = spans(&seen).into_iter().filter(|s| s.name == "lucky").collect();
    assert_eq!(lucky.len(), 6);
    for span in &lucky {
        assert_eq!((span.events.len(), attribute(span, "late").as_deref()), (1, Some("1")));
    }
}

#[test]
fn a_display_that_panics_costs_its_value_alone() {
    struct Bomb;
    impl std::fmt::Display for Bomb {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("a bug in somebody's Display")
        }
    }
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let span = tracing::info_span!("bombed", bomb = %Bomb, n = 1, late = tracing::field::Empty);
        span.record("late", tracing::field::display(Bomb));
        span.in_scope(|| tracing::info!(bomb = %Bomb, "{}", "event"));
    });
    let bombed = span(&seen, "bombed");
    assert_eq!(attribute(&bombed, "n").as_deref(), Some("1"));
    for key in ["bomb", "late"] {
        assert_eq!(attribute(&bombed, key).as_deref(), Some("[its Debug panicked]"));
    }
    assert_eq!(bombed.events.len(), 1);
}

/// Logs and traces whenever it is called, through the very stack that it is part of.
#[derive(Debug, Clone, Default)]
struct Chatty(Arc<Mutex<Option<SdkTracerProvider>>>);

impl Chatty {
    fn chat(&self) {
        tracing::info_span!("from the processor").in_scope(|| tracing::info!("processing"));
        let _ = Span::current().context();
        let provider = self.0.lock().expect("no panic under it").take();
        if let Some(provider) = provider {
            provider.tracer("processor").start("native").end();
        }
    }
}

impl SpanProcessor for Chatty {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {
        self.chat();
    }

    fn on_end(&self, _: SpanData) {
        self.chat();
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[test]
fn a_processor_that_logs_and_traces_does_not_go_round() {
    let chatty = Chatty::default();
    let (stack, seen) = stack(|s| s.with_span_processor(chatty.clone()));
    *chatty.0.lock().expect("no panic under it") = Some(stack.tracer_provider());
    run(&stack, || {
        tracing::info_span!("outer").in_scope(|| tracing::info_span!("inner").in_scope(|| {}));
    });
    let mut names: Vec<_> = spans(&seen).into_iter().map(|span| span.name.into_owned()).collect();
    names.sort();
    // the native span is its own doing, and once
    assert_eq!(names, ["inner", "native", "outer"]);
    assert_eq!(stack.stats().live, 0);
}

/// Traces whenever it is asked.
#[derive(Debug, Clone)]
struct ChattySampler;

impl ShouldSample for ChattySampler {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        tracing::info_span!("from the sampler").in_scope(|| tracing::info!("sampling"));
        SamplingResult {
            decision: SamplingDecision::RecordAndSample,
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}

#[test]
fn a_sampler_that_traces_as_a_span_closes_does_not_keep_its_parent_open() {
    let (stack, seen) = stack(|s| s.with_sampler(Sampler::custom(ChattySampler)));
    run(&stack, || {
        tracing::info_span!("outer").in_scope(|| {
            // never entered: the sampler is asked when it is closed
            drop(tracing::info_span!("inner"));
        });
    });
    let mut names: Vec<_> = spans(&seen).into_iter().map(|span| span.name.into_owned()).collect();
    names.sort();
    assert_eq!(names, ["inner", "outer"]);
}

/// Uses the native API in each of its callbacks.
#[derive(Clone)]
struct TracesNatively(Arc<Mutex<Option<SdkTracerProvider>>>);

impl TracesNatively {
    fn trace(&self) {
        let provider = self.0.lock().expect("no panic under it").clone();
        if let Some(provider) = provider {
            provider.tracer("layer").in_span("native", |_| {
                // `tracing` lets nobody hear it, but while a span is being closed
                tracing::info!("from a layer");
            });
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for TracesNatively {
    fn on_new_span(
        &self,
        _: &tracing::span::Attributes<'_>,
        _: &tracing::Id,
        _: LayerContext<'_, S>,
    ) {
        self.trace();
    }

    fn on_event(&self, _: &tracing::Event<'_>, _: LayerContext<'_, S>) {
        self.trace();
    }

    fn on_close(&self, _: tracing::Id, _: LayerContext<'_, S>) {
        self.trace();
    }
}

#[test]
fn a_layer_that_traces_natively_neither_hangs_nor_loses_a_span() {
    let layer = TracesNatively(Arc::default());
    let (stack, seen) = stack(|s| s.with_layer(layer.clone()));
    *layer.0.lock().expect("no panic under it") = Some(stack.tracer_provider());
    run(&stack, || tracing::info_span!("work").in_scope(|| tracing::info!("event")));
    assert_eq!(span(&seen, "work").events.len(), 1);
    // at the start, at the event, at the close, and at the event that is made there
    assert_eq!(spans(&seen).iter().filter(|span| span.name == "native").count(), 4);
    layer.0.lock().expect("no panic under it").take();
}

fn remote() -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from(77_u128),
        SpanId::from(7_u64),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    ))
}

/// Every call of the extension, on one span; its context.
fn extend(span: &Span) -> SpanContext {
    span.set_attribute("extended", true);
    span.add_event("extended", vec![KeyValue::new("k", "v")]);
    span.add_link(remote().span().span_context().clone());
    span.set_status(Status::error("extended"));
    let context = span.context().span().span_context().clone();
    assert_eq!(span.context().span().span_context(), &context, "it is asked twice");
    span.set_attribute("later", true);
    context
}

#[track_caller]
fn assert_extended(span: &SpanData) {
    for key in ["extended", "later"] {
        assert_eq!(attribute(span, key).as_deref(), Some("true"), "{key} of {}", span.name);
    }
    assert_eq!((span.events.len(), span.links.len()), (1, 1), "{}", span.name);
    assert_eq!(span.status, Status::error("extended"), "{}", span.name);
}

#[test]
fn the_extension_works_on_every_kind_of_recorded_span() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let fresh = tracing::info_span!("fresh");
        let context = extend(&fresh);
        assert!(context.is_valid() && context.is_sampled());
        drop(fresh);

        let entered = tracing::info_span!("entered").entered();
        assert_eq!(&extend(&entered), Context::current().span().span_context());
        extend(&tracing::info_span!("child"));
        drop(entered.exit());

        let left = tracing::info_span!("left");
        left.in_scope(|| {});
        extend(&left);

        let handed = tracing::info_span!("parented", otel.kind = "server");
        handed.set_parent(remote()).expect("it has not started");
        assert_eq!(extend(&handed).trace_id(), TraceId::from(77_u128));

        let other = tracing::info_span!("other thread");
        thread::scope(|scope| {
            scope.spawn(|| {
                tracing::dispatcher::with_default(stack.dispatch(), || extend(&other));
            });
        });
        // without the subscriber being the thread's own: the handle knows it
        let bare = tracing::info_span!("no subscriber");
        tracing::dispatcher::with_default(&tracing::Dispatch::none(), || extend(&bare));

        extend(&tracing::info_span!(parent: None, "root"));
    });
    for name in
        ["fresh", "entered", "child", "left", "parented", "other thread", "no subscriber", "root"]
    {
        assert_extended(&span(&seen, name));
    }
    assert_eq!(spans(&seen).len(), 8);
}

#[test]
fn the_extension_on_spans_that_nobody_records_is_harmless() {
    let (stack, seen) = stack(|s| s.with_sampler(Sampler::always_off()).with_trace_filter("info"));
    stack.set_log_filter("debug").expect("it parses");
    run(&stack, || {
        let unsampled = tracing::info_span!("unsampled");
        let context = extend(&unsampled);
        assert!(context.is_valid() && !context.is_sampled());
        unsampled.in_scope(|| {
            let child = extend(&tracing::info_span!("child"));
            assert_eq!((child.trace_id(), child.is_sampled()), (context.trace_id(), false));
            let boundary = extend(&tracing::info_span!("boundary", otel.kind = "client"));
            assert_eq!(boundary.trace_id(), context.trace_id());
        });
        extend(&unsampled);
        // refused by the filter, disabled for everybody, none at all
        assert!(!extend(&tracing::debug_span!("refused")).is_valid());
        assert!(!extend(&tracing::trace_span!("disabled")).is_valid());
        assert!(!extend(&Span::none()).is_valid());
        assert!(!extend(&Span::current()).is_valid());
    });
    assert!(spans(&seen).is_empty());
    // and on one of a subscriber that has gone with its stack
    let orphan = tracing::dispatcher::with_default(stack.dispatch(), || tracing::info_span!("o"));
    drop(stack);
    extend(&orphan);
}

#[test]
fn the_extension_after_shutdown_keeps_the_context_valid() {
    let (stack, _) = stack(|s| s);
    stack.shutdown(Duration::from_secs(10)).expect("nothing is lost");
    tracing::dispatcher::with_default(stack.dispatch(), || {
        let span = tracing::info_span!("late");
        span.set_parent(remote()).expect("it has not started");
        let context = extend(&span);
        assert_eq!(context.trace_id(), TraceId::from(77_u128));
        span.in_scope(|| assert!(Context::current().span().span_context().is_valid()));
    });
}

#[test]
fn a_span_that_was_only_touched_kept_its_parent_open_under_a_sampler_that_traces() {
    let (stack, seen) = stack(|s| s.with_sampler(Sampler::custom(ChattySampler)));
    run(&stack, || {
        tracing::info_span!("parent").in_scope(|| {
            tracing::info_span!("child").set_attribute("k", "v");
        });
    });
    let mut names: Vec<_> = spans(&seen).into_iter().map(|span| span.name.into_owned()).collect();
    names.sort();
    assert_eq!(names, ["child", "parent"]);
}

#[test]
fn a_key_that_is_set_again_and_again_took_the_place_of_others() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let span = tracing::info_span!("work", done = tracing::field::Empty);
        span.in_scope(|| {
            for done in 0..1_000 {
                span.record("done", done);
            }
            span.set_attribute("last", true);
        });
    });
    let span = span(&seen, "work");
    assert_eq!(attribute(&span, "done").as_deref(), Some("999"));
    assert_eq!(attribute(&span, "last").as_deref(), Some("true"));
    assert_eq!(span.dropped_attributes_count, 0);
}

#[test]
fn attributes_of_a_span_that_is_never_entered_had_no_bound() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let span = tracing::info_span!("work", n = tracing::field::Empty);
        for n in 0..5_000 {
            span.record("n", n);
        }
        assert_eq!(stack.stats().started, 1, "it is started for them, and has limits then");
    });
    let span = span(&seen, "work");
    assert_eq!(attribute(&span, "n").as_deref(), Some("4999"));
    assert_eq!((span.attributes.len(), span.dropped_attributes_count), (1, 0));
}

#[test]
fn what_a_span_that_is_never_entered_follows_had_no_bound() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let (span, cause) = (tracing::info_span!("work"), tracing::info_span!("cause"));
        for _ in 0..1_000 {
            span.follows_from(&cause);
        }
        assert_eq!(stack.stats().started, 2, "it is started for them, and has limits then");
    });
    let span = span(&seen, "work");
    assert_eq!((span.links.len(), span.links.dropped_count), (128, 872));
}
