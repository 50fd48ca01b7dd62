//! The server layer: what a request's span says, and whose child it is.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, Response, StatusCode, Version};
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceId};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use otel_setup::propagation::Propagator;
use otel_setup::tower::{ClientLayer, ServerLayer, Trust};
use otel_setup::{Sampler, Setup, Stack};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

use crate::support::{attribute, span, spans};
use crate::{run, stack};

/// An app as a user would have it, under a layer that uses the stack's propagator.
fn app(stack: &Stack, adjust: impl FnOnce(ServerLayer) -> ServerLayer) -> Router {
    let layer = otel_setup::axum::server_layer().with_propagator(stack.propagator());
    Router::new()
        .route("/orders/{id}", get(async || "an order").delete(async || StatusCode::NO_CONTENT))
        .route("/orders", post(async || StatusCode::CREATED))
        .route("/broken", get(async || StatusCode::BAD_GATEWAY))
        .route("/missing", get(async || StatusCode::NOT_FOUND))
        .route("/child", get(async || tracing::info_span!("child").in_scope(|| "done")))
        .route("/baggage", get(baggage))
        .layer(adjust(layer))
}

async fn baggage() -> String {
    opentelemetry::Context::map_current(|cx| cx.baggage().get("user").map(ToString::to_string))
        .unwrap_or_default()
}

/// Sends a request to the app, and reads the response to its end.
fn send(stack: &Stack, app: Router, request: Request<Body>) -> (StatusCode, String) {
    run(stack, || {
        block_on(async {
            let response = app.oneshot(request).await.expect("axum answers everything");
            let status = response.status();
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
            let body = String::from_utf8(body.expect("it is sent whole").to_vec());
            (status, body.expect("it is text"))
        })
    })
}

/// The span of one request to an app with nothing but defaults.
fn span_of(request: Request<Body>) -> SpanData {
    let (stack, seen) = stack(|setup| setup);
    send(&stack, app(&stack, |layer| layer), request);
    one(&seen)
}

#[track_caller]
fn one(seen: &InMemorySpanExporter) -> SpanData {
    let mut spans = spans(seen);
    assert_eq!(spans.len(), 1, "{spans:?}");
    spans.pop().expect("there is one")
}

fn request(method: &str, uri: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(uri)
}

fn bare(builder: axum::http::request::Builder) -> Request<Body> {
    builder.body(Body::empty()).expect("the test's requests are valid")
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

const TRACE: TraceId = TraceId::from_bytes([7; 16]);
const REMOTE: SpanId = SpanId::from_bytes([9; 8]);
const SAMPLED: &str = "00-07070707070707070707070707070707-0909090909090909-01";
const UNSAMPLED: &str = "00-07070707070707070707070707070707-0909090909090909-00";

#[test]
fn one_line_says_all_that_the_conventions_ask() {
    let request = request("GET", "/orders/7?color=blue&sig=s3cr3t")
        .version(Version::HTTP_2)
        .header("host", "shop.example:8443")
        .header("user-agent", "curl/8")
        .extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 5], 4711))));
    let span = span_of(bare(request));
    assert_eq!(span.name, "GET /orders/{id}");
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.status, Status::Unset);
    assert_eq!(span.parent_span_id, SpanId::INVALID);
    says(
        &span,
        &[
            ("http.request.method", Some("GET")),
            ("http.request.method_original", None),
            ("http.route", Some("/orders/{id}")),
            ("http.response.status_code", Some("200")),
            ("url.path", Some("/orders/7")),
            ("url.query", Some("color=blue&sig=REDACTED")),
            ("url.scheme", Some("http")),
            ("server.address", Some("shop.example")),
            ("server.port", Some("8443")),
            ("client.address", Some("192.0.2.5")),
            ("network.peer.address", Some("192.0.2.5")),
            ("network.peer.port", Some("4711")),
            ("network.protocol.version", Some("2")),
            ("user_agent.original", Some("curl/8")),
            ("error.type", None),
        ],
    );
    let mut keys: Vec<_> = span.attributes.iter().map(|a| a.key.as_str()).collect();
    keys.sort_unstable();
    assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "no key twice: {keys:?}");
}

