//! The layer where it is hard to get right; each test is named after what went wrong somewhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use opentelemetry::trace::{Link, Span as _, SpanKind, TraceContextExt as _, TraceId, Tracer as _};
use opentelemetry::trace::{
    SpanContext, SpanId, Status, TraceFlags, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use otel_setup::{LogFormat, Sampler, Setup, SpanDetail};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::support::{attribute, span, spans};
use crate::{run, stack};

fn remote(flags: TraceFlags) -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from(77_u128),
        SpanId::from(7_u64),
        flags,
        true,
        TraceState::default(),
    ))
}

fn unsampled() -> Sampler {
    Sampler::parent_based(Sampler::always_off()).into()
}

#[test]
fn a_span_that_follows_itself_does_not_hang() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let span = tracing::info_span!("narcissus");
        span.follows_from(&span);
    });
    assert_eq!(span(&seen, "narcissus").links.len(), 1);
}

#[test]
fn a_followed_unsampled_child_is_linked() {
    let (stack, seen) = stack(|s| s.with_sampler(Sampler::parent_based(Sampler::custom(Named))));
    run(&stack, || {
        let dropped = tracing::info_span!("drop");
        let inner = dropped.in_scope(|| tracing::info_span!("inner"));
        let follower = tracing::info_span!("follower");
        follower.follows_from(&inner);
    });
    assert_eq!(span(&seen, "follower").links.len(), 1);
}

#[test]
fn a_number_without_a_sign_is_a_number() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        tracing::info_span!("sizes", small = 7_u64, large = u64::MAX).in_scope(|| {
            tracing::info!(size = 8_u64, "event");
        });
    });
    let span = span(&seen, "sizes");
    let value = |attributes: &[KeyValue], key: &str| {
        attributes.iter().find(|a| a.key.as_str() == key).map(|a| a.value.clone())
    };
    assert_eq!(value(&span.attributes, "small"), Some(Value::I64(7)));
    assert_eq!(value(&span.attributes, "large"), Some("18446744073709551615".into()));
    assert_eq!(value(&span.events[0].attributes, "size"), Some(Value::I64(8)));
}

#[test]
fn a_name_and_a_status_recorded_late_count() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let span = tracing::info_span!(
            "GET",
            otel.name = tracing::field::Empty,
            otel.status_code = tracing::field::Empty
        );
        span.in_scope(|| {
            span.record("otel.name", "GET /orders/{id}");
            span.record("otel.status_code", "ok");
        });
    });
    assert_eq!(span(&seen, "GET /orders/{id}").status, Status::Ok);
}

#[test]
fn an_ok_set_before_the_start_is_final() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let span = tracing::info_span!("fine");
        span.set_status(Status::Ok);
        span.in_scope(|| tracing::error!(error = %"ignored"));
    });
    assert_eq!(span(&seen, "fine").status, Status::Ok);
}

#[test]
fn a_debug_that_panics_costs_its_value_alone() {
    struct Bomb;
    impl std::fmt::Debug for Bomb {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("a bug in somebody's Debug")
        }
    }
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        tracing::info_span!("bombed", bomb = ?Bomb, n = 1).in_scope(|| {
            tracing::info!(bomb = ?Bomb, "event");
        });
        tracing::info_span!("next").in_scope(|| tracing::info!("event"));
    });
    let bombed = span(&seen, "bombed");
    assert_eq!(attribute(&bombed, "bomb").as_deref(), Some("[its Debug panicked]"));
    assert_eq!(attribute(&bombed, "n").as_deref(), Some("1"));
    assert_eq!(bombed.events.len(), 1);
    assert_eq!(span(&seen, "next").events.len(), 1);
}

#[test]
fn a_debug_that_makes_a_span_neither_hangs_nor_mixes_up() {
    struct Chatty;
    impl std::fmt::Debug for Chatty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            tracing::info_span!("inside").in_scope(|| tracing::info!("inside"));
            f.write_str("chatty")
        }
    }
    let (stack, seen) = stack(|s| s);
    run(&stack, || tracing::info_span!("outside", value = ?Chatty).in_scope(|| {}));
    assert_eq!(attribute(&span(&seen, "outside"), "value").as_deref(), Some("chatty"));
    // `tracing` itself has no subscriber for what a subscriber's callbacks do
    assert_eq!(spans(&seen).len(), 1);
}

/// Samples all but what begins with `drop`, and logs and traces meanwhile.
#[derive(Debug, Clone)]
struct Named;

