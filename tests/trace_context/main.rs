//! The cases of the W3C's trace-context test suite, at its strict level and for level 2 of the
//! specification, against the service in `examples/trace_context_service.rs`.
//!
//! The suite itself (`test/test.py` of <https://github.com/w3c/trace-context>) is on no package
//! registry; these are its 41 cases, under its names.

mod harness;
mod traceparent;
mod tracestate;

#[expect(dead_code, reason = "its main is not called")]
#[path = "../../examples/trace_context_service.rs"]
mod service;

use harness::{OTHER, PARENT, TRACE, call, single, traceparents};

#[tokio::test]
async fn multiple_requests_with_valid_traceparent() {
    let sent = format!("00-{TRACE}-{PARENT}-01");
    let calls = call(&[("traceparent", &sent)], 3).await;
    let parents = traceparents(&calls);
    assert!(parents.iter().all(|parent| parent.trace_id == TRACE), "{parents:?}");
    assert_all_differ(parents.into_iter().map(|parent| parent.parent_id));
}

#[tokio::test]
async fn multiple_requests_without_traceparent() {
    let parents = traceparents(&call(&[], 3).await);
    assert_all_differ(parents.into_iter().map(|parent| parent.parent_id));
}

#[tokio::test]
async fn multiple_requests_with_illegal_traceparent() {
    let sent = format!("00-{}-{PARENT}-01", "0".repeat(32));
    let parents = traceparents(&call(&[("traceparent", &sent)], 3).await);
    assert!(parents.iter().all(|parent| parent.trace_id != "0".repeat(32)));
    assert_all_differ(parents.into_iter().map(|parent| parent.parent_id));
}

#[tokio::test]
async fn both_traceparent_and_tracestate_missing() {
    single(&[]).await;
}

/// Of the suite's class for level 2.
#[tokio::test]
async fn propagates_random_flag() {
    for flags in ["02", "03"] {
        let (parent, _) = single(&[("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}"))]).await;
        assert_eq!(parent.trace_id, TRACE);
        assert_ne!(parent.parent_id, PARENT);
        assert_eq!(parent.flags, flags);
    }
    let (parent, _) = single(&[("traceparent", &format!("00-{TRACE}-{PARENT}-01"))]).await;
    assert_eq!(parent.flags, "01");
}

/// Not of the suite: the flags that nobody has defined are not sent on.
#[tokio::test]
async fn unknown_flags_are_not_propagated() {
    let (parent, _) = single(&[("traceparent", &format!("00-{TRACE}-{PARENT}-fd"))]).await;
    assert_eq!((parent.trace_id.as_str(), parent.flags.as_str()), (TRACE, "01"));
}

#[tokio::test]
async fn traceparent_duplicated() {
    let headers = [TRACE, OTHER].map(|trace| format!("00-{trace}-{PARENT}-01"));
    let sent: Vec<_> = headers.iter().map(|value| ("traceparent", value.as_str())).collect();
    let (parent, _) = single(&sent).await;
    assert!(![TRACE, OTHER].contains(&parent.trace_id.as_str()), "{parent:?}");
}

fn assert_all_differ(ids: impl Iterator<Item = String>) {
    let ids: Vec<_> = ids.collect();
    let different: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(different.len(), ids.len(), "{ids:?}");
}
