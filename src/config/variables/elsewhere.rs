//! The specification's variables that are not honoured: those of other signals, which are no
//! mistake where a fleet shares its environment, and those that ask for what is not to be had.

use super::{Kind, Owner, Row};

pub(super) static ROWS: &[&Row] = &[
    &unsupported("OTEL_ENTITIES", Kind::String, "entities are in development, and not built here"),
    &unsupported(
        "OTEL_EXPERIMENTAL_CONFIG_FILE",
        Kind::String,
        "it is called OTEL_CONFIG_FILE now",
    ),
    &unsupported("OTEL_EXPORTER_ZIPKIN_ENDPOINT", Kind::String, ZIPKIN),
    &unsupported("OTEL_EXPORTER_ZIPKIN_TIMEOUT", Kind::Timeout, ZIPKIN),
    &unsupported("OTEL_EXPORTER_ZIPKIN_PROTOCOL", Kind::Enum, ZIPKIN),
    &unsupported("OTEL_EXPORTER_OTLP_SPAN_INSECURE", Kind::Boolean, SPAN_INSECURE),
    &logs("OTEL_LOGS_EXPORTER", Kind::List),
    &logs("OTEL_BLRP_SCHEDULE_DELAY", Kind::Duration),
    &logs("OTEL_BLRP_EXPORT_TIMEOUT", Kind::Timeout),
    &logs("OTEL_BLRP_MAX_QUEUE_SIZE", Kind::Integer),
    &logs("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", Kind::Integer),
    &logs("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", Kind::Integer),
    &logs("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", Kind::Integer),
    &logs("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", Kind::String),
    &logs("OTEL_EXPORTER_OTLP_LOGS_INSECURE", Kind::Boolean),
    &logs("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", Kind::String),
    &logs("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", Kind::String),
    &logs("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", Kind::String),
    &logs("OTEL_EXPORTER_OTLP_LOGS_HEADERS", Kind::Pairs),
    &logs("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", Kind::Enum),
    &logs("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", Kind::Timeout),
    &logs("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", Kind::Enum),
    &metrics("OTEL_METRICS_EXPORTER", Kind::List),
    &metrics("OTEL_METRICS_EXEMPLAR_FILTER", Kind::Enum),
    &metrics("OTEL_METRIC_EXPORT_INTERVAL", Kind::Duration),
    &metrics("OTEL_METRIC_EXPORT_TIMEOUT", Kind::Timeout),
    &metrics("OTEL_EXPORTER_PROMETHEUS_HOST", Kind::String),
    &metrics("OTEL_EXPORTER_PROMETHEUS_PORT", Kind::Integer),
    &metrics("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", Kind::String),
    &metrics("OTEL_EXPORTER_OTLP_METRICS_INSECURE", Kind::Boolean),
    &metrics("OTEL_EXPORTER_OTLP_METRIC_INSECURE", Kind::Boolean),
    &metrics("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", Kind::String),
    &metrics("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", Kind::String),
    &metrics("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", Kind::String),
    &metrics("OTEL_EXPORTER_OTLP_METRICS_HEADERS", Kind::Pairs),
    &metrics("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", Kind::Enum),
    &metrics("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", Kind::Timeout),
    &metrics("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", Kind::Enum),
    &metrics("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", Kind::Enum),
    &metrics("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", Kind::Enum),
];

const fn unsupported(name: &'static str, kind: Kind, why: &'static str) -> Row {
    Row { owner: Owner::Unsupported(why), ..Row::new(name, kind) }
}

const fn logs(name: &'static str, kind: Kind) -> Row {
    Row { owner: Owner::Elsewhere("log records"), ..Row::new(name, kind) }
}

const fn metrics(name: &'static str, kind: Kind) -> Row {
    Row { owner: Owner::Elsewhere("metrics"), ..Row::new(name, kind) }
}

const ZIPKIN: &str = "Zipkin's own protocol is deprecated by the specification, and not spoken here; \
                      `OTEL_TRACES_EXPORTER=zipkin` sends OTLP to OTEL_EXPORTER_OTLP_ENDPOINT";
const SPAN_INSECURE: &str = "it is called OTEL_EXPORTER_OTLP_TRACES_INSECURE now";
