//! Panics on spans, by the hook: each case in a process of its own, since the hook is global.

mod support;

use std::error::Error;
use std::fmt;
use std::panic::{catch_unwind, panic_any};
use std::time::Duration;

use opentelemetry::trace::{Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{InMemorySpanExporter, Span, SpanData, SpanProcessor};
use otel_setup::{Guard, LogFormat, Setup};
use support::{attribute, child, is_child, memory, run, span};

/// Sets up for the whole process, with the hook.
fn setup(adjust: impl FnOnce(Setup) -> Setup) -> (Guard, InMemorySpanExporter) {
    let (exporter, seen) = memory();
    let setup = Setup::new("panics").with_env(|_| None).with_exporter(exporter);
    let setup = setup.with_log_format(LogFormat::Off).with_panic_events();
    (adjust(setup).init().expect("nobody was before"), seen)
}

fn flush(guard: &Guard) {
    guard.flush(Duration::from_secs(10)).expect("nothing is lost");
}

/// Whether this is the child; if not, runs it.
fn is_own_process(case: &str, backtrace: &str) -> bool {
    is_child(case) || {
        run(child(case).env("RUST_BACKTRACE", backtrace).env_remove("RUST_LIB_BACKTRACE"))
            .assert_success();
        false
    }
}

/// An attribute of the one `exception` event, the only event there is.
#[track_caller]
fn exception(span: &SpanData, key: &str) -> Option<String> {
    let [event] = &span.events.events[..] else { panic!("not one event: {:?}", span.events) };
    assert_eq!(event.name, "exception");
    event.attributes.iter().find(|a| a.key.as_str() == key).map(|a| a.value.to_string())
}

#[test]
fn a_panic_is_on_the_span_that_it_happens_in() {
    if !is_own_process("a_panic_is_on_the_span_that_it_happens_in", "0") {
        return;
    }
    let (guard, seen) = setup(Setup::with_flush_on_panic);
    let _ = catch_unwind(|| panic!("in no span"));
    let line = line!() + 4;
    tracing::info_span!("outside").in_scope(|| {
        let _ = catch_unwind(|| {
            tracing::info_span!("text").in_scope(|| {
                panic!("out of {}", "orders");
            });
        });
        let _ = catch_unwind(|| tracing::info_span!("other").in_scope(|| panic_any(7)));
        let _ = catch_unwind(|| global::tracer("t").in_span("native", |_| panic!("static")));
    });
    flush(&guard);
    let text = span(&seen, "text");
    assert_eq!(exception(&text, "exception.type").as_deref(), Some("panic"));
    assert_eq!(exception(&text, "exception.message").as_deref(), Some("out of orders"));
    assert_eq!(exception(&text, "code.file.path").as_deref(), Some(file!()));
    assert_eq!(exception(&text, "code.line.number"), Some(line.to_string()));
    assert_eq!(exception(&text, "exception.stacktrace"), None);
    assert_eq!(attribute(&text, "error.type").as_deref(), Some("panic"));
    assert_eq!(text.status, Status::error("out of orders"));
    let other = exception(&span(&seen, "other"), "exception.message");
    assert_eq!(other.as_deref(), Some("a value that is not text"));
    let native = exception(&span(&seen, "native"), "exception.message");
    assert_eq!(native.as_deref(), Some("static"));
    let outside = span(&seen, "outside");
    assert_eq!((outside.events.len(), outside.status), (0, Status::Unset));
}

#[test]
fn a_stack_trace_is_there_if_it_is_asked_for() {
    if !is_own_process("a_stack_trace_is_there_if_it_is_asked_for", "1") {
        return;
    }
    let (guard, seen) = setup(|s| s);
    let _ = catch_unwind(|| tracing::info_span!("work").in_scope(|| panic!("on purpose")));
    flush(&guard);
    let trace = exception(&span(&seen, "work"), "exception.stacktrace").expect("it was asked for");
    assert!(trace.contains("panic_events::a_stack_trace_is_there"), "{trace}");
}

#[test]
fn suppressed_telemetry_records_no_panic() {
    if !is_own_process("suppressed_telemetry_records_no_panic", "0") {
        return;
    }
    let (guard, seen) = setup(|s| s);
    tracing::info_span!("work").in_scope(|| {
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        let _ = catch_unwind(|| panic!("on purpose"));
    });
    flush(&guard);
    assert_eq!(span(&seen, "work").events.len(), 0);
}

/// Panics under the lock of the span that ends.
#[derive(Debug)]
struct Panicking;

impl SpanProcessor for Panicking {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {
        panic!("a processor's bug");
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[test]
fn a_processors_panic_is_on_no_span_and_hangs_nobody() {
    if !is_own_process("a_processors_panic_is_on_no_span_and_hangs_nobody", "0") {
        return;
    }
    let (guard, seen) = setup(|s| s.with_span_processor(Panicking));
    tracing::info_span!("outside").in_scope(|| {
        tracing::info_span!("inside").in_scope(|| {});
        let native = Context::current_with_span(global::tracer("t").start("native"));
        let _current = native.clone().attach();
        native.span().end();
    });
    flush(&guard);
    for name in ["outside", "inside", "native"] {
        assert_eq!(span(&seen, name).events.len(), 0, "{name}");
    }
}

#[test]
fn a_panic_under_the_lock_of_the_span_hangs_nobody() {
    #[derive(Debug)]
    struct Bad;
    impl fmt::Display for Bad {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("on purpose")
        }
    }
    impl Error for Bad {}

    if !is_own_process("a_panic_under_the_lock_of_the_span_hangs_nobody", "0") {
        return;
    }
    let (guard, seen) = setup(|s| s);
    tracing::info_span!("work").in_scope(|| {
        let panicked = catch_unwind(|| Context::current().span().record_error(&Bad));
        panicked.expect_err("its message is asked for under the lock");
    });
    tracing::info_span!("next").in_scope(|| {});
    flush(&guard);
    span(&seen, "next");
}

#[cfg(feature = "tower")]
#[test]
fn a_handlers_panic_is_recorded_once() {
    use std::convert::Infallible;

    use tower::{Layer as _, Service as _, service_fn};

    if !is_own_process("a_handlers_panic_is_recorded_once", "0") {
        return;
    }
    let (guard, seen) = setup(|s| s);
    let handler = service_fn(|_: http::Request<String>| -> std::future::Ready<
        Result<http::Response<String>, Infallible>,
    > { panic!("out of orders") });
    let mut service = otel_setup::tower::ServerLayer::new().layer(handler);
    let panicked = catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(service.call(http::Request::new(String::new())));
    }));
    panicked.expect_err("it goes on");
    flush(&guard);
    let message = exception(&span(&seen, "GET"), "exception.message");
    assert_eq!(message.as_deref(), Some("out of orders"));
}

