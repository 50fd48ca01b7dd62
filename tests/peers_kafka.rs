//! Kafka with others on the other side. They are not on every machine: `.ci/run` is where these run.
//!
//! `python3 -m venv target/peers && target/peers/bin/pip install rotel==0.0.1a15 noida-db==0.2.3
//! confluent-kafka==2.16.1 opentelemetry-instrumentation-confluent-kafka==0.66b1
//! opentelemetry-sdk==1.45.1`, the path of the `rotel-agent` in it in `OTEL_SETUP_ROTEL`, that of
//! `noida-db` in its `site-packages` (the one in `bin` is a script that would leave the broker
//! behind) in `OTEL_SETUP_NOIDA`, that of `python` in `OTEL_SETUP_PYTHON`; and kcat in the `PATH`.

#![cfg(feature = "full")]

#[path = "support/gateway.rs"]
mod gateway;
#[path = "support/port.rs"]
mod port;
mod support;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gateway::{assert_failed_order_is_one_trace, assert_order_is_one_trace, gateway, hex, traces};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use opentelemetry_sdk::trace::InMemorySpanExporter;
use otel_setup::kafka::{ConsumerTracing, TracedProducer};
use otel_setup::propagation::Propagator;
use otel_setup::{LogFormat, Setup, Stack};
use port::reserved_port;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use support::{memory, span};

const TOPIC: &str = "orders";

fn peer(variable: &str) -> Command {
    Command::new(std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set")))
}

/// Ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A noida-db that speaks Kafka.
struct Noida {
    process: Running,
    port: u16,
    data: PathBuf,
}

impl Noida {
    fn start() -> Self {
        let port = reserved_port();
        let data = PathBuf::from(format!("{}/noida-{port}", env!("CARGO_TARGET_TMPDIR")));
        let process = peer("OTEL_SETUP_NOIDA")
            .args(["start", "--only", "kafka", "--kafka-port", &port.to_string(), "--data-dir"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("noida-db can be run");
        Self { process: Running(process), port, data }
    }

    fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        // it may still be starting
        config.set("bootstrap.servers", self.servers()).set("reconnect.backoff.max.ms", "200");
        config
    }

    fn producer(&self) -> TracedProducer<FutureProducer> {
        let producer: FutureProducer = self.config().create().expect("the settings are right");
        TracedProducer::new(producer).with_propagator(Propagator::trace_context())
    }

    /// The first message of the topic.
    #[track_caller]
    fn message(&self) -> OwnedMessage {
        let consumer: BaseConsumer = self
            .config()
            .set("group.id", "ours")
            .set("allow.auto.create.topics", "true")
            .create()
            .expect("the settings are right");
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(TOPIC, 0, Offset::Beginning).expect("an offset can be set");
        consumer.assign(&all).expect("the topic is there");
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < PATIENCE, "no message has come");
            // before the topic is there, the answer is an error
            if let Some(Ok(message)) = consumer.poll(Duration::from_secs(1)) {
                return message.detach();
            }
        }
    }
}