#[test]
fn ports_and_codes_are_numbers() {
    let span = span_of(bare(request("GET", "/orders/7").header("host", "a:1")));
    for key in ["http.response.status_code", "server.port"] {
        let found = span.attributes.iter().find(|a| a.key.as_str() == key);
        let value = &found.expect("it was sent").value;
        assert!(matches!(value, opentelemetry::Value::I64(_)), "{key} is {value:?}");
    }
}

#[test]
fn what_proxies_say_counts_unless_it_is_not_wanted() {
    let forwarded = || {
        let request = request("GET", "/orders/7")
            .header("host", "10.0.0.2:80")
            .header("forwarded", "for=203.0.113.7;host=shop.example;proto=https")
            .extension(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 1))));
        bare(request)
    };
    says(
        &span_of(forwarded()),
        &[
            ("url.scheme", Some("https")),
            ("server.address", Some("shop.example")),
            ("server.port", None),
            ("client.address", Some("203.0.113.7")),
            ("network.peer.address", Some("10.0.0.1")),
        ],
    );
    let (stack, seen) = stack(|setup| setup);
    send(&stack, app(&stack, |layer| layer.with_forwarded(false)), forwarded());
    says(
        &one(&seen),
        &[
            ("url.scheme", Some("http")),
            ("server.address", Some("10.0.0.2")),
            ("client.address", Some("10.0.0.1")),
        ],
    );
}

#[test]
fn what_names_no_host_and_no_address_is_not_shown() {
    for nonsense in ["", ":80", "[", "a:b:c", "<script>"] {
        let request = request("GET", "/orders/7")
            .header("host", nonsense)
            .header("x-forwarded-host", nonsense)
            .header("x-forwarded-for", "not an ip <script>");
        let expected = ["server.address", "server.port", "client.address"].map(|key| (key, None));
        says(&span_of(bare(request)), &expected);
    }
    let request = request("GET", "/orders/7").header("host", "a").header("x-forwarded-host", "[");
    says(&span_of(bare(request)), &[("server.address", Some("a"))]);
}

#[test]
fn the_authority_of_http_2_is_the_server() {
    let span = span_of(bare(request("GET", "https://shop.example:9443/orders/7")));
    says(
        &span,
        &[
            ("server.address", Some("shop.example")),
            ("server.port", Some("9443")),
            ("url.scheme", Some("https")),
        ],
    );
}

#[test]
fn a_path_without_a_route_names_no_span() {
    let span = span_of(bare(request("GET", "/wp-login.php?x=1")));
    assert_eq!(span.name, "GET");
    assert_eq!(span.status, Status::Unset);
    says(
        &span,
        &[("http.route", None), ("http.response.status_code", Some("404")), ("error.type", None)],
    );
}

#[test]
fn an_unknown_method_names_no_span() {
    for (path, name) in [("/orders/7", "HTTP /orders/{id}"), ("/nowhere", "HTTP")] {
        let span = span_of(bare(request("BREW", path)));
        assert_eq!(span.name, name);
        says(
            &span,
            &[
                ("http.request.method", Some("_OTHER")),
                ("http.request.method_original", Some("BREW")),
            ],
        );
    }
}

#[test]
fn five_hundreds_are_errors_and_four_hundreds_are_not() {
    let broken = span_of(bare(request("GET", "/broken")));
    assert_eq!(broken.status, Status::error(""));
    says(&broken, &[("error.type", Some("502")), ("http.response.status_code", Some("502"))]);

    let missing = span_of(bare(request("GET", "/missing")));
    assert_eq!(missing.status, Status::Unset);
    says(&missing, &[("error.type", None), ("http.response.status_code", Some("404"))]);
    assert_eq!(missing.name, "GET /missing");
}

#[test]
fn a_preflight_is_a_request_as_any_other() {
    let (stack, seen) = stack(|setup| setup);
    let layer = otel_setup::axum::server_layer().with_propagator(stack.propagator());
    let cors = tower_http::cors::CorsLayer::permissive();
    let app = Router::new().route("/orders", post(async || "")).layer(cors).layer(layer);
    let preflight = request("OPTIONS", "/orders")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST");
    let (status, _) = send(&stack, app, bare(preflight));
    assert_eq!(status, StatusCode::OK);
    let span = one(&seen);
    assert_eq!(span.name, "OPTIONS /orders");
    assert_eq!(span.status, Status::Unset);
}

