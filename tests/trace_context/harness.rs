//! Posts to the service with headers as they are written, and sees how the service calls back.

use std::sync::{Arc, LazyLock, Mutex};

use axum::http::HeaderMap;
use axum::routing::post;
use otel_setup::{Exporter, Guard, LogFormat, Setup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::service;

pub(crate) const TRACE: &str = "12345678901234567890123456789012";
pub(crate) const OTHER: &str = "12345678901234567890123456789011";
pub(crate) const PARENT: &str = "1234567890123456";

#[derive(Debug)]
pub(crate) struct Traceparent {
    pub(crate) trace_id: String,
    pub(crate) parent_id: String,
    pub(crate) flags: String,
}

/// The headers of each of the `count` calls that the service was asked for.
pub(crate) async fn call(headers: &[(&str, &str)], count: usize) -> Vec<HeaderMap> {
    LazyLock::force(&SETUP);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let collect = {
        let seen = seen.clone();
        move |headers: HeaderMap| async move {
            seen.lock().expect("pushing does not panic").push(headers);
        }
    };
    let back = bind().await;
    let url = format!("http://{}/", back.local_addr().expect("it is bound"));
    let router = axum::Router::new().route("/{case}", post(collect));
    tokio::spawn(async move { axum::serve(back, router).await });

    let arguments: Vec<_> = (0..count)
        .map(|n| serde_json::json!({ "url": format!("{url}{n}"), "arguments": [] }))
        .collect();
    let answer = send(headers, &serde_json::Value::from(arguments).to_string()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = std::mem::take(&mut *seen.lock().expect("pushing does not panic"));
    assert_eq!(seen.len(), count, "the service has called back before it answered");
    seen
}

/// The trace context of the one call back.
pub(crate) async fn single(headers: &[(&str, &str)]) -> (Traceparent, Vec<(String, String)>) {
    let calls = call(headers, 1).await;
    let parent = traceparents(&calls).remove(0);
    let states = calls[0].get_all("tracestate").iter();
    let states = states.map(|value| value.to_str().expect("a tracestate is ASCII"));
    let members = states.flat_map(|state| state.split(','));
    let members = members.map(|member| member.split_once('=').expect("a member is a pair"));
    (parent, members.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

/// Each call has exactly one `traceparent`, and it is valid.
pub(crate) fn traceparents(calls: &[HeaderMap]) -> Vec<Traceparent> {
    calls.iter().map(traceparent).collect()
}

fn traceparent(headers: &HeaderMap) -> Traceparent {
    let values: Vec<_> = headers.get_all("traceparent").iter().collect();
    let [value] = values[..] else { panic!("not one traceparent: {values:?}") };
    let value = value.to_str().expect("a traceparent is ASCII");
    let fields: Vec<_> = value.split('-').collect();
    let [version, trace_id, parent_id, flags] = fields[..] else { panic!("{value:?}") };
    assert_eq!(version, "00");
    for (field, length) in [(trace_id, 32), (parent_id, 16), (flags, 2)] {
        assert_eq!(field.len(), length, "{value:?}");
        assert!(field.bytes().all(|b| b"0123456789abcdef".contains(&b)), "{value:?}");
    }
    assert!(trace_id.bytes().any(|b| b != b'0') && parent_id.bytes().any(|b| b != b'0'));
    let [trace_id, parent_id, flags] = [trace_id, parent_id, flags].map(str::to_owned);
    Traceparent { trace_id, parent_id, flags }
}

/// By hand, so that no client tidies the headers up.
async fn send(headers: &[(&str, &str)], body: &str) -> String {
    let listener = bind().await;
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(service::serve(listener));
    let headers: String =
        headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    let length = body.len();
    let request = format!(
        "POST /test HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(address).await.expect("the service listens");
    stream.write_all(request.as_bytes()).await.expect("the service reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the service answers in text");
    answer
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port of the kernel's choice is free")
}

static SETUP: LazyLock<Guard> = LazyLock::new(|| {
    Setup::new("trace-context")
        .with_env(|_| None)
        .with_exporter(Exporter::none())
        .with_log_format(LogFormat::Off)
        .init()
        .expect("nobody else has set up tracing here")
});
