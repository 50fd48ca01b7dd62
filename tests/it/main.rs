//! Everything that needs no process of its own: each test builds a stack and uses it in a scope.

#[path = "../support/mod.rs"]
mod support;

mod batch;
mod documented;
mod exception;
mod explain;
mod exporters;
mod extension;
mod filters;
#[cfg(feature = "tonic")]
mod grpc;
#[cfg(all(feature = "testing", feature = "tower"))]
mod http_client;
#[cfg(feature = "axum")]
mod http_endings;
#[cfg(all(feature = "axum", feature = "tonic"))]
mod http_nested;
#[cfg(all(feature = "axum", feature = "reqwest", feature = "testing"))]
mod http_reqwest;
#[cfg(feature = "axum")]
mod http_server;
mod input;
#[cfg(all(feature = "kafka", feature = "testing"))]
mod kafka;
mod layer;
mod nesting;
mod other_suites;
mod processors;
mod propagation;
mod robust;
mod samplers;
mod sdk_disabled;
mod suppression;
#[cfg(feature = "testing")]
mod testing;
#[cfg(feature = "tree")]
mod tree;
mod unsampled;
mod variables;

use std::time::Duration;

use opentelemetry_sdk::trace::InMemorySpanExporter;
use otel_setup::{LogFormat, Setup, Stack};

/// A silent stack whose spans the test sees, under an environment that is empty.
fn stack(adjust: impl FnOnce(Setup) -> Setup) -> (Stack, InMemorySpanExporter) {
    let (exporter, seen) = support::memory();
    let setup =
        Setup::new("it").with_env(|_| None).with_exporter(exporter).with_log_format(LogFormat::Off);
    (adjust(setup).build().expect("these settings are right"), seen)
}

/// Runs `f` under the stack, and flushes what it made.
#[track_caller]
fn run<R>(stack: &Stack, f: impl FnOnce() -> R) -> R {
    let result = tracing::dispatcher::with_default(stack.dispatch(), f);
    stack.flush(Duration::from_secs(10)).expect("nothing is lost");
    result
}
