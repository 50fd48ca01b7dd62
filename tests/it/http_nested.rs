//! Server layers inside of each other, and of whatever else is current.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SpanData;
use otel_setup::Stack;
use otel_setup::propagation::Propagator;
use otel_setup::tower::{ServerLayer, Trust};
use tower::{ServiceBuilder, ServiceExt as _};

use crate::support::{span, spans};
use crate::{run, stack};

fn layer() -> ServerLayer {
    let w3c = Propagator::composite([Propagator::trace_context(), Propagator::baggage()]);
    otel_setup::axum::server_layer().with_propagator(Propagator::composite([w3c, Propagator::b3()]))
}

/// An app whose part `/api` has a layer of its own.
fn nested(outer: ServerLayer, inner: ServerLayer) -> Router {
    let api = Router::new().route("/x", get(baggage)).layer(inner);
    Router::new().nest("/api", api).layer(outer)
}

fn flat(layer: ServerLayer) -> Router {
    Router::new().route("/api/x", get(baggage)).layer(layer)
}

async fn baggage() -> String {
    Context::map_current(|cx| {
        let of = |key| cx.baggage().get(key).map(ToString::to_string).unwrap_or_default();
        format!("{},{}", of("tenant"), of("user"))
    })
}

/// Sends a request in `context`, and returns what the handler says of its baggage.
fn send(stack: &Stack, app: Router, headers: &[(&str, &str)], context: Context) -> String {
    let mut request = Request::get("/api/x");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("the test's requests are valid");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it can be had");
    let answer = async {
        let response = app.oneshot(request).await.expect("axum answers everything");
        axum::body::to_bytes(response.into_body(), 100).await.expect("it is sent whole")
    };
    let body = run(stack, || runtime.block_on(answer.with_context(context)));
    String::from_utf8(body.to_vec()).expect("it is text")
}

/// The spans of a request through two layers, the outer one first.
fn both(headers: &[(&str, &str)], trust: [Trust; 2]) -> [SpanData; 2] {
    let (stack, seen) = stack(|setup| setup);
    let [outer, inner] = trust.map(|trust| layer().with_trust(trust));
    send(&stack, nested(outer, inner), headers, Context::new());
    let mut spans = spans(&seen);
    spans.sort_by_key(|span| span.start_time);
    spans.try_into().expect("there are two")
}

const TRACE: TraceId = TraceId::from_bytes([7; 16]);
const REMOTE: SpanId = SpanId::from_bytes([9; 8]);
const PARENT: (&str, &str) =
    ("traceparent", "00-07070707070707070707070707070707-0909090909090909-01");

#[test]
fn layers_in_layers_are_one_trace() {
    use Trust::{Continue, Edge};
    for trust in [[Continue, Continue], [Continue, Edge], [Edge, Continue], [Edge, Edge]] {
        for headers in [&[][..], &[PARENT]] {
            let [outer, inner] = both(headers, trust);
            assert_eq!(inner.parent_span_id, outer.span_context.span_id(), "{trust:?} {headers:?}");
            assert_eq!(inner.span_context.trace_id(), outer.span_context.trace_id());
            assert!(inner.links.is_empty(), "{trust:?}");
            let is_continued = trust[0] == Continue && !headers.is_empty();
            let parent = if is_continued { REMOTE } else { SpanId::INVALID };
            assert_eq!(outer.parent_span_id, parent, "{trust:?}");
            let is_linked = trust[0] == Edge && !headers.is_empty();
            assert_eq!(outer.links.len(), usize::from(is_linked), "{trust:?}");
        }
    }
}

#[test]
fn a_request_that_is_made_inside_of_a_span_is_its_child_unless_it_names_another() {
    for (headers, trust, parent) in [
        (&[][..], Trust::Continue, None),
        (&[PARENT], Trust::Continue, Some(REMOTE)),
        (&[], Trust::Edge, None),
        (&[PARENT], Trust::Edge, None),
    ] {
        let (stack, seen) = stack(|setup| setup);
        let app = flat(layer().with_trust(trust));
        let job = run(&stack, || tracing::info_span!("job"));
        job.in_scope(|| send(&stack, app, headers, Context::current()));
        run(&stack, || drop(job));
        let (job, server) = (span(&seen, "job"), span(&seen, "GET /api/x"));
        let parent = parent.unwrap_or_else(|| job.span_context.span_id());
        assert_eq!(server.parent_span_id, parent, "{trust:?} {headers:?}");
        let links: Vec<_> = server.links.iter().map(|l| l.span_context.trace_id()).collect();
        let is_strange = trust == Trust::Edge && !headers.is_empty();
        assert_eq!(links, if is_strange { vec![TRACE] } else { vec![] }, "{trust:?}");
    }
}

#[test]
fn grpcs_layer_goes_on_with_the_span_of_https() {
    let (stack, seen) = stack(|setup| setup);
    let grpc = otel_setup::tonic::ServerLayer::new().with_propagator(Propagator::trace_context());
    let grpc = ServiceBuilder::new().layer(grpc).service(tower::service_fn(async |_| {
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::empty()))
    }));
    let app = Router::new().route_service("/api/x", grpc).layer(layer().with_trust(Trust::Edge));
    send(&stack, app, &[PARENT], Context::new());
    let (http, grpc) = (span(&seen, "GET /api/x"), span(&seen, "api/x"));
    assert_eq!(grpc.parent_span_id, http.span_context.span_id());
}

#[test]
fn baggage_that_is_current_is_there_inside() {
    let (stack, _) = stack(|setup| setup);
    let ambient = || Context::new().with_baggage([KeyValue::new("tenant", "t1")]);
    let user = ("baggage", "user=alice");
    for (trust, headers, expected) in [
        (Trust::Continue, &[][..], "t1,"),
        (Trust::Continue, &[PARENT], "t1,"),
        (Trust::Continue, &[PARENT, user], "t1,alice"),
        (Trust::Edge, &[PARENT, user], "t1,"),
    ] {
        let one = send(&stack, flat(layer().with_trust(trust)), headers, ambient());
        assert_eq!(one, expected, "{trust:?} {headers:?}");
        let two = nested(layer().with_trust(trust), layer());
        assert_eq!(send(&stack, two, headers, ambient()), expected, "{trust:?} {headers:?}");
    }
}

#[test]
fn where_telemetry_is_suppressed_a_layer_does_not_begin_it_again() {
    for headers in [&[][..], &[PARENT]] {
        let (stack, seen) = stack(|setup| setup);
        send(&stack, nested(layer().with_skip(|_, _| true), layer()), headers, Context::new());
        let suppressed = Context::new().with_telemetry_suppressed();
        send(&stack, flat(layer()), headers, suppressed.clone());
        send(&stack, flat(layer().with_trust(Trust::Edge)), headers, suppressed);
        assert!(spans(&seen).is_empty(), "{headers:?}");
    }
}

#[test]
fn at_the_edge_nothing_links_to_the_ids_that_are_made_up_for_a_denial_of_b3() {
    let (stack, seen) = stack(|setup| setup);
    let edge = || flat(layer().with_trust(Trust::Edge));
    for denial in [("b3", "0"), ("x-b3-sampled", "0")] {
        seen.reset();
        send(&stack, edge(), &[denial], Context::new());
        assert!(span(&seen, "GET /api/x").links.is_empty(), "{denial:?}");
    }
    seen.reset();
    send(&stack, edge(), &[PARENT, ("b3", "0")], Context::new());
    let links: Vec<_> =
        span(&seen, "GET /api/x").links.iter().map(|l| l.span_context.span_id()).collect();
    assert_eq!(links, [REMOTE]);
}
