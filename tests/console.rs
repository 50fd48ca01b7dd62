//! The console exporter: each span once, whole, and a closed pipe is no panic.

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::Duration;

use otel_setup::setup_tracing;
use support::{child, is_child, run};

#[test]
fn every_span_is_printed_once_and_whole() {
    if is_child("every_span_is_printed_once_and_whole") {
        let _guard = setup_tracing("console-test").expect("nobody was before");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for n in 0..50 {
                        let _span = tracing::info_span!("worked", thread, n).entered();
                        // other output of the program, which must not land inside a span
                        println!("between {thread} {n}");
                        tracing::info!("a log line");
                    }
                });
            }
        });
        tracing::info_span!("evil\u{1b}[31m name", otel.name = "a\nb\u{1b}c").in_scope(|| {});
        return;
    }
    let out = run(&mut child("every_span_is_printed_once_and_whole"));
    let stdout = &out.assert_success().stdout;
    assert!(
        stdout.contains("service.name=String(Owned(\"console-test\"))")
            || stdout.contains("service.name=String(Static(\"console-test\"))")
            || stdout.contains("console-test"),
        "{stdout}"
    );
    assert_eq!(out.spans("worked"), 200, "{stdout}");
    assert_eq!(out.spans("a\\nb\\u{1b}c"), 1, "{stdout}");
    assert_eq!(stdout.matches("\tDuration     : ").count(), 201, "{stdout}");
    // a span is the lines from `Spans` to its duration; nothing else is in between
    for span in stdout.split("Spans\n").skip(1) {
        let body = span.split("\tDuration").next().expect("split gives at least one part");
        assert!(!body.contains("between "), "{span}");
        assert_eq!(body.matches("\tTraceId      : ").count(), 1, "{span}");
    }
    assert!(!stdout.contains('\u{1b}'));
}

#[test]
fn a_closed_pipe_is_reported_and_no_panic() {
    if is_child("a_closed_pipe_is_reported_and_no_panic") {
        let guard = setup_tracing("closed").expect("nobody was before");
        // the parent closes its end when it has read this
        println!("ready");
        let mut go = String::new();
        std::io::stdin().read_line(&mut go).expect("the parent writes a line");
        tracing::info_span!("unread").in_scope(|| {});
        let error = guard.flush(Duration::from_secs(10)).expect_err("nobody reads");
        assert!(error.is_lost(), "{error}");
        assert!(error.to_string().contains("stdout is closed"), "{error}");
        // libtest itself would panic when it prints its summary on the closed pipe
        std::process::exit(7);
    }
    let mut child = child("a_closed_pipe_is_reported_and_no_panic")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the test binary can be run");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("ready") {
        line.clear();
        assert_ne!(stdout.read_line(&mut line).expect("it is text"), 0, "the child ended early");
    }
    drop(stdout);
    child.stdin.take().expect("it is piped").write_all(b"go\n").expect("the child reads");
    let out = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(7), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(stderr.contains("stdout is closed"), "{stderr}");
}
