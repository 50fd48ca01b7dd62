//! `OTEL_SDK_DISABLED`: nothing is recorded, and nothing breaks.

use std::collections::HashMap;
use std::ffi::OsString;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use otel_setup::{LogFormat, Setup};

use crate::run;
use crate::support::{memory, spans};

#[test]
fn a_disabled_sdk_records_nothing_and_still_propagates() {
    let (exporter, seen) = memory();
    let stack = Setup::new("it")
        .with_env(|name| (name == "OTEL_SDK_DISABLED").then(|| OsString::from("true")))
        .with_exporter(exporter)
        .with_log_format(LogFormat::Off)
        .build()
        .expect("these settings are right");
    run(&stack, || {
        let span = tracing::info_span!("nobody listens");
        assert!(span.is_disabled());
        let traceparent = "00-0000000000000000000000000000004d-0000000000000007-01".to_owned();
        let incoming = HashMap::from([("traceparent".to_owned(), traceparent.clone())]);
        let context = stack.propagator().extract(&incoming);
        assert!(context.span().span_context().is_remote());
        let mut outgoing = HashMap::new();
        stack.propagator().inject_context(&context, &mut outgoing);
        assert_eq!(outgoing.get("traceparent"), Some(&traceparent));
    });
    assert_eq!(stack.stats().started, 0);
    assert!(spans(&seen).is_empty());
}
