//! Every fault that a collector can have, over gRPC.

#![cfg(feature = "otlp-grpc")]

#[path = "support/faults.rs"]
mod faults;
#[path = "support/grpc.rs"]
mod grpc;
mod support;
#[cfg(feature = "tls")]
#[path = "support/tls.rs"]
mod tls;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use faults::{Place, Trial, WORK};
use grpc::{Answer, GrpcCollector, Raw, grpc, retry_after};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use otel_setup::{DropReason, Exporter};
use tonic::{Code, Status};

/// Spans are kept while the collector gives this answer, and arrive when it does no more.
#[track_caller]
fn kept_during(fault: Answer, cause: &str) {
    let collector = GrpcCollector::failing(fault);
    let trial = Trial::under(grpc(&collector));
    trial.says(&["spans are kept and tried again", cause, &collector.url()]);
    collector.recover();
    trial.recovers_whole();
    assert_eq!(collector.accepted() as u64, 2 * WORK);
}

/// Spans are lost while the collector gives this answer, with this cause.
#[track_caller]
fn lost_during(fault: Answer, cause: &[&str]) {
    let collector = GrpcCollector::failing(fault);
    let trial = Trial::under(grpc(&collector));
    trial.loses(DropReason::ExportFailed, cause).says(&["losing spans", &collector.url()]);
    collector.recover();
    assert_eq!(trial.recovers(), collector.accepted());
}

fn status(code: Code) -> Answer {
    Answer::Failure(Status::new(code, "says the collector"))
}

fn raw(status: u16) -> Answer {
    Answer::Raw(Raw { status, headers: &[], body: b"" })
}

#[test]
fn grpc_absent() {
    let place = Place::take();
    let trial = Trial::under(Exporter::otlp_grpc().with_endpoint(place.url()));
    trial.says(&["connection refused by", &place.url()]);
    let collector = GrpcCollector::on(place.listen());
    trial.recovers_whole();
    assert_eq!(collector.accepted() as u64, 2 * WORK);
}

#[test]
fn grpc_accepts_and_hangs() {
    let collector = GrpcCollector::failing(Answer::Hang);
    let trial = Trial::under(grpc(&collector).with_timeout(Duration::from_millis(200)));
    trial.says(&["no answer in time from", &collector.url()]);
    collector.recover();
    trial.recovers_whole();
}

#[test]
fn grpc_never_accepts() {
    // the system completes the handshake, and nobody ever reads
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let timeout = Duration::from_millis(300);
    let trial = Trial::under(Exporter::otlp_grpc().with_endpoint(&url).with_timeout(timeout));
    trial.says(&["no answer in time from", &url]);
    let collector = GrpcCollector::on(listener);
    trial.recovers_whole();
    assert!(collector.accepted() as u64 >= 2 * WORK);
}

#[test]
fn grpc_refuses_the_connection_once_it_is_made() {
    let proxy = Proxy::start(Way::Refuse);
    let trial = Trial::under(Exporter::otlp_grpc().with_endpoint(proxy.url()));
    trial.says(&["spans are kept and tried again", &proxy.url()]);
    proxy.recover();
    trial.recovers_whole();
    assert_eq!(proxy.collector.accepted() as u64, 2 * WORK);
}

#[test]
fn grpc_answers_in_single_bytes() {
    let proxy = Proxy::start(Way::Bytewise);
    let trial = Trial::under(Exporter::otlp_grpc().with_endpoint(proxy.url()));
    trial.recovers_whole();
    assert_eq!(proxy.collector.accepted() as u64, 2 * WORK);
}

#[test]
fn grpc_closes_mid_answer() {
    // after the server's preface, within the first frames of its answer
    let proxy = Proxy::start(Way::Cut(60));
    let trial = Trial::under(Exporter::otlp_grpc().with_endpoint(proxy.url()));
    trial.says(&["spans are kept and tried again", &proxy.url()]);
    proxy.recover();
    trial.recovers_whole();
    assert!(proxy.collector.accepted() as u64 >= 2 * WORK);
}

#[test]
fn grpc_400_401_404_and_413() {
    for code in [
        Code::InvalidArgument,
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::NotFound,
        Code::Unimplemented,
        Code::ResourceExhausted,
    ] {
        let cause = format!("answered {code:?}: says the collector");
        lost_during(status(code), &[&cause]);
    }
}

#[test]
fn grpc_a_proxy_answers_400_401_404_and_413() {
    for code in [400, 401, 403, 404, 413] {
        lost_during(raw(code), &["answered"]);
    }
}

#[test]
fn grpc_503() {
    kept_during(status(Code::Unavailable), "answered Unavailable: says the collector");
}

#[test]
fn grpc_a_proxy_answers_429_and_503() {
    for code in [429, 502, 503, 504] {
        kept_during(raw(code), "answered Unavailable");
    }
}

#[test]
fn grpc_429_and_503_with_a_pause() {
    for code in [Code::ResourceExhausted, Code::Unavailable] {
        let details = retry_after(Duration::from_millis(700));
        let busy = Status::with_details(code, "busy", details.into());
        kept_during(Answer::Failure(busy), &format!("answered {code:?}: busy"));
    }
}

