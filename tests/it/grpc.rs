//! tonic's servers and clients: spans, statuses and streams of every kind.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use http::{Request, Response};
use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use otel_setup::Stack;
use otel_setup::propagation::Propagator;
use otel_setup::tonic::{ClientLayer, ServerLayer};
use otel_setup::tower::Trust;
use tokio_stream::{Stream, StreamExt as _};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Status};
use tower::{Service, ServiceBuilder, service_fn};

use crate::support::{attribute, spans};
use crate::{run, stack};

/// Messages that are text.
#[derive(Debug, Clone, Copy, Default)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(out, text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = bytes::Buf::copy_to_bytes(from, bytes::Buf::remaining(from));
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// A service with one method for each way in which a call can go.
#[derive(Debug, Clone, Copy)]
struct Echo;

impl tonic::server::NamedService for Echo {
    const NAME: &'static str = "test.v1.Echo";
}

type Texts = std::pin::Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Text);
            Ok(match request.uri().path() {
                "/test.v1.Echo/Say" => grpc.unary(service_fn(say), request).await,
                "/test.v1.Echo/Count" => grpc.server_streaming(service_fn(count), request).await,
                "/test.v1.Echo/Chat" => grpc.streaming(service_fn(chat), request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

async fn say(request: tonic::Request<String>) -> Result<tonic::Response<String>, Status> {
    tracing::info_span!("say").in_scope(|| match request.get_ref().as_str() {
        "panic" => panic!("out of words"),
        text => match text.parse::<i32>() {
            Ok(code) => Err(Status::new(Code::from_i32(code), "as you wish, 100 %")),
            Err(_) => Ok(tonic::Response::new(text.to_owned())),
        },
    })
}

/// As many messages as asked for, then OK; `n!` ends with `DATA_LOSS` instead.
async fn count(request: tonic::Request<String>) -> Result<tonic::Response<Texts>, Status> {
    let text = request.into_inner();
    let many: u32 = text.trim_end_matches('!').parse().expect("the test asks for a number");
    let last = text.ends_with('!').then(|| Err(Status::data_loss("it stops here")));
    let texts = (0..many).map(|n| Ok(n.to_string())).chain(last);
    Ok(tonic::Response::new(Box::pin(tokio_stream::iter(texts.collect::<Vec<_>>()))))
}

async fn chat(
    request: tonic::Request<tonic::Streaming<String>>,
) -> Result<tonic::Response<Texts>, Status> {
    Ok(tonic::Response::new(Box::pin(request.into_inner())))
}

/// A client and the service in one process, each under its layer.
macro_rules! client {
    ($stack:expr) => {
        tonic::client::Grpc::new(
            ServiceBuilder::new()
                .layer(
                    ClientLayer::new()
                        .with_propagator($stack.propagator())
                        .with_server("echo.example", 50051),
                )
                .layer(ServerLayer::new().with_propagator($stack.propagator()))
                .service(Echo),
        )
    };
}

fn method(name: &'static str) -> PathAndQuery {
    PathAndQuery::from_static(name)
}

/// Says something, and what came of it.
fn say_to(stack: &Stack, text: &str) -> Result<String, Status> {
    let mut client = client!(stack);
    run(stack, || {
        block_on(async {
            client.ready().await.expect("it is ready");
            let request = tonic::Request::new(text.to_owned());
            let response = client.unary(request, method("/test.v1.Echo/Say"), Text).await;
            response.map(tonic::Response::into_inner)
        })
    })
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be had").block_on(future)
}

#[track_caller]
fn of(seen: &InMemorySpanExporter, kind: &SpanKind) -> SpanData {
    let mut found: Vec<_> = spans(seen).into_iter().filter(|s| s.span_kind == *kind).collect();
    assert_eq!(found.len(), 1, "{kind:?} in {:?}", spans(seen));
    found.pop().expect("there is one")
}

#[track_caller]
fn says(span: &SpanData, expected: &[(&str, Option<&str>)]) {
    for (key, value) in expected {
        let found: Vec<_> = span.attributes.iter().filter(|a| a.key.as_str() == *key).collect();
        assert!(found.len() < 2, "{key} twice in {:?}", span.attributes);
        assert_eq!(attribute(span, key).as_deref(), *value, "{key} in {:?}", span.attributes);
    }
}

#[test]
fn a_call_is_one_trace_that_says_all_that_the_conventions_ask() {
    let (stack, seen) = stack(|setup| setup);
    assert_eq!(say_to(&stack, "hello").expect("it answers"), "hello");
    let (client, server) = (of(&seen, &SpanKind::Client), of(&seen, &SpanKind::Server));
    let work = spans(&seen).into_iter().find(|span| span.name == "say").expect("it was said");
    for (child, parent) in [(&work, &server), (&server, &client)] {
        assert_eq!(child.parent_span_id, parent.span_context.span_id());
        assert_eq!(child.span_context.trace_id(), client.span_context.trace_id());
    }
    for span in [&client, &server] {
        assert_eq!(span.name, "test.v1.Echo/Say");
        assert_eq!(span.status, SpanStatus::Unset);
        says(
            span,
            &[
                ("rpc.system.name", Some("grpc")),
                ("rpc.method", Some("test.v1.Echo/Say")),
                ("rpc.response.status_code", Some("OK")),
                ("error.type", None),
            ],
        );
    }
    says(&client, &[("server.address", Some("echo.example")), ("server.port", Some("50051"))]);
}

#[test]
fn which_codes_are_errors_depends_on_the_side() {
    let of_server =
        ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];
    for (code, name) in [
        (1, "CANCELLED"),
        (2, "UNKNOWN"),
        (3, "INVALID_ARGUMENT"),
        (4, "DEADLINE_EXCEEDED"),
        (5, "NOT_FOUND"),
        (6, "ALREADY_EXISTS"),
        (7, "PERMISSION_DENIED"),
        (8, "RESOURCE_EXHAUSTED"),
        (9, "FAILED_PRECONDITION"),
        (10, "ABORTED"),
        (11, "OUT_OF_RANGE"),
        (12, "UNIMPLEMENTED"),
        (13, "INTERNAL"),
        (14, "UNAVAILABLE"),
        (15, "DATA_LOSS"),
        (16, "UNAUTHENTICATED"),
    ] {
        let (stack, seen) = stack(|setup| setup);
        let status = say_to(&stack, &code.to_string()).expect_err("it was told to fail");
        assert_eq!(status.code() as i32, code);
        let (client, server) = (of(&seen, &SpanKind::Client), of(&seen, &SpanKind::Server));
        let error = SpanStatus::error("as you wish, 100 %");
        assert_eq!(client.status, error, "{name}");
        says(&client, &[("rpc.response.status_code", Some(name)), ("error.type", Some(name))]);
        let is_error = of_server.contains(&name);
        assert_eq!(server.status, if is_error { error } else { SpanStatus::Unset }, "{name}");
        says(
            &server,
            &[("rpc.response.status_code", Some(name)), ("error.type", is_error.then_some(name))],
        );
    }
}

#[test]
fn a_method_that_is_not_there_names_no_span() {
    let (stack, seen) = stack(|setup| setup);
    let mut client = client!(stack);
    run(&stack, || {
        block_on(async {
            client.ready().await.expect("it is ready");
            let request = tonic::Request::new(String::new());
            let response: Result<tonic::Response<String>, _> =
                client.unary(request, method("/admin.php/x7d"), Text).await;
            assert_eq!(response.expect_err("there is none").code(), Code::Unimplemented);
        });
    });
    let server = of(&seen, &SpanKind::Server);
    assert_eq!(server.name, "grpc");
    says(
        &server,
        &[
            ("rpc.method", Some("_OTHER")),
            ("rpc.method_original", Some("admin.php/x7d")),
            ("rpc.response.status_code", Some("UNIMPLEMENTED")),
        ],
    );
}

/// Answers with the code that it is sent.
async fn with_code(request: Request<u8>) -> Result<Response<Body>, Infallible> {
    let head = Response::builder().header("grpc-status", request.into_body().to_string());
    Ok(head.body(Body::empty()).expect("it is a response"))
}

/// What a server answers to these paths, each with this code, all of them asked for before any is
/// answered.
fn answer_at_once(stack: &Stack, paths: &[String], code: u8) {
    let layer = ServerLayer::new().with_propagator(stack.propagator());
    let mut service = ServiceBuilder::new().layer(layer).service(service_fn(with_code));
    run(stack, || {
        let request = |path: &String| Request::post(&**path).body(code).expect("it is a path");
        let calls: Vec<_> = paths.iter().map(|path| service.call(request(path))).collect();
        block_on(async {
            for call in calls {
                call.await.expect("it answers");
            }
        });
    });
}

/// What a server answers to these paths, each with this code.
fn answer<'a>(stack: &Stack, layer: ServerLayer, calls: impl IntoIterator<Item = (&'a str, u8)>) {
    let service = service_fn(async |request: Request<u8>| {
        let head = Response::builder().header("grpc-status", request.into_body().to_string());
        Ok::<_, Infallible>(head.body(Body::empty()).expect("it is a response"))
    });
    let mut service =
        ServiceBuilder::new().layer(layer.with_propagator(stack.propagator())).service(service);
    run(stack, || {
        block_on(async {
            for (path, code) in calls {
                let request = Request::post(path).body(code).expect("it is a path");
                service.call(request).await.expect("it answers");
            }
        });
    });
}

