//! How a request can end: with its body, half-way, by a panic.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty, Full};
use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use otel_setup::Stack;
use otel_setup::tower::{ResponseBody, ServerLayer};
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn};

use crate::support::{attribute, span, spans};
use crate::{run, stack};

#[test]
fn a_response_whose_head_is_full_goes_out_as_it_is() {
    let (stack, seen) = stack(|setup| setup);
    let service = ServiceBuilder::new()
        .layer(ServerLayer::new().with_trace_response(true))
        .service_fn(async |_: Request<()>| {
            let mut response = Response::new(Full::new(Bytes::new()));
            *response.headers_mut() = crate::support::full_headers();
            Ok::<_, Infallible>(response)
        });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it can be had");
    let response = run(&stack, || runtime.block_on(service.oneshot(Request::new(()))));
    let response = response.expect("it answers");
    assert_eq!(*response.headers(), crate::support::full_headers());
    assert_eq!(attribute(&spans(&seen)[0], "error.type"), None);
}

/// A body of prepared frames; after them it ends, or waits for ever.
struct Frames {
    left: std::vec::IntoIter<Result<Frame<Bytes>, &'static str>>,
    is_endless: bool,
    polled: Option<Box<dyn FnMut() + Send>>,
}

impl Frames {
    fn of(parts: &[&'static str]) -> Self {
        let frames = parts.iter().map(|part| Ok(Frame::data(Bytes::from_static(part.as_bytes()))));
        Self { left: frames.collect::<Vec<_>>().into_iter(), is_endless: false, polled: None }
    }

    fn endless(parts: &[&'static str]) -> Self {
        Self { is_endless: true, ..Self::of(parts) }
    }

    fn then(mut self, last: Result<Frame<Bytes>, &'static str>) -> Self {
        let frames: Vec<_> = self.left.chain([last]).collect();
        self.left = frames.into_iter();
        self
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Some(polled) = &mut self.polled {
            polled();
        }
        match self.left.next() {
            None if self.is_endless => Poll::Pending,
            next => Poll::Ready(next),
        }
    }
}

/// The response of a traced service to a GET.
fn response_of<B: Body>(stack: &Stack, response: Response<B>) -> Response<ResponseBody<B>> {
    let mut response = Some(response);
    let service = service_fn(move |_: Request<()>| {
        std::future::ready(Ok::<_, Infallible>(response.take().expect("it is asked once")))
    });
    let layer = ServerLayer::new().with_propagator(stack.propagator());
    let service = ServiceBuilder::new().layer(layer).service(service);
    run(stack, || block_on(service.oneshot(Request::new(()))).expect("it answers"))
}

fn read<B: Body<Error: std::fmt::Debug + 'static>>(stack: &Stack, body: ResponseBody<B>) {
    run(stack, || block_on(body.collect()).map(|_| ()).expect("it can be read"));
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be had").block_on(future)
}

#[track_caller]
fn one(seen: &InMemorySpanExporter) -> SpanData {
    span(seen, "GET")
}

#[track_caller]
fn is_whole(seen: &InMemorySpanExporter) {
    let span = one(seen);
    assert_eq!(span.status, Status::Unset);
    assert_eq!(attribute(&span, "error.type"), None);
}

#[track_caller]
fn is_cancelled(span: &SpanData) {
    assert_eq!(attribute(span, "error.type").as_deref(), Some("cancelled"));
    assert_eq!(span.status, Status::error("dropped before its end: the client went away"));
}

#[test]
fn the_span_ends_with_the_last_frame() {
    let (stack, seen) = stack(|setup| setup);
    let body = response_of(&stack, Response::new(Frames::of(&["a", "b"]))).into_body();
    assert!(spans(&seen).is_empty(), "the body is still to be sent");
    read(&stack, body);
    is_whole(&seen);
}

#[test]
fn a_body_that_is_known_to_be_over_is_not_waited_for() {
    let (stack, seen) = stack(|setup| setup);
    let response = response_of(&stack, Response::new(Empty::<&[u8]>::new()));
    is_whole(&seen);
    drop(response);
    is_whole(&seen);
}

#[test]
fn trailers_are_passed_on_and_end_the_span() {
    let (stack, seen) = stack(|setup| setup);
    let mut trailers = HeaderMap::new();
    trailers.insert("checksum", HeaderValue::from_static("7"));
    let body = Frames::of(&["a"]).then(Ok(Frame::trailers(trailers)));
    let body = response_of(&stack, Response::new(body)).into_body();
    let read = run(&stack, || block_on(body.collect()).expect("it can be read"));
    assert_eq!(read.trailers().map(|t| t["checksum"].as_bytes()), Some(&b"7"[..]));
    is_whole(&seen);
}

#[test]
fn a_client_that_goes_away_half_way_is_recorded() {
    let (stack, seen) = stack(|setup| setup);
    let mut body = response_of(&stack, Response::new(Frames::of(&["a", "b"]))).into_body();
    run(&stack, || {
        block_on(body.frame()).expect("there is one").expect("it is fine");
        drop(body);
    });
    let span = one(&seen);
    is_cancelled(&span);
    assert_eq!(attribute(&span, "http.response.status_code").as_deref(), Some("200"));
}

#[test]
fn a_client_that_goes_away_before_the_response_is_recorded() {
    let (stack, seen) = stack(|setup| setup);
    let layer = ServerLayer::new().with_propagator(stack.propagator());
    let service = service_fn(async |_: Request<()>| {
        let _working = Working;
        std::future::pending::<Result<Response<Full<&[u8]>>, Infallible>>().await
    });
    let mut service = ServiceBuilder::new().layer(layer).service(service);
    run(&stack, || {
        block_on(async {
            let mut answer = Box::pin(service.call(Request::new(())));
            assert!(futures_poll(&mut answer).await.is_pending());
            drop(answer);
        });
    });
    let span = one(&seen);
    is_cancelled(&span);
    assert_eq!(attribute(&span, "http.response.status_code"), None);
    let events: Vec<_> = span.events.iter().map(|event| &*event.name).collect();
    assert_eq!(events, ["stopped working"], "what the handler says last is on its span");
}

/// Says so when it is dropped.
struct Working;

impl Drop for Working {
    fn drop(&mut self) {
        tracing::info!("stopped working");
    }
}

async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

#[test]
fn the_end_of_a_dropped_body_is_when_it_was_dropped() {
    let (stack, seen) = stack(|setup| setup);
    let body = response_of(&stack, Response::new(Frames::endless(&[]))).into_body();
    let before = std::time::SystemTime::now();
    run(&stack, || drop(body));
    assert!(one(&seen).end_time >= before);
}

#[test]
fn a_body_that_was_sent_by_its_length_may_be_dropped() {
    let (stack, seen) = stack(|setup| setup);
    let response = Response::builder().header("content-length", 2).body(Frames::endless(&["ab"]));
    let mut body = response_of(&stack, response.expect("it is valid")).into_body();
    run(&stack, || {
        block_on(body.frame()).expect("there is one").expect("it is fine");
        drop(body);
    });
    is_whole(&seen);
}

#[test]
fn a_stream_that_is_promised_to_be_empty_may_be_dropped() {
    let (stack, seen) = stack(|setup| setup);
    let response = Response::builder().header("content-length", 0).body(Frames::endless(&[]));
    let body = response_of(&stack, response.expect("it is valid")).into_body();
    run(&stack, || drop(body));
    is_whole(&seen);
}

#[test]
fn a_bodiless_response_may_be_dropped() {
    for status in
        [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED, StatusCode::SWITCHING_PROTOCOLS]
    {
        let (stack, seen) = stack(|setup| setup);
        let response = Response::builder().status(status).body(Frames::endless(&[]));
        run(&stack, || drop(response_of(&stack, response.expect("it is valid"))));
        is_whole(&seen);
    }
}

#[test]
fn the_response_to_head_may_be_dropped() {
    let (stack, seen) = stack(|setup| setup);
    let layer = ServerLayer::new().with_propagator(stack.propagator());
    let service = service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Frames::of(&["not for you"])))
    });
    let service = ServiceBuilder::new().layer(layer).service(service);
    let request = Request::head("/").body(()).expect("it is valid");
    run(&stack, || drop(block_on(service.oneshot(request))));
    let span = span(&seen, "HEAD");
    assert_eq!(span.status, Status::Unset);
}

