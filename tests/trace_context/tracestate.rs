//! Which `tracestate` goes on, and which is discarded.

use crate::harness::{PARENT, TRACE, single};

type Members = Vec<(String, String)>;

#[tokio::test]
async fn tracestate_included_traceparent_missing() {
    for state in ["foo=1", "foo=1,bar=2"] {
        let (_, members) = single(&[("tracestate", state)]).await;
        assert_eq!(members, []);
    }
}

#[tokio::test]
async fn tracestate_included_traceparent_included() {
    assert_eq!(inherited(&["foo=1,bar=2"]).await, pairs(&[("foo", "1"), ("bar", "2")]));
}

#[tokio::test]
async fn tracestate_header_name() {
    for name in ["trace-state", "trace.state"] {
        assert_eq!(sent_as(name, &["foo=1"]).await, []);
    }
}

#[tokio::test]
async fn tracestate_header_name_valid_casing() {
    for name in ["TraceState", "TrAcEsTaTe", "TRACESTATE"] {
        assert_eq!(sent_as(name, &["foo=1"]).await, pairs(&[("foo", "1")]));
    }
}

#[tokio::test]
async fn tracestate_empty_header() {
    assert_eq!(inherited(&[""]).await, []);
    for states in [["foo=1", ""], ["", "foo=1"]] {
        assert_eq!(inherited(&states).await, pairs(&[("foo", "1")]));
    }
}

#[tokio::test]
async fn tracestate_multiple_headers_different_keys() {
    let members = inherited(&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"]).await;
    let wanted = [("foo", "1"), ("bar", "2"), ("rojo", "1"), ("congo", "2"), ("baz", "3")];
    assert_eq!(members, pairs(&wanted));
}

/// Either may count; here it is the first.
#[tokio::test]
async fn tracestate_duplicated_keys() {
    for states in [&["foo=1,foo=1"][..], &["foo=1,foo=2"], &["foo=1", "foo=1"], &["foo=1", "foo=2"]]
    {
        assert_eq!(inherited(states).await, pairs(&[("foo", "1")]));
    }
}

#[tokio::test]
async fn tracestate_all_allowed_characters() {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let value: String = (' '..='~').filter(|c| !",=".contains(*c)).collect();
    for key in [key.to_owned(), format!("{key}@a-z0-9_-*/")] {
        let members = inherited(&[&format!("{key}={value}")]).await;
        assert_eq!(members, pairs(&[(&key, &value)]));
    }
}

#[tokio::test]
async fn tracestate_ows_handling() {
    for state in ["foo=1 \t , \t bar=2, \t baz=3", "foo=1\t \t,\t \tbar=2,\t \tbaz=3"] {
        let wanted = pairs(&[("foo", "1"), ("bar", "2"), ("baz", "3")]);
        assert_eq!(inherited(&[state]).await, wanted);
    }
    for state in [" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t"] {
        assert_eq!(inherited(&[state]).await, pairs(&[("foo", "1")]));
    }
}

#[tokio::test]
async fn tracestate_key_illegal_characters() {
    discarded(&["foo =1", "FOO=1", "foo.bar=1"]).await;
}

#[tokio::test]
async fn tracestate_key_illegal_vendor_format() {
    discarded(&["foo@=1,bar=2", "@foo=1,bar=2", "foo@@bar=1,bar=2", "foo@bar@baz=1,bar=2"]).await;
}

#[tokio::test]
async fn tracestate_value_illegal_characters() {
    discarded(&["foo=bar=baz", "foo=,bar=3"]).await;
}

#[tokio::test]
async fn tracestate_member_count_limit() {
    let members = |range: std::ops::RangeInclusive<u8>| {
        range.map(|n| format!("bar{n:02}={n:02}")).collect::<Vec<_>>().join(",")
    };
    let mut states = [members(1..=10), members(11..=20), members(21..=30), members(31..=32)];
    let seen = inherited(&states.each_ref().map(String::as_str)).await;
    assert_eq!(seen.len(), 32);
    assert_eq!(seen[0], ("bar01".to_owned(), "01".to_owned()));
    states[3] = members(31..=33);
    assert_eq!(inherited(&states.each_ref().map(String::as_str)).await, []);
}

#[tokio::test]
async fn tracestate_key_length_limit() {
    let (z, t, v) = ("z".repeat(257), "t".repeat(242), "v".repeat(15));
    for key in [z[1..].to_owned(), format!("{}@{}", &t[1..], &v[1..])] {
        let members = inherited(&["foo=1", &format!("{key}=1")]).await;
        assert_eq!(members[0], ("foo".to_owned(), "1".to_owned()));
    }
    for key in [z, format!("{t}@v"), format!("t@{v}")] {
        assert_eq!(inherited(&["foo=1", &format!("{key}=1")]).await, []);
    }
}

async fn discarded(states: &[&str]) {
    for state in states {
        assert_eq!(inherited(&[state]).await, [], "{state}");
    }
}

async fn inherited(states: &[&str]) -> Members {
    sent_as("tracestate", states).await
}

/// What is sent on; the trace is continued whatever the state is.
async fn sent_as(name: &str, states: &[&str]) -> Members {
    let parent = format!("00-{TRACE}-{PARENT}-00");
    let mut headers = vec![("traceparent", parent.as_str())];
    headers.extend(states.iter().map(|state| (name, *state)));
    let (parent, members) = single(&headers).await;
    assert_eq!(parent.trace_id, TRACE);
    members
}

fn pairs(pairs: &[(&str, &str)]) -> Members {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