const UNIMPLEMENTED: u8 = 12;
const UNAUTHENTICATED: u8 = 16;

#[test]
fn of_the_known_methods_each_keeps_its_name_and_no_other_has_one() {
    let (stack, seen) = stack(|setup| setup);
    let layer = ServerLayer::new().with_known_methods(["a.B/Place", "/a.B/Cancel"]);
    let calls = [
        ("/a.B/Place", 0),
        ("/a.B/Cancel", UNIMPLEMENTED),
        ("/stranger/1", UNAUTHENTICATED),
        ("/stranger/2", UNIMPLEMENTED),
    ];
    answer(&stack, layer, calls);
    let spans = spans(&seen);
    for (span, (method, original)) in spans.iter().zip([
        ("a.B/Place", None),
        ("a.B/Cancel", None),
        ("_OTHER", Some("stranger/1")),
        ("_OTHER", Some("stranger/2")),
    ]) {
        assert_eq!(span.name, if original.is_some() { "grpc" } else { method });
        says(span, &[("rpc.method", Some(method)), ("rpc.method_original", original)]);
    }
    assert_eq!(spans.len(), 4);
}

#[test]
fn strangers_cannot_make_names_without_end() {
    let (stack, seen) = stack(|setup| setup);
    let paths: Vec<_> = (0..1_100).map(|n| format!("/stranger/{n}")).collect();
    // what the server says it does not have takes nobody's place
    let scan = (0..1_100).map(|n| format!("/scan/{n}")).collect::<Vec<_>>();
    let calls = scan.iter().map(|path| (&**path, UNIMPLEMENTED));
    let long = format!("/{}", "x".repeat(257));
    let calls = calls.chain([("/a.B/Place", 0), (&*long, UNAUTHENTICATED)]);
    let calls = calls.chain(paths.iter().map(|path| (&**path, UNAUTHENTICATED)));
    answer(&stack, ServerLayer::new(), calls.chain([("/a.B/Place", 0), ("/a.B/Late", 0)]));
    let spans = spans(&seen);
    let names: std::collections::BTreeSet<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names.len(), 1_001, "a thousand and `grpc`");
    let methods = spans.iter().map(|span| attribute(span, "rpc.method"));
    assert_eq!(methods.collect::<std::collections::BTreeSet<_>>().len(), 1_001);
    let [.., known, late] = &spans[..] else { panic!("{}", spans.len()) };
    assert_eq!((&*known.name, &*late.name), ("a.B/Place", "grpc"));
    says(late, &[("rpc.method", Some("_OTHER")), ("rpc.method_original", Some("a.B/Late"))]);
}