impl ShouldSample for Named {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let _span = tracing::info_span!("from the sampler").entered();
        tracing::info!("sampling");
        // of the span that it is asked about, or of its parent
        let _ = Span::current().context();
        let decision = if name.starts_with("drop") {
            SamplingDecision::Drop
        } else {
            SamplingDecision::RecordAndSample
        };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::default() }
    }
}

#[test]
fn a_sampler_that_logs_and_traces_does_not_go_round() {
    let (stack, seen) = stack(|s| s.with_sampler(Sampler::custom(Named)));
    run(&stack, || {
        tracing::info_span!("outer").in_scope(|| {
            tracing::info_span!("inner").in_scope(|| {
                let _ = Span::current().context();
            });
        });
    });
    let names: Vec<_> = spans(&seen).into_iter().map(|span| span.name.into_owned()).collect();
    assert_eq!(names, ["inner", "outer"]);
}

#[test]
fn a_custom_sampler_sees_the_children_of_what_it_dropped() {
    let (stack, seen) = stack(|s| s.with_sampler(Sampler::custom(Named)));
    run(&stack, || {
        tracing::info_span!("drop").in_scope(|| {
            tracing::info_span!("kept").in_scope(|| {});
        });
    });
    assert_eq!(spans(&seen).len(), 1);
    span(&seen, "kept");
}

#[test]
fn a_sampler_that_promises_to_obey_is_not_asked_about_them() {
    let (stack, seen) = stack(|s| s.with_sampler(Sampler::custom(Named).obeying_parent()));
    run(&stack, || {
        tracing::info_span!("drop").in_scope(|| {
            tracing::info_span!("not kept").in_scope(|| {});
        });
    });
    assert!(spans(&seen).is_empty());
}

#[test]
fn a_span_entered_again_inside_another_gets_the_events_inside() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let (a, b) = (tracing::info_span!("a"), tracing::info_span!("b"));
        a.in_scope(|| b.in_scope(|| a.in_scope(|| tracing::info!("where"))));
    });
    assert_eq!((span(&seen, "a").events.len(), span(&seen, "b").events.len()), (1, 0));
}

#[test]
fn a_span_in_two_threads_at_once_ends_once() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let shared = tracing::info_span!("shared");
        let both = Barrier::new(2);
        thread::scope(|scope| {
            for name in ["left", "right"] {
                let (shared, both, dispatch) = (shared.clone(), &both, stack.dispatch());
                scope.spawn(move || {
                    tracing::dispatcher::with_default(dispatch, || {
                        let _entered = shared.enter();
                        both.wait();
                        tracing::info_span!("child", name).in_scope(|| tracing::info!("event"));
                        both.wait();
                    });
                });
            }
        });
    });
    let all = spans(&seen);
    let shared = span(&seen, "shared");
    let children: Vec<_> = all.iter().filter(|span| span.name == "child").collect();
    assert_eq!((all.len(), children.len()), (3, 2));
    assert!(children.iter().all(|c| c.parent_span_id == shared.span_context.span_id()));
}

#[test]
fn a_span_that_many_threads_start_at_once_starts_once() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        for _ in 0..50 {
            let span = tracing::info_span!("raced");
            let all = Barrier::new(4);
            let ids = thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|n| {
                        let (span, all, dispatch) = (span.clone(), &all, stack.dispatch());
                        scope.spawn(move || {
                            tracing::dispatcher::with_default(dispatch, || {
                                all.wait();
                                // half of them through the bridge
                                if n % 2 == 0 {
                                    return span.context().span().span_context().clone();
                                }
                                let _entered = span.enter();
                                Context::current().span().span_context().clone()
                            })
                        })
                    })
                    .collect();
                threads.into_iter().map(|t| t.join().expect("no panic")).collect::<Vec<_>>()
            });
            assert!(ids[0].is_valid());
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        }
    });
    assert_eq!(spans(&seen).len(), 50);
}

#[test]
fn spans_closed_out_of_order_keep_their_parents() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let outer = tracing::info_span!("outer").entered();
        let inner = tracing::info_span!("inner").entered();
        drop(outer);
        tracing::info_span!("innermost").in_scope(|| {});
        drop(inner);
        tracing::info_span!("after").in_scope(|| {});
    });
    let id = |name| span(&seen, name).span_context.span_id();
    assert_eq!(span(&seen, "inner").parent_span_id, id("outer"));
    assert_eq!(span(&seen, "innermost").parent_span_id, id("inner"));
    assert_eq!(span(&seen, "after").parent_span_id, SpanId::INVALID);
}

