//! With the feature `off`, every `tracing` macro of the program is compiled to nothing.

#![cfg(feature = "off")]

mod support;

use std::time::Duration;

use opentelemetry::trace::{Span as _, Tracer as _};
use otel_setup::Setup;
use support::{memory, spans};

#[test]
fn macros_make_nothing_and_native_spans_go_on() {
    let (exporter, seen) = memory();
    let guard = Setup::new("off")
        .with_exporter(exporter)
        .with_trace_filter("trace")
        .init()
        .expect("setup works all the same");
    let span = tracing::error_span!("compiled out");
    assert!(span.is_disabled());
    span.in_scope(|| tracing::error!("compiled out"));
    opentelemetry::global::tracer("anyone").start("native").end();
    guard.flush(Duration::from_secs(10)).expect("nothing is lost");
    let names: Vec<_> = spans(&seen).into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["native"]);
}