#[test]
fn the_remote_span_is_the_parent() {
    let span = span_of(bare(request("GET", "/orders/7").header("traceparent", SAMPLED)));
    assert_eq!(span.span_context.trace_id(), TRACE);
    assert_eq!(span.parent_span_id, REMOTE);
    assert!(span.parent_span_is_remote);
    assert!(span.links.links.is_empty());
}

#[test]
fn what_the_handler_does_is_below_the_request() {
    let (stack, seen) = stack(|setup| setup);
    let request = request("GET", "/child").header("traceparent", SAMPLED);
    send(&stack, app(&stack, |layer| layer), bare(request));
    let (child, server) = (span(&seen, "child"), span(&seen, "GET /child"));
    assert_eq!(child.parent_span_id, server.span_context.span_id());
    assert_eq!(child.span_context.trace_id(), TRACE);
    assert!(server.start_time <= child.start_time && child.end_time <= server.end_time);
}

#[test]
fn an_unsampled_request_is_not_recorded() {
    let (stack, seen) = stack(|setup| setup);
    let request = request("GET", "/child").header("traceparent", UNSAMPLED);
    send(&stack, app(&stack, |layer| layer), bare(request));
    assert!(spans(&seen).is_empty());
}

#[test]
fn at_the_edge_a_request_starts_a_trace_of_its_own_with_a_link() {
    let (stack, seen) = stack(|setup| setup);
    let edge = |layer: ServerLayer| layer.with_trust(Trust::Edge);
    let strange = request("GET", "/child").header("traceparent", SAMPLED);
    send(&stack, app(&stack, edge), bare(strange));
    let server = span(&seen, "GET /child");
    assert_ne!(server.span_context.trace_id(), TRACE);
    assert_eq!(server.parent_span_id, SpanId::INVALID);
    let links: Vec<_> = server.links.iter().map(|link| &link.span_context).collect();
    let linked = links.iter().map(|cx: &&SpanContext| (cx.trace_id(), cx.span_id()));
    assert_eq!(linked.collect::<Vec<_>>(), [(TRACE, REMOTE)]);
    assert_eq!(span(&seen, "child").span_context.trace_id(), server.span_context.trace_id());
}

#[test]
fn at_the_edge_a_stranger_decides_nothing_about_sampling() {
    for (traceparent, sampler, expected) in
        [(SAMPLED, Sampler::always_off(), 0), (UNSAMPLED, Sampler::always_on(), 2)]
    {
        let (stack, seen) =
            stack(|setup: Setup| setup.with_sampler(Sampler::parent_based(sampler)));
        let strange = request("GET", "/child").header("traceparent", traceparent);
        send(&stack, app(&stack, |layer| layer.with_trust(Trust::Edge)), bare(strange));
        assert_eq!(spans(&seen).len(), expected, "{traceparent}");
    }
}

#[test]
fn baggage_is_kept_unless_it_comes_over_the_edge() {
    for (trust, expected) in [(Trust::Continue, "alice"), (Trust::Edge, "")] {
        let (stack, _) = stack(|setup| setup);
        let request = request("GET", "/baggage").header("baggage", "user=alice");
        let app = app(&stack, |layer| layer.with_trust(trust));
        assert_eq!(send(&stack, app, bare(request)).1, expected, "{trust:?}");
    }
}

#[test]
fn a_request_whose_span_is_refused_still_carries_its_trace_on() {
    let (stack, seen) = stack(|setup| setup.with_trace_filter("info,otel_setup::http=off"));
    let request = request("GET", "/child").header("traceparent", SAMPLED);
    send(&stack, app(&stack, |layer| layer), bare(request));
    let child = one(&seen);
    assert_eq!(child.name, "child");
    assert_eq!((child.span_context.trace_id(), child.parent_span_id), (TRACE, REMOTE));
}

#[test]
fn a_request_whose_span_is_refused_is_part_of_what_its_span_would_be() {
    let (stack, seen) = stack(|setup| setup.with_trace_filter("info,otel_setup::http=off"));
    for (traceparent, parent) in [(Some(SAMPLED), Some(REMOTE)), (None, None)] {
        seen.reset();
        let mut request = request("GET", "/child");
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        let app = app(&stack, |layer| layer);
        run(&stack, || {
            let _connection = tracing::info_span!("connection").entered();
            block_on(app.oneshot(bare(request))).expect("it answers");
        });
        let parent = parent.unwrap_or_else(|| span(&seen, "connection").span_context.span_id());
        assert_eq!(span(&seen, "child").parent_span_id, parent);
    }
}

