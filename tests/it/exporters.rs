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

/// Takes its time, as a backend does, and keeps the names.
#[derive(Debug, Clone, Default)]
struct Slow(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl SpanExporter for Slow {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        std::thread::park_timeout(Duration::from_millis(50));
        self.0.lock().expect("no panic under it").extend(batch.into_iter().map(|s| s.name.into()));
        Ok(())
    }
}

#[test]
fn a_worker_that_was_never_out_of_work_answered_no_flush() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    let slow = Slow::default();
    let setup = Setup::new("busy").with_env(|_| None).with_exporter(Exporter::custom(slow.clone()));
    let setup = setup.with_log_format(LogFormat::Off).with_diagnostics(Said::default().sink());
    let (stack, is_over) =
        (setup.build().expect("these settings are right"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                if stack.stats().queued() < 4_000 {
                    spans_in(&stack, 1_000);
                }
            }
        });
        while stack.stats().queued() < 2_000 {
            std::thread::yield_now();
        }
        let marker = || tracing::info_span!("marker").in_scope(|| {});
        tracing::dispatcher::with_default(stack.dispatch(), marker);
        let flushed = stack.flush(PATIENCE);
        is_over.store(true, Relaxed);
        flushed.expect("what was queued at the flush is exported");
    });
    assert!(slow.0.lock().expect("no panic under it").iter().any(|name| name == "marker"));
}
