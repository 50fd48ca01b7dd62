//! A forked child: other ids than its parent's, nothing exported twice, nothing hangs.

#![cfg(unix)]

mod support;

use std::time::Duration;

use opentelemetry::trace::TraceContextExt as _;
use otel_setup::{DropReason, setup_tracing};
use support::{child, is_child, run};

#[test]
fn a_forked_child_has_its_own_ids_and_says_that_its_spans_are_dropped() {
    let case = "a_forked_child_has_its_own_ids_and_says_that_its_spans_are_dropped";
    if is_child(case) {
        let guard = setup_tracing("forking").expect("nobody was before");
        tracing::info_span!("queued at the fork").in_scope(|| {});
        // SAFETY: the child uses nothing that another thread of the parent may have locked
        #[expect(unsafe_code, reason = "there is no safe fork")]
        let pid = unsafe { libc::fork() };
        let id = tracing::info_span!("after").in_scope(|| {
            opentelemetry::Context::current().span().span_context().trace_id().to_string()
        });
        if pid == 0 {
            let error = guard.flush(Duration::from_secs(20)).expect_err("there is no exporter");
            assert!(error.is_lost(), "{error}");
            let stats = guard.stats();
            assert_eq!(stats.exporters[0].dropped.by(DropReason::AfterFork), 1, "{stats}");
            guard.flush(Duration::from_secs(20)).expect("the loss was reported");
            eprintln!("child id {id}");
            drop(guard);
            std::process::exit(0);
        }
        let mut status = 0;
        // SAFETY: `status` lives until the call returns
        #[expect(unsafe_code, reason = "the standard library waits for its own children only")]
        let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!((waited, status), (pid, 0), "the child failed");
        eprintln!("parent id {id}");
        return;
    }
    let out = run(&mut child(case));
    out.assert_success();
    let id = |whose: &str| {
        let line = out.stderr.lines().find(|line| line.starts_with(whose));
        line.unwrap_or_else(|| panic!("no {whose} in {}", out.stderr)).rsplit(' ').next()
    };
    assert_ne!(id("child id"), id("parent id"));
    // only the parent exports: what was queued at the fork comes once
    assert_eq!(out.spans("queued at the fork"), 1, "{}", out.stdout);
    assert_eq!(out.spans("after"), 1, "{}", out.stdout);
    let told = "spans are dropped: this process is a fork of the one that tracing was set up in";
    assert_eq!(out.stderr.matches(told).count(), 1, "{}", out.stderr);
}