/// The context in what a proxy under the layer sends on of a stranger's request.
fn forwarded(stack: &Stack, propagator: &Propagator, layer: ServerLayer) -> Vec<String> {
    let upstream = service_fn(async |request: Request<Body>| {
        let headers = request.headers().iter();
        let text = headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let text: Vec<_> = text.filter(|text| !text.contains("accept")).collect();
        Ok::<_, Infallible>(Response::builder().body(text.join("\n")).unwrap())
    });
    let proxy = ServiceBuilder::new()
        .layer(layer.with_propagator(propagator.clone()))
        .layer(ClientLayer::new().with_propagator(propagator.clone()))
        .service(upstream);
    let strange = request("GET", "/")
        .header("accept", "*/*")
        .header("traceparent", SAMPLED)
        .header("tracestate", "theirs=1")
        .header("baggage", "user=admin")
        .header("x-b3-sampled", "1")
        .header("uber-trace-id", "7:9:0:1")
        .header("uberctx-user", "admin");
    let sent = run(stack, || {
        block_on(async {
            let response = proxy.oneshot(bare(strange)).await.expect("it answers");
            response.into_body().collect().await.expect("it is sent whole").to_bytes()
        })
    });
    let mut lines: Vec<_> = String::from_utf8_lossy(&sent).lines().map(ToOwned::to_owned).collect();
    lines.sort();
    lines
}

fn w3c() -> Propagator {
    Propagator::composite([Propagator::trace_context(), Propagator::baggage()])
}

fn all_formats() -> Propagator {
    Propagator::composite([w3c(), Propagator::b3(), Propagator::jaeger()])
}

#[test]
fn a_strangers_baggage_is_not_sent_on_over_the_edge() {
    for filter in ["info", "info,otel_setup::http=off"] {
        let (stack, _) = stack(|setup| setup.with_trace_filter(filter));
        let layer = ServerLayer::new().with_trust(Trust::Edge);
        let sent = forwarded(&stack, &all_formats(), layer);
        let theirs =
            |text: &&String| ["admin", "theirs", "0707", "x-b3"].iter().any(|t| text.contains(t));
        assert_eq!(sent.iter().find(theirs), None, "{filter}: {sent:?}");
        assert_eq!(sent.is_empty(), filter != "info", "{sent:?}");
    }
}

#[test]
fn a_skipped_request_is_sent_on_as_it_came_unless_over_the_edge() {
    let (stack, _) = stack(|setup| setup);
    let skipping = || ServerLayer::new().with_skip(|_, _| true);
    let trusted = forwarded(&stack, &all_formats(), skipping());
    assert_eq!(trusted.len(), 6, "{trusted:?}");
    assert!(trusted.contains(&format!("traceparent: {SAMPLED}")), "{trusted:?}");
    let edge = forwarded(&stack, &w3c(), skipping().with_trust(Trust::Edge));
    assert_eq!(edge, ["uber-trace-id: 7:9:0:1", "uberctx-user: admin", "x-b3-sampled: 1"]);
}

#[test]
fn a_skipped_request_leaves_no_trace_and_neither_does_its_handler() {
    let (stack, seen) = stack(|setup| setup);
    let skip = |layer: ServerLayer| {
        layer.with_skip(|method, uri| method == Method::GET && uri.path() == "/child")
    };
    let skipped = request("GET", "/child").header("traceparent", SAMPLED);
    let (_, body) = send(&stack, app(&stack, skip), bare(skipped));
    assert_eq!(body, "done");
    assert!(spans(&seen).is_empty());
    send(&stack, app(&stack, skip), bare(request("GET", "/orders/7")));
    assert_eq!(one(&seen).name, "GET /orders/{id}");
}