#[test]
fn strangers_cannot_make_more_names_by_asking_at_once() {
    let (stack, seen) = stack(|setup| setup);
    let paths: Vec<_> = (0..1_100).map(|n| format!("/stranger/{n}")).collect();
    answer_at_once(&stack, &paths, UNAUTHENTICATED);
    let names: std::collections::BTreeSet<_> =
        spans(&seen).iter().map(|s| s.name.clone()).collect();
    assert_eq!(names.len(), 1_001, "a thousand and `grpc`");
}

/// Reads a stream of the server's up to `most` messages; the last word, if it came.
fn count_to(stack: &Stack, text: &str, most: usize) -> Option<Status> {
    let mut client = client!(stack);
    run(stack, || {
        block_on(async {
            client.ready().await.expect("it is ready");
            let request = tonic::Request::new(text.to_owned());
            let response =
                client.server_streaming(request, method("/test.v1.Echo/Count"), Text).await;
            let mut texts: tonic::Streaming<String> = response.expect("it starts").into_inner();
            for _ in 0..most {
                match texts.next().await {
                    None => return Some(Status::ok("")),
                    Some(Err(status)) => return Some(status),
                    Some(Ok(_)) => {}
                }
            }
            None
        })
    })
}

#[test]
fn a_stream_lasts_to_its_trailers() {
    let (stack, seen) = stack(|setup| setup);
    assert_eq!(count_to(&stack, "3", 9).expect("it ends").code(), Code::Ok);
    for kind in [SpanKind::Client, SpanKind::Server] {
        let span = of(&seen, &kind);
        assert_eq!(span.name, "test.v1.Echo/Count");
        assert_eq!(span.status, SpanStatus::Unset);
        says(&span, &[("rpc.response.status_code", Some("OK"))]);
    }
}

