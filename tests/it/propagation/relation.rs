use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::SpanId;
use otel_setup::propagation::{Relation, current_span_context, current_trace_id};

use super::{remote, remote_context};
use crate::support::span;
use crate::{run, stack};

#[test]
fn a_child_continues_the_trace() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let made = Relation::Child.span(&remote_context(), || tracing::info_span!("work"));
        made.in_scope(|| assert_eq!(current_trace_id(), Some(remote().trace_id())));
    });
    let work = span(&seen, "work");
    assert_eq!(work.parent_span_id, remote().span_id());
    assert!(work.links.is_empty());
}

#[test]
fn a_link_is_the_root_of_a_trace_of_its_own_and_keeps_the_baggage() {
    let (stack, seen) = stack(|s| s);
    let cause = remote_context().with_baggage([opentelemetry::KeyValue::new("tenant", "7")]);
    run(&stack, || {
        let made = Relation::Link.span(&cause, || tracing::info_span!("work"));
        made.in_scope(|| {
            let tenant = Context::current().baggage().get("tenant").map(ToString::to_string);
            assert_eq!(tenant.as_deref(), Some("7"));
        });
    });
    let work = span(&seen, "work");
    assert_ne!(work.span_context.trace_id(), remote().trace_id());
    assert_eq!(work.parent_span_id, SpanId::INVALID);
    let links: Vec<_> = work.links.iter().map(|link| link.span_context.clone()).collect();
    assert_eq!(links, [remote()]);
}

const BOTH: [(Relation, &str); 2] = [(Relation::Child, "child"), (Relation::Link, "link")];

#[test]
fn without_a_cause_the_span_is_a_root_and_links_to_nothing() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        for (relation, name) in BOTH {
            drop(relation.span(&Context::new(), || tracing::info_span!("work", otel.name = name)));
        }
    });
    for (_, name) in BOTH {
        assert_eq!(span(&seen, name).parent_span_id, SpanId::INVALID);
        assert!(span(&seen, name).links.is_empty());
    }
}

#[test]
fn what_has_no_cause_is_a_child_of_the_span_that_it_happens_in() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let _outer = tracing::info_span!("outer").entered();
        for (relation, name) in BOTH {
            drop(relation.span(&Context::new(), || tracing::info_span!("work", otel.name = name)));
        }
    });
    let outer = span(&seen, "outer").span_context;
    for (_, name) in BOTH {
        assert_eq!(span(&seen, name).parent_span_id, outer.span_id());
        assert!(span(&seen, name).links.is_empty());
    }
}

#[test]
fn the_cause_and_the_span_that_it_happens_in_are_parent_and_link() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let _outer = tracing::info_span!("outer").entered();
        for (relation, name) in BOTH {
            let make = || tracing::info_span!("work", otel.name = name);
            drop(relation.span(&remote_context(), make));
        }
    });
    let outer = span(&seen, "outer").span_context;
    for (name, parent, link) in [("child", remote(), &outer), ("link", outer.clone(), &remote())] {
        let work = span(&seen, name);
        assert_eq!(work.span_context.trace_id(), parent.trace_id());
        assert_eq!(work.parent_span_id, parent.span_id());
        let links: Vec<_> = work.links.iter().map(|link| link.span_context.span_id()).collect();
        assert_eq!(links, [link.span_id()]);
    }
}

#[test]
fn the_baggage_is_that_of_the_cause_or_of_where_it_happens_if_there_is_no_cause() {
    let tenant = |n: &'static str| [opentelemetry::KeyValue::new("tenant", n)];
    let here = Context::new().with_baggage(tenant("here"));
    let (stack, _) = stack(|s| s);
    run(&stack, || {
        let _here = here.attach();
        let _outer = tracing::info_span!("outer").entered();
        for (relation, _) in BOTH {
            let tenant_of = |cause: Context| {
                relation.parent(&cause).baggage().get("tenant").map(ToString::to_string)
            };
            let there = || tenant("there");
            let of_both = tenant_of(remote_context().with_baggage(there()));
            assert_eq!(of_both.as_deref(), Some("there"));
            assert_eq!(tenant_of(Context::new().with_baggage(there())).as_deref(), Some("there"));
            assert_eq!(tenant_of(remote_context()), None);
            assert_eq!(tenant_of(Context::new()).as_deref(), Some("here"));
        }
    });
}

#[test]
fn where_telemetry_is_suppressed_it_stays_so_for_what_is_caused_from_elsewhere() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        for relation in [Relation::Child, Relation::Link] {
            for cause in [remote_context(), Context::new()] {
                drop(relation.span(&cause, || tracing::info_span!("work")));
            }
        }
    });
    assert!(crate::support::spans(&seen).is_empty());
}

#[test]
fn outside_of_every_span_there_is_no_trace_id() {
    assert_eq!(current_trace_id(), None);
    assert_eq!(current_span_context(), None);
    let (stack, seen) = stack(|s| s);
    let inside = run(&stack, || tracing::info_span!("work").in_scope(current_span_context));
    assert_eq!(inside, Some(span(&seen, "work").span_context));
}
