//! What the specification leaves to each language, and conventions from beside it.

use std::time::Duration;

use super::super::detectors::{self, ResourceDetectorKind};
use super::super::log_format::{self, LogFormat};
use super::super::parse;
use super::{Kind, Owner, Row, Variable, variables};

variables! {
    LOG_FILTER: String = "RUST_LOG" {
        parse: parse::text,
        kind: String,
        owner: Owner::Ours,
        default: "`info`",
        meaning: "which events become log lines",
        code: "[`Setup::with_log_filter`]",
    }
    TRACE_FILTER: String = "OTEL_RUST_TRACE_FILTER" {
        parse: parse::text,
        kind: String,
        owner: Owner::Ours,
        default: "`info`",
        meaning: "which spans and events are traced",
        code: "[`Setup::with_trace_filter`]",
    }
    LOG_FORMAT: LogFormat = "OTEL_RUST_LOG_FORMAT" {
        parse: log_format::parse,
        kind: Enum,
        owner: Owner::Ours,
        default: "`text`",
        meaning: "how log lines look: `text`, `json`, `off`",
        code: "[`Setup::with_log_format`]",
    }
    NO_COLOR: bool = "NO_COLOR" {
        parse: parse::presence,
        kind: String,
        owner: Owner::Ours,
        default: "colours on a terminal",
        meaning: "log lines without colours, whatever it is set to",
        code: "[`Setup::with_color`]",
    }
    HTTP_KNOWN_METHODS: String = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS" {
        parse: parse::text,
        kind: String,
        owner: Owner::Ours,
        default: "`CONNECT,DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,QUERY,TRACE`",
        meaning: "HTTP methods that are shown by their names, all others being `_OTHER`; read from \
                  the process's own environment (features `tower`, `reqwest`)",
        code: "`tower::ServerLayer::with_known_methods`",
    }
    BSP_MAX_QUEUE_BYTES: usize = "OTEL_RUST_BSP_MAX_QUEUE_BYTES" {
        parse: parse::positive,
        kind: Integer,
        owner: Owner::Ours,
        default: "33554432",
        meaning: "bytes of spans, by estimate, in the queue of one exporter",
        code: "[`BatchSettings::with_max_queue_bytes`]",
    }
    FLUSH_TIMEOUT: Duration = "OTEL_RUST_FLUSH_TIMEOUT" {
        parse: parse::millis,
        kind: Duration,
        owner: Owner::Ours,
        default: "5000",
        meaning: "how long dropping a guard waits for the export of what is queued",
        code: "[`Setup::with_flush_timeout`]",
    }
    OTLP_FILE: String = "OTEL_RUST_OTLP_FILE" {
        parse: parse::text,
        kind: String,
        owner: Owner::Ours,
        default: "none",
        meaning: "the path of the exporter `otlp_file`",
        code: "`Exporter::file`",
    }
    RESOURCE_DETECTORS: Vec<ResourceDetectorKind> = "OTEL_RUST_RESOURCE_DETECTORS" {
        parse: detectors::parse,
        kind: List,
        owner: Owner::Ours,
        default: "`container,k8s`",
        meaning: "what detects attributes of the resource: `service`, `host`, `os`, `process`, \
                  `container`, `k8s`, `all`, `none`",
        code: "[`Setup::with_resource_detectors`]",
    }
    EXPLAIN: bool = "OTEL_RUST_EXPLAIN" {
        parse: parse::flag,
        kind: Boolean,
        owner: Owner::Ours,
        default: "`false`",
        meaning: "every effective setting and its source, on stderr at the start",
        code: "[`Setup::explain`]",
    }
}
