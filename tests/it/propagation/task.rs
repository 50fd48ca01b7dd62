//! Work on other threads and in tasks stays in its trace.

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::SpanId;
use opentelemetry::{Context, KeyValue};
use otel_setup::propagation::{
    CurrentTrace, Relation, TraceFutureExt as _, current_trace_id, spawn_thread,
};
use tracing::{info, info_span};

use super::{remote, remote_context};
use crate::support::span;
use crate::{run, stack};

fn tenant() -> Option<String> {
    Context::current().baggage().get("tenant").map(ToString::to_string)
}

fn with_tenant(context: &Context) -> Context {
    context.with_baggage([KeyValue::new("tenant", "7")])
}

#[test]
fn a_thread_is_in_the_span_that_spawned_it() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let _outer = info_span!("outer").entered();
        let _attached = with_tenant(&Context::current()).attach();
        let thread = spawn_thread(|| {
            info!("an event");
            info_span!("inner").in_scope(tenant)
        });
        assert_eq!(thread.join().expect("it does not panic").as_deref(), Some("7"));
    });
    let outer = span(&seen, "outer");
    assert_eq!(span(&seen, "inner").parent_span_id, outer.span_context.span_id());
    assert_eq!(outer.events.len(), 1, "the subscriber of the scope was taken along");
}

#[test]
fn a_thread_under_a_remote_context_without_a_span_continues_it() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let _attached = remote_context().attach();
        let thread = spawn_thread(|| drop(info_span!("inner")));
        thread.join().expect("it does not panic");
    });
    assert_eq!(span(&seen, "inner").parent_span_id, remote().span_id());
}

#[test]
fn a_wrapped_closure_is_in_the_trace_and_leaves_it_again() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let wrapped = {
            let _outer = info_span!("outer").entered();
            CurrentTrace::capture().wrap(|| drop(info_span!("inner")))
        };
        assert_eq!(current_trace_id(), None);
        wrapped();
        assert_eq!(current_trace_id(), None);
    });
    let outer = span(&seen, "outer").span_context;
    assert_eq!(span(&seen, "inner").parent_span_id, outer.span_id());
}

#[test]
fn related_work_is_a_child_or_a_linked_root() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let _outer = info_span!("outer").entered();
        let _attached = with_tenant(&Context::current()).attach();
        for (relation, name) in [(Relation::Child, "child"), (Relation::Link, "link")] {
            let trace = CurrentTrace::related(relation, || info_span!("work", otel.name = name));
            let work = trace.spawn_thread(|| {
                drop(info_span!("inner"));
                tenant()
            });
            assert_eq!(work.join().expect("it does not panic").as_deref(), Some("7"), "{name}");
        }
    });
    let outer = span(&seen, "outer").span_context;
    assert_eq!(span(&seen, "child").parent_span_id, outer.span_id());
    assert!(span(&seen, "child").links.is_empty());
    let link = span(&seen, "link");
    assert_eq!(link.parent_span_id, SpanId::INVALID);
    assert_ne!(link.span_context.trace_id(), outer.trace_id());
    assert_eq!(link.links.iter().map(|l| &l.span_context).collect::<Vec<_>>(), [&outer]);
}

#[test]
fn a_subscriber_that_is_set_later_is_seen_by_work_that_was_captured_before() {
    let before = CurrentTrace::capture();
    let (stack, seen) = stack(|s| s);
    run(&stack, || before.in_scope(|| drop(info_span!("later"))));
    span(&seen, "later");
}

#[test]
fn a_future_keeps_its_trace_whoever_polls_it() {
    let (stack, seen) = stack(|s| s);
    let future = tracing::dispatcher::with_default(stack.dispatch(), || {
        let _outer = info_span!("outer").entered();
        let _attached = with_tenant(&Context::current()).attach();
        async {
            let first = tenant();
            tokio::task::yield_now().await;
            drop(info_span!("inner"));
            assert_eq!(first, tenant());
            first
        }
        .in_current_trace()
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("no driver");
    assert_eq!(runtime.block_on(future).as_deref(), Some("7"));
    assert_eq!(tenant(), None);
    run(&stack, || ());
    let outer = span(&seen, "outer").span_context;
    assert_eq!(span(&seen, "inner").parent_span_id, outer.span_id());
}

#[cfg(feature = "tokio")]
#[test]
fn spawned_tasks_and_blocking_work_keep_the_trace() {
    use otel_setup::propagation::{spawn, spawn_blocking};

    let (stack, seen) = stack(|s| s);
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("threads");
    run(&stack, || {
        runtime.block_on(async {
            let (task, blocking, related) = {
                let _outer = info_span!("outer").entered();
                let related = CurrentTrace::related(Relation::Child, || info_span!("related"));
                (
                    spawn(async { drop(info_span!("in task")) }),
                    spawn_blocking(|| drop(info_span!("in blocking"))),
                    related.spawn(async { drop(info_span!("in related")) }),
                )
            };
            task.await.expect("it does not panic");
            blocking.await.expect("it does not panic");
            related.await.expect("it does not panic");
        });
    });
    drop(runtime);
    run(&stack, || ());
    let outer = span(&seen, "outer").span_context;
    for name in ["in task", "in blocking", "related"] {
        assert_eq!(span(&seen, name).parent_span_id, outer.span_id(), "{name}");
    }
    let related = span(&seen, "related").span_context;
    assert_eq!(span(&seen, "in related").parent_span_id, related.span_id());
}