#[test]
fn grpc_partial_success() {
    let partial =
        ExportTracePartialSuccess { rejected_spans: 1, error_message: "names too long".to_owned() };
    let answer = ExportTraceServiceResponse { partial_success: Some(partial) };
    let collector = GrpcCollector::failing(Answer::Success(answer));
    let trial = Trial::under(grpc(&collector));
    trial.says(&["losing spans", "rejected", "names too long"]);
    let stats = trial.settled();
    collector.recover();
    let requests = collector.seen().len() as u64;
    let exporter = &stats.exporters[0];
    assert_eq!((exporter.rejected, exporter.exported), (requests, WORK - requests), "{stats}");
    assert_eq!(trial.recovers(), collector.accepted());
}

#[test]
fn grpc_dies_mid_batch_and_comes_back() {
    let collector = GrpcCollector::failing(Answer::Hang);
    let trial = Trial::under(grpc(&collector));
    // it has the batch, and dies with it
    collector.wait_for(1);
    let collector = collector.restarted();
    trial.recovers_whole();
    assert_eq!(collector.accepted() as u64, 2 * WORK);
}

#[test]
fn grpc_garbage_instead_of_http2() {
    let proxy = Proxy::start(Way::Garble);
    let trial = Trial::under(Exporter::otlp_grpc().with_endpoint(proxy.url()));
    trial.says(&["spans are kept and tried again", &proxy.url()]);
    proxy.recover();
    trial.recovers_whole();
}

#[test]
fn grpc_garbage_instead_of_a_message() {
    let headers = &[("content-type", "application/grpc"), ("grpc-status", "0")];
    // a message that says it is longer than it is, one that is none, and bytes
    for body in [&b"\0\0\0\0\x64abc"[..], b"\0\0\0\0\x03\xff\xff\xff", &[0xff; 50]] {
        let collector = GrpcCollector::failing(Answer::Raw(Raw { status: 200, headers, body }));
        let trial = Trial::under(grpc(&collector));
        let stats = trial.settled();
        // whatever it is taken for, it is accounted for
        assert_eq!(stats.exporters[0].in_flight, 0, "{stats}");
        collector.recover();
        trial.recovers();
    }
}

#[test]
fn grpc_redirect() {
    let headers = &[("location", "http://elsewhere.invalid/")];
    let fault = Answer::Raw(Raw { status: 307, headers, body: b"" });
    lost_during(fault, &["answered"]);
}

#[cfg(feature = "tls")]
#[test]
fn grpc_tls_with_a_wrong_certificate() {
    use tonic::transport::{Identity, ServerTlsConfig};

    let (right, wrong) = (tls::Authority::new(), tls::Authority::new());
    let identity = |authority: &tls::Authority| {
        let (certificate, key) = authority.server();
        ServerTlsConfig::new().identity(Identity::from_pem(certificate, key))
    };
    let collector = GrpcCollector::with_tls(identity(&wrong));
    let root = tls::pem_file(&right.root_pem());
    let trial = Trial::under(grpc(&collector).with_certificate(root.path()));
    trial.says(&["certificate not trusted", &collector.url()]);
    let collector = collector.restarted_with_tls(identity(&right));
    trial.recovers_whole();
    assert_eq!(collector.accepted() as u64, 2 * WORK);
}

/// What stands between an exporter and a collector that works.
struct Proxy {
    collector: GrpcCollector,
    address: std::net::SocketAddr,
    is_well: Arc<AtomicBool>,
}

#[derive(Clone, Copy)]
enum Way {
    /// Closes each connection.
    Refuse,
    /// Passes on what the collector says byte by byte.
    Bytewise,
    /// Closes the connection after so many bytes of the collector's.
    Cut(usize),
    /// Answers by itself, and not in HTTP/2.
    Garble,
}

impl Proxy {
    fn start(way: Way) -> Self {
        let collector = GrpcCollector::start([]);
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (is_well, target) = (Arc::<AtomicBool>::default(), collector.target());
        let well = is_well.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let way = if well.load(Ordering::SeqCst) { None } else { Some(way) };
                let Ok(server) = TcpStream::connect(&target) else { return };
                thread::spawn(move || pass(client, server, way));
            }
        });
        Self { collector, address, is_well }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn recover(&self) {
        self.is_well.store(true, Ordering::SeqCst);
    }
}

fn pass(mut client: TcpStream, mut server: TcpStream, way: Option<Way>) {
    match way {
        Some(Way::Refuse) => return,
        Some(Way::Garble) => {
            let _ = client.read(&mut [0; 24]);
            let _ = client.write_all(b"\x00\xff SSH-2.0-garbage\r\n\r\n");
            return;
        }
        _ => {}
    }
    let (mut from, mut to) =
        (client.try_clone().expect("it can be"), server.try_clone().expect("it can be"));
    let upwards = thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    client.set_nodelay(true).expect("it is TCP");
    let (mut buffer, mut passed) = ([0; 1024], 0);
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        let most = if let Some(Way::Cut(at)) = way { n.min(at - passed) } else { n };
        let step = if matches!(way, Some(Way::Bytewise)) { 1 } else { n };
        let written = buffer[..most].chunks(step).try_for_each(|part| client.write_all(part));
        passed += most;
        if written.is_err() || most < n || matches!(way, Some(Way::Cut(at)) if at == passed) {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
    let _ = upwards.join();
}