#[test]
fn the_known_methods_and_the_secret_keys_can_be_others() {
    let (stack, seen) = stack(|setup| setup);
    let adjust = |layer: ServerLayer| {
        layer.with_known_methods(["PURGE"]).with_secret_query_keys(["patient-id"])
    };
    for method in ["PURGE", "GET"] {
        let request = request(method, "/orders/7?patient_id=1&a=2");
        send(&stack, app(&stack, adjust), bare(request));
    }
    let purge = span(&seen, "PURGE /orders/{id}");
    says(&purge, &[("url.query", Some("patient_id=REDACTED&a=2"))]);
    let get = span(&seen, "HTTP /orders/{id}");
    says(
        &get,
        &[("http.request.method", Some("_OTHER")), ("http.request.method_original", Some("GET"))],
    );
}

#[test]
fn whoever_asks_for_the_ids_gets_them() {
    let (stack, seen) = stack(|setup| setup);
    let app = app(&stack, |layer| layer.with_trace_response(true));
    let response = run(&stack, || {
        block_on(app.oneshot(bare(request("DELETE", "/orders/7")))).expect("it answers")
    });
    let span = one(&seen);
    let expected =
        format!("00-{}-{}-03", span.span_context.trace_id(), span.span_context.span_id());
    assert_eq!(response.headers()["traceresponse"], expected.as_str());
}

#[test]
fn nobody_is_told_the_ids_of_another_span_where_that_of_the_request_is_refused() {
    let (stack, _) = stack(|setup| setup.with_trace_filter("info,otel_setup::http=off"));
    for traceparent in [Some(SAMPLED), None] {
        let mut request = request("DELETE", "/orders/7");
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        let app = app(&stack, |layer| layer.with_trace_response(true));
        let response = run(&stack, || {
            let _job = tracing::info_span!("job").entered();
            block_on(app.oneshot(bare(request))).expect("it answers")
        });
        assert!(!response.headers().contains_key("traceresponse"), "{traceparent:?}");
    }
}

#[test]
fn nobody_is_told_the_ids_unasked() {
    let (stack, _) = stack(|setup| setup);
    let app = app(&stack, |layer| layer);
    let request = bare(request("GET", "/orders/7").header("traceparent", SAMPLED));
    let response = run(&stack, || block_on(app.oneshot(request)).expect("it answers"));
    assert!(!response.headers().contains_key("traceresponse"));
}

#[test]
fn a_service_without_a_framework_is_traced_too() {
    let (stack, seen) = stack(|setup| setup);
    let layer = ServerLayer::new().with_propagator(stack.propagator());
    let service =
        tower::ServiceBuilder::new().layer(layer).service_fn(async |request: Request<String>| {
            if request.uri().path() == "/broken" {
                return Err(std::io::Error::other("no"));
            }
            Ok(axum::http::Response::new(request.into_body()))
        });
    run(&stack, || {
        let send = |uri: &str| {
            let request = request("GET", uri).body(String::new()).expect("it is valid");
            block_on(service.clone().oneshot(request))
        };
        send("/fine").expect("it answers");
        send("/broken").expect_err("it says so");
    });
    let spans = spans(&seen);
    assert_eq!(spans.iter().map(|s| &*s.name).collect::<Vec<_>>(), ["GET", "GET"]);
    assert_eq!(spans[0].status, Status::Unset);
    assert_eq!(spans[1].status, Status::error(""));
    says(
        &spans[1],
        &[("error.type", Some("std::io::error::Error")), ("http.response.status_code", None)],
    );
}

#[test]
fn headers_that_are_no_trace_context_start_a_new_trace() {
    for garbage in ["", "00-0-0-0", "ff-07070707070707070707070707070707-0909090909090909-01", "\t"]
    {
        let span = span_of(bare(request("GET", "/orders/7").header("traceparent", garbage)));
        assert_eq!(span.parent_span_id, SpanId::INVALID, "{garbage:?}");
        assert_ne!(span.span_context.trace_id(), TraceId::INVALID);
    }
}

#[test]
fn the_span_is_current_for_native_calls() {
    let (stack, seen) = stack(|setup| setup);
    let layer = otel_setup::axum::server_layer().with_propagator(stack.propagator());
    let app = Router::new().route(
        "/",
        get(async || {
            let attribute = opentelemetry::KeyValue::new("customer", "alice");
            opentelemetry::Context::map_current(|cx| cx.span().set_attribute(attribute));
        }),
    );
    send(&stack, app.layer(layer), bare(request("GET", "/")));
    says(&one(&seen), &[("customer", Some("alice"))]);
}