#[test]
fn a_span_dropped_by_a_thread_locals_destructor_is_exported() {
    thread_local! {
        static KEPT: std::cell::RefCell<Option<Span>> = const { std::cell::RefCell::new(None) };
    }
    let (stack, seen) = stack(|s| s);
    let dispatch = stack.dispatch().clone();
    let ended = thread::spawn(move || {
        // registered first, so destroyed after the layer's own
        KEPT.with_borrow_mut(|kept| {
            tracing::dispatcher::with_default(&dispatch, || {
                let span = tracing::info_span!("kept");
                span.in_scope(|| tracing::info!("event"));
                *kept = Some(span);
            });
        });
    });
    ended.join().expect("no panic");
    run(&stack, || {});
    assert_eq!(span(&seen, "kept").events.len(), 1);
}

#[test]
fn a_never_entered_span_is_exported_and_its_events_are_bounded() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let waiting = tracing::info_span!("waiting");
        for n in 0..1_000 {
            tracing::info!(parent: &waiting, n, "event");
        }
    });
    let waiting = span(&seen, "waiting");
    assert_eq!((waiting.events.len(), waiting.events.dropped_count), (128, 872));
}

#[test]
fn an_unsampled_child_has_the_trace_of_its_parent_for_every_extension() {
    let (stack, seen) = stack(|s| s.with_sampler(unsampled()));
    run(&stack, || {
        let outer = tracing::info_span!("outer").entered();
        let trace = outer.context().span().span_context().trace_id();
        let inner = tracing::info_span!("inner");
        let context = inner.context();
        assert_eq!(context.span().span_context().trace_id(), trace);
        assert!(!context.span().span_context().is_sampled());
        inner.set_attribute("k", "v");
        inner.set_status(Status::Ok);
        inner.add_event("event", Vec::new());
        inner.add_link(remote(TraceFlags::SAMPLED).span().span_context().clone());
        inner.in_scope(|| {
            assert_eq!(Context::current().span().span_context().trace_id(), trace);
            assert_eq!(Span::current().context().span().span_context().trace_id(), trace);
        });
    });
    assert!(spans(&seen).is_empty());
}

#[test]
fn a_server_span_under_an_unsampled_one_can_be_given_a_sampled_parent() {
    let (stack, seen) = stack(|s| s.with_sampler(unsampled()));
    run(&stack, || {
        tracing::info_span!("accept loop").in_scope(|| {
            let server = tracing::info_span!("request", otel.kind = "server", n = 1);
            server.set_parent(remote(TraceFlags::SAMPLED)).expect("it has not started");
            server.in_scope(|| tracing::info_span!("work").in_scope(|| {}));
        });
    });
    let request = span(&seen, "request");
    assert_eq!(request.parent_span_id, SpanId::from(7_u64));
    assert_eq!(attribute(&request, "n").as_deref(), Some("1"));
    assert_eq!(span(&seen, "work").parent_span_id, request.span_context.span_id());
}

#[test]
fn an_unsampled_remote_parent_is_obeyed_and_propagated() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let server = tracing::info_span!("server");
        server.set_parent(remote(TraceFlags::default())).expect("it has not started");
        server.in_scope(|| {
            tracing::info_span!("inner").in_scope(|| {
                let current = Context::current().span().span_context().clone();
                assert_eq!(current.trace_id(), TraceId::from(77_u128));
                assert!(!current.is_sampled());
            });
        });
    });
    assert!(spans(&seen).is_empty());
}

#[test]
fn spans_of_two_stacks_on_one_thread_do_not_mix() {
    let (one, seen_by_one) = stack(|s| s);
    let (two, seen_by_two) = stack(|s| s);
    let in_two = |name: &'static str| {
        tracing::dispatcher::with_default(two.dispatch(), || {
            tracing::info_span!("two", name).in_scope(|| tracing::info!("to two"));
        });
    };
    run(&one, || {
        // ids of both begin alike
        let outer = tracing::info_span!("one").entered();
        in_two("while one is entered");
        tracing::info!("to one");
        drop(outer);
        in_two("after");
    });
    run(&two, || {});
    let one = span(&seen_by_one, "one");
    assert_eq!(one.events.len(), 1);
    assert_eq!(one.events[0].name, "to one");
    let two = spans(&seen_by_two);
    assert_eq!(two.len(), 2);
    assert!(two.iter().all(|span| span.events.len() == 1));
}

