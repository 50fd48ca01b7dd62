//! The middleware for reqwest, against a real server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use otel_setup::propagation::Propagator;
use otel_setup::reqwest::ClientMiddleware;
use otel_setup::testing::capture;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};

use crate::support::{self, attribute};
use crate::{run, stack};

/// Runs `ask` beside a server on a port of its own.
fn with_server<R>(ask: impl AsyncFnOnce(SocketAddr) -> R) -> R {
    block_on(async {
        let attempts = Arc::new(AtomicUsize::new(0));
        let flaky = async move || match attempts.fetch_add(1, Relaxed) {
            0 | 1 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::OK,
        };
        let app = Router::new()
            .route("/echo", get(async |h: HeaderMap| h["traceparent"].as_bytes().to_vec()))
            .route("/missing", get(async || StatusCode::NOT_FOUND))
            .route("/flaky", get(flaky))
            .route("/moved", get(async || axum::response::Redirect::to("/echo")));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let server = axum::serve(listener, app);
        tokio::select! {
            end = server => unreachable!("it serves for ever: {end:?}"),
            answer = ask(address) => answer,
        }
    })
}

fn client(propagator: Propagator) -> ClientWithMiddleware {
    let middleware = ClientMiddleware::new().with_propagator(propagator);
    ClientBuilder::new(reqwest::Client::new()).with(middleware).build()
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be had").block_on(future)
}

#[track_caller]
fn says(span: &SpanData, expected: &[(&str, Option<&str>)]) {
    for (key, value) in expected {
        assert_eq!(attribute(span, key).as_deref(), *value, "{key} in {:?}", span.attributes);
    }
}

// not a capture: it has the SDK's spans, which do not say that a trace id is random
#[test]
fn a_request_is_a_client_span_and_its_context_goes_along() {
    let (stack, seen) = stack(|setup| setup);
    let (address, echo) = run(&stack, || {
        with_server(async |address| {
            let url = format!("http://user:pass@{address}/echo?token=s3cr3t&page=2");
            let response = client(stack.propagator()).get(url).send().await.expect("it answers");
            (address, response.text().await.expect("it is text"))
        })
    });
    let span = support::span(&seen, "GET");
    assert_eq!(span.span_kind, SpanKind::Client);
    assert_eq!(span.status, Status::Unset);
    let (trace, id) = (span.span_context.trace_id(), span.span_context.span_id());
    assert_eq!(echo, format!("00-{trace}-{id}-03"));
    // reqwest itself has made a header of the credentials
    let url = format!("http://{address}/echo?token=REDACTED&page=2");
    says(
        &span,
        &[
            ("url.full", Some(&url)),
            ("server.address", Some("127.0.0.1")),
            ("server.port", Some(&address.port().to_string())),
            ("http.response.status_code", Some("200")),
            ("network.protocol.version", Some("1.1")),
            ("http.request.resend_count", None),
        ],
    );
}

#[test]
fn four_hundreds_are_errors_of_a_client() {
    let capture = capture();
    with_server(async |address| {
        client(capture.stack().propagator())
            .get(format!("http://{address}/missing"))
            .send()
            .await
            .expect("it answers");
    });
    let span = capture.span("GET");
    assert_eq!(span.status, Status::error(""));
    says(&span, &[("error.type", Some("404"))]);
}

#[test]
fn a_redirect_is_part_of_the_request_that_was_asked_for() {
    let capture = capture();
    let address = with_server(async |address| {
        client(capture.stack().propagator())
            .get(format!("http://{address}/moved"))
            .send()
            .await
            .expect("it answers");
        address
    });
    let url = format!("http://{address}/moved");
    says(
        &capture.span("GET"),
        &[("url.full", Some(&url)), ("http.response.status_code", Some("200"))],
    );
}

/// Tries until it is fine.
struct Retry;

#[async_trait::async_trait]
impl Middleware for Retry {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        loop {
            let again = request.try_clone().expect("it has no body");
            let response = next.clone().run(again, extensions).await?;
            if response.status().is_success() {
                return Ok(response);
            }
        }
    }
}

#[test]
fn each_attempt_has_a_span_and_its_number() {
    let capture = capture();
    with_server(async |address| {
        let middleware = ClientMiddleware::new().with_propagator(capture.stack().propagator());
        let client =
            ClientBuilder::new(reqwest::Client::new()).with(Retry).with(middleware).build();
        client.get(format!("http://{address}/flaky")).send().await.expect("it answers");
        client.get(format!("http://{address}/flaky")).send().await.expect("it answers");
    });
    let counts: Vec<_> =
        capture.spans().iter().map(|span| attribute(span, "http.request.resend_count")).collect();
    assert_eq!(counts, [None, Some("1".into()), Some("2".into()), None]);
}

#[test]
fn another_request_with_the_same_extensions_is_no_attempt_of_the_last() {
    let capture = capture();
    with_server(async |address| {
        let client = client(capture.stack().propagator());
        let mut shared = axum::http::Extensions::new();
        for (method, path) in
            [("GET", "echo"), ("GET", "echo"), ("POST", "echo"), ("POST", "flaky"), ("GET", "echo")]
        {
            let method = method.parse().expect("a token");
            let request = client.request(method, format!("http://{address}/{path}")).build();
            let request = request.expect("it is valid");
            client.execute_with_extensions(request, &mut shared).await.expect("it answers");
        }
    });
    let counts: Vec<_> =
        capture.spans().iter().map(|span| attribute(span, "http.request.resend_count")).collect();
    assert_eq!(counts, [None, Some("1".into()), None, None, None]);
}

#[test]
fn a_server_that_is_not_there_is_a_failure_to_connect() {
    let capture = capture();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr();
    let url = format!("http://{}/", gone.expect("it was bound"));
    block_on(client(capture.stack().propagator()).get(url).send()).expect_err("nobody is there");
    let span = capture.span("GET");
    assert_eq!(span.status, Status::error(""));
    says(&span, &[("error.type", Some("connect")), ("http.response.status_code", None)]);
}
