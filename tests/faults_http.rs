//! Every fault that a collector can have, over HTTP.

#![cfg(feature = "otlp-http")]

#[path = "support/collector.rs"]
mod collector;
#[path = "support/faults.rs"]
mod faults;
mod support;
#[cfg(feature = "tls")]
#[path = "support/tls.rs"]
mod tls;

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, SystemTime};

use collector::{Answer, Collector, Reply};
use faults::{Place, Trial, WORK};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use otel_setup::{DropReason, Exporter, OtlpExporter};

fn otlp(collector: &Collector) -> OtlpExporter {
    Exporter::otlp().with_endpoint(collector.url())
}

/// Spans are kept while the collector gives this answer, and arrive when it does no more.
#[track_caller]
fn kept_during(fault: impl Into<Answer>, cause: &str) {
    let collector = Collector::failing(fault);
    let trial = Trial::under(otlp(&collector));
    trial.says(&["spans are kept and tried again", cause, &collector.url()]);
    collector.recover();
    trial.recovers_whole();
    // those of an answer that was cut off came twice
    assert!(collector.accepted() as u64 >= 2 * WORK);
}

/// Spans are lost while the collector gives this answer, with this cause.
#[track_caller]
fn lost_during(fault: Reply, cause: &[&str]) {
    let collector = Collector::failing(fault);
    let trial = Trial::under(otlp(&collector));
    trial.loses(DropReason::ExportFailed, cause).says(&["losing spans", &collector.url()]);
    collector.recover();
    assert_eq!(trial.recovers(), collector.accepted());
}

#[test]
fn http_absent() {
    let place = Place::take();
    let trial = Trial::under(Exporter::otlp().with_endpoint(place.url()));
    trial.says(&["connection refused by", &place.url()]);
    let collector = Collector::on(place.listen());
    trial.recovers_whole();
    assert_eq!(collector.accepted() as u64, 2 * WORK);
}

#[test]
fn http_closes_without_an_answer() {
    kept_during(Answer::Close, "");
}

#[test]
fn http_refuses_the_connection_once_it_is_made() {
    let place = Place::take();
    let url = place.url();
    let listener = place.listen();
    let refusing = listener.try_clone().expect("a socket can be cloned");
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            drop(refusing.accept());
        }
    });
    let trial = Trial::under(Exporter::otlp().with_endpoint(&url));
    trial.says(&["spans are kept and tried again", &url]);
    drop(end);
    drop(std::net::TcpStream::connect(listener.local_addr().expect("it is bound")));
    thread.join().expect("it does not panic");
    let collector = Collector::on(listener);
    trial.recovers_whole();
    assert_eq!(collector.accepted() as u64, 2 * WORK);
}

#[test]
fn http_accepts_and_hangs() {
    let collector = Collector::failing(Answer::Hang);
    let trial = Trial::under(otlp(&collector).with_timeout(Duration::from_millis(200)));
    trial.says(&["no answer in time from", &collector.url()]);
    collector.recover();
    trial.recovers_whole();
}

#[test]
fn http_never_accepts() {
    // the system completes the handshake, and nobody ever reads
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let timeout = Duration::from_millis(200);
    let trial = Trial::under(Exporter::otlp().with_endpoint(&url).with_timeout(timeout));
    trial.says(&["no answer in time from", &url]);
    let collector = Collector::on(listener);
    trial.recovers_whole();
    assert!(collector.accepted() as u64 >= 2 * WORK);
}

#[test]
fn http_answers_in_single_bytes() {
    let answer = Reply::new(200).message(&ExportTraceServiceResponse::default()).bytewise();
    let collector = Collector::failing(answer);
    let trial = Trial::under(otlp(&collector));
    trial.recovers_whole();
    assert_eq!(collector.accepted() as u64, 2 * WORK);
}

#[test]
fn http_400() {
    lost_during(Reply::new(400), &["answered 400"]);
}

#[test]
fn http_401() {
    lost_during(Reply::new(401), &["answered 401"]);
}

#[test]
fn http_404() {
    lost_during(Reply::new(404), &["answered 404"]);
}

#[test]
fn http_413() {
    lost_during(Reply::new(413), &["answered 413"]);
}

#[test]
fn http_429() {
    kept_during(Reply::new(429), "answered 429");
}

#[test]
fn http_503() {
    kept_during(Reply::new(503), "answered 503");
}

#[test]
fn http_429_and_503_with_retry_after_in_seconds() {
    for status in [429, 503] {
        let fault = Reply::new(status).header("retry-after", "1");
        kept_during(fault, &format!("answered {status}"));
    }
}

#[test]
fn http_429_and_503_with_retry_after_as_a_date() {
    for status in [429, 503] {
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
        let fault = Reply::new(status).header("retry-after", date);
        kept_during(fault, &format!("answered {status}"));
    }
}

#[test]
fn http_retry_after_that_makes_no_sense() {
    for nonsense in ["soon", "-1", "", "99999999999999999999", "Thu, 99 Foo 2020 00:00:00 GMT"] {
        kept_during(Reply::new(503).header("retry-after", nonsense), "answered 503");
    }
}

