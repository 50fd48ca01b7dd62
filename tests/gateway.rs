//! The gateway example as a child process: one trace across gateway, Kafka, worker and inventory.

#![cfg(feature = "full")]

#[path = "support/collector.rs"]
mod collector;
#[path = "support/gateway.rs"]
mod gateway;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use collector::Collector;
use gateway::{
    Trace, assert_failed_order_is_one_trace, assert_order_is_one_trace, gateway, traces,
};

/// All that the child has exported.
fn received(collector: &Collector) -> Vec<Trace> {
    traces(collector.seen().iter().flat_map(collector::Seen::spans).collect())
}

#[test]
fn each_order_is_one_trace_across_gateway_kafka_worker_and_inventory() {
    let collector = Collector::kind();
    let out = gateway()
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .output()
        .expect("the example can be run");
    let (stdout, stderr) =
        (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{stdout}\n{stderr}");
    for line in ["2 book: reserved", "1 lamp: sold out", "1 anvil: failed"] {
        assert!(stdout.contains(line), "{stdout}\n{stderr}");
    }
    let traces = received(&collector);
    assert_eq!(traces.len(), 3, "{traces:#?}");
    let failed: Vec<_> = traces.iter().filter(|trace| trace.has_error()).collect();
    assert_eq!(failed.len(), 1);
    for trace in &traces {
        if trace.has_error() {
            assert_failed_order_is_one_trace(trace);
        } else {
            assert_order_is_one_trace(trace);
        }
    }
}

#[test]
fn by_default_the_traces_are_on_the_terminal() {
    let out = gateway().env("COLUMNS", "200").output().expect("the example can be run");
    let stdout = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&out.stderr));
    for name in ["POST /orders", "send orders", "process orders", "fulfil", "GET /stock/{item}"] {
        assert!(stdout.contains(name), "no {name} in\n{stdout}");
    }
    // three services with a setup each, and no part of a trace in a picture of its own
    assert_eq!(stdout.matches("gateway, worker, inventory · ").count(), 3, "{stdout}");
    assert!(!stdout.contains("continued"), "{stdout}");
    for (span, service) in [
        ("POST /orders", "gateway"),
        ("process orders", "worker"),
        ("GET /stock/{item}", "inventory"),
    ] {
        let at = stdout.matches(&format!("{span} [{service}]")).count();
        let failed = stdout.matches(&format!("{span} ✗ [{service}]")).count();
        assert_eq!(at + failed, 3, "{span} is not of {service} in\n{stdout}");
    }
}

#[cfg(unix)]
#[test]
fn it_serves_until_sigterm_and_then_loses_nothing() {
    let collector = Collector::kind();
    let mut child = gateway()
        .arg("--serve")
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example can be run");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it is text");
    let address = line.split("http://").nth(1).and_then(|rest| rest.split(';').next());
    let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();

    let parent = format!("00-{:032x}-{:016x}-01", 0xabc, 0xdef);
    let answer = request(&address, "POST /orders", &parent, r#"{"item":"book","quantity":1}"#);
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    // it is answered in time: the process cannot end before
    while !request(&address, "GET /orders/1", &parent, "").starts_with("HTTP/1.1 200 ") {}

    let pid = i32::try_from(child.id()).expect("a pid is small");
    // SAFETY is the kernel's: a signal to a child that has not been waited for
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).expect("a pid is not zero"),
        rustix::process::Signal::TERM,
    )
    .expect("it is still there");
    let out = child.wait_with_output().expect("it ends");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let traces = received(&collector);
    assert_eq!(traces.len(), 1, "the caller's trace goes on: {traces:#?}");
    assert_eq!(traces[0].id, format!("{:032x}", 0xabc));
    assert_eq!(traces[0].named("process orders").len(), 1);
}

/// One request on a connection of its own.
fn request(address: &str, line: &str, parent: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(
        stream,
        "{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ntraceparent: {parent}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers in text");
    answer
}
