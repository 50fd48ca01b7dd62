//! After shutdown: flushes say so or succeed, spans keep valid contexts, and all is counted.

mod support;

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer as _};
use otel_setup::{LogFormat, Setup, setup_tracing};
use support::{memory, spans};

#[test]
fn spans_after_shutdown_go_on_propagating_and_are_counted() {
    let (exporter, seen) = memory();
    let guard = Setup::new("ended")
        .with_exporter(exporter)
        .with_log_format(LogFormat::Off)
        .init()
        .expect("nobody was before");
    let open = tracing::info_span!("open at shutdown");
    tracing::info_span!("before").in_scope(|| {});
    guard.shutdown(Duration::from_secs(10)).expect("nothing is lost");
    guard.shutdown(Duration::from_secs(10)).expect("a second one does nothing");

    let after = tracing::info_span!("after").entered();
    let context = Context::current();
    assert!(context.span().span_context().is_valid());
    let mut carrier = std::collections::HashMap::new();
    opentelemetry::global::get_text_map_propagator(|p| p.inject_context(&context, &mut carrier));
    let ids = context.span().span_context().clone();
    assert_eq!(carrier["traceparent"], format!("00-{}-{}-03", ids.trace_id(), ids.span_id()));
    drop(after);
    drop(open);
    let native = opentelemetry::global::tracer("anyone").start("native after");
    assert!(native.span_context().is_valid());
    drop(native);

    let stats = guard.stats();
    assert_eq!(stats.started, 4, "{stats}");
    let names: Vec<_> = spans(&seen).into_iter().map(|span| span.name).collect();
    assert!(names == ["before"] || names.is_empty(), "{names:?}");

    let error = guard.flush(Duration::from_secs(10)).expect_err("three spans were lost");
    assert!(error.is_lost(), "{error}");
    let again = setup_tracing("ended").expect("the setup stands");
    drop(again);
}
