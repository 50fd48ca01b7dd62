//! A collector that speaks gRPC, and answers as it is told.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context as TaskContext, Poll};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use http_body_util::Full;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use otel_setup::{Exporter, LogFormat, OtlpExporter, Setup, Stack};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::support::{Said, spans_in, with_variables};

/// What the collector does with a request.
#[derive(Clone)]
pub enum Answer {
    Success(ExportTraceServiceResponse),
    Failure(Status),
    /// Says nothing while the collector lives.
    Hang,
    /// A response that is no gRPC.
    Raw(Raw),
}

/// What something that is no gRPC server answers, over HTTP/2 like one.
#[derive(Clone)]
pub struct Raw {
    pub status: u16,
    pub headers: &'static [(&'static str, &'static str)],
    pub body: &'static [u8],
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    pub metadata: MetadataMap,
    /// `:authority`
    pub authority: Option<String>,
    pub request: ExportTraceServiceRequest,
}

/// The running collector; dropping it ends it.
pub struct GrpcCollector {
    address: SocketAddr,
    shared: Arc<Shared>,
    scheme: &'static str,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<VecDeque<Answer>>,
    /// The answer to everything else, while it lasts.
    fault: Mutex<Option<Answer>>,
    seen: Mutex<Vec<Seen>>,
    /// Spans in requests that were answered with success.
    accepted: AtomicUsize,
    came: Condvar,
    changed: Notify,
}

impl GrpcCollector {
    /// Gives these answers in turn, and then success to everything.
    pub fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let collector = Self::serve("http", None, bound(loopback()));
        collector.shared.answers.lock().expect("no panic under this lock").extend(answers);
        collector
    }

    /// Gives this answer to everything until it [recovers](Self::recover).
    pub fn failing(fault: Answer) -> Self {
        let collector = Self::start([]);
        *collector.shared.fault.lock().expect("no panic under this lock") = Some(fault);
        collector
    }

    /// Success to everything, on a socket that is there already.
    pub fn on(listener: std::net::TcpListener) -> Self {
        Self::serve("http", None, listener)
    }

    pub fn with_tls(tls: ServerTlsConfig) -> Self {
        Self::serve("https", Some(tls), bound(loopback()))
    }

    /// A collector where another one was, to which the exporter may still be connected.
    pub fn restarted(mut self) -> Self {
        self.end();
        Self::serve(self.scheme, None, bound(self.address))
    }

    /// The same, with another certificate.
    pub fn restarted_with_tls(mut self, tls: ServerTlsConfig) -> Self {
        self.end();
        Self::serve(self.scheme, Some(tls), bound(self.address))
    }

    /// Waits until `n` requests have come.
    #[track_caller]
    pub fn wait_for(&self, n: usize) {
        let (seen, came) = (&self.shared.seen, &self.shared.came);
        let seen = seen.lock().expect("no panic under this lock");
        let few = |seen: &mut Vec<Seen>| seen.len() < n;
        let (seen, timeout) =
            came.wait_timeout_while(seen, PATIENCE, few).expect("no panic under this lock");
        assert!(!timeout.timed_out(), "{} of {n} requests came", seen.len());
    }

    /// From here on success to everything; what was held up goes on.
    pub fn recover(&self) {
        *self.shared.fault.lock().expect("no panic under this lock") = None;
        self.shared.changed.notify_waiters();
    }

    /// Spans in requests that were answered with success.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    fn serve(
        scheme: &'static str,
        tls: Option<ServerTlsConfig>,
        listener: std::net::TcpListener,
    ) -> Self {
        let shared = Arc::<Shared>::default();
        let (end, ended) = oneshot::channel();
        let address = listener.local_addr().expect("it is bound");
        let of_thread = shared.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                listener.set_nonblocking(true).expect("every socket can be");
                let listener = TcpListener::from_std(listener).expect("there is a reactor");
                let service = TraceServiceServer::new(Service(of_thread.clone()))
                    .accept_compressed(CompressionEncoding::Gzip)
                    .accept_compressed(CompressionEncoding::Zstd);
                let service = Front { service, shared: of_thread };
                let mut server = Server::builder();
                if let Some(tls) = tls {
                    server = server.tls_config(tls).expect("a right config");
                }
                let serving =
                    server.add_service(service).serve_with_incoming(TcpIncoming::from(listener));
                // whichever is first: open connections are cut off, as by a killed process
                tokio::select! {
                    _ = serving => {}
                    _ = ended => {}
                }
            });
        });
        Self { address, shared, scheme, running: Some((end, thread)) }
    }

    pub fn url(&self) -> String {
        let host = if self.scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{}://{host}:{}", self.scheme, self.address.port())
    }

    /// `host:port`
    pub fn target(&self) -> String {
        self.address.to_string()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("no panic under this lock").clone()
    }

    fn end(&mut self) {
        if let Some((end, thread)) = self.running.take() {
            let _ = end.send(());
            let _ = thread.join();
        }
    }
}