#[cfg(feature = "kafka")]
#[test]
fn the_panic_of_a_messages_handler_is_recorded_once() {
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;

    if !is_own_process("the_panic_of_a_messages_handler_is_recorded_once", "0") {
        return;
    }
    let (guard, seen) = setup(|s| s);
    let topic = "orders".to_owned();
    let message = OwnedMessage::new(None, None, topic, Timestamp::NotAvailable, 0, 17, None);
    let handler = || -> Result<(), String> { panic!("out of orders") };
    let panicked = catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(otel_setup::kafka::ConsumerTracing::new().process_blocking(&message, handler));
    }));
    panicked.expect_err("it goes on");
    flush(&guard);
    let message = exception(&span(&seen, "process orders"), "exception.message");
    assert_eq!(message.as_deref(), Some("out of orders"));
}

#[cfg(feature = "kafka")]
#[test]
fn a_headers_name_that_is_not_utf_8_is_no_panic_of_the_program() {
    use opentelemetry::propagation::TextMapPropagator as _;
    use otel_setup::kafka::HeaderExtractor;
    use otel_setup::propagation::Propagator;
    use rdkafka::message::{Header, Headers};

    /// As rdkafka does with such a name.
    struct Bad;
    impl Headers for Bad {
        fn count(&self) -> usize {
            1
        }

        fn try_get(&self, _: usize) -> Option<Header<'_, &[u8]>> {
            panic!("this name is not UTF-8");
        }
    }

    const CASE: &str = "a_headers_name_that_is_not_utf_8_is_no_panic_of_the_program";
    if !is_child(CASE) {
        let child = run(&mut child(CASE));
        let said = &child.assert_success().stderr;
        assert!(!said.contains("UTF-8") && said.contains("heard"), "{said}");
        return;
    }
    let (guard, seen) = setup(Setup::with_flush_on_panic);
    tracing::info_span!("consumer").in_scope(|| {
        Propagator::trace_context().extract(&HeaderExtractor::new(&Bad));
    });
    tracing::info_span!("after").in_scope(|| drop(catch_unwind(|| panic!("heard"))));
    flush(&guard);
    let consumer = span(&seen, "consumer");
    assert_eq!((consumer.events.len(), consumer.status), (0, Status::Unset));
    assert_eq!(exception(&span(&seen, "after"), "exception.message").as_deref(), Some("heard"));
}
