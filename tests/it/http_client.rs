//! The client layer: what a request's span says, and what goes along with it.

use std::convert::Infallible;

use http::{HeaderMap, Request, Response, StatusCode};
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use otel_setup::Sampler;
use otel_setup::propagation::Propagator;
use otel_setup::testing::{capture, span};
use otel_setup::tower::{ClientLayer, CountResends, ServerLayer};
use tower::retry::Policy;
use tower::{Service as _, ServiceBuilder, ServiceExt as _};

use crate::support::{self, attribute};
use crate::{run, stack};

/// Sends a request to a service that answers with what it was sent.
fn send(propagator: Propagator, request: Request<&'static str>) -> Response<HeaderMap> {
    let layer = ClientLayer::new().with_propagator(propagator);
    let client = ServiceBuilder::new().layer(layer).service_fn(answer);
    block_on(client.oneshot(request)).expect("it answers")
}

/// A server that answers as its path says, with the headers that it got.
async fn answer(request: Request<&'static str>) -> Result<Response<HeaderMap>, Infallible> {
    let status = request.uri().path().trim_start_matches('/').parse().unwrap_or(200);
    let response = Response::builder().status(status).body(request.headers().clone());
    Ok(response.expect("it is valid"))
}

fn get(uri: &str) -> Request<&'static str> {
    Request::get(uri).body("").expect("it is valid")
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

#[test]
fn a_request_says_all_that_the_conventions_ask() {
    let capture = capture();
    send(
        capture.stack().propagator(),
        get("https://user:pass@shop.example/orders/7?color=blue&token=s3cr3t"),
    );
    let span = capture.span("GET");
    assert_eq!(span.span_kind, SpanKind::Client);
    assert_eq!(span.status, Status::Unset);
    says(
        &span,
        &[
            ("http.request.method", Some("GET")),
            (
                "url.full",
                Some("https://REDACTED:REDACTED@shop.example/orders/7?color=blue&token=REDACTED"),
            ),
            ("server.address", Some("shop.example")),
            ("server.port", Some("443")),
            ("http.response.status_code", Some("200")),
            ("network.protocol.version", Some("1.1")),
            ("http.request.resend_count", None),
            ("error.type", None),
        ],
    );
}

#[test]
fn the_server_is_named_by_the_host_header_where_the_uri_has_none() {
    let capture = capture();
    let request = Request::post("/orders").header("host", "shop.example:8080").body("");
    send(capture.stack().propagator(), request.expect("it is valid"));
    says(
        &capture.span("POST"),
        &[
            ("url.full", Some("http://shop.example:8080/orders")),
            ("server.address", Some("shop.example")),
            ("server.port", Some("8080")),
        ],
    );
}

#[test]
fn a_server_that_is_not_named_is_not_made_up() {
    for (uri, host, url) in [
        ("/orders?sig=1", None, "/orders?sig=REDACTED"),
        ("/orders", Some(""), "/orders"),
        ("/orders", Some("["), "/orders"),
    ] {
        let capture = capture();
        let mut request = get(uri);
        if let Some(host) = host {
            request.headers_mut().insert("host", host.parse().expect("it is text"));
        }
        send(capture.stack().propagator(), request);
        let expected = [("url.full", Some(url)), ("server.address", None), ("server.port", None)];
        says(&capture.span("GET"), &expected);
    }
}

#[test]
fn the_schemes_of_web_sockets_have_ports_too() {
    for (uri, port) in [("ws://a/x", "80"), ("wss://a/x", "443"), ("wss://a:1/x", "1")] {
        let capture = capture();
        send(capture.stack().propagator(), get(uri));
        says(&capture.span("GET"), &[("server.port", Some(port)), ("url.full", Some(uri))]);
    }
}

#[test]
fn four_and_five_hundreds_are_errors() {
    for (path, code) in [("/404", "404"), ("/503", "503")] {
        let capture = capture();
        send(capture.stack().propagator(), get(&format!("http://a{path}")));
        let span = capture.span("GET");
        assert_eq!(span.status, Status::error(""));
        says(&span, &[("error.type", Some(code)), ("http.response.status_code", Some(code))]);
    }
    let capture = capture();
    send(capture.stack().propagator(), get("http://a/302"));
    assert_eq!(capture.span("GET").status, Status::Unset);
}

// a capture has the SDK's spans, which do not say that a trace id is random; these two look at that
#[test]
fn the_span_of_the_request_goes_along() {
    let (stack, seen) = stack(|setup| setup);
    let layer = ClientLayer::new().with_propagator(stack.propagator());
    let client = ServiceBuilder::new().layer(layer).service_fn(answer);
    let response = run(&stack, || {
        let _work = tracing::info_span!("work").entered();
        block_on(client.oneshot(get("http://a/"))).expect("it answers")
    });
    let (client, work) = (support::span(&seen, "GET"), support::span(&seen, "work"));
    assert_eq!(client.parent_span_id, work.span_context.span_id());
    let expected =
        format!("00-{}-{}-03", client.span_context.trace_id(), client.span_context.span_id());
    assert_eq!(response.body()["traceparent"], expected.as_str());
}

