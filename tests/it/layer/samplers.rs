//! Samplers that trace, and what they are asked.

use otel_setup::Sampler;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::Named;
use crate::support::{span, spans};
use crate::{run, stack};

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
