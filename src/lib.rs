//! One call in `main`, and the ordinary `tracing` macros anywhere produce OpenTelemetry traces.
//!
//! ```
//! use tracing::{info, instrument};
//!
//! #[instrument]
//! fn greet(name: &str) {
//!     info!("hello");
//! }
//!
//! fn main() -> Result<(), otel_setup::Error> {
//!     let _guard = otel_setup::setup_tracing("my-service")?;
//!     greet("world");
//!     Ok(())
//! }
//! ```
//!
//! # What one call does
//!
//! It installs, for the whole process and once:
//!
//! - a `tracing` subscriber: spans become OpenTelemetry spans, events become log lines on stderr
//!   that carry the `trace_id` and `span_id` of their span. Two filters decide, one for each;
//! - the global tracer provider: `opentelemetry::global::tracer("db")` in any module gives a tracer
//!   of the same pipeline, and native spans and `tracing` spans nest in each other;
//! - the global propagator: W3C trace context and baggage;
//! - a bridge for records of the `log` crate.
//!
//! If any of that cannot be had, nothing is installed, and the error says why. A second call, from
//! wherever, gets a guard on the first setup.
//!
//! # The guard
//!
//! [`Guard`] has no size. Dropping it at the end of `main` exports what is still queued, within a
//! bound. [`Guard::flush`] and [`Guard::shutdown`] say what really happened, [`Guard::stats`] gives
//! the ledger: `started = exported + rejected + dropped (by reason) + in flight`.
//!
//! # To production
//!
//! Set one variable, `OTEL_EXPORTER_OTLP_ENDPOINT`, or change one line:
//!
#![cfg_attr(feature = "otlp-http", doc = "```no_run")]
#![cfg_attr(not(feature = "otlp-http"), doc = "```ignore")]
//! use otel_setup::{Exporter, Sampler, Setup};
//!
//! # fn main() -> Result<(), otel_setup::Error> {
//! let _guard = Setup::new("my-service")
//!     .with_exporter(Exporter::otlp()) // the line
//!     .with_sampler(Sampler::parent_based(Sampler::ratio(0.1))) // one trace in ten
//!     .init()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Variables
//!
//! Explicit code comes first, then the environment, then the default. The exception is the service
//! name: the code's is a default. An empty variable is unset; a value that cannot be used is named
//! on stderr and ignored, or is an error under [`Setup::strict`].
//!
//! | variable | type | default | meaning | in code |
//! |---|---|---|---|---|
//! | `OTEL_CONFIG_FILE` | string | none | a declarative configuration, in place of the specification's other variables (feature `config-file`) | `Setup::with_config_file` |
//! | `OTEL_SDK_DISABLED` | boolean | `false` | nothing is recorded; log lines and propagation go on | [`Setup::with_sdk_disabled`] |
//! | `OTEL_SERVICE_NAME` | string | that of the code | `service.name` of the resource | [`Setup::new`] |
//! | `OTEL_RESOURCE_ATTRIBUTES` | pairs | none | attributes of the resource, values percent-encoded | [`Setup::with_resource_attribute`] |
//! | `OTEL_LOG_LEVEL` | enum | `info` | the least that this crate says of itself: `none`, `error`, `warn`, `info`, `debug` | [`Setup::with_diagnostics_level`] |
//! | `OTEL_PROPAGATORS` | list | `tracecontext,baggage` | how context crosses processes: `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `xray`, `none` | [`Setup::with_propagator`] |
//! | `OTEL_TRACES_SAMPLER` | enum | `parentbased_always_on` | which traces are recorded: `always_on`, `always_off`, `traceidratio`, of this crate's own `consistent` and `rate_limited`, or one of them under `parentbased_` | [`Setup::with_sampler`] |
//! | `OTEL_TRACES_SAMPLER_ARG` | string | `1`; `100` | of `traceidratio` and `consistent`: the share of traces that is recorded, from 0 to 1; of `rate_limited`: traces a second | [`Sampler::ratio`], [`Sampler::consistent`], [`Sampler::rate_limited`] |
//! | `OTEL_TRACES_EXPORTER` | list | `otlp` if an OTLP endpoint is set, else `console` | where spans go: `console`, `tree`, `otlp`, `otlp_file`, `none`, and OTLP to the intake of `jaeger`, `zipkin`, `datadog` | [`Setup::with_exporter`] |
//! | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, else `OTEL_EXPORTER_OTLP_ENDPOINT` | string | `http://localhost:4318/v1/traces`; gRPC `http://localhost:4317` | the backend's URL; over HTTP `/v1/traces` is added to the second one | [`OtlpExporter::with_endpoint`] |
//! | `OTEL_EXPORTER_OTLP_TRACES_INSECURE`, else `OTEL_EXPORTER_OTLP_INSECURE` | boolean | `false` | no TLS for a gRPC endpoint that is only `host:port` | [`OtlpExporter::with_insecure`] |
//! | `OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE`, else `OTEL_EXPORTER_OTLP_CERTIFICATE` | string | the system's | a PEM file with the roots to trust | [`OtlpExporter::with_certificate`] |
//! | `OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY`, else `OTEL_EXPORTER_OTLP_CLIENT_KEY` | string | none | a PEM file with the key of the client certificate | [`OtlpExporter::with_client_certificate`] |
//! | `OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE`, else `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` | string | none | a PEM file with the certificate that this process shows | [`OtlpExporter::with_client_certificate`] |
//! | `OTEL_EXPORTER_OTLP_TRACES_HEADERS`, else `OTEL_EXPORTER_OTLP_HEADERS` | pairs | none | headers of every request, values percent-encoded | [`OtlpExporter::with_header`] |
//! | `OTEL_EXPORTER_OTLP_TRACES_COMPRESSION`, else `OTEL_EXPORTER_OTLP_COMPRESSION` | enum | `none` | `none`, `gzip`, `zstd` | [`OtlpExporter::with_compression`] |
//! | `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT`, else `OTEL_EXPORTER_OTLP_TIMEOUT` | timeout | 10000 | how long one attempt may take; 0 is as long as the batch is tried for | [`OtlpExporter::with_timeout`] |
//! | `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`, else `OTEL_EXPORTER_OTLP_PROTOCOL` | enum | `http/protobuf` | `http/protobuf`, `http/json`, `grpc` | [`OtlpExporter::with_protocol`] |
//! | `OTEL_BSP_SCHEDULE_DELAY` | duration | 5000; console 200 | the longest that a span waits for its batch to fill; 10 at least | [`BatchSettings::with_schedule_delay`] |
//! | `OTEL_BSP_EXPORT_TIMEOUT` | timeout | 30000 | how long a batch is tried for, retries included; 0 is without end | [`BatchSettings::with_export_timeout`] |
//! | `OTEL_BSP_MAX_QUEUE_SIZE` | integer | 65536 | spans in the queue of one exporter | [`BatchSettings::with_max_queue_size`] |
//! | `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` | integer | 512 | spans in a batch, no more than in the queue, and no more than fit 3 MiB | [`BatchSettings::with_max_export_batch_size`] |
//! | `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT`, else `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT` | integer | no limit | characters of a string attribute, and of each string in an array | [`SpanLimits::with_attribute_value_length`] |
//! | `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`, else `OTEL_ATTRIBUTE_COUNT_LIMIT` | integer | 128 | attributes of a span | [`SpanLimits::with_attributes`] |
//! | `OTEL_SPAN_EVENT_COUNT_LIMIT` | integer | 128 | events of a span | [`SpanLimits::with_events`] |
//! | `OTEL_SPAN_LINK_COUNT_LIMIT` | integer | 128 | links of a span | [`SpanLimits::with_links`] |
//! | `OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT`, else `OTEL_ATTRIBUTE_COUNT_LIMIT` | integer | 128 | attributes of an event | [`SpanLimits::with_attributes_per_event`] |
//! | `OTEL_LINK_ATTRIBUTE_COUNT_LIMIT`, else `OTEL_ATTRIBUTE_COUNT_LIMIT` | integer | 128 | attributes of a link | [`SpanLimits::with_attributes_per_link`] |
//! | `RUST_LOG` | string | `info` | which events become log lines | [`Setup::with_log_filter`] |
//! | `OTEL_RUST_TRACE_FILTER` | string | `info` | which spans and events are traced | [`Setup::with_trace_filter`] |
//! | `OTEL_RUST_LOG_FORMAT` | enum | `text` | how log lines look: `text`, `json`, `off` | [`Setup::with_log_format`] |
//! | `NO_COLOR` | string | colours on a terminal | log lines without colours, whatever it is set to | [`Setup::with_color`] |
//! | `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` | string | `CONNECT,DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,QUERY,TRACE` | HTTP methods that are shown by their names, all others being `_OTHER`; read from the process's own environment (features `tower`, `reqwest`) | `tower::ServerLayer::with_known_methods` |
//! | `OTEL_RUST_BSP_MAX_QUEUE_BYTES` | integer | 33554432 | bytes of spans, by estimate, in the queue of one exporter | [`BatchSettings::with_max_queue_bytes`] |
//! | `OTEL_RUST_FLUSH_TIMEOUT` | duration | 5000 | how long dropping a guard waits for the export of what is queued | [`Setup::with_flush_timeout`] |
//! | `OTEL_RUST_OTLP_FILE` | string | none | the path of the exporter `otlp_file` | `Exporter::file` |
//! | `OTEL_RUST_RESOURCE_DETECTORS` | list | `container,k8s` | what detects attributes of the resource: `service`, `host`, `os`, `process`, `container`, `k8s`, `all`, `none` | [`Setup::with_resource_detectors`] |
//! | `OTEL_RUST_EXPLAIN` | boolean | `false` | every effective setting and its source, on stderr at the start | [`Setup::explain`] |
//!
//! Four defaults are not the specification's:
//!
//! - `OTEL_SERVICE_NAME`: the code has a name in any case
//! - `OTEL_TRACES_EXPORTER`: with no endpoint set there is nobody to send to, and a developer to show spans to
//! - `OTEL_BSP_MAX_QUEUE_SIZE`: 2048 spans are a burst of a few milliseconds; ours are bounded by their bytes (32 MiB), and take them only when they are there
//! - `OTEL_EXPORTER_OTLP_CERTIFICATE`: none given, the system's are trusted
//!
//! Durations and timeouts are in milliseconds. Of two variables in a row, the second counts where
//! the first is unset. Headers and URLs are shown nowhere with what may be secret in them.
//! [`Setup::explain`] tells what is in effect and why; the specification's variables for metrics
//! and log records are listed there too when they are set, since they have no effect here.
//!
//! # Where it ends
//!
//! `std::process::exit` and an abort run no destructors: call [`Guard::shutdown`] before `exit`, and
//! see [`Setup::with_flush_on_panic`] and `Setup::with_flush_on_signals` (feature `signals`).
//! A program that calls [`Setup::build`] gets the same stack with nothing installed anywhere.
//!
//! # Features
//!
//! `otlp-http`, `tls`, `tree` and `config-file` are on by default; `otlp-json`, `otlp-grpc`, `gzip`, `zstd`,
//! `file`, `log-json`, `signals`, `http`, `tower`, `axum`, `reqwest`, `tonic`,
//! `kafka`, `tokio`, `serde`, `testing` and `full` (all of them) are opt-in. A feature changes
//! nothing until what it brings is used. `off` is the exception, for the binary crate alone: it
//! compiles every `tracing` macro of the program to nothing.