#[test]
fn a_stream_that_fails_in_the_middle_is_an_error() {
    let (stack, seen) = stack(|setup| setup);
    assert_eq!(count_to(&stack, "2!", 9).expect("it ends").code(), Code::DataLoss);
    for kind in [SpanKind::Client, SpanKind::Server] {
        let span = of(&seen, &kind);
        assert_eq!(span.status, SpanStatus::error("it stops here"));
        says(&span, &[("rpc.response.status_code", Some("DATA_LOSS"))]);
    }
}

#[test]
fn a_stream_that_nobody_reads_to_its_end_is_cancelled() {
    let (stack, seen) = stack(|setup| setup);
    assert!(count_to(&stack, "100", 2).is_none());
    let (client, server) = (of(&seen, &SpanKind::Client), of(&seen, &SpanKind::Server));
    says(&client, &[("rpc.response.status_code", Some("CANCELLED"))]);
    says(&server, &[("rpc.response.status_code", Some("CANCELLED")), ("error.type", None)]);
    assert!(matches!(client.status, SpanStatus::Error { .. }));
    assert_eq!(server.status, SpanStatus::Unset);
}

#[test]
fn a_chat_is_one_span_on_each_side() {
    let (stack, seen) = stack(|setup| setup);
    let mut client = client!(stack);
    let answers = run(&stack, || {
        block_on(async {
            client.ready().await.expect("it is ready");
            let questions = tokio_stream::iter(["a", "b", "c"].map(str::to_owned));
            let request = tonic::Request::new(questions);
            let response = client.streaming(request, method("/test.v1.Echo/Chat"), Text).await;
            let texts: tonic::Streaming<String> = response.expect("it starts").into_inner();
            texts.map(|text| text.expect("it is sent")).collect::<Vec<_>>().await
        })
    });
    assert_eq!(answers, ["a", "b", "c"]);
    let (client, server) = (of(&seen, &SpanKind::Client), of(&seen, &SpanKind::Server));
    assert_eq!(server.parent_span_id, client.span_context.span_id());
    says(&server, &[("rpc.response.status_code", Some("OK"))]);
}

/// A server in a task of its own, where nothing of the client is current.
fn elsewhere<S, R>(
    server: S,
) -> impl Service<R, Response = S::Response, Error = S::Error, Future: Send> + Clone
where
    S: Service<R, Response: Send, Error: Send, Future: Send> + Clone + Send + 'static,
    R: Send + 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    service_fn(move |request| {
        let answer = tokio::spawn(tower::ServiceExt::oneshot(server.clone(), request));
        async { answer.await.expect("it does not panic") }
    })
}

