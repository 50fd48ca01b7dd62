//! When somebody else has set the global subscriber, setup fails and touches nothing.

mod support;

use opentelemetry::trace::{Span as _, Tracer as _};
use otel_setup::{Setup, setup_tracing};

#[test]
fn a_foreign_subscriber_makes_setup_fail_without_a_trace() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry()).expect("we are first");

    for attempt in 0..2 {
        let error = setup_tracing("late").expect_err("the place is taken");
        assert!(error.is_foreign_subscriber(), "attempt {attempt}: {error:?}");
    }
    let error = Setup::new("late").init().expect_err("the place is taken");
    assert_eq!(
        error.to_string(),
        "something else has already set the global tracing subscriber: call setup before it, or \
         remove its init call; if nothing else sets one, the program may hold a second version of \
         otel-setup, which `cargo tree -d` shows"
    );
    let span = opentelemetry::global::tracer("anyone").start("native");
    assert!(!span.span_context().is_valid(), "the provider was set all the same");
    let fields = opentelemetry::global::get_text_map_propagator(|p| p.fields().count());
    assert_eq!(fields, 0, "the propagator was set all the same");
}
