//! The guard, wherever it may be dropped. One process, so one installed stack for all of it.

mod support;

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::trace::InMemorySpanExporter;
use otel_setup::{Guard, LogFormat, Setup, setup_tracing};
use support::{memory, spans};

/// The one setup of this process; every test gets a guard on it.
fn setup() -> (Guard, &'static InMemorySpanExporter) {
    static SEEN: OnceLock<InMemorySpanExporter> = OnceLock::new();
    let seen = SEEN.get_or_init(|| {
        let (exporter, seen) = memory();
        let guard = Setup::new("guarded")
            .with_exporter(exporter)
            .with_log_format(LogFormat::Off)
            .init()
            .expect("nobody was before");
        // leaked on purpose: a leaked guard flushes nothing and breaks nothing
        std::mem::forget(guard);
        seen
    });
    (setup_tracing("guarded").expect("it is installed"), seen)
}

#[track_caller]
fn assert_seen(seen: &InMemorySpanExporter, name: &str) {
    assert!(spans(seen).iter().any(|span| span.name == name), "{name:?} was not exported");
}

#[test]
fn dropping_it_flushes_and_later_guards_go_on() {
    let (guard, seen) = setup();
    tracing::info_span!("before the first drop").in_scope(|| {});
    drop(guard);
    assert_seen(seen, "before the first drop");

    let (guard, _) = setup();
    tracing::info_span!("after the first drop").in_scope(|| {});
    drop(guard);
    assert_seen(seen, "after the first drop");
}

#[test]
fn dropping_it_in_a_current_thread_runtime_flushes() {
    let (guard, seen) = setup();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async move {
        tracing::info_span!("in current_thread").in_scope(|| {});
        drop(guard);
        assert_seen(seen, "in current_thread");
    });
}

#[test]
fn dropping_it_in_a_multi_thread_runtime_flushes() {
    let (guard, seen) = setup();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
    runtime.block_on(async move {
        tokio::spawn(async move {
            tracing::info_span!("in multi_thread").in_scope(|| {});
            drop(guard);
        })
        .await
        .expect("it does not panic");
        assert_seen(seen, "in multi_thread");
    });
}

#[test]
fn dropping_it_while_unwinding_flushes() {
    let (guard, seen) = setup();
    let unwound = thread::spawn(move || {
        let _guard = guard;
        let _span = tracing::info_span!("unwound").entered();
        tracing::info_span!("within what unwinds").in_scope(|| {});
        panic!("unwinding on purpose");
    });
    assert!(unwound.join().is_err());
    assert_seen(seen, "within what unwinds");
}

#[test]
fn it_can_be_sent_to_another_thread() {
    let (guard, seen) = setup();
    tracing::info_span!("before it is sent").in_scope(|| {});
    thread::spawn(move || drop(guard)).join().expect("dropping does not panic");
    assert_seen(seen, "before it is sent");
}

#[test]
fn setup_from_a_thread_that_is_panicking_works() {
    struct SetsUp;
    impl Drop for SetsUp {
        fn drop(&mut self) {
            assert!(thread::panicking());
            let (guard, _) = setup();
            tracing::info_span!("set up while panicking").in_scope(|| {});
            drop(guard);
        }
    }
    let (_, seen) = setup();
    let unwound = thread::spawn(|| {
        let _sets_up = SetsUp;
        panic!("unwinding on purpose");
    });
    assert!(unwound.join().is_err());
    assert_seen(seen, "set up while panicking");
}

#[test]
fn an_idle_flush_returns_at_once() {
    let (guard, _) = setup();
    guard.flush(Duration::from_secs(10)).expect("nothing is lost");
    let started = Instant::now();
    for _ in 0..100 {
        drop(setup());
    }
    // each of them would wait for the worker otherwise; other tests' spans may take some time
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn filters_change_through_it() {
    let (guard, _) = setup();
    let error = guard.set_log_filter("x=y=z").expect_err("it does not parse");
    assert!(error.is_config());
    guard.set_log_filter("warn").expect("it parses");
    assert_eq!(guard.log_filter(), "warn");
}

#[test]
fn the_current_context_is_the_entered_span() {
    let (_guard, _) = setup();
    let span = tracing::info_span!("entered").entered();
    let inside = Context::current().span().span_context().clone();
    assert!(inside.is_valid() && inside.is_sampled());
    drop(span);
    assert!(!Context::current().span().span_context().is_valid());
}