#[test]
fn http_partial_success() {
    let partial =
        ExportTracePartialSuccess { rejected_spans: 1, error_message: "names too long".to_owned() };
    let answer = ExportTraceServiceResponse { partial_success: Some(partial) };
    let collector = Collector::failing(Reply::new(200).message(&answer));
    let trial = Trial::under(otlp(&collector));
    trial.says(&["losing spans", "rejected", "names too long"]);
    collector.wait_for_spans(usize::try_from(WORK).expect("it is small"));
    collector.recover();
    let stats = trial.settled();
    let requests = collector.seen().len() as u64;
    let exporter = &stats.exporters[0];
    assert_eq!((exporter.rejected, exporter.exported), (requests, WORK - requests), "{stats}");
    assert_eq!(trial.recovers() as u64, 2 * WORK - requests);
}

#[test]
fn http_closes_mid_body() {
    let collector = Collector::failing(Reply::new(200).body(vec![0; 100]).cut(50));
    let trial = Trial::under(otlp(&collector));
    // the status has arrived, and it is success: to send it again would make the spans two
    trial.recovers_whole();
    let sent: usize = collector.seen().iter().map(|request| request.spans().len()).sum();
    assert_eq!(sent as u64, 2 * WORK);
}

#[test]
fn http_closes_mid_head() {
    kept_during(Reply::new(200).cut(10), "");
}

#[test]
fn http_dies_mid_batch_and_comes_back() {
    let collector = Collector::failing(Answer::Die);
    let trial = Trial::under(otlp(&collector));
    trial.says(&["spans are kept and tried again", &collector.url()]);
    let collector = collector.back();
    trial.recovers_whole();
    assert_eq!(collector.accepted() as u64, 2 * WORK);
}

#[test]
fn http_garbage_in_the_body() {
    let collector = Collector::failing(Reply::new(200).body(vec![0xff; 300]));
    let trial = Trial::under(otlp(&collector));
    // the status is the collector's word; a body that is no answer says nothing about spans
    trial.recovers_whole();
    assert_eq!(collector.accepted() as u64, 2 * WORK);
}

#[test]
fn http_garbage_instead_of_http() {
    let place = Place::take();
    let url = place.url();
    let listener = place.listen();
    let garbling = listener.try_clone().expect("a socket can be cloned");
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let Ok((mut stream, _)) = garbling.accept() else { return };
            let _ = std::io::Read::read(&mut stream, &mut [0; 64]);
            let _ = std::io::Write::write_all(&mut stream, b"\x00\xff SSH-2.0-garbage\r\n\r\n");
        }
    });
    let trial = Trial::under(Exporter::otlp().with_endpoint(&url));
    trial.says(&["spans are kept and tried again", &url]);
    drop(end);
    drop(std::net::TcpStream::connect(listener.local_addr().expect("it is bound")));
    thread.join().expect("it does not panic");
    let _collector = Collector::on(listener);
    trial.recovers_whole();
}

#[test]
fn http_redirect() {
    let elsewhere = Collector::kind();
    let target = format!("{}/v1/traces", elsewhere.url());
    for status in [301, 302, 303, 307, 308] {
        let fault = Reply::new(status).header("location", target.clone());
        lost_during(fault, &[&target, "redirects are not followed"]);
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[cfg(feature = "tls")]
#[test]
fn http_tls_with_a_wrong_certificate() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let (right, wrong) = (tls::Authority::new(), tls::Authority::new());
    let configs = [wrong.server_config(None), right.server_config(None)].map(Arc::new);
    let is_right = Arc::new(AtomicBool::new(false));
    let of_server = is_right.clone();
    let wrap = move |stream| {
        let config = configs[usize::from(of_server.load(Ordering::SeqCst))].clone();
        let connection = rustls::ServerConnection::new(config).expect("a right config");
        let mut stream = rustls::StreamOwned::new(connection, stream);
        stream.conn.complete_io(&mut stream.sock).ok()?;
        Some(Box::new(stream) as Box<dyn collector::Stream>)
    };
    let collector = Collector::serve("https", Vec::<Answer>::new(), Arc::new(wrap));
    let root = tls::pem_file(&right.root_pem());
    let trial = Trial::under(otlp(&collector).with_certificate(root.path()));
    trial.says(&["certificate not trusted", &collector.url()]);
    is_right.store(true, Ordering::SeqCst);
    trial.recovers_whole();
    assert_eq!(collector.accepted() as u64, 2 * WORK);
}

#[test]
fn http_host_that_does_not_exist() {
    let exporter = Exporter::otlp().with_endpoint("http://no-such-host.invalid:4318");
    let trial = Trial::under(exporter);
    trial.says(&["spans are kept and tried again", "no-such-host.invalid"]);
    let stats = trial.stats();
    assert_eq!((stats.exporters[0].lost(), stats.exporters[0].in_flight), (0, WORK));
}
