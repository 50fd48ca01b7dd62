//! Many requests at once, over real connections: every trace whole, none mixed up.
//!
//! The server's tasks run on threads of the runtime, so the setup is the process's own.

#![cfg(feature = "full")]

mod support;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry_sdk::trace::SpanData;
use otel_setup::reqwest::ClientMiddleware;
use otel_setup::{LogFormat, Setup};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use support::{attribute, spans};

#[test]
fn two_thousand_requests_are_two_thousand_whole_traces() {
    let (exporter, seen) = support::memory();
    let guard = Setup::new("concurrent")
        .with_env(|_| None)
        .with_exporter(exporter)
        .with_log_format(LogFormat::Off)
        .init()
        .expect("this test is alone in its process");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.expect("a runtime can be had").block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let client =
            ClientBuilder::new(reqwest::Client::new()).with(ClientMiddleware::new()).build();
        let app = Router::new()
            .route("/front/{order}", get(front))
            .route("/back/{order}", get(back))
            .with_state((client.clone(), address))
            .layer(otel_setup::axum::server_layer());
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        // as many at once as a process may have files open
        let slots = std::sync::Arc::new(tokio::sync::Semaphore::new(100));
        let mut requests = tokio::task::JoinSet::new();
        for order in 0..REQUESTS {
            let (client, slots) = (client.clone(), slots.clone());
            requests.spawn(async move {
                let _slot = slots.acquire_owned().await.expect("it is not closed");
                let answer = client.get(format!("http://{address}/front/{order}")).send().await;
                let answer = answer.expect("it answers").text().await.expect("it is text");
                assert_eq!(answer, format!("order {order}"));
            });
        }
        while let Some(request) = requests.join_next().await {
            request.expect("no request panics");
        }
        server.abort();
    });
    // the server's spans end when their responses are sent, which may be a moment later
    let whole = std::iter::repeat_with(|| {
        guard.flush(Duration::from_secs(10)).expect("nothing is lost");
        spans(&seen)
    });
    let all = whole.take(1_000).find(|all| all.len() == REQUESTS * 5).expect("five spans each");
    let mut traces: HashMap<TraceId, Vec<SpanData>> = HashMap::new();
    for span in all {
        traces.entry(span.span_context.trace_id()).or_default().push(span);
    }
    assert_eq!(traces.len(), REQUESTS);
    for trace in traces.values() {
        is_whole(trace);
    }
}

async fn front(
    Path(order): Path<usize>,
    State((client, address)): State<(ClientWithMiddleware, SocketAddr)>,
) -> String {
    tokio::task::yield_now().await;
    let answer = client.get(format!("http://{address}/back/{order}")).send().await;
    answer.expect("it answers").text().await.expect("it is text")
}

async fn back(Path(order): Path<usize>) -> String {
    tokio::task::yield_now().await;
    tracing::info_span!("work", order).in_scope(|| format!("order {order}"))
}

/// Client, front, client, back, work; each the child of the one before, and of the same order.
fn is_whole(trace: &[SpanData]) {
    let child = |parent: SpanId| {
        let mut children = trace.iter().filter(|span| span.parent_span_id == parent);
        let child = children.next().unwrap_or_else(|| panic!("nothing follows in {trace:?}"));
        assert!(children.next().is_none(), "two children in {trace:?}");
        child
    };
    let mut parent = SpanId::INVALID;
    let mut orders = Vec::new();
    for (kind, name, key) in [
        (SpanKind::Client, "GET", "url.full"),
        (SpanKind::Server, "GET /front/{order}", "url.path"),
        (SpanKind::Client, "GET", "url.full"),
        (SpanKind::Server, "GET /back/{order}", "url.path"),
        (SpanKind::Internal, "work", "order"),
    ] {
        let span = child(parent);
        assert_eq!((&span.span_kind, &*span.name), (&kind, name));
        let said = attribute(span, key).expect("it says which order it is for");
        orders.push(said.rsplit('/').next().unwrap_or_default().to_owned());
        parent = span.span_context.span_id();
    }
    assert!(orders.iter().all(|order| *order == orders[0]), "mixed up: {orders:?}");
}

const REQUESTS: usize = 2_000;
