//! Spans in several threads, in several stacks, and out of order.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Barrier, Mutex, mpsc};
use std::thread;

use crate::support::{span, spans};
use crate::{run, stack};
use opentelemetry::Context;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use tracing::Span;
use tracing::span::Id;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

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

/// One that closed meanwhile got the data of whichever span had the place next.
#[test]
fn a_context_asked_for_by_an_id_alone_was_that_of_another_span() {
    let (stack, _seen) = stack(|s| s);
    let (asked, done) = (Mutex::new(None::<(Id, SpanContext)>), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    let Some((id, own)) = asked.lock().expect("no panic").clone() else { continue };
                    let got = tracing_opentelemetry::get_otel_context(&id, stack.dispatch());
                    let got = got.map(|context| context.span().span_context().clone());
                    if let Some(got) = got.filter(SpanContext::is_valid) {
                        assert_eq!(got.span_id(), own.span_id());
                    }
                }
            });
        }
        scope.spawn(|| {
            run(&stack, || {
                for _ in 0..20_000 {
                    let span = tracing::info_span!("short");
                    let own = span.context().span().span_context().clone();
                    let id = span.id().expect("it is enabled");
                    *asked.lock().expect("no panic") = Some((id, own));
                }
            });
            done.store(true, Relaxed);
        });
    });
}
