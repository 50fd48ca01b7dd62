//! A collector that is dead while the application works at full load: memory stays bounded, and the
//! threads that make spans never wait. For as long as `OTEL_SETUP_DEAD_SECONDS` says, 1 s otherwise.
//!
//! Each case is a process of its own, since memory is a process's. What it uses, and whether a
//! thread has waited, is the kernel's count.

#![cfg(all(feature = "otlp-http", target_os = "linux"))]

#[path = "support/faults.rs"]
mod faults;
#[path = "support/port.rs"]
mod port;
mod support;

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use faults::balanced;
use otel_setup::{Exporter, LogFormat, Setup};
use support::{child, is_child, run};

/// How a collector is dead, and bytes of the one attribute of each span.
const CASES: [(&str, &str, usize); 5] = [
    ("refuses, small spans", "refuses", 10),
    ("refuses, large spans", "refuses", 4_096),
    ("refuses, huge spans", "refuses", 60_000),
    ("hangs, small spans", "hangs", 10),
    ("hangs, large spans", "hangs", 4_096),
];

#[test]
fn memory_is_bounded_and_nobody_waits_for_a_dead_collector() {
    const THIS: &str = "memory_is_bounded_and_nobody_waits_for_a_dead_collector";
    for (case, how, bytes) in CASES {
        if is_child(case) {
            return full_load(case, how, bytes);
        }
    }
    if CASES.iter().all(|(case, ..)| !is_child(case)) {
        for (case, ..) in CASES {
            let seconds = duration().as_secs().to_string();
            let child =
                run(child(THIS).env(support::CHILD, case).env("OTEL_SETUP_DEAD_SECONDS", seconds));
            child.assert_success();
            let said = child.stdout.find(&format!("{case}: ")).map(|at| &child.stdout[at..]);
            let said = said.and_then(|said| said.lines().next());
            println!("{}", said.unwrap_or_else(|| panic!("{case} did not run")));
        }
    }
}

fn full_load(case: &str, how: &str, bytes: usize) {
    // it takes connections, and nobody ever looks at them
    let hanging = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let port = match how {
        "hangs" => hanging.local_addr().expect("it is bound").port(),
        _ => port::reserved_port(),
    };
    let stack = Setup::new("dead")
        .with_exporter(Exporter::otlp().with_endpoint(format!("http://127.0.0.1:{port}")))
        .with_log_format(LogFormat::Off)
        .with_env(|_| None)
        // at the end nobody will have taken anything
        .with_flush_timeout(Duration::from_millis(100))
        .with_diagnostics(|_, _| {})
        .build()
        .expect("the settings are right");
    let payload = "x".repeat(bytes);
    let (before, is_over) = (resident(), AtomicBool::new(false));
    let producer = || {
        let waited_before = waits();
        tracing::dispatcher::with_default(stack.dispatch(), || {
            while !is_over.load(Relaxed) {
                for _ in 0..100 {
                    tracing::info_span!("work", payload).in_scope(|| {});
                }
            }
        });
        waits() - waited_before
    };
    let (waited, peak) = thread::scope(|scope| {
        let producers = [scope.spawn(producer), scope.spawn(producer)];
        let (until, mut peak) = (Instant::now() + duration(), 0);
        while Instant::now() < until {
            thread::park_timeout(Duration::from_millis(10));
            peak = peak.max(resident());
            balanced(stack.stats());
        }
        is_over.store(true, Relaxed);
        (producers.map(|producer| producer.join().expect("no panic")).iter().sum::<u64>(), peak)
    });
    let stats = balanced(stack.stats());
    let grown = peak.saturating_sub(before) >> 20;
    println!("{case}: {} spans, {grown} MiB at most, {waited} waits", stats.started);
    let dropped = stats.exporters[0].dropped.total();
    assert!(dropped > 0 && stats.exporters[0].exported == 0, "it was no full load: {stats}");
    assert!(grown <= BYTE_BOUND_MIB + 32, "{grown} MiB: {stats}");
    // the worker takes over what the threads hold, once a second, and may be in the way for a moment
    assert!(waited * 10_000 <= stats.started, "{waited} waits: {stats}");
}

fn duration() -> Duration {
    let seconds = std::env::var("OTEL_SETUP_DEAD_SECONDS").unwrap_or_else(|_| "1".to_owned());
    Duration::from_secs(seconds.parse().expect("OTEL_SETUP_DEAD_SECONDS is a number"))
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    field("/proc/self/status", "VmRSS:") << 10
}

/// How often this thread has given its processor away of its own accord: for a lock, a call or a sleep.
fn waits() -> u64 {
    field("/proc/thread-self/status", "voluntary_ctxt_switches:")
}

fn field(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).expect("Linux has it");
    let value = text.lines().find_map(|line| line.strip_prefix(name)).expect("it is in there");
    value.split_whitespace().next().and_then(|n| n.parse().ok()).expect("it is a number")
}

/// The default of the queue.
const BYTE_BOUND_MIB: u64 = 32;
