//! Layers and middleware that others wrote, as they are released, on our stack.
//!
//! The global propagator is all that they know of, so this is a process of its own.

#![cfg(feature = "full")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use axum_tracing_opentelemetry::middleware::{OtelAxumLayer, OtelInResponseLayer};
use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry_sdk::trace::InMemorySpanExporter;
use otel_setup::propagation::{HeaderInjector, inject};
use otel_setup::{LogFormat, Setup};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use support::{attribute, spans};

#[test]
fn released_layers_and_middleware_run_and_propagate() {
    let (exporter, seen) = support::memory();
    let guard = Setup::new("third party")
        .with_env(|_| None)
        .with_exporter(exporter)
        // the spans of axum-tracing-opentelemetry are at level TRACE
        .with_trace_filter("info,otel::tracing=trace")
        .with_log_format(LogFormat::Off)
        .init()
        .expect("this test is alone in its process");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be had").block_on(async {
        let app = Router::new()
            .route("/orders/{id}", get(headers))
            .layer(OtelInResponseLayer)
            .layer(OtelAxumLayer::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let served = axum::serve(listener, app);
        tokio::select! {
            end = served => unreachable!("it serves for ever: {end:?}"),
            () = requests(address) => {}
        }
    });
    guard.flush(Duration::from_secs(10)).expect("nothing is lost");
    axum_layer_continues_the_trace(&seen);
    reqwest_middleware_is_recorded_and_ours_propagates(&seen);
}

async fn headers(headers: HeaderMap) -> String {
    tracing::info_span!("handler").in_scope(|| {
        headers
            .get("traceparent")
            .map(|v| v.to_str().expect("it is text"))
            .unwrap_or_default()
            .into()
    })
}

async fn requests(address: SocketAddr) {
    // a caller with a trace of its own
    let plain = reqwest::Client::new();
    let response = plain
        .get(format!("http://{address}/orders/1"))
        .header("traceparent", "00-07070707070707070707070707070707-0909090909090909-01")
        .send()
        .await
        .expect("it answers");
    let told = response.headers().get("traceparent").expect("the response injector ran");
    assert!(told.to_str().expect("it is text").starts_with("00-07070707070707070707070707070707-"));

    // reqwest-tracing alone: its current release knows opentelemetry up to 0.32, and so it traces,
    // but finds no context of 0.33 to inject
    let theirs =
        ClientBuilder::new(plain.clone()).with(reqwest_tracing::TracingMiddleware::default());
    assert_eq!(ask(&theirs.build(), address, 2).await, "", "it has learned of opentelemetry 0.33");

    // with the one line that it lacks, inside its span
    let theirs =
        ClientBuilder::new(plain).with(reqwest_tracing::TracingMiddleware::default()).with(Inject);
    assert_ne!(ask(&theirs.build(), address, 3).await, "");
}

async fn ask(client: &ClientWithMiddleware, address: SocketAddr, order: u32) -> String {
    let response = client.get(format!("http://{address}/orders/{order}")).send().await;
    response.expect("it answers").text().await.expect("it is text")
}

/// Sends the current context along.
struct Inject;

#[async_trait::async_trait]
impl Middleware for Inject {
    async fn handle(
        &self,
        mut request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        inject(&mut HeaderInjector(request.headers_mut()));
        next.run(request, extensions).await
    }
}

#[track_caller]
fn axum_layer_continues_the_trace(seen: &InMemorySpanExporter) {
    let trace = TraceId::from_bytes([7; 16]);
    let spans: Vec<_> =
        spans(seen).into_iter().filter(|s| s.span_context.trace_id() == trace).collect();
    let server = spans.iter().find(|s| s.span_kind == SpanKind::Server).expect("it was traced");
    assert_eq!(server.name, "GET /orders/{id}");
    assert_eq!(server.parent_span_id, SpanId::from_bytes([9; 8]));
    assert_eq!(attribute(server, "http.response.status_code").as_deref(), Some("200"));
    let handler = spans.iter().find(|s| s.name == "handler").expect("it was traced");
    assert_eq!(handler.parent_span_id, server.span_context.span_id());
}

#[track_caller]
fn reqwest_middleware_is_recorded_and_ours_propagates(seen: &InMemorySpanExporter) {
    let all = spans(seen);
    let clients: Vec<_> = all.iter().filter(|s| s.span_kind == SpanKind::Client).collect();
    assert_eq!(clients.len(), 2);
    for client in &clients {
        assert_eq!(attribute(client, "http.request.method").as_deref(), Some("GET"));
        assert_eq!(attribute(client, "http.response.status_code").as_deref(), Some("200"));
    }
    let propagated = clients[1].span_context.clone();
    let server = all.iter().find(|s| s.parent_span_id == propagated.span_id());
    let server = server.expect("the server is the child of the client");
    assert_eq!(server.span_context.trace_id(), propagated.trace_id());
}
