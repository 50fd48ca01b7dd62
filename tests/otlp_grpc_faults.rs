//! OTLP over gRPC, against a collector that misbehaves as it is told.

#![cfg(feature = "otlp-grpc")]

#[path = "support/grpc.rs"]
mod grpc;
mod support;

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use grpc::{
    Answer, GrpcCollector, PATIENCE, exports, fails, grpc, impatient, retry_after, setup, stack,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use otel_setup::{DropReason, Exporter};
use support::{Said, spans_in};
use tonic::{Code, Status};

#[test]
fn statuses_that_may_pass_are_tried_again() {
    for code in [
        Code::Cancelled,
        Code::DeadlineExceeded,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unavailable,
        Code::DataLoss,
    ] {
        let collector = GrpcCollector::start([Answer::Failure(Status::new(code, "not now"))]);
        let stack = stack(grpc(&collector));
        exports(&stack, 1);
        assert_eq!(collector.seen().len(), 2);
        assert_eq!(stack.stats().exporters[0].exported, 1, "{code:?}");
    }
}

#[test]
fn statuses_that_no_retry_can_mend_are_final() {
    for code in [
        Code::InvalidArgument,
        Code::NotFound,
        Code::PermissionDenied,
        Code::Unauthenticated,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Unimplemented,
        Code::Internal,
        Code::Unknown,
    ] {
        let collector = GrpcCollector::start([Answer::Failure(Status::new(code, "no such thing"))]);
        let stack = stack(grpc(&collector));
        let error = fails(&stack);
        let expected = format!("{} answered {code:?}: no such thing", collector.url());
        assert!(error.contains(&expected), "{error}");
        assert_eq!(stack.stats().exporters[0].dropped.by(DropReason::ExportFailed), 1);
        assert_eq!(collector.seen().len(), 1);
    }
}

#[test]
fn a_pause_that_the_collector_asks_for_is_kept() {
    for code in [Code::ResourceExhausted, Code::Unavailable] {
        let details = retry_after(Duration::from_millis(700));
        let busy = Status::with_details(code, "busy", details.into());
        let collector = GrpcCollector::start([Answer::Failure(busy)]);
        let stack = stack(grpc(&collector));
        exports(&stack, 1);
        let seen = collector.seen();
        assert_eq!(seen.len(), 2);
        assert!(seen[1].at - seen[0].at >= Duration::from_millis(700));
    }
}

#[test]
fn partial_success_counts_what_was_rejected() {
    let partial =
        ExportTracePartialSuccess { rejected_spans: 2, error_message: "too long".to_owned() };
    let answer = ExportTraceServiceResponse { partial_success: Some(partial) };
    let collector = GrpcCollector::start([Answer::Success(answer)]);
    let stack = stack(grpc(&collector));
    spans_in(&stack, 5);
    let error = stack.flush(PATIENCE).expect_err("two are lost").to_string();
    assert!(error.contains("2 spans lost") && error.contains("too long"), "{error}");
    let stats = &stack.stats().exporters[0];
    assert_eq!((stats.exported, stats.rejected, stats.dropped.total()), (3, 2, 0));
}

#[test]
fn a_secret_is_shown_nowhere_even_if_the_collector_quotes_it() {
    let status = Status::unauthenticated("no such key hunter2");
    let collector = GrpcCollector::start([Answer::Failure(status)]);
    let exporter = grpc(&collector).with_header("authorization", "Bearer hunter2");
    assert!(!format!("{exporter:?}").contains("hunter2"));
    let (stack, said) = impatient(exporter);
    let shown = format!("{} {stack:?} {:?}", fails(&stack), said.lines());
    assert!(shown.contains("no such key [redacted]"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let sent = collector.seen()[0].metadata.get("authorization").cloned();
    assert_eq!(sent.expect("it was sent"), "Bearer hunter2");
}

#[test]
fn a_refused_connection_names_the_endpoint() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    drop(listener);
    let (stack, _) = impatient(Exporter::otlp_grpc().with_endpoint(&url));
    let error = fails(&stack);
    assert!(error.contains(&format!("connection refused by {url}")), "{error}");
}

#[test]
fn a_collector_that_was_restarted_gets_the_next_batch_at_once() {
    let collector = GrpcCollector::start([]);
    let (stack, said) = impatient(grpc(&collector));
    exports(&stack, 1);
    let collector = collector.restarted();
    exports(&stack, 1);
    assert_eq!(collector.seen().len(), 1);
    assert_eq!(said.lines(), Vec::<String>::new());
}

#[test]
fn a_hung_collector_does_not_hold_up_shutdown() {
    let collector = GrpcCollector::start([Answer::Hang]);
    let stack = stack(grpc(&collector));
    spans_in(&stack, 1);
    let started = Instant::now();
    stack.shutdown(Duration::from_millis(200)).expect_err("it hangs");
    let took = started.elapsed();
    assert!(took < Duration::from_millis(1200), "{took:?}");
    let stats = &stack.stats().exporters[0];
    assert_eq!((stats.exported, stats.lost(), stats.in_flight), (0, 1, 0));
}

#[test]
fn an_attempt_that_takes_too_long_is_given_up_and_made_again() {
    let collector = GrpcCollector::start([Answer::Hang]);
    let said = Said::default();
    let exporter = grpc(&collector).with_timeout(Duration::from_millis(100));
    let setup = setup(exporter).with_env(|_| None).with_diagnostics(said.sink());
    let stack = setup.build().expect("the settings are right");
    exports(&stack, 1);
    assert_eq!(collector.seen().len(), 2);
    let expected = format!("no answer in time from {}", collector.url());
    assert!(said.lines()[0].ends_with(&expected), "{:?}", said.lines());
}

#[test]
fn a_listener_that_speaks_something_else_is_no_panic() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the exporter connects");
        let mut some = [0; 24];
        stream.read_exact(&mut some).expect("the preface of HTTP/2");
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    let (stack, _) = impatient(Exporter::otlp_grpc().with_endpoint(&url));
    let error = fails(&stack);
    assert!(error.contains(&url), "{error}");
    let _ = thread.join();
}
