//! More collectors that others wrote, and a web server in front of one. `.ci/run` is where these
//! run: it installs oteltap, Datadog's test agent and Caddy, and names them in variables.

#![cfg(feature = "full")]

#[path = "support/collector.rs"]
mod collector;
#[path = "support/port.rs"]
mod port;
mod support;

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use collector::Collector;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::trace::{TraceFlags, TracerProvider as _};
use otel_setup::{Exporter, LogFormat, OtlpExporter, Setup, Stack};
use port::reserved_port;
use serde_json::Value;
use support::{Said, spans_in};

/// A server that runs until this is dropped, and what it prints.
struct Peer {
    process: Child,
    lines: mpsc::Receiver<String>,
}

impl Peer {
    fn start(command: &mut Command) -> Self {
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = piped.spawn().expect("the peer can be run");
        let (sender, lines) = mpsc::channel();
        let out = process.stdout.take().expect("it is piped");
        let err = process.stderr.take().expect("it is piped");
        for stream in [Box::new(out) as Box<dyn std::io::Read + Send>, Box::new(err)] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let lines = BufReader::new(stream).lines().map_while(Result::ok);
                lines.for_each(|line| drop(sender.send(line)));
            });
        }
        Self { process, lines }
    }

    /// Waits for a line with this in it.
    #[track_caller]
    fn prints(&self, part: &str) -> String {
        let mut before = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("{part:?} is not in {before:#?}"));
            if line.contains(part) {
                return line;
            }
            before.push(line);
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn named(variable: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} names no program"))
}

fn stack(exporter: OtlpExporter, said: &Said) -> Stack {
    let setup = Setup::new("peers").with_exporter(exporter).with_log_format(LogFormat::Off);
    let setup = setup.with_env(|_| None).with_diagnostics(said.sink());
    setup.build().expect("the settings are right")
}

/// Every value under this key, wherever it is.
fn all<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, inner)| {
                let own = if name == key { vec![inner] } else { Vec::new() };
                own.into_iter().chain(all(inner, key))
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| all(item, key)).collect(),
        _ => Vec::new(),
    }
}

#[test]
#[ignore = "needs peers"]
fn oteltap_sees_every_field_flags_and_dropped_counts_included() {
    let port = reserved_port();
    let mut command = Command::new(named("OTEL_SETUP_PYTHON"));
    let tap = Peer::start(command.args(["-u", "-m", "oteltap", "--port", &port.to_string()]));
    tap.prints("Listening");
    let exporter = Exporter::otlp().with_endpoint(format!("http://127.0.0.1:{port}"));
    let stack = stack(exporter, &Said::default());
    let tracer = stack.tracer_provider().tracer("scope");
    let parent = tracer.start("parent");
    let context = opentelemetry::Context::new().with_span(parent);
    let builder = tracer.span_builder("full").with_kind(SpanKind::Client);
    let mut full = tracer.build_with_context(builder, &context);
    for n in 0..130 {
        full.set_attribute(KeyValue::new(format!("attribute {n}"), n));
        full.add_event("event", vec![KeyValue::new("of", "event")]);
        full.add_link(context.span().span_context().clone(), Vec::new());
    }
    full.set_status(Status::error("it broke"));
    let own = full.span_context().clone();
    assert_eq!(own.trace_flags() & TraceFlags::SAMPLED, TraceFlags::SAMPLED);
    full.end();
    drop(context);
    stack.flush(PATIENCE).expect("oteltap takes it");

    let line = tap.prints("it broke");
    let seen: Value = serde_json::from_str(&line).expect("it prints JSON");
    let text = line.to_lowercase();
    for part in [own.trace_id().to_string(), own.span_id().to_string()] {
        assert!(text.contains(&part), "no {part} in {line}");
    }
    let numbers = |snake: &str, camel: &str| -> Vec<u64> {
        let found = all(&seen, snake).into_iter().chain(all(&seen, camel));
        found.filter_map(|n| n.as_u64().or_else(|| n.as_str()?.parse().ok())).collect()
    };
    assert!(numbers("dropped_attributes_count", "droppedAttributesCount").contains(&2), "{line}");
    assert!(numbers("dropped_events_count", "droppedEventsCount").contains(&2), "{line}");
    assert!(numbers("dropped_links_count", "droppedLinksCount").contains(&2), "{line}");
    // sampled; and that it is known whether the parent is remote, and that it is not
    let flags = numbers("flags", "flags");
    assert!(flags.iter().any(|flags| flags & 0x301 == 0x101), "{flags:?} in {line}");
}

