//! The OTLP exporters' variables, each for traces and for all signals.

use std::time::Duration;

use super::super::choice::choice;
use super::super::otlp::{Compression, Headers, Protocol, headers};
use super::super::parse;
use super::{Kind, Row, Variable, variables};

variables! {
    TRACES_ENDPOINT: String = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" {
        parse: parse::text,
        kind: String,
        over: Some("OTEL_EXPORTER_OTLP_ENDPOINT"),
        secret: true,
        default: "`http://localhost:4318/v1/traces`; gRPC `http://localhost:4317`",
        meaning: "the backend's URL; over HTTP `/v1/traces` is added to the second one",
        code: "[`OtlpExporter::with_endpoint`]",
    }
    ENDPOINT: String = "OTEL_EXPORTER_OTLP_ENDPOINT" {
        parse: parse::text,
        kind: String,
        secret: true,
        default: "`http://localhost:4318`",
    }
    TRACES_INSECURE: bool = "OTEL_EXPORTER_OTLP_TRACES_INSECURE" {
        parse: parse::flag,
        kind: Boolean,
        over: Some("OTEL_EXPORTER_OTLP_INSECURE"),
        default: "`false`",
        meaning: "no TLS for a gRPC endpoint that is only `host:port`",
        code: "[`OtlpExporter::with_insecure`]",
    }
    INSECURE: bool = "OTEL_EXPORTER_OTLP_INSECURE" {
        parse: parse::flag,
        kind: Boolean,
        default: "`false`",
    }
    TRACES_CERTIFICATE: String = "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE" {
        parse: parse::text,
        kind: String,
        over: Some("OTEL_EXPORTER_OTLP_CERTIFICATE"),
        default: "the system's",
        meaning: "a PEM file with the roots to trust",
        code: "[`OtlpExporter::with_certificate`]",
    }
    CERTIFICATE: String = "OTEL_EXPORTER_OTLP_CERTIFICATE" {
        parse: parse::text,
        kind: String,
        default: "the system's",
    }
    TRACES_CLIENT_KEY: String = "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY" {
        parse: parse::text,
        kind: String,
        over: Some("OTEL_EXPORTER_OTLP_CLIENT_KEY"),
        default: "none",
        meaning: "a PEM file with the key of the client certificate",
        code: "[`OtlpExporter::with_client_certificate`]",
    }
    CLIENT_KEY: String = "OTEL_EXPORTER_OTLP_CLIENT_KEY" {
        parse: parse::text,
        kind: String,
        default: "none",
    }
    TRACES_CLIENT_CERTIFICATE: String = "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE" {
        parse: parse::text,
        kind: String,
        over: Some("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
        default: "none",
        meaning: "a PEM file with the certificate that this process shows",
        code: "[`OtlpExporter::with_client_certificate`]",
    }
    CLIENT_CERTIFICATE: String = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE" {
        parse: parse::text,
        kind: String,
        default: "none",
    }
    TRACES_HEADERS: Headers = "OTEL_EXPORTER_OTLP_TRACES_HEADERS" {
        parse: headers::parse,
        kind: Pairs,
        over: Some("OTEL_EXPORTER_OTLP_HEADERS"),
        secret: true,
        default: "none",
        meaning: "headers of every request, values percent-encoded",
        code: "[`OtlpExporter::with_header`]",
    }
    HEADERS: Headers = "OTEL_EXPORTER_OTLP_HEADERS" {
        parse: headers::parse,
        kind: Pairs,
        secret: true,
        default: "none",
    }
    TRACES_COMPRESSION: Compression = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION" {
        parse: choice,
        kind: Enum,
        over: Some("OTEL_EXPORTER_OTLP_COMPRESSION"),
        default: "`none`",
        meaning: "`none`, `gzip`, `zstd`",
        code: "[`OtlpExporter::with_compression`]",
    }
    COMPRESSION: Compression = "OTEL_EXPORTER_OTLP_COMPRESSION" {
        parse: choice,
        kind: Enum,
        default: "`none`",
    }
    TRACES_TIMEOUT: Duration = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT" {
        parse: parse::timeout,
        kind: Timeout,
        over: Some("OTEL_EXPORTER_OTLP_TIMEOUT"),
        default: "10000",
        meaning: "how long one attempt may take; 0 is as long as the batch is tried for",
        code: "[`OtlpExporter::with_timeout`]",
    }
    TIMEOUT: Duration = "OTEL_EXPORTER_OTLP_TIMEOUT" {
        parse: parse::timeout,
        kind: Timeout,
        default: "10000",
    }
    TRACES_PROTOCOL: Protocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" {
        parse: choice,
        kind: Enum,
        over: Some("OTEL_EXPORTER_OTLP_PROTOCOL"),
        default: "`http/protobuf`",
        meaning: "`http/protobuf`, `http/json`, `grpc`",
        code: "[`OtlpExporter::with_protocol`]",
    }
    PROTOCOL: Protocol = "OTEL_EXPORTER_OTLP_PROTOCOL" {
        parse: choice,
        kind: Enum,
        default: "`http/protobuf`",
    }
}
