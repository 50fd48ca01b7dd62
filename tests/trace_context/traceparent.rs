//! Which `traceparent` is continued, and which starts a new trace.

use crate::harness::{PARENT, TRACE, single};

#[tokio::test]
async fn traceparent_included_tracestate_missing() {
    continues("traceparent", &format!("00-{TRACE}-{PARENT}-01")).await;
}

#[tokio::test]
async fn traceparent_header_name() {
    for name in ["trace-parent", "trace.parent"] {
        restarts(name, &format!("00-{TRACE}-{PARENT}-01")).await;
    }
}

#[tokio::test]
async fn traceparent_header_name_valid_casing() {
    for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        continues(name, &format!("00-{TRACE}-{PARENT}-01")).await;
    }
}

#[tokio::test]
async fn traceparent_version_0x00() {
    for end in ["01.", "01-what-the-future-will-be-like"] {
        restarts("traceparent", &format!("00-{TRACE}-{PARENT}-{end}")).await;
    }
}

#[tokio::test]
async fn traceparent_version_0xcc() {
    for end in ["01", "01-what-the-future-will-be-like"] {
        continues("traceparent", &format!("cc-{TRACE}-{PARENT}-{end}")).await;
    }
    let end = "01.what-the-future-will-be-like";
    restarts("traceparent", &format!("cc-{TRACE}-{PARENT}-{end}")).await;
}

#[tokio::test]
async fn traceparent_version_0xff() {
    restarts("traceparent", &format!("ff-{TRACE}-{PARENT}-01")).await;
}

#[tokio::test]
async fn traceparent_version_illegal_characters() {
    versions_restart(&[".0", "0."]).await;
}

#[tokio::test]
async fn traceparent_version_too_long() {
    versions_restart(&["000", "0000"]).await;
}

#[tokio::test]
async fn traceparent_version_too_short() {
    versions_restart(&["0"]).await;
}

#[tokio::test]
async fn traceparent_trace_id_all_zero() {
    trace_ids_restart(&["00000000000000000000000000000000"]).await;
}

#[tokio::test]
async fn traceparent_trace_id_illegal_characters() {
    let ids = [".2345678901234567890123456789012", "1234567890123456789012345678901."];
    trace_ids_restart(&ids).await;
}

#[tokio::test]
async fn traceparent_trace_id_too_long() {
    trace_ids_restart(&["123456789012345678901234567890123"]).await;
}

#[tokio::test]
async fn traceparent_trace_id_too_short() {
    trace_ids_restart(&["1234567890123456789012345678901"]).await;
}

#[tokio::test]
async fn traceparent_parent_id_all_zero() {
    parent_ids_restart(&["0000000000000000"]).await;
}

#[tokio::test]
async fn traceparent_parent_id_illegal_characters() {
    parent_ids_restart(&[".234567890123456", "123456789012345."]).await;
}

#[tokio::test]
async fn traceparent_parent_id_too_long() {
    parent_ids_restart(&["12345678901234567"]).await;
}

#[tokio::test]
async fn traceparent_parent_id_too_short() {
    parent_ids_restart(&["123456789012345"]).await;
}

#[tokio::test]
async fn traceparent_trace_flags_illegal_characters() {
    flags_restart(&[".0", "0."]).await;
}

#[tokio::test]
async fn traceparent_trace_flags_too_long() {
    flags_restart(&["001"]).await;
}

#[tokio::test]
async fn traceparent_trace_flags_too_short() {
    flags_restart(&["1"]).await;
}

#[tokio::test]
async fn traceparent_ows_handling() {
    for (before, after) in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")] {
        continues("traceparent", &format!("{before}00-{TRACE}-{PARENT}-01{after}")).await;
    }
}

async fn continues(name: &str, value: &str) {
    let (parent, _) = single(&[(name, value)]).await;
    assert_eq!(parent.trace_id, TRACE, "{name}: {value}");
    assert_ne!(parent.parent_id, PARENT, "{name}: {value}");
}

/// The new id has nothing of the one that was sent.
async fn restarts(name: &str, value: &str) {
    let (parent, _) = single(&[(name, value)]).await;
    let digits = &parent.trace_id;
    assert!(!value.contains(digits) && !digits.contains("1234567890"), "{name}: {value}: {digits}");
}

async fn versions_restart(versions: &[&str]) {
    for version in versions {
        restarts("traceparent", &format!("{version}-{TRACE}-{PARENT}-01")).await;
    }
}

async fn trace_ids_restart(ids: &[&str]) {
    for id in ids {
        restarts("traceparent", &format!("00-{id}-{PARENT}-01")).await;
    }
}

async fn parent_ids_restart(ids: &[&str]) {
    for id in ids {
        restarts("traceparent", &format!("00-{TRACE}-{id}-01")).await;
    }
}

async fn flags_restart(flags: &[&str]) {
    for flags in flags {
        restarts("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}")).await;
    }
}
