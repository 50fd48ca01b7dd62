//! What becomes of the last spans at each way a process can end.

mod support;

use std::panic::catch_unwind;
use std::time::Duration;

use otel_setup::{Setup, setup_tracing};
use support::{child, is_child, run};

#[test]
fn process_exit_loses_what_is_queued() {
    if is_child("process_exit_loses_what_is_queued") {
        let _guard = setup_tracing("exits").expect("nobody was before");
        tracing::info_span!("queued at exit").in_scope(|| {});
        std::process::exit(3);
    }
    // a delay that will not pass by itself before the exit
    let out =
        run(child("process_exit_loses_what_is_queued").env("OTEL_BSP_SCHEDULE_DELAY", "600000"));
    assert_eq!(out.code, Some(3), "{}", out.stderr);
    assert_eq!(out.spans("queued at exit"), 0);
}

#[test]
fn shutdown_before_process_exit_loses_nothing() {
    if is_child("shutdown_before_process_exit_loses_nothing") {
        let guard = setup_tracing("exits").expect("nobody was before");
        tracing::info_span!("shut down").in_scope(|| {});
        guard.shutdown(Duration::from_secs(10)).expect("nothing is lost");
        std::process::exit(3);
    }
    let out = run(&mut child("shutdown_before_process_exit_loses_nothing"));
    assert_eq!((out.code, out.spans("shut down")), (Some(3), 1), "{}", out.stderr);
}

#[test]
fn an_abort_that_nobody_listens_to_loses_what_is_queued() {
    if is_child("an_abort_that_nobody_listens_to_loses_what_is_queued") {
        let _guard = setup_tracing("exits").expect("nobody was before");
        tracing::info_span!("queued at the abort").in_scope(|| {});
        std::process::abort();
    }
    let out = run(child("an_abort_that_nobody_listens_to_loses_what_is_queued")
        .env("OTEL_BSP_SCHEDULE_DELAY", "600000"));
    assert!(!out.success);
    assert_eq!(out.spans("queued at the abort"), 0);
}

#[test]
fn the_panic_hook_flushes_before_an_abort() {
    if is_child("the_panic_hook_flushes_before_an_abort") {
        let guard = Setup::new("exits").with_flush_on_panic().init().expect("nobody was before");
        std::mem::forget(guard);
        tracing::info_span!("before the abort").in_scope(|| {});
        // what `panic = "abort"` does once the hook has returned; nothing is dropped
        let _ = catch_unwind(|| panic!("on purpose"));
        std::process::abort();
    }
    let out = run(&mut child("the_panic_hook_flushes_before_an_abort"));
    assert!(!out.success);
    assert!(
        out.stderr.contains("on purpose"),
        "the hook that was there goes first: {}",
        out.stderr
    );
    assert_eq!(out.spans("before the abort"), 1, "{}", out.stdout);
}

#[cfg(all(feature = "signals", unix))]
#[test]
fn sigterm_flushes_and_then_ends_the_process() {
    signal("sigterm_flushes_and_then_ends_the_process", rustix::process::Signal::TERM);
}

#[cfg(all(feature = "signals", unix))]
#[test]
fn sigint_flushes_and_then_ends_the_process() {
    signal("sigint_flushes_and_then_ends_the_process", rustix::process::Signal::INT);
}

#[cfg(all(feature = "signals", unix))]
fn signal(test: &str, signal: rustix::process::Signal) {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Stdio;

    if is_child(test) {
        let guard = Setup::new("exits").with_flush_on_signals().init().expect("nobody was before");
        std::mem::forget(guard);
        tracing::info_span!("before the signal").in_scope(|| {});
        println!("\nready");
        loop {
            std::thread::park();
        }
    }
    let mut child = child(test)
        .env("OTEL_BSP_SCHEDULE_DELAY", "600000")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary can be run");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    while line.trim() != "ready" {
        line.clear();
        assert_ne!(stdout.read_line(&mut line).expect("it is text"), 0, "the child ended early");
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, signal).expect("it is our child");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("it is text");
    assert_eq!(child.wait().expect("it ends").signal(), Some(signal.as_raw()));
    assert_eq!(rest.matches("\tName         : before the signal\n").count(), 1, "{rest}");
}