#[test]
fn an_event_stream_ends_by_its_client_and_is_no_error() {
    let (stack, seen) = stack(|setup| setup);
    let response = Response::builder().header("content-type", "text/event-stream; charset=utf-8");
    let response = response.body(Frames::endless(&["data: 1\n\n"])).expect("it is valid");
    let mut body = response_of(&stack, response).into_body();
    run(&stack, || block_on(body.frame()).expect("there is one").expect("it is fine"));
    assert!(spans(&seen).is_empty(), "it lasts as long as the stream");
    run(&stack, || drop(body));
    is_whole(&seen);
}

#[test]
fn a_body_that_fails_is_an_error() {
    let (stack, seen) = stack(|setup| setup);
    let body = Frames::of(&["a"]).then(Err("the disk is gone"));
    let body = response_of(&stack, Response::new(body)).into_body();
    run(&stack, || block_on(body.collect()).map(|_| ()).expect_err("it fails"));
    let span = one(&seen);
    assert_eq!(span.status, Status::error(""));
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("&str"));
}

#[test]
fn what_a_body_does_is_below_its_request() {
    let (stack, seen) = stack(|setup| setup);
    let mut body = Frames::of(&["a"]);
    body.polled = Some(Box::new(|| tracing::info_span!("row").in_scope(|| {})));
    let body = response_of(&stack, Response::new(body)).into_body();
    read(&stack, body);
    let server = one(&seen);
    let rows: Vec<_> = spans(&seen).into_iter().filter(|span| span.name == "row").collect();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.parent_span_id == server.span_context.span_id()));
    assert!(rows.iter().all(|row| row.end_time <= server.end_time));
}

