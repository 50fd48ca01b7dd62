//! Spans of a trace that is not sampled: they store nothing, and their context is right all the same.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _, Tracer as _, TracerProvider as _};
use otel_setup::{Sampler, Stack};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::support::spans;
use crate::{run, stack};

/// More than a thread remembers without an entry for each.
const DEEP: usize = 40;

fn nothing_sampled() -> (Stack, opentelemetry_sdk::trace::InMemorySpanExporter) {
    stack(|s| s.with_sampler(Sampler::parent_based(Sampler::always_off())))
}

fn current() -> SpanContext {
    Context::map_current(|context| context.span().span_context().clone())
}

#[track_caller]
fn assert_is(span: &SpanContext, root: &SpanContext) {
    assert_eq!(span, root);
    assert!(span.is_valid() && !span.is_sampled());
}

#[test]
fn a_deep_unsampled_trace_has_one_context_at_every_level() {
    let (stack, seen) = nothing_sampled();
    run(&stack, || {
        for _ in 0..3 {
            let root = tracing::info_span!("root").entered();
            let of_root = current();
            let mut entered = Vec::new();
            for level in 0..DEEP {
                entered.push(tracing::info_span!("inner", level).entered());
                assert_is(&current(), &of_root);
                tracing::error!("nobody records it");
            }
            while let Some(innermost) = entered.pop() {
                assert_is(innermost.context().span().span_context(), &of_root);
                drop(innermost);
                assert_is(&current(), &of_root);
            }
            drop(root);
            assert!(!current().is_valid());
        }
    });
    assert!(spans(&seen).is_empty());
    assert_eq!(stack.stats().live, 0);
}

#[test]
fn deep_unsampled_spans_left_from_the_outside_in_leave_no_context_behind() {
    let (stack, _seen) = nothing_sampled();
    run(&stack, || {
        let root = tracing::info_span!("root").entered();
        let of_root = current();
        let inner: Vec<_> =
            (0..DEEP).map(|level| tracing::info_span!("inner", level).entered()).collect();
        drop(root);
        for span in inner {
            assert_is(&current(), &of_root);
            drop(span);
        }
        assert!(!current().is_valid());
        let next = tracing::info_span!("root").entered();
        assert_ne!(current().trace_id(), of_root.trace_id());
        drop(next);
    });
}

/// Each order is a stride through the spans, and ends with each of them once.
#[test]
fn deep_unsampled_spans_left_in_any_order_have_their_context_up_to_the_last() {
    let (stack, seen) = nothing_sampled();
    run(&stack, || {
        for spans in [15, 16, 17, 18, 19, 33] {
            for stride in (1..spans).filter(|stride| has_whole_cycle(*stride, spans)) {
                for first in 0..spans {
                    let order = (0..spans).map(|n| (first + n * stride) % spans);
                    leave_in_order(spans, order);
                }
            }
        }
    });
    assert!(spans(&seen).is_empty());
    assert_eq!(stack.stats().live, 0);
}

fn has_whole_cycle(stride: usize, spans: usize) -> bool {
    (1..spans).all(|n| !(n * stride).is_multiple_of(spans))
}

/// A root and the spans in it, all entered, and left in this order.
#[track_caller]
fn leave_in_order(number: usize, order: impl Iterator<Item = usize>) {
    let mut entered = vec![Some(tracing::info_span!("root").entered())];
    let of_root = current();
    entered.extend((1..number).map(|n| Some(tracing::info_span!("inner", n).entered())));
    for (left, at) in order.enumerate() {
        assert_is(&current(), &of_root);
        let span = entered[at].take().expect("each is left once").exit();
        if left + 1 < number {
            let made = tracing::info_span!("made").entered();
            assert_is(&current(), &of_root);
            drop(made);
            // it has the trace of its parent wherever it is entered
            span.in_scope(|| assert_is(&current(), &of_root));
        }
    }
    assert!(!current().is_valid());
}

