//! Protocols and compressions, each behind a feature.

use crate::config::choice::Choice;

/// How an OTLP exporter speaks to its backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// Protobuf over HTTP/1.1, `http/protobuf`: what every OTLP backend understands.
    HttpProtobuf,
    /// JSON over HTTP/1.1, `http/json`: larger, and readable on the way. Attributes that are NaN or
    /// infinite, for which JSON has no number, arrive as strings. Needs the feature `otlp-json`.
    HttpJson,
    /// gRPC over HTTP/2, `grpc`. Needs the feature `otlp-grpc`.
    Grpc,
}

/// How an OTLP exporter compresses what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, which every OTLP backend understands. Needs the feature `gzip`.
    Gzip,
    /// Zstandard: smaller and faster than gzip, where the backend understands it (the
    /// OpenTelemetry collector does). Needs the feature `zstd`.
    Zstd,
}

impl Protocol {
    pub(super) const DEFAULT: Self =
        if cfg!(feature = "otlp-http") { Self::HttpProtobuf } else { Self::Grpc };
}

impl Choice for Protocol {
    const ALL: &[Self] = &[Self::HttpProtobuf, Self::HttpJson, Self::Grpc];

    fn name(self) -> &'static str {
        match self {
            Self::HttpProtobuf => "http/protobuf",
            Self::HttpJson => "http/json",
            Self::Grpc => "grpc",
        }
    }

    fn missing_feature(self) -> Option<&'static str> {
        let (feature, is_on) = match self {
            Self::HttpProtobuf => ("otlp-http", cfg!(feature = "otlp-http")),
            Self::HttpJson => ("otlp-json", cfg!(feature = "otlp-json")),
            Self::Grpc => ("otlp-grpc", cfg!(feature = "otlp-grpc")),
        };
        (!is_on).then_some(feature)
    }
}

impl Choice for Compression {
    const ALL: &[Self] = &[Self::None, Self::Gzip, Self::Zstd];

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    fn missing_feature(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => (!cfg!(feature = "gzip")).then_some("gzip"),
            Self::Zstd => (!cfg!(feature = "zstd")).then_some("zstd"),
        }
    }
}