#[test]
fn a_span_handed_from_thread_to_thread_is_one() {
    let (stack, seen) = stack(|s| s);
    let (sender, receiver) = mpsc::channel::<Span>();
    let dispatch = stack.dispatch().clone();
    let worker = thread::spawn(move || {
        tracing::dispatcher::with_default(&dispatch, || {
            for span in receiver {
                span.in_scope(|| tracing::info!("there"));
            }
        });
    });
    run(&stack, || {
        for _ in 0..10 {
            let span = tracing::info_span!("moved");
            span.in_scope(|| tracing::info!("here"));
            sender.send(span).expect("the worker waits");
        }
    });
    drop(sender);
    worker.join().expect("no panic");
    run(&stack, || {});
    let moved = spans(&seen);
    assert_eq!(moved.len(), 10);
    assert!(moved.iter().all(|span| span.events.len() == 2 && span.end_time >= span.start_time));
}

#[test]
fn a_context_of_another_thread_is_the_parent_here() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let context = tracing::info_span!("there").in_scope(Context::current);
        let _attached = context.attach();
        tracing::info_span!("here").in_scope(|| {});
        stack.tracer_provider().tracer("native").start("native").end();
    });
    let there = span(&seen, "there").span_context.span_id();
    assert_eq!(span(&seen, "here").parent_span_id, there);
    assert_eq!(span(&seen, "native").parent_span_id, there);
}

#[test]
fn what_the_filter_refuses_takes_nothing_from_the_span_around_it() {
    let (stack, seen) = stack(|s| s.with_trace_filter("info"));
    let reached = Arc::new(AtomicBool::new(false));
    run(&stack, || {
        tracing::info_span!("around").in_scope(|| {
            let refused = tracing::debug_span!("refused");
            refused.set_attribute("stray", true);
            refused.in_scope(|| {
                reached.store(true, Ordering::Relaxed);
                tracing::info_span!("inside").in_scope(|| {});
            });
        });
    });
    assert!(reached.load(Ordering::Relaxed));
    let around = span(&seen, "around");
    assert_eq!(attribute(&around, "stray"), None);
    assert_eq!(span(&seen, "inside").parent_span_id, around.span_context.span_id());
}

#[test]
fn the_child_of_a_refused_span_under_an_unsampled_one_is_a_root() {
    let (stack, seen) = stack(|s| {
        s.with_sampler(Sampler::parent_based(Sampler::custom(Named))).with_trace_filter("info")
    });
    // somebody else in the process wants it, so the callsite is enabled
    stack.set_log_filter("debug").expect("it parses");
    run(&stack, || {
        tracing::info_span!("drop").in_scope(|| {
            let refused = tracing::debug_span!("refused");
            tracing::info_span!(parent: &refused, "child").in_scope(|| {});
        });
    });
    assert_eq!(span(&seen, "child").parent_span_id, SpanId::INVALID);
}

#[test]
fn what_is_made_inside_a_refused_span_has_its_unsampled_context_on_every_thread() {
    let exports = |adjust: fn(Setup) -> Setup| {
        let (stack, seen) = stack(|s| {
            adjust(s.with_sampler(Sampler::parent_based(Sampler::custom(Named))))
                .with_trace_filter("info")
                .with_log_filter("debug")
        });
        run(&stack, || {
            // it has no parent in the registry, and is entered inside one
            let refused = tracing::debug_span!("refused");
            let child = tracing::info_span!("drop")
                .in_scope(|| refused.in_scope(|| tracing::info_span!("child")));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    run(&stack, || {
                        child.in_scope(|| tracing::info_span!("grandchild").in_scope(|| {}));
                    });
                });
            });
        });
        spans(&seen).len()
    };
    // under the gate of our own layers, and under filters beside a layer of the user's
    assert_eq!(exports(|s| s.with_log_format(LogFormat::Text)), 0);
    assert_eq!(exports(|s| s.with_layer(tracing_subscriber::layer::Identity::new())), 0);
}

#[test]
fn an_unsampled_span_that_is_left_first_leaves_its_context_to_those_inside() {
    let (stack, seen) = stack(|s| s.with_sampler(Sampler::parent_based(Sampler::custom(Named))));
    run(&stack, || {
        let outer = tracing::info_span!("drop").entered();
        let inner = tracing::info_span!("inner").entered();
        drop(outer.exit());
        tracing::info_span!("made inside").in_scope(|| {});
        drop(inner);
        tracing::info_span!("made outside").in_scope(|| {});
    });
    assert_eq!(spans(&seen).len(), 1);
    assert_eq!(span(&seen, "made outside").parent_span_id, SpanId::INVALID);
}