#[test]
fn a_deep_unsampled_trace_is_the_same_for_every_way_of_asking() {
    let (stack, seen) = nothing_sampled();
    run(&stack, || {
        let root = tracing::info_span!("root").entered();
        let of_root = current();
        // the second flag says that the trace id is random
        let traceparent = format!("00-{}-{}-02", of_root.trace_id(), of_root.span_id());
        let mut entered = Vec::new();
        let asked = |span: &Span| {
            assert_is(&current(), &of_root);
            assert_is(span.context().span().span_context(), &of_root);
            assert_is(Span::current().context().span().span_context(), &of_root);
            let mut headers = HashMap::<String, String>::new();
            stack.propagator().inject_context(&Context::current(), &mut headers);
            assert_eq!(headers["traceparent"], traceparent);
        };
        for level in 0..DEEP {
            let span = tracing::info_span!("inner", level).entered();
            asked(&span);
            entered.push(span);
        }
        // one in three, from the outside in, and then the rest from the inside out
        let mut at = 0;
        entered.retain(|_| {
            at += 1;
            at % 3 > 0
        });
        while let Some(span) = entered.pop() {
            asked(&span);
            let left = span.exit();
            assert_is(left.context().span().span_context(), &of_root);
        }
        asked(&root);
        drop(root);
        assert!(!current().is_valid());
    });
    assert!(spans(&seen).is_empty());
    assert_eq!(stack.stats().live, 0);
}

#[test]
fn an_unsampled_child_entered_under_another_context_brings_its_own() {
    let (stack, _seen) = nothing_sampled();
    let native = stack.tracer_provider().tracer("native");
    run(&stack, || {
        let root = tracing::info_span!("root").entered();
        let of_root = current();
        let child = tracing::info_span!("child");
        let other = Context::new().with_span(native.start("other"));
        let of_other = other.span().span_context().clone();
        let attached = other.attach();
        let entered = child.enter();
        assert_is(&current(), &of_root);
        drop(entered);
        assert_is(&current(), &of_other);
        // made under the other, it belongs there
        let made = tracing::info_span!("made").entered();
        assert_eq!(current().trace_id(), of_other.trace_id());
        drop(made);
        drop(attached);
        let again = child.enter();
        assert_is(&current(), &of_root);
        drop((again, root));
    });
}

#[test]
fn an_unsampled_child_entered_under_its_own_ids_but_sampled_is_not_sampled() {
    let (stack, _seen) = nothing_sampled();
    run(&stack, || {
        let root = tracing::info_span!("root").entered();
        let of_root = current();
        let child = tracing::info_span!("child");
        let flags = of_root.trace_flags().with_sampled(true);
        let (trace, span) = (of_root.trace_id(), of_root.span_id());
        let twin = SpanContext::new(trace, span, flags, false, of_root.trace_state().clone());
        let attached = Context::new().with_remote_span_context(twin).attach();
        child.in_scope(|| assert_is(&current(), &of_root));
        drop((attached, root));
    });
}

#[test]
fn unsampled_children_entered_in_several_threads_have_the_context_of_their_parent() {
    let (stack, seen) = nothing_sampled();
    run(&stack, || {
        let root = tracing::info_span!("root").entered();
        let of_root = current();
        let children: Vec<Span> = (0..DEEP).map(|n| tracing::info_span!("child", n)).collect();
        std::thread::scope(|scope| {
            for part in children.chunks(DEEP / 2) {
                let (stack, of_root) = (&stack, &of_root);
                scope.spawn(move || {
                    run(stack, || {
                        let entered: Vec<_> = part.iter().map(Span::enter).collect();
                        assert_is(&current(), of_root);
                        tracing::info_span!("inside").in_scope(|| assert_is(&current(), of_root));
                        drop(entered);
                        assert!(!current().is_valid());
                    });
                });
            }
        });
        drop(root);
    });
    assert!(spans(&seen).is_empty());
}

