//! Unsampled traces, and spans that a filter refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, Status, TraceContextExt as _, TraceFlags, TraceId};
use otel_setup::{LogFormat, Sampler, Setup};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{Named, remote, unsampled};
use crate::support::{attribute, span, spans};
use crate::{run, stack};

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
