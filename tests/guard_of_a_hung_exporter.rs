//! Dropping the guard waits for a hung exporter no longer than it may.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use otel_setup::{Exporter, LogFormat, Setup};

/// Takes a batch and keeps it until the test lets go.
#[derive(Debug)]
struct Hung(Mutex<mpsc::Receiver<()>>);

impl SpanExporter for Hung {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        // an error: the test has let go
        let _ = self.0.lock().expect("no panic").recv();
        Ok(())
    }
}

#[test]
fn the_drop_of_a_guard_waits_as_long_as_it_was_told() {
    let (release, held) = mpsc::channel();
    let said = Arc::new(Mutex::new(Vec::new()));
    let lines = said.clone();
    let guard = Setup::new("hung")
        .with_env(|_| None)
        .with_exporter(Exporter::custom(Hung(Mutex::new(held))))
        .with_log_format(LogFormat::Off)
        .with_flush_timeout(Duration::from_millis(300))
        .with_diagnostics(move |_, line| lines.lock().expect("no panic").push(line.to_owned()))
        .init()
        .expect("nobody was before");
    tracing::info_span!("work").in_scope(|| {});
    let started = Instant::now();
    drop(guard);
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(300), "it did not wait: {took:?}");
    // the default is five seconds, the exporter's own end never
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(said.lock().expect("no panic").len(), 1, "a flush that failed is said");
    drop(release);
}