#[test]
fn the_state_of_a_span_that_another_thread_is_still_in_is_not_the_next_ones() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let (entered, is_entered) = std::sync::mpsc::channel();
        let (closed, is_closed) = std::sync::mpsc::channel();
        let held = tracing::info_span!("held");
        let id = held.id().expect("it is enabled");
        std::thread::scope(|scope| {
            let stack = &stack;
            scope.spawn(move || {
                tracing::dispatcher::with_default(stack.dispatch(), || {
                    // by its id alone, which keeps nothing open
                    stack.dispatch().enter(&id);
                    entered.send(()).expect("the test waits");
                    is_closed.recv().expect("the test tells");
                    stack.dispatch().exit(&id);
                });
            });
            is_entered.recv().expect("the thread enters");
            drop(held);
            let next = tracing::info_span!("next").entered();
            closed.send(()).expect("the thread waits");
            drop(next);
        });
    });
    let mut names: Vec<_> = spans(&seen).into_iter().map(|span| span.name).collect();
    names.sort();
    assert_eq!(names, ["held", "next"]);
}

/// Each of these made the child's unsampled ancestor end with the child.
#[test]
fn the_end_of_an_unsampled_child_was_that_of_its_parent() {
    let (stack, seen) = nothing_sampled();
    run(&stack, || {
        let root = tracing::info_span!("root");
        let of_root = root.in_scope(current);
        let child = || root.in_scope(|| tracing::info_span!("child"));
        let ways: [&dyn Fn(); 4] = [
            &|| {
                let (child, dispatch) = (child(), stack.dispatch().clone());
                let work = move || child.in_scope(|| assert_is(&current(), &of_root_of(&child)));
                std::thread::spawn(move || tracing::dispatcher::with_default(&dispatch, work))
                    .join()
                    .expect("no panic");
            },
            &|| {
                let child = child();
                child.in_scope(|| child.in_scope(|| assert_is(&current(), &of_root)));
            },
            &|| {
                let grandchild =
                    child().in_scope(|| tracing::info_span!("grandchild").in_scope(current));
                assert_is(&grandchild, &of_root);
            },
            &|| {
                let child = child();
                for _ in 0..2 {
                    child.in_scope(|| assert_is(&current(), &of_root));
                }
            },
        ];
        for (number, way) in ways.iter().enumerate() {
            way();
            assert_is(&root.in_scope(current), &of_root);
            root.in_scope(|| {
                tracing::info_span!("later").in_scope(|| {
                    assert_eq!(current(), of_root, "after way {number}");
                });
            });
        }
    });
    assert!(spans(&seen).is_empty());
}

fn of_root_of(child: &Span) -> SpanContext {
    child.context().span().span_context().clone()
}

#[test]
fn a_span_made_where_another_was_entered_again_had_no_context_or_a_strangers() {
    let (stack, seen) = nothing_sampled();
    run(&stack, || {
        let outer = tracing::info_span!(parent: None, "outer");
        let other = tracing::info_span!(parent: None, "other");
        let of_outer = outer.in_scope(current);
        let of_other = other.in_scope(current);
        let child = tracing::info_span!(parent: &outer, "child");
        for again in [&outer, &child] {
            outer.in_scope(|| {
                again.in_scope(|| {
                    other.in_scope(|| {
                        assert_is(&current(), &of_other);
                        again.in_scope(|| {
                            let inside = tracing::info_span!("inside");
                            assert_is(inside.context().span().span_context(), &of_outer);
                            let dispatch = stack.dispatch().clone();
                            let work = move || inside.in_scope(current);
                            let elsewhere = std::thread::spawn(move || {
                                tracing::dispatcher::with_default(&dispatch, work)
                            });
                            assert_is(&elsewhere.join().expect("no panic"), &of_outer);
                        });
                        assert_is(&current(), &of_other);
                    });
                });
            });
        }
        assert!(!current().is_valid());
    });
    assert!(spans(&seen).is_empty());
}
