//! Fields, details, a status and errors: what values become.

use opentelemetry::trace::Status;
use opentelemetry::{KeyValue, Value};
use otel_setup::SpanDetail;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::support::{attribute, span, spans};
use crate::{run, stack};

#[test]
fn a_number_without_a_sign_is_a_number() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        tracing::info_span!("sizes", small = 7_u64, large = u64::MAX).in_scope(|| {
            tracing::info!(size = 8_u64, "event");
        });
    });
    let span = span(&seen, "sizes");
    let value = |attributes: &[KeyValue], key: &str| {
        attributes.iter().find(|a| a.key.as_str() == key).map(|a| a.value.clone())
    };
    assert_eq!(value(&span.attributes, "small"), Some(Value::I64(7)));
    assert_eq!(value(&span.attributes, "large"), Some("18446744073709551615".into()));
    assert_eq!(value(&span.events[0].attributes, "size"), Some(Value::I64(8)));
}

#[test]
fn a_name_and_a_status_recorded_late_count() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let span = tracing::info_span!(
            "GET",
            otel.name = tracing::field::Empty,
            otel.status_code = tracing::field::Empty
        );
        span.in_scope(|| {
            span.record("otel.name", "GET /orders/{id}");
            span.record("otel.status_code", "ok");
        });
    });
    assert_eq!(span(&seen, "GET /orders/{id}").status, Status::Ok);
}

#[test]
fn an_ok_set_before_the_start_is_final() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let span = tracing::info_span!("fine");
        span.set_status(Status::Ok);
        span.in_scope(|| tracing::error!(error = %"ignored"));
    });
    assert_eq!(span(&seen, "fine").status, Status::Ok);
}

#[test]
fn a_debug_that_panics_costs_its_value_alone() {
    struct Bomb;
    impl std::fmt::Debug for Bomb {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("a bug in somebody's Debug")
        }
    }
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        tracing::info_span!("bombed", bomb = ?Bomb, n = 1).in_scope(|| {
            tracing::info!(bomb = ?Bomb, "event");
        });
        tracing::info_span!("next").in_scope(|| tracing::info!("event"));
    });
    let bombed = span(&seen, "bombed");
    assert_eq!(attribute(&bombed, "bomb").as_deref(), Some("[its Debug panicked]"));
    assert_eq!(attribute(&bombed, "n").as_deref(), Some("1"));
    assert_eq!(bombed.events.len(), 1);
    assert_eq!(span(&seen, "next").events.len(), 1);
}

#[test]
fn a_debug_that_makes_a_span_neither_hangs_nor_mixes_up() {
    struct Chatty;
    impl std::fmt::Debug for Chatty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            tracing::info_span!("inside").in_scope(|| tracing::info!("inside"));
            f.write_str("chatty")
        }
    }
    let (stack, seen) = stack(|s| s);
    run(&stack, || tracing::info_span!("outside", value = ?Chatty).in_scope(|| {}));
    assert_eq!(attribute(&span(&seen, "outside"), "value").as_deref(), Some("chatty"));
    // `tracing` itself has no subscriber for what a subscriber's callbacks do
    assert_eq!(spans(&seen).len(), 1);
}

#[test]
fn details_are_there_when_they_are_asked_for() {
    let all = SpanDetail::default()
        .with_level(true)
        .with_location(true)
        .with_target(true)
        .with_threads(true)
        .with_timings(true);
    let keys = |detail: SpanDetail| {
        let (stack, seen) = stack(|s| s.with_span_detail(detail));
        run(&stack, || tracing::info_span!("detailed", own = 1).in_scope(|| {}));
        let mut keys: Vec<_> =
            span(&seen, "detailed").attributes.iter().map(|a| a.key.to_string()).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(SpanDetail::default()), ["own"]);
    assert_eq!(
        keys(all),
        [
            "busy_ns",
            "code.file.path",
            "code.line.number",
            "code.module.name",
            "idle_ns",
            "level",
            "own",
            "target",
            "thread.id",
            "thread.name"
        ]
    );
}

#[test]
fn an_error_is_an_exception_with_its_sources() {
    #[derive(Debug)]
    struct Outer(std::io::Error);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("outer")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        tracing::info_span!("failing").in_scope(|| {
            let error = Outer(std::io::Error::other("inner"));
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::error!(error, "it failed");
        });
    });
    let failing = span(&seen, "failing");
    assert!(matches!(failing.status, Status::Error { .. }));
    assert_eq!(attribute(&failing, "exception.message").as_deref(), Some("outer"));
    assert_eq!(attribute(&failing, "exception.stacktrace").as_deref(), Some("[\"inner\"]"));
    assert_eq!(failing.events[0].name, "it failed");
}