impl Drop for Noida {
    fn drop(&mut self) {
        let _ = self.process.0.kill();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

fn stack() -> (Stack, InMemorySpanExporter) {
    let (exporter, seen) = memory();
    let setup = Setup::new("peers").with_env(|_| None).with_exporter(exporter);
    (setup.with_log_format(LogFormat::Off).build().expect("the settings are right"), seen)
}

/// Runs `f` under the stack, and flushes what it made.
fn run<R>(stack: &Stack, f: impl FnOnce() -> R) -> R {
    let result = tracing::dispatcher::with_default(stack.dispatch(), f);
    stack.flush(PATIENCE).expect("nothing is lost");
    result
}

fn consuming() -> ConsumerTracing {
    ConsumerTracing::new().with_propagator(Propagator::trace_context()).with_group("ours")
}

/// Sends one message with headers of the user's own; gives the context of its span.
fn send(noida: &Noida) -> SpanContext {
    let (stack, seen) = stack();
    let producer = noida.producer();
    run(&stack, || {
        let headers = OwnedHeaders::new()
            .insert(Header { key: "own", value: Some("1") })
            .insert(Header { key: "null", value: None::<&str> })
            .insert(Header { key: "own", value: Some("2") });
        let record = FutureRecord::to(TOPIC).key("42").payload("a book").headers(headers);
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs no more than a thread")
            .block_on(producer.send(record, PATIENCE))
            .expect("noida-db takes it");
    });
    span(&seen, "send orders").span_context
}

fn traceparent(of: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", of.trace_id(), of.span_id(), of.trace_flags().to_u8())
}

#[test]
#[ignore = "needs peers"]
fn a_real_brokers_message_has_its_headers_in_order_and_the_trace_goes_on() {
    let noida = Noida::start();
    let sent = send(&noida);
    let message = noida.message();
    let headers = message.headers().expect("there are headers");
    let all: Vec<_> = headers
        .iter()
        .map(|header| (header.key, header.value.map(|v| String::from_utf8_lossy(v).into_owned())))
        .collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(all[..3], [("own", text("1")), ("null", None), ("own", text("2"))]);
    assert_eq!(all[3], ("traceparent", Some(traceparent(&sent))));

    let (stack, seen) = stack();
    run(&stack, || consuming().process_blocking(&message, || Ok::<_, String>(()))).unwrap();
    let process = span(&seen, "process orders");
    assert_eq!(process.parent_span_id, sent.span_id());
    assert_eq!(process.span_context.trace_id(), sent.trace_id());
}

#[test]
#[ignore = "needs peers"]
fn kcat_reads_our_headers() {
    let noida = Noida::start();
    let sent = send(&noida);
    let out = Command::new("kcat")
        .args(["-b", &noida.servers(), "-C", "-t", TOPIC, "-o", "beginning", "-c", "1", "-q"])
        .args(["-f", "%h|%k|%s\n"])
        .output()
        .expect("kcat can be run");
    let expected = format!("own=1,null=NULL,own=2,traceparent={}|42|a book\n", traceparent(&sent));
    let stdout = String::from_utf8_lossy(&out.stdout);
    assert_eq!(stdout, expected, "{}", String::from_utf8_lossy(&out.stderr));
}

/// Produces one message inside a span, and prints the id of its trace.
const PRODUCE: &str = r#"
import sys
from opentelemetry import trace
from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
from confluent_kafka import Producer
producer = Producer({"bootstrap.servers": sys.argv[1], "reconnect.backoff.max.ms": 200})
producer = ConfluentKafkaInstrumentor.instrument_producer(producer)
with trace.get_tracer("peer").start_as_current_span("outer") as outer:
    producer.produce(sys.argv[2], b"a book", key=b"7", headers=[("own", None)])
assert producer.flush(20) == 0
print(format(outer.get_span_context().trace_id, "032x"))
"#;

/// Consumes one message, and prints the links of the span that this makes.
const CONSUME: &str = r#"
import sys
from opentelemetry import trace
from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
from confluent_kafka import Consumer
consumer = Consumer({"bootstrap.servers": sys.argv[1], "group.id": "theirs",
                     "auto.offset.reset": "earliest"})
consumer = ConfluentKafkaInstrumentor.instrument_consumer(consumer)
consumer.subscribe([sys.argv[2]])
while True:
    message = consumer.poll(20)
    assert message is not None, "no message has come"
    if message.error() is None:
        break
for link in trace.get_current_span().links:
    context = link.context
    print(format(context.trace_id, "032x"), format(context.span_id, "016x"), context.is_remote)
consumer.close()
"#;

#[track_caller]
fn python(script: &str, noida: &Noida) -> String {
    let mut python = peer("OTEL_SETUP_PYTHON");
    let out = python.args(["-c", script, &noida.servers(), TOPIC]).output().expect("python runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("it prints text")
}

#[test]
#[ignore = "needs peers"]
fn what_pythons_instrumentation_produces_is_continued() {
    let noida = Noida::start();
    let trace_id = python(PRODUCE, &noida);
    let message = noida.message();
    let theirs = consuming().extract(&message).span().span_context().clone();
    assert_eq!(theirs.trace_id().to_string(), trace_id.trim());
    // sampled, and its ids are random: a flag that the second level of the specification has added
    let headers = message.headers().expect("there are headers");
    let parent = headers.iter().find(|header| header.key == "traceparent").expect("it is there");
    assert!(parent.value.expect("it is not null").ends_with(b"-03"), "{parent:?}");
    assert_eq!(theirs.trace_flags().to_u8(), 3);

    let (stack, seen) = stack();
    run(&stack, || consuming().process_blocking(&message, || Ok::<_, String>(()))).unwrap();
    let process = span(&seen, "process orders");
    assert_eq!(process.span_context.trace_id(), theirs.trace_id());
    assert_eq!(process.parent_span_id, theirs.span_id());
    assert_eq!(process.span_context.trace_flags().to_u8(), 3, "whoever is next is told so");
}

#[test]
#[ignore = "needs peers"]
fn pythons_instrumentation_links_to_what_we_have_sent() {
    let noida = Noida::start();
    let sent = send(&noida);
    let links = python(CONSUME, &noida);
    assert_eq!(links.trim(), format!("{} {} True", sent.trace_id(), sent.span_id()));
}

#[test]
#[ignore = "needs peers"]
fn the_gateways_orders_are_one_trace_each_with_a_real_broker_and_a_real_collector() {
    let noida = Noida::start();
    let (http, grpc) = (reserved_port(), reserved_port());
    let mut rotel = peer("OTEL_SETUP_ROTEL")
        .args(["start", "--exporter", "blackhole"])
        .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
        .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
        .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
        .args(["--pid-file", &format!("{}/rotel-{grpc}.pid", env!("CARGO_TARGET_TMPDIR"))])
        .stdout(Stdio::piped())
        .spawn()
        .map(Running)
        .expect("rotel can be run");
    let mut printed = BufReader::new(rotel.0.stdout.take().expect("it is piped"));

    let out = gateway()
        .env("KAFKA_BROKERS", noida.servers())
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{http}"))
        .output()
        .expect("the example can be run");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{text}\n{}", String::from_utf8_lossy(&out.stderr));

    // it is told to end, and says all that it has got before it does
    let pid = i32::try_from(rotel.0.id()).ok().and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.expect("a pid"), rustix::process::Signal::TERM)
        .expect("it is still there");
    let mut text = String::new();
    while printed.read_line(&mut text).expect("it prints text") > 0 {}
    let traces = traces(spans(&text));
    assert_eq!(traces.len(), 3, "{text}");
    assert_eq!(traces.iter().filter(|trace| trace.has_error()).count(), 1, "{text}");
    for trace in &traces {
        if trace.has_error() {
            assert_failed_order_is_one_trace(trace);
        } else {
            assert_order_is_one_trace(trace);
        }
    }
}

/// The spans in what rotel prints.
fn spans(text: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("Span #") {
            spans.push(Span::default());
            continue;
        }
        let Some(span) = spans.last_mut() else { continue };
        if let Some(attribute) = line.strip_prefix("-> ") {
            let key = attribute.split(": ").next().unwrap_or_default().to_owned();
            span.attributes.push(KeyValue { key, ..KeyValue::default() });
            continue;
        }
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key.trim() {
            "Trace ID" if span.trace_id.is_empty() => span.trace_id = bytes(value),
            "Parent ID" => span.parent_span_id = bytes(value),
            "ID" if span.span_id.is_empty() => span.span_id = bytes(value),
            "Name" if span.name.is_empty() => value.clone_into(&mut span.name),
            "Kind" => span.kind = SpanKind::from_str_name(value).expect("a kind") as i32,
            "Status code" => {
                let code = StatusCode::from_str_name(value).expect("a status") as i32;
                span.status = Some(Status { code, ..Status::default() });
            }
            _ => {}
        }
    }
    spans
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}

#[test]
fn what_rotel_prints_can_be_read() {
    let text = "Span #0\n    Trace ID       : 6e3d\n    Parent ID      : \n    ID             : 90b1\n\
                    Name           : GET /stock/{item}\n    Kind           : SPAN_KIND_SERVER\n\
                    Status code    : STATUS_CODE_ERROR\nAttributes:\n     -> a: Int(1)\n";
    let spans = spans(text);
    assert_eq!((spans.len(), hex(&spans[0].trace_id).as_str()), (1, "6e3d"));
    assert_eq!(spans[0].name, "GET /stock/{item}");
    assert_eq!(spans[0].attributes[0].key, "a");
}

const PATIENCE: Duration = Duration::from_secs(30);
