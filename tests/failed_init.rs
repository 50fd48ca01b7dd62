//! A setup that fails, or panics, touches no global and can be tried again.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, Tracer as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use otel_setup::{Setup, setup_tracing};
use support::{memory, spans};

#[test]
fn a_failed_init_touches_no_global_and_can_be_retried() {
    let error = Setup::new("retried").with_log_filter("a=b=c").init().expect_err("no such filter");
    assert!(error.is_config());
    assert!(error.to_string().contains("log filter \"a=b=c\""), "{error}");
    assert_untouched();

    let error = setup_tracing("  ").expect_err("an empty name");
    assert!(error.is_config(), "{error}");
    assert_untouched();

    let panicked = catch_unwind(AssertUnwindSafe(|| {
        Setup::new("retried").with_span_processor(OnResource(|| panic!("a processor's bug"))).init()
    }));
    assert!(panicked.is_err());
    assert_untouched();

    let reentrant = || {
        let error = setup_tracing("inner").expect_err("setup is running");
        assert!(error.is_reentrant(), "{error}");
        assert!(error.to_string().contains("tests/failed_init.rs"), "{error}");
    };
    let (exporter, seen) = memory();
    let guard = Setup::new("retried")
        .with_exporter(exporter)
        .with_span_processor(OnResource(reentrant))
        .init()
        .expect("the earlier failures left nothing behind");
    tracing::info_span!("works").in_scope(|| {});
    opentelemetry::global::tracer("anyone").start("native").end();
    guard.flush(Duration::from_secs(10)).expect("nothing is lost");
    assert_eq!(spans(&seen).len(), 2);
}

#[track_caller]
fn assert_untouched() {
    assert!(!tracing::dispatcher::has_been_set(), "the subscriber was set");
    let span = opentelemetry::global::tracer("anyone").start("native");
    assert!(!span.span_context().is_valid(), "the provider was set");
    let fields = opentelemetry::global::get_text_map_propagator(|p| p.fields().count());
    assert_eq!(fields, 0, "the propagator was set");
}

/// Runs a function when the provider that it is built into hands it the resource.
struct OnResource<F>(F);

impl<F> std::fmt::Debug for OnResource<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnResource")
    }
}

impl<F: Fn() + Send + Sync> SpanProcessor for OnResource<F> {
    fn on_start(&self, _: &mut Span, _: &Context) {}
    fn on_end(&self, _: SpanData) {}
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
    fn set_resource(&mut self, _: &Resource) {
        self.0();
    }
}