/// Where a handler panics.
#[derive(Clone, Copy, Debug)]
enum Panics {
    InCall,
    InFuture,
}

#[test]
fn a_panic_is_recorded_and_goes_on() {
    for at in [Panics::InCall, Panics::InFuture] {
        let (stack, seen) = stack(|setup| setup);
        let layer = ServerLayer::new().with_propagator(stack.propagator());
        let mut service = ServiceBuilder::new().layer(layer).service_fn(move |_: Request<()>| {
            assert!(!matches!(at, Panics::InCall), "out of orders");
            async { panic!("out of {}", "orders") as Result<Response<Full<&[u8]>>, Infallible> }
        });
        let outcome = run(&stack, || {
            catch_unwind(AssertUnwindSafe(|| block_on(service.call(Request::new(()))).map(|_| ())))
        });
        let payload = outcome.expect_err("it is not swallowed");
        let message = payload.downcast_ref::<String>().map_or_else(
            || payload.downcast_ref::<&str>().copied().unwrap_or_default(),
            String::as_str,
        );
        assert_eq!(message, "out of orders", "{at:?}");
        let span = one(&seen);
        assert!(matches!(span.status, Status::Error { .. }), "{at:?}");
        assert_eq!(attribute(&span, "error.type").as_deref(), Some("panic"), "{at:?}");
        let event = &span.events[0];
        assert_eq!(event.name, "exception");
        let said = event.attributes.iter().find(|a| a.key.as_str() == "exception.message");
        assert_eq!(said.map(|a| a.value.to_string()).as_deref(), Some("out of orders"));
    }
}

#[test]
fn a_panic_in_a_body_is_recorded_and_goes_on() {
    let (stack, seen) = stack(|setup| setup);
    let mut body = Frames::of(&["a"]);
    body.polled = Some(Box::new(|| panic!("the template is broken")));
    let body = response_of(&stack, Response::new(body)).into_body();
    run(&stack, || {
        catch_unwind(AssertUnwindSafe(|| block_on(body.collect()).map(|_| ())))
            .expect_err("it is not swallowed")
    });
    assert_eq!(attribute(&one(&seen), "error.type").as_deref(), Some("panic"));
}

