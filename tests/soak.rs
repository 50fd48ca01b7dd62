//! A collector that fails seven of ten calls, for as long as `OTEL_SETUP_SOAK_SECONDS` says.

#![cfg(feature = "otlp-http")]

#[path = "support/collector.rs"]
mod collector;
#[path = "support/faults.rs"]
mod faults;
mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use collector::{Answer, Collector, Reply};
use faults::{PATIENCE, balanced};
use otel_setup::{DropReason, Exporter, LogFormat, Setup};
use support::{Said, spans_in, with_variables};

/// Seven failures, of every kind that leaves no doubt of what arrived, for three successes.
fn answers(seed: u64) -> impl Iterator<Item = Answer> {
    let mut random = seed;
    (0..200_000).map(move |_| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match (random >> 33) % 10 {
            0..=2 => Reply::new(200).into(),
            3 | 4 => Reply::new(503).into(),
            5 => Reply::new(429).header("retry-after", "0").into(),
            6 => Reply::new(400).into(),
            7 => Reply::new(413).into(),
            8 => Reply::new(500).cut(3).into(),
            _ => Answer::Close,
        }
    })
}

#[test]
fn the_books_balance_when_most_calls_fail() {
    let seconds = std::env::var("OTEL_SETUP_SOAK_SECONDS").unwrap_or_else(|_| "3".to_owned());
    let seconds = seconds.parse().expect("OTEL_SETUP_SOAK_SECONDS is a number");
    let collector = Collector::start(answers(1));
    let variables = [("OTEL_BSP_SCHEDULE_DELAY", "10"), ("OTEL_BSP_EXPORT_TIMEOUT", "600")];
    let stack = Setup::new("soak")
        .with_exporter(Exporter::otlp().with_endpoint(collector.url()))
        .with_log_format(LogFormat::Off)
        .with_env(with_variables(&variables))
        .with_diagnostics(Said::default().sink())
        .build()
        .expect("the settings are right");
    let (is_over, made) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    spans_in(&stack, 100);
                    made.fetch_add(100, Ordering::Relaxed);
                    thread::park_timeout(Duration::from_millis(10));
                }
            });
        }
        let until = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < until {
            // a flush cuts the pauses short, so there are more calls
            let _ = stack.flush(Duration::from_millis(50));
            balanced(stack.stats());
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let _ = stack.flush(PATIENCE);
    collector.recover();
    spans_in(&stack, 1);
    stack.flush(PATIENCE).expect("the collector is well");

    let stats = balanced(stack.stats());
    let exporter = &stats.exporters[0];
    let calls = collector.seen().len();
    println!("{calls} calls; {stats}");
    assert_eq!(stats.started, made.load(Ordering::Relaxed) + 1, "{stats}");
    assert_eq!((stats.live, exporter.in_flight), (0, 0), "{stats}");
    // an answer can come when the time for its batch is up: then it arrived, and counts as dropped
    let accepted = collector.accepted() as u64;
    let late = accepted.checked_sub(exporter.exported).expect("what is exported has arrived");
    assert!(late <= exporter.dropped.by(DropReason::RetryExhausted), "{accepted} came; {stats}");
    assert!(exporter.exported > 1 && exporter.lost() > 0 && calls > 10, "{calls} calls; {stats}");
}