impl Drop for GrpcCollector {
    fn drop(&mut self) {
        self.end();
    }
}

pub fn grpc(collector: &GrpcCollector) -> OtlpExporter {
    Exporter::otlp_grpc().with_endpoint(collector.url())
}

pub fn setup(exporter: impl Into<Exporter>) -> Setup {
    Setup::new("checkout").with_exporter(exporter).with_log_format(LogFormat::Off)
}

pub fn stack(exporter: OtlpExporter) -> Stack {
    setup(exporter).with_env(|_| None).build().expect("the settings are right")
}

/// A stack that gives up after the first attempt, and what it said.
pub fn impatient(exporter: OtlpExporter) -> (Stack, Said) {
    let said = Said::default();
    // no longer than the first pause, and long enough for one answer
    let env = with_variables(&[("OTEL_BSP_EXPORT_TIMEOUT", "250")]);
    let setup = setup(exporter).with_env(env).with_diagnostics(said.sink());
    (setup.build().expect("the settings are right"), said)
}

#[track_caller]
pub fn exports(stack: &Stack, spans: usize) {
    spans_in(stack, spans);
    stack.flush(PATIENCE).expect("nothing is lost");
}

#[track_caller]
pub fn fails(stack: &Stack) -> String {
    spans_in(stack, 1);
    stack.flush(PATIENCE).expect_err("it cannot be exported").to_string()
}

struct Service(Arc<Shared>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let authority = extensions.get::<http::Uri>().and_then(http::Uri::authority);
        let authority = authority.map(ToString::to_string);
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let spans: usize = scopes.map(|scope| scope.spans.len()).sum();
        let seen = Seen { at: Instant::now(), metadata, authority, request };
        self.0.seen.lock().expect("no panic under this lock").push(seen);
        self.0.came.notify_all();
        let answer = self.0.answers.lock().expect("no panic under this lock").pop_front();
        let fault = self.0.fault.lock().expect("no panic under this lock").clone();
        match answer.or(fault.clone()) {
            None => {
                self.0.accepted.fetch_add(spans, Ordering::Relaxed);
                Ok(Response::new(ExportTraceServiceResponse::default()))
            }
            Some(Answer::Success(response)) => {
                let partial = response.partial_success.as_ref();
                let rejected = partial.map_or(0, |partial| partial.rejected_spans);
                let rejected = usize::try_from(rejected).expect("tests reject few");
                self.0.accepted.fetch_add(spans - rejected, Ordering::Relaxed);
                Ok(Response::new(response))
            }
            Some(Answer::Failure(status)) => Err(status),
            Some(Answer::Hang) if fault.is_some() => {
                self.0.changed.notified().await;
                Err(Status::cancelled("it hung too long"))
            }
            Some(Answer::Hang | Answer::Raw(_)) => std::future::pending().await,
        }
    }
}

/// Before the gRPC: answers that are none.
#[derive(Clone)]
struct Front {
    service: TraceServiceServer<Service>,
    shared: Arc<Shared>,
}

impl NamedService for Front {
    const NAME: &'static str = <TraceServiceServer<Service> as NamedService>::NAME;
}

impl tower::Service<http::Request<Body>> for Front {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        tower::Service::<http::Request<Body>>::poll_ready(&mut self.service, cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let uri = request.uri().clone();
        request.extensions_mut().insert(uri);
        let fault = self.shared.fault.lock().expect("no panic under this lock").clone();
        let Some(Answer::Raw(raw)) = fault else { return self.service.call(request) };
        let mut response = http::Response::new(Body::new(Full::new(raw.body.into())));
        *response.status_mut() = raw.status.try_into().expect("a status");
        for (name, value) in raw.headers {
            response.headers_mut().append(*name, value.parse().expect("a value of a header"));
        }
        Box::pin(std::future::ready(Ok(response)))
    }
}

fn bound(address: SocketAddr) -> std::net::TcpListener {
    std::net::TcpListener::bind(address).expect("a free port")
}

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A `google.rpc.Status` with a `google.rpc.RetryInfo` in it.
pub fn retry_after(pause: Duration) -> Vec<u8> {
    let seconds = i64::try_from(pause.as_secs()).expect("it is short");
    let nanos = i32::try_from(pause.subsec_nanos()).expect("it is below a second");
    let info = RetryInfo { retry_delay: Some(Delay { seconds, nanos }) };
    let url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
    let detail = Detail { type_url: url, value: info.encode_to_vec() };
    RpcStatus { code: 8, message: "busy".to_owned(), details: vec![detail] }.encode_to_vec()
}

#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

pub const PATIENCE: Duration = Duration::from_secs(20);
