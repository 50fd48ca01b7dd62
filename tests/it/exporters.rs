//! Exporters of the user's own that misbehave.

use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use otel_setup::{Exporter, LogFormat, Setup, Stack};

use crate::support::{Said, spans_in};

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bad {
    ResourcePanics,
    PayloadPanics,
    FlushFails,
    ShutdownFails,
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::panic::panic_any("the payload's own");
        }
    }
}

impl SpanExporter for Bad {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        if *self == Self::PayloadPanics {
            std::panic::panic_any(Bomb);
        }
        Ok(())
    }

    fn set_resource(&mut self, _: &Resource) {
        assert!(*self != Self::ResourcePanics, "no such resource");
    }

    fn force_flush(&self) -> OTelSdkResult {
        if *self == Self::FlushFails {
            Err(OTelSdkError::InternalFailure("disk full".into()))
        } else {
            Ok(())
        }
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        if *self == Self::ShutdownFails {
            return Err(OTelSdkError::InternalFailure("disk gone".into()));
        }
        Ok(())
    }
}

fn with(exporter: Bad) -> Stack {
    let setup = Setup::new("bad").with_env(|_| None).with_exporter(Exporter::custom(exporter));
    let setup = setup.with_log_format(LogFormat::Off).with_diagnostics(Said::default().sink());
    setup.build().expect("these settings are right")
}

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn one_that_panics_over_its_resource_took_the_worker_with_it() {
    let stack = with(Bad::ResourcePanics);
    spans_in(&stack, 100);
    stack.flush(PATIENCE).expect("the spans are exported all the same");
    assert_eq!(stack.stats().exporters[0].exported, 100);
}

#[test]
fn a_panic_that_panics_when_it_is_dropped_took_the_worker_with_it() {
    let stack = with(Bad::PayloadPanics);
    for lost in [10, 20] {
        spans_in(&stack, 10);
        let error = stack.flush(PATIENCE).expect_err("its export panics");
        assert!(error.is_lost(), "{error}");
        assert_eq!(stack.stats().exporters[0].lost(), lost);
    }
}

#[test]
fn a_flush_that_failed_in_the_exporter_was_ok() {
    let stack = with(Bad::FlushFails);
    spans_in(&stack, 1);
    let error = stack.flush(PATIENCE).expect_err("the disk is full");
    assert_eq!(error.to_string(), "flush: Bad: disk full");
    stack.shutdown(PATIENCE).expect("the shutdown does not fail");
}

#[test]
fn a_shutdown_that_failed_in_the_exporter_was_ok() {
    let stack = with(Bad::ShutdownFails);
    spans_in(&stack, 1);
    let error = stack.shutdown(PATIENCE).expect_err("the disk is gone");
    assert_eq!(error.to_string(), "shutdown: Bad: disk gone");
}