#[test]
fn after_a_panic_the_next_request_is_traced_as_ever() {
    let (stack, seen) = stack(|setup| setup);
    let has_panicked = Arc::new(AtomicBool::new(false));
    let layer = ServerLayer::new().with_propagator(stack.propagator());
    let service = ServiceBuilder::new().layer(layer).service_fn(move |_: Request<()>| {
        let has_panicked = has_panicked.clone();
        async move {
            assert!(has_panicked.swap(true, Relaxed), "the first one fails");
            tracing::info_span!("work").in_scope(|| {});
            Ok::<_, Infallible>(Response::new(Full::new(&b"fine"[..])))
        }
    });
    run(&stack, || {
        let send = || block_on(service.clone().oneshot(Request::new(()))).map(|_| ());
        catch_unwind(AssertUnwindSafe(send)).expect_err("it is not swallowed").type_id();
        send().expect("it answers");
    });
    let work = span(&seen, "work");
    let servers: Vec<_> = spans(&seen).into_iter().filter(|span| span.name == "GET").collect();
    assert_eq!(servers.len(), 2);
    assert_eq!(work.parent_span_id, servers[1].span_context.span_id());
}

#[test]
fn a_request_over_a_real_connection_ends_when_the_client_hangs_up() {
    let (stack, seen) = stack(|setup| setup);
    let layer = otel_setup::axum::server_layer().with_propagator(stack.propagator());
    let app = axum::Router::new()
        .route(
            "/endless",
            axum::routing::get(async || axum::body::Body::new(Frames::endless(&["first"]))),
        )
        .route("/whole", axum::routing::get(async || "whole"))
        .layer(layer);
    run(&stack, || {
        block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("it is bound");
            let server = axum::serve(listener, app);
            let client = tokio::task::spawn_blocking(move || {
                use std::io::{Read as _, Write as _};
                for (path, expected) in [("/whole", "whole"), ("/endless", "first")] {
                    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
                    write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").expect("it reads");
                    let mut seen = Vec::new();
                    while !String::from_utf8_lossy(&seen).contains(expected) {
                        let mut some = [0; 512];
                        let length = stream.read(&mut some).expect("it answers");
                        assert_ne!(length, 0, "it answers whole");
                        seen.extend_from_slice(&some[..length]);
                    }
                }
            });
            let ended = async {
                while spans(&seen).len() < 2 {
                    tokio::task::yield_now().await;
                    stack.flush(Duration::from_secs(10)).expect("nothing is lost");
                }
            };
            tokio::select! {
                _ = server => unreachable!("it serves for ever"),
                () = async { client.await.expect("it got its bytes"); ended.await; } => {}
            }
        });
    });
    is_cancelled(&span(&seen, "GET /endless"));
    assert_eq!(span(&seen, "GET /whole").status, Status::Unset);
}

#[test]
fn an_upgraded_connection_outlives_its_request() {
    let (stack, seen) = stack(|setup| setup);
    let layer = otel_setup::axum::server_layer().with_propagator(stack.propagator());
    let app = axum::Router::new().route("/socket", axum::routing::get(upgrade)).layer(layer);
    run(&stack, || {
        block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("it is bound");
            let client = tokio::task::spawn_blocking(move || {
                use std::io::{Read as _, Write as _};
                let mut stream = std::net::TcpStream::connect(address).expect("it listens");
                let head = "GET /socket HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n";
                write!(stream, "{head}upgrade: echo\r\n\r\n").expect("it reads");
                let mut seen = Vec::new();
                while !String::from_utf8_lossy(&seen).contains("\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).expect("it answers");
                    seen.extend(byte);
                }
                write!(stream, "ping").expect("the connection is still there");
                let mut pong = [0; 4];
                stream.read_exact(&mut pong).expect("it answers");
                pong
            });
            let server = axum::serve(listener, app);
            tokio::select! {
                _ = server => unreachable!("it serves for ever"),
                pong = client => assert_eq!(&pong.expect("it was answered"), b"ping"),
            }
        });
    });
    let span = span(&seen, "GET /socket");
    assert_eq!(span.status, Status::Unset);
    assert_eq!(attribute(&span, "http.response.status_code").as_deref(), Some("101"));
    assert_eq!(attribute(&span, "error.type"), None);
}

/// Echoes four bytes once the protocol has been switched.
async fn upgrade(request: axum::extract::Request) -> Response<axum::body::Body> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await.expect("the client has asked for it");
        let mut stream = hyper_util::rt::TokioIo::new(upgraded);
        let mut ping = [0; 4];
        stream.read_exact(&mut ping).await.expect("it is sent");
        stream.write_all(&ping).await.expect("it is read");
    });
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let response = response.header("connection", "upgrade").header("upgrade", "echo");
    response.body(axum::body::Body::empty()).expect("it is valid")
}
