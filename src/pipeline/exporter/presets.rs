//! Backends by name: each is OTLP to the intake that the backend itself has.

use super::{Exporter, OtlpExporter};
use crate::config::Backend;

/// These are OTLP exporters whose default endpoint is that of the backend, under its name in
/// statistics and messages. Whatever the code or the `OTEL_EXPORTER_OTLP_*` variables say comes
/// first, as for [`Exporter::otlp`].
impl Exporter {
    /// Jaeger, 1.35 and later, by its own OTLP intake: `http://localhost:4318/v1/traces`.
    ///
    /// Jaeger 2 listens there by default; an older Jaeger 1 wants `COLLECTOR_OTLP_ENABLED=true`. It
    /// also takes gRPC, on port 4317: [`with_protocol`](OtlpExporter::with_protocol). W3C trace
    /// context is what it expects between services; the `uber-trace-id` header is of its retired
    /// clients.
    pub fn jaeger() -> OtlpExporter {
        OtlpExporter::of(Backend { name: "jaeger", endpoint: STANDARD })
    }

    /// Zipkin with the module `zipkin-otel`: `http://localhost:9411/v1/traces`.
    ///
    /// The Zipkin server alone has no OTLP intake and answers 404. Run it with
    /// [openzipkin-contrib/zipkin-otel](https://github.com/openzipkin-contrib/zipkin-otel) (a module
    /// for the server, or the image `ghcr.io/openzipkin-contrib/zipkin-otel`), which takes protobuf
    /// over HTTP, plain or in gzip; or send to an OpenTelemetry collector that has a `zipkin`
    /// exporter, by [`with_endpoint`](OtlpExporter::with_endpoint). Of gRPC the default endpoint is
    /// `http://localhost:4317` as everywhere, which is a collector's and not Zipkin's. Services
    /// instrumented for Zipkin speak B3 to each other: see `OTEL_PROPAGATORS`.
    pub fn zipkin() -> OtlpExporter {
        OtlpExporter::of(Backend { name: "zipkin", endpoint: "http://localhost:9411/v1/traces" })
    }

    /// The Datadog Agent, 7.32 and later, by its OTLP intake: `http://localhost:4318/v1/traces`.
    ///
    /// The intake is off until the Agent is told otherwise:
    /// `DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_HTTP_ENDPOINT=localhost:4318` (or, in `datadog.yaml`,
    /// `otlp_config: receiver: protocols: http: endpoint`). The API key stays with the Agent. Set
    /// `deployment.environment.name` and `service.version` as resource attributes: they are
    /// Datadog's `env` and `version`. Datadog's own tracers understand W3C trace context too.
    pub fn datadog() -> OtlpExporter {
        OtlpExporter::of(Backend { name: "datadog", endpoint: STANDARD })
    }
}

const STANDARD: &str = "http://localhost:4318/v1/traces";