#[test]
fn a_span_that_an_unsampled_one_follows_has_started() {
    let (stack, seen) = stack(|s| s.with_sampler(unsampled()));
    run(&stack, || {
        tracing::info_span!("outer").in_scope(|| {
            let server = tracing::info_span!("request", otel.kind = "server");
            tracing::info_span!("inner").follows_from(&server);
            server.set_parent(remote(TraceFlags::SAMPLED)).expect_err("it has started");
        });
    });
    assert!(spans(&seen).is_empty());
}

#[test]
fn details_are_there_when_they_are_asked_for() {
    let all = SpanDetail::default()
        .with_level(true)
        .with_location(true)
        .with_target(true)
        .with_threads(true)
        .with_timings(true);
    let keys = |detail: SpanDetail| {
        let (stack, seen) = stack(|s| s.with_span_detail(detail));
        run(&stack, || tracing::info_span!("detailed", own = 1).in_scope(|| {}));
        let mut keys: Vec<_> =
            span(&seen, "detailed").attributes.iter().map(|a| a.key.to_string()).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(SpanDetail::default()), ["own"]);
    assert_eq!(
        keys(all),
        [
            "busy_ns",
            "code.file.path",
            "code.line.number",
            "code.module.name",
            "idle_ns",
            "level",
            "own",
            "target",
            "thread.id",
            "thread.name"
        ]
    );
}

#[test]
fn an_error_is_an_exception_with_its_sources() {
    #[derive(Debug)]
    struct Outer(std::io::Error);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("outer")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        tracing::info_span!("failing").in_scope(|| {
            let error = Outer(std::io::Error::other("inner"));
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::error!(error, "it failed");
        });
    });
    let failing = span(&seen, "failing");
    assert!(matches!(failing.status, Status::Error { .. }));
    assert_eq!(attribute(&failing, "exception.message").as_deref(), Some("outer"));
    assert_eq!(attribute(&failing, "exception.stacktrace").as_deref(), Some("[\"inner\"]"));
    assert_eq!(failing.events[0].name, "it failed");
}

#[test]
fn a_span_made_inside_one_that_we_are_not_shown_keeps_its_unsampled_trace() {
    for beside in [false, true] {
        let (stack, seen) = stack(|s| {
            let s = s.with_sampler(Sampler::parent_based(Sampler::custom(Named)));
            let s = s.with_trace_filter("info");
            if beside { s.with_layer(tracing_subscriber::layer::Identity::new()) } else { s }
        });
        // somebody else in the process wants it, so the callsite is enabled
        stack.set_log_filter("debug").expect("it parses");
        let made_here = |refused: Span| {
            let mut made = None;
            run(&stack, || {
                tracing::info_span!("drop").in_scope(|| {
                    refused.in_scope(|| made = Some(tracing::info_span!("made")));
                });
            });
            made.expect("it was made")
        };
        let dispatch = stack.dispatch();
        let refused = tracing::dispatcher::with_default(dispatch, || tracing::debug_span!("other"));
        let made = made_here(refused);
        let (dispatch, in_it) = (dispatch.clone(), made.clone());
        let elsewhere = thread::spawn(move || {
            tracing::dispatcher::with_default(&dispatch, || {
                in_it
                    .in_scope(|| tracing::info_span!("edge", otel.kind = "client").in_scope(|| {}));
            });
        });
        elsewhere.join().expect("no panic");
        run(&stack, || drop(made));
        assert!(spans(&seen).is_empty(), "beside another layer: {beside}");
    }
}

#[test]
fn a_span_of_one_unsampled_trace_entered_in_another_is_of_its_own() {
    let (stack, _) = stack(|s| s.with_sampler(Sampler::parent_based(Sampler::always_off())));
    let here = || Context::current().span().span_context().trace_id();
    run(&stack, || {
        let other = tracing::info_span!(parent: None, "other");
        tracing::info_span!("one").in_scope(|| {
            let one = here();
            let inside = tracing::info_span!("inside");
            other.in_scope(|| {
                assert_ne!(here(), one);
                inside.in_scope(|| assert_eq!(here(), one));
            });
        });
    });
}