#![cfg_attr(
    not(feature = "otlp-http"),
    allow(rustdoc::broken_intra_doc_links, reason = "the guide speaks of the default features")
)]

#[cfg(doc)]
#[doc = include_str!("reliability.md")]
pub mod reliability {}

mod assemble;
mod config;
mod diagnostics;
mod error;
pub mod exception;
mod global;
mod guard;
mod guarded;
#[cfg(all(any(doc, doctest), feature = "full"))]
pub mod guide;
mod integrations;
mod layer;
mod pipeline;
pub mod propagation;
mod setup;
mod stack;
mod streams;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod tracer;

pub use crate::config::{
    AttributeValue, BatchSettings, Effective, Explanation, Ignored, LogFormat,
    ResourceDetectorKind, Source, SpanLimits,
};
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
pub use crate::config::{Compression, Protocol};
pub use crate::error::Error;
pub use crate::error::Severity;
pub use crate::exception::RecordErr;
pub use crate::guard::Guard;
#[cfg(feature = "axum")]
pub use crate::integrations::axum;
#[cfg(feature = "kafka")]
pub use crate::integrations::kafka;
#[cfg(feature = "reqwest")]
pub use crate::integrations::reqwest;
#[cfg(feature = "tonic")]
pub use crate::integrations::tonic;
#[cfg(feature = "tower")]
pub use crate::integrations::tower;
pub use crate::layer::SpanDetail;
#[cfg(feature = "file")]
pub use crate::pipeline::FileExporter;
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
pub use crate::pipeline::OtlpExporter;
#[cfg(feature = "tree")]
pub use crate::pipeline::TreeExporter;
pub use crate::pipeline::{
    DropReason, Dropped, Exporter, ExporterStats, ParentBasedSampler, RuleSampler, Sampler,
    SpanMatch, SpanParent, Stats,
};
pub use crate::propagation::Propagator;
pub use crate::setup::{Setup, setup_tracing};
pub use crate::stack::Stack;
/// The kind of a span, as OpenTelemetry's own crate has it.
pub use opentelemetry::trace::SpanKind;

/// The README's code blocks, compiled by the tests.
#[cfg(all(doctest, feature = "otlp-http"))]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