#[test]
fn at_the_edge_a_call_starts_a_trace_of_its_own_with_a_link() {
    let (stack, seen) = stack(|setup| setup);
    let layer = ServerLayer::new().with_propagator(stack.propagator()).with_trust(Trust::Edge);
    let mut client = tonic::client::Grpc::new(
        ServiceBuilder::new()
            .layer(ClientLayer::new().with_propagator(stack.propagator()))
            .layer(tower::layer::layer_fn(elsewhere))
            .layer(layer)
            .service(Echo),
    );
    run(&stack, || {
        block_on(async {
            client.ready().await.expect("it is ready");
            let request = tonic::Request::new("hello".to_owned());
            client.unary(request, method("/test.v1.Echo/Say"), Text).await.expect("it answers");
        });
    });
    let (client, server) = (of(&seen, &SpanKind::Client), of(&seen, &SpanKind::Server));
    assert_ne!(server.span_context.trace_id(), client.span_context.trace_id());
    let links: Vec<_> = server.links.iter().map(|l| l.span_context.span_id()).collect();
    assert_eq!(links, [client.span_context.span_id()]);
}

/// What a stranger says of a context, in metadata.
const STRANGE: [(&str, &str); 6] = [
    ("traceparent", "00-0000000000000000000000000000004d-0000000000000007-01"),
    ("tracestate", "theirs=1"),
    ("baggage", "user=admin"),
    ("x-b3-sampled", "1"),
    ("uber-trace-id", "7:9:0:1"),
    ("uberctx-user", "admin"),
];

/// Which of a stranger's metadata a handler of tonic's sees under the layer.
fn seen_by_a_handler(stack: &Stack, propagator: Propagator, trust: Trust) -> Vec<&'static str> {
    let layer = ServerLayer::new().with_propagator(propagator).with_trust(trust);
    let handler = service_fn(|request: Request<Body>| async {
        let names = async |request: tonic::Request<String>| {
            let has = |name: &&str| request.metadata().contains_key(*name);
            let names = STRANGE.map(|(name, _)| name).into_iter().filter(has);
            Ok::<_, Status>(tonic::Response::new(names.collect::<Vec<_>>().join(" ")))
        };
        Ok::<_, Infallible>(tonic::server::Grpc::new(Text).unary(service_fn(names), request).await)
    });
    let mut client = tonic::client::Grpc::new(ServiceBuilder::new().layer(layer).service(handler));
    let seen = run(stack, || {
        block_on(async {
            client.ready().await.expect("it is ready");
            let mut request = tonic::Request::new("hello".to_owned());
            for (name, value) in STRANGE {
                request.metadata_mut().insert(name, value.parse().expect("it is ASCII"));
            }
            let response = client.unary(request, method("/test.v1.Echo/Say"), Text).await;
            response.expect("it answers").into_inner()
        })
    });
    STRANGE.map(|(name, _)| name).into_iter().filter(|n| seen.split(' ').any(|s| s == *n)).collect()
}

#[test]
fn a_strangers_metadata_does_not_come_over_the_edge() {
    let w3c = || Propagator::composite([Propagator::trace_context(), Propagator::baggage()]);
    let all = || Propagator::composite([w3c(), Propagator::b3(), Propagator::jaeger()]);
    let (stack, _) = stack(|setup| setup);
    assert_eq!(seen_by_a_handler(&stack, all(), Trust::Edge), [""; 0]);
    let others = ["x-b3-sampled", "uber-trace-id", "uberctx-user"];
    assert_eq!(seen_by_a_handler(&stack, w3c(), Trust::Edge), others, "not the propagator's");
    assert_eq!(seen_by_a_handler(&stack, all(), Trust::Continue), STRANGE.map(|(name, _)| name));
}