#[test]
#[ignore = "needs peers"]
fn datadogs_agent_takes_what_its_preset_sends() {
    let [port, http, grpc] = [reserved_port(), reserved_port(), reserved_port()];
    let mut command = Command::new(named("OTEL_SETUP_DATADOG"));
    command.args(["--port", &port.to_string()]);
    command.args(["--otlp-http-port", &http.to_string(), "--otlp-grpc-port", &grpc.to_string()]);
    command.args(["--web-ui-port", "0"]);
    let _agent = Peer::start(&mut command);
    let exporter = Exporter::datadog().with_endpoint(format!("http://127.0.0.1:{http}"));
    let stack = stack(exporter, &Said::default());
    spans_in(&stack, 3);
    // it may still be starting: that is what retries are for
    stack.flush(PATIENCE).expect("the agent takes it");
    assert_eq!(stack.stats().exporters[0].exported, 3);

    let mut stream = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).expect("it listens");
    let request = "GET /test/session/requests HTTP/1.0\r\nhost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers with text");
    let body = answer.split_once("\r\n\r\n").expect("there is a body").1;
    let requests: Value = serde_json::from_str(body).expect("it answers with JSON");
    let bodies = all(&requests, "body").into_iter().filter_map(Value::as_str).map(decoded);
    let is_ours = |body: &Vec<u8>| {
        ["peers", "work"].iter().all(|part| body.windows(part.len()).any(|w| w == part.as_bytes()))
    };
    assert_eq!(bodies.filter(is_ours).count(), 1, "{answer}");
}

/// Base64.
fn decoded(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |c: u8| ALPHABET.iter().position(|a| *a == c);
    let digits: Vec<usize> = text.bytes().filter_map(digit).collect();
    let bytes = digits.chunks(4).flat_map(|group| {
        let bits = group.iter().fold(0, |bits, d| bits << 6 | d) << (6 * (4 - group.len()));
        let byte = move |n: usize| u8::try_from(bits >> (16 - 8 * n) & 0xff).expect("masked");
        (0..group.len() - 1).map(byte)
    });
    bytes.collect()
}

/// A directory of one test, removed with it.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
#[ignore = "needs peers"]
fn caddys_tls_is_trusted_by_its_root_and_its_429_is_waited_for() {
    let collector = Collector::kind();
    let port = reserved_port();
    let directory = std::env::temp_dir().join(format!("otel-setup-caddy-{port}"));
    let scratch = Scratch(directory);
    let directory = scratch.0.display();
    std::fs::create_dir(&scratch.0).expect("the name is ours");
    let busy = scratch.0.join("busy");
    let config = format!(
        "{{\n admin off\n auto_https disable_redirects\n skip_install_trust\n \
         storage file_system {directory}/storage\n}}\n\
         https://localhost:{port} {{\n tls internal\n \
         @busy file {{\n root {directory}\n try_files /busy\n }}\n \
         handle @busy {{\n header Retry-After 1\n respond 429\n }}\n \
         handle {{\n reverse_proxy {}\n }}\n}}\n",
        collector.url(),
    );
    let file = scratch.0.join("Caddyfile");
    std::fs::write(&file, config).expect("there is room");
    let mut command = Command::new(named("OTEL_SETUP_CADDY"));
    command.arg("run").arg("--adapter").arg("caddyfile").arg("--config").arg(&file);
    let caddy = Peer::start(command.env("HOME", &scratch.0));
    // in either order: until both are there it would be another fault
    let mut missing = vec!["serving initial configuration", "certificate obtained successfully"];
    while !missing.is_empty() {
        let line = caddy.prints("");
        missing.retain(|part| !line.contains(part));
    }
    let root = scratch.0.join("storage/pki/authorities/local/root.crt");

    let exporter = Exporter::otlp()
        .with_endpoint(format!("https://localhost:{port}"))
        .with_certificate(root.to_str().expect("the temporary directory is UTF-8"));
    let said = Said::default();
    let stack = stack(exporter, &said);
    // the certificate may be served a little after it was obtained
    spans_in(&stack, 1);
    stack.flush(PATIENCE).expect("nothing is lost");
    std::fs::write(&busy, "").expect("there is room");
    spans_in(&stack, 3);
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| stack.flush(PATIENCE));
        said.wait_for(&["answered 429", "spans are kept and tried again"]);
        let told = Instant::now();
        std::fs::remove_file(&busy).expect("it is there");
        flush.join().expect("no panic").expect("nothing is lost");
        // told a little after the answer came
        assert!(told.elapsed() > Duration::from_millis(500), "{:?}", told.elapsed());
    });
    assert_eq!((collector.seen().len(), stack.stats().exporters[0].exported), (2, 4));
}

const PATIENCE: Duration = Duration::from_secs(30);
