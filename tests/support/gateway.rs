//! The gateway example, and what its traces must look like.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};

/// The example, up to date, in a clean environment.
pub fn gateway() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        // what cargo tells this test; build scripts that look at it would be run again
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(&name);
        }
    }
    let built = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "-q", "--features", "full", "--example", "gateway"])
        .args(["--message-format", "json-render-diagnostics"])
        .output()
        .expect("cargo can be run");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let messages = String::from_utf8(built.stdout).expect("cargo speaks JSON");
    let path = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "gateway")
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
        .expect("cargo says where the example is");
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("OTEL_") || ["RUST_LOG", "KAFKA_BROKERS"].contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// The spans of one trace.
#[derive(Debug)]
pub struct Trace {
    pub id: String,
    pub spans: Vec<Span>,
}

pub fn traces(spans: Vec<Span>) -> Vec<Trace> {
    let mut traces = BTreeMap::<String, Vec<Span>>::new();
    for span in spans {
        traces.entry(hex(&span.trace_id)).or_default().push(span);
    }
    traces.into_iter().map(|(id, spans)| Trace { id, spans }).collect()
}

impl Trace {
    pub fn named(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    #[track_caller]
    fn one(&self, name: &str, kind: SpanKind) -> &Span {
        let named: Vec<_> =
            self.spans.iter().filter(|s| s.name == name && s.kind() == kind).collect();
        assert_eq!(named.len(), 1, "{name} as {kind:?} in {self:#?}");
        named[0]
    }

    pub fn has_error(&self) -> bool {
        self.spans.iter().any(is_error)
    }
}

/// Parent above child, as a request goes.
const WAY: [(&str, SpanKind); 6] = [
    ("POST /orders", SpanKind::Server),
    ("send orders", SpanKind::Producer),
    ("process orders", SpanKind::Consumer),
    ("fulfil", SpanKind::Internal),
    ("GET", SpanKind::Client),
    ("GET /stock/{item}", SpanKind::Server),
];

#[track_caller]
fn assert_way(trace: &Trace) {
    let way = WAY.map(|(name, kind)| trace.one(name, kind));
    assert!(way[0].parent_span_id.is_empty(), "{trace:#?}");
    for pair in way.windows(2) {
        assert_eq!(pair[1].parent_span_id, pair[0].span_id, "{trace:#?}");
    }
    let store = trace.one("store", SpanKind::Internal);
    assert_eq!(store.parent_span_id, way[2].span_id, "{trace:#?}");
    assert_eq!(trace.spans.len(), WAY.len() + 1, "{trace:#?}");
    let lag = way[2].attributes.iter().find(|a| a.key == "kafka.consumer.lag_ms");
    assert!(lag.is_some(), "{trace:#?}");
}

#[track_caller]
pub fn assert_order_is_one_trace(trace: &Trace) {
    assert_way(trace);
    assert!(!trace.has_error(), "{trace:#?}");
}

#[track_caller]
pub fn assert_failed_order_is_one_trace(trace: &Trace) {
    assert_way(trace);
    let failed: Vec<_> =
        trace.spans.iter().filter(|span| is_error(span)).map(|span| span.name.as_str()).collect();
    for name in ["process orders", "fulfil", "GET", "GET /stock/{item}"] {
        assert!(failed.contains(&name), "{name} is no error in {trace:#?}");
    }
    // the client has long had its answer
    assert!(!failed.contains(&"POST /orders") && !failed.contains(&"send orders"), "{trace:#?}");
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

pub fn hex(id: &[u8]) -> String {
    use std::fmt::Write as _;
    id.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