#[test]
fn an_unsampled_request_says_so() {
    let (stack, seen) = stack(|setup| setup.with_sampler(Sampler::always_off()));
    let response = run(&stack, || send(stack.propagator(), get("http://a/")));
    let traceparent = response.body()["traceparent"].to_str().expect("it is text");
    assert!(traceparent.ends_with("-02"), "{traceparent}");
    assert!(support::spans(&seen).is_empty());
}

#[test]
fn the_header_of_somebody_else_is_replaced() {
    let capture = capture();
    let mut request = get("http://a/");
    request.headers_mut().insert("traceparent", "00-stale".parse().expect("it is valid"));
    let response = send(capture.stack().propagator(), request);
    assert_eq!(response.body().get_all("traceparent").iter().count(), 1);
    let id = capture.span("GET").span_context.span_id().to_string();
    assert!(response.body()["traceparent"].to_str().expect("it is text").contains(&id));
}

#[test]
fn the_baggage_of_somebody_else_does_not_go_along() {
    let _capture = capture();
    let mut request = get("http://a/");
    for (name, value) in [("traceparent", "00-stale"), ("tracestate", "a=1"), ("baggage", "a=1")] {
        request.headers_mut().insert(name, value.parse().expect("it is valid"));
    }
    let both = Propagator::composite([Propagator::trace_context(), Propagator::baggage()]);
    let sent = send(both, request).into_body();
    let names: Vec<_> = sent.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["traceparent"]);
}

#[test]
fn client_and_server_are_one_trace() {
    let capture = capture();
    let server = ServerLayer::new().with_propagator(capture.stack().propagator());
    let client = ClientLayer::new().with_propagator(capture.stack().propagator());
    let service = ServiceBuilder::new().layer(client).layer(server).service_fn(
        async |_: Request<&'static str>| Ok::<_, Infallible>(Response::new(String::new())),
    );
    block_on(service.oneshot(get("http://a/"))).expect("it answers");
    let spans = capture.spans();
    let of = |kind: SpanKind| spans.iter().find(|s| s.span_kind == kind).expect("there is one");
    let (server, client) = (of(SpanKind::Server), of(SpanKind::Client));
    assert_eq!(server.parent_span_id, client.span_context.span_id());
    assert_eq!(server.span_context.trace_id(), client.span_context.trace_id());
}

#[test]
fn a_request_that_fails_is_an_error() {
    let capture = capture();
    let layer = ClientLayer::new().with_propagator(capture.stack().propagator());
    let client = ServiceBuilder::new().layer(layer).service_fn(async |_: Request<&'static str>| {
        Err::<Response<()>, _>(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
    });
    block_on(client.oneshot(get("http://a/"))).expect_err("nobody is there");
    let span = capture.span("GET");
    assert_eq!(span.status, Status::error(""));
    says(
        &span,
        &[("error.type", Some("std::io::error::Error")), ("http.response.status_code", None)],
    );
}

#[test]
fn a_request_that_nobody_waits_for_is_cancelled() {
    let capture = capture();
    let layer = ClientLayer::new().with_propagator(capture.stack().propagator());
    let mut client =
        ServiceBuilder::new().layer(layer).service_fn(async |_: Request<&'static str>| {
            std::future::pending::<Result<Response<()>, Infallible>>().await
        });
    drop(client.call(get("http://a/")));
    let span = capture.span("GET");
    says(&span, &[("error.type", Some("cancelled"))]);
    assert!(matches!(span.status, Status::Error { .. }));
}

/// Tries three times.
#[derive(Clone)]
struct Thrice(usize);

impl Policy<Request<&'static str>, Response<HeaderMap>, Infallible> for Thrice {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<&'static str>,
        result: &mut Result<Response<HeaderMap>, Infallible>,
    ) -> Option<Self::Future> {
        let failed = result.as_ref().is_ok_and(|response| response.status() == 503);
        self.0 -= 1;
        (failed && self.0 > 0).then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<&'static str>) -> Option<Request<&'static str>> {
        Some(request.clone())
    }
}

#[test]
fn each_attempt_has_a_span_and_its_number() {
    let capture = capture();
    let layer = ClientLayer::new().with_propagator(capture.stack().propagator());
    let client =
        ServiceBuilder::new().layer(CountResends).retry(Thrice(3)).layer(layer).service_fn(answer);
    let response = {
        let _work = tracing::info_span!("work").entered();
        block_on(client.oneshot(get("http://a/503"))).expect("it answers")
    };
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let attempts: Vec<_> = capture.spans().into_iter().filter(|span| span.name == "GET").collect();
    let counts: Vec<_> =
        attempts.iter().map(|span| attribute(span, "http.request.resend_count")).collect();
    assert_eq!(counts, [None, Some("1".into()), Some("2".into())]);
    let work = capture.span("work").span_context.span_id();
    assert!(attempts.iter().all(|span| span.parent_span_id == work));
    let last = attempts[2].span_context.span_id().to_string();
    assert!(response.body()["traceparent"].to_str().expect("it is text").contains(&last));
}

#[test]
fn without_a_parent_each_request_is_a_trace() {
    let capture = capture();
    send(capture.stack().propagator(), get("http://a/"));
    assert_eq!(capture.span("GET").parent_span_id, SpanId::INVALID);
    capture.assert(span("GET").root());
}