#[test]
fn a_panic_is_recorded_and_goes_on() {
    let (stack, seen) = stack(|setup| setup);
    let outcome =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| say_to(&stack, "panic")));
    outcome.expect_err("it is not swallowed");
    stack.flush(std::time::Duration::from_secs(10)).expect("nothing is lost");
    says(&of(&seen, &SpanKind::Server), &[("error.type", Some("panic"))]);
}

#[test]
fn over_a_real_connection_the_peer_is_known() {
    let (stack, seen) = stack(|setup| setup);
    run(&stack, || {
        block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("it is bound");
            let incoming = tonic::transport::server::TcpIncoming::from(listener);
            let server = tonic::transport::Server::builder()
                .layer(ServerLayer::new().with_propagator(stack.propagator()))
                .add_service(Echo)
                .serve_with_incoming(incoming);
            tokio::select! {
                end = server => unreachable!("it serves for ever: {end:?}"),
                () = call(&stack, address) => {}
            }
        });
    });
    let (client, server) = (of(&seen, &SpanKind::Client), of(&seen, &SpanKind::Server));
    assert_eq!(server.parent_span_id, client.span_context.span_id());
    says(
        &server,
        &[
            ("network.peer.address", Some("127.0.0.1")),
            ("client.address", Some("127.0.0.1")),
            ("server.address", Some("127.0.0.1")),
            ("rpc.response.status_code", Some("OK")),
        ],
    );
    assert!(attribute(&server, "network.peer.port").is_some());
}

async fn call(stack: &Stack, address: SocketAddr) {
    let endpoint = tonic::transport::Endpoint::try_from(format!("http://{address}"));
    let channel = endpoint.expect("it is valid").connect().await.expect("it listens");
    let layer = ClientLayer::new().with_propagator(stack.propagator());
    let mut client = tonic::client::Grpc::new(ServiceBuilder::new().layer(layer).service(channel));
    client.ready().await.expect("it is ready");
    let request = tonic::Request::new("hello".to_owned());
    client.unary(request, method("/test.v1.Echo/Say"), Text).await.expect("it answers");
}

#[test]
fn a_call_over_the_channels_timeout_has_the_code_that_the_caller_gets() {
    let (stack, seen) = stack(|setup| setup);
    let code = run(&stack, || {
        block_on(async {
            // takes connections and says nothing
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("it is bound");
            let endpoint = tonic::transport::Endpoint::try_from(format!("http://{address}"));
            let endpoint = endpoint.expect("it is valid");
            let channel = endpoint.timeout(std::time::Duration::from_millis(1)).connect_lazy();
            let layer = ClientLayer::new().with_propagator(stack.propagator());
            let service = ServiceBuilder::new().layer(layer).service(channel);
            let mut client = tonic::client::Grpc::new(service);
            client.ready().await.expect("it is ready");
            let request = tonic::Request::new("hello".to_owned());
            let answer: Result<tonic::Response<String>, _> =
                client.unary(request, method("/test.v1.Echo/Say"), Text).await;
            answer.expect_err("nobody answers").code()
        })
    });
    assert_eq!(code, Code::Cancelled);
    let client = of(&seen, &SpanKind::Client);
    says(&client, &[("rpc.response.status_code", Some("CANCELLED"))]);
}

#[test]
fn a_server_that_is_not_there_is_unavailable() {
    let (stack, seen) = stack(|setup| setup);
    let client = ClientLayer::new().with_propagator(stack.propagator());
    let nobody = service_fn(async |_: Request<Body>| {
        Err::<Response<Body>, _>(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
    });
    let mut client = tonic::client::Grpc::new(ServiceBuilder::new().layer(client).service(nobody));
    run(&stack, || {
        block_on(async {
            client.ready().await.expect("it is ready");
            let request = tonic::Request::new("hello".to_owned());
            let answer: Result<tonic::Response<String>, _> =
                client.unary(request, method("/test.v1.Echo/Say"), Text).await;
            answer.expect_err("nobody is there");
        });
    });
    says(
        &of(&seen, &SpanKind::Client),
        &[
            ("rpc.response.status_code", Some("UNAVAILABLE")),
            ("error.type", Some("std::io::error::Error")),
        ],
    );
}
