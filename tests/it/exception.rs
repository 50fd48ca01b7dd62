//! `record_err`: the error of a `Result` on the current span.

use std::error::Error;
use std::fmt;
use std::io;

use opentelemetry::trace::{Span as _, Status, TraceContextExt as _, Tracer as _, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use otel_setup::{RecordErr as _, Sampler};

use crate::support::{attribute, span, spans};
use crate::{run, stack};

#[derive(Debug)]
struct Outer(io::Error);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no configuration")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn outer() -> Outer {
    Outer(io::Error::other("disk full"))
}

/// The attributes of the one `exception` event.
#[track_caller]
fn exception(span: &SpanData) -> Vec<(String, String)> {
    let events: Vec<_> = span.events.iter().filter(|event| event.name == "exception").collect();
    assert_eq!(events.len(), 1, "{:?}", span.events);
    let text = |a: &KeyValue| (a.key.to_string(), a.value.to_string());
    let mut attributes: Vec<_> = events[0].attributes.iter().map(text).collect();
    attributes.sort();
    attributes
}

fn message(text: &str) -> (String, String) {
    ("exception.message".to_owned(), text.to_owned())
}

fn class(name: &str) -> (String, String) {
    ("exception.type".to_owned(), name.to_owned())
}

#[test]
fn an_error_is_on_the_span_with_its_type_and_sources() {
    let (stack, seen) = stack(|s| s);
    let result = run(&stack, || {
        tracing::info_span!("outside").in_scope(|| {
            tracing::info_span!("work").in_scope(|| Err::<(), _>(outer()).record_err())
        })
    });
    assert_eq!(result.expect_err("it is the same").to_string(), "no configuration");
    let work = span(&seen, "work");
    let name = std::any::type_name::<Outer>();
    assert_eq!(exception(&work), [message("no configuration: disk full"), class(name)]);
    assert_eq!(work.status, Status::error("no configuration: disk full"));
    assert_eq!(attribute(&work, "error.type").as_deref(), Some(name));
    let outside = span(&seen, "outside");
    assert_eq!((outside.events.len(), outside.status), (0, Status::Unset));
}

#[test]
fn what_is_ok_leaves_no_trace() {
    let (stack, seen) = stack(|s| s);
    let result =
        run(&stack, || tracing::info_span!("work").in_scope(|| Ok::<_, io::Error>(7).record_err()));
    assert_eq!(result.expect("it is the same"), 7);
    let work = span(&seen, "work");
    assert_eq!((work.events.len(), &work.status), (0, &Status::Unset));
    assert_eq!(attribute(&work, "error.type"), None);
}

#[test]
fn boxed_errors_have_no_type() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        tracing::info_span!("plain").in_scope(|| {
            let _ = Err::<(), Box<dyn Error>>(outer().into()).record_err();
        });
        tracing::info_span!("send").in_scope(|| {
            let _ = Err::<(), Box<dyn Error + Send>>(Box::new(outer())).record_err();
        });
        tracing::info_span!("sync").in_scope(|| {
            let _ = Err::<(), Box<dyn Error + Send + Sync>>(outer().into()).record_err();
        });
    });
    run(&stack, || {
        tracing::info_span!("anyhow").in_scope(|| {
            let error = anyhow::Error::new(io::Error::other("disk full"));
            let _ = Err::<(), _>(error.context("no configuration")).record_err();
        });
    });
    for name in ["plain", "send", "sync", "anyhow"] {
        let span = span(&seen, name);
        assert_eq!(exception(&span), [message("no configuration: disk full")]);
        assert_eq!(attribute(&span, "error.type").as_deref(), Some("_OTHER"));
    }
}

#[test]
fn generic_code_can_record_its_errors() {
    fn fails<E: Error + 'static>(error: E) -> Result<(), E> {
        Err(error).record_err()
    }
    let (stack, seen) = stack(|s| s);
    run(&stack, || tracing::info_span!("work").in_scope(|| fails(fmt::Error))).expect_err("as is");
    assert_eq!(exception(&span(&seen, "work"))[1], class("core::fmt::Error"));
}

#[test]
fn an_error_in_a_native_span_is_on_that() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        tracing::info_span!("outside").in_scope(|| {
            stack.tracer_provider().tracer("native").in_span("native", |_| {
                let _ = Err::<(), _>(fmt::Error).record_err();
            });
        });
    });
    assert_eq!(exception(&span(&seen, "native"))[1], class("core::fmt::Error"));
    assert_eq!(span(&seen, "outside").events.len(), 0);
}

#[test]
fn nothing_happens_where_nothing_is_recorded() {
    /// Cannot be shown, so whoever shows it is found out.
    #[derive(Debug)]
    struct Secret;
    impl fmt::Display for Secret {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            std::process::abort()
        }
    }
    impl Error for Secret {}

    Err::<(), _>(Secret).record_err().expect_err("as is");
    let (stack, seen) = stack(|s| s.with_sampler(Sampler::always_off()));
    run(&stack, || {
        Err::<(), _>(Secret).record_err().expect_err("as is");
        let unsampled = tracing::info_span!("unsampled");
        unsampled.in_scope(|| Err::<(), _>(Secret).record_err()).expect_err("as is");
    });
    assert_eq!(spans(&seen).len(), 0);
}

#[test]
fn suppressed_telemetry_records_no_error() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        tracing::info_span!("work").in_scope(|| {
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            let _ = Err::<(), _>(fmt::Error).record_err();
        });
    });
    assert_eq!(span(&seen, "work").events.len(), 0);
}

#[test]
fn a_display_that_panics_or_fails_ends_in_no_panic() {
    #[derive(Debug)]
    struct Bad(Option<Box<Bad>>);
    impl fmt::Display for Bad {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            assert!(self.0.is_none(), "on purpose");
            Err(fmt::Error)
        }
    }
    impl Error for Bad {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.0.as_deref().map(|bad| bad as _)
        }
    }

    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        tracing::info_span!("work")
            .in_scope(|| Err::<(), _>(Bad(Some(Box::new(Bad(None))))).record_err())
    })
    .expect_err("as is");
    let expected = message("[its Display panicked]: [its Display failed]");
    assert_eq!(exception(&span(&seen, "work"))[0], expected);
}

#[test]
fn a_chain_of_sources_that_has_no_end_is_cut() {
    #[derive(Debug)]
    struct Round;
    impl fmt::Display for Round {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("round")
        }
    }
    impl Error for Round {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }

    let (stack, seen) = stack(|s| s);
    run(&stack, || tracing::info_span!("work").in_scope(|| Err::<(), _>(Round).record_err()))
        .expect_err("as is");
    let said = &exception(&span(&seen, "work"))[0].1;
    assert_eq!(said.matches("round").count(), 64);
}

#[test]
fn a_processor_that_records_an_error_does_not_wait_for_itself() {
    #[derive(Debug)]
    struct Failing;
    impl SpanProcessor for Failing {
        fn on_start(&self, span: &mut Span, _: &Context) {
            span.set_attribute(KeyValue::new("started", true));
        }
        fn on_end(&self, _: SpanData) {
            let _ = Err::<(), _>(fmt::Error).record_err();
        }
        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }
        fn shutdown_with_timeout(&self, _: std::time::Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    let (stack, seen) = stack(|s| s.with_span_processor(Failing));
    run(&stack, || {
        let native = stack.tracer_provider().tracer("native").start("native");
        let context = Context::current_with_span(native);
        let _current = context.clone().attach();
        // the processor runs under the lock of the span that is current
        context.span().end();
    });
    assert_eq!(span(&seen, "native").events.len(), 0);
}
