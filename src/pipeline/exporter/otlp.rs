//! The OTLP exporters as they are asked for; the protocol decides which one is opened.

pub(super) mod credentials;
pub(super) mod secrets;
pub(super) mod verdict;

use std::time::Duration;

#[cfg(feature = "otlp-grpc")]
use super::otlp_grpc::OtlpGrpcExporter;
#[cfg(feature = "otlp-http")]
use super::otlp_http::OtlpHttpExporter;
#[cfg(feature = "tls")]
use crate::config::ClientCertificate;
use crate::config::{Backend, Compression, OtlpConfig, OtlpSettings, Protocol, Resolver};
use crate::error::Error;
use crate::pipeline::export::BlockingExporter;

/// An OTLP exporter: what is left open here comes from the environment, then from the default.
///
/// Answers that the OTLP specification calls retryable (over HTTP 429, 502, 503 and 504) and a backend
/// that cannot be reached are tried again, with growing pauses or the one that the backend asks for,
/// until `OTEL_BSP_EXPORT_TIMEOUT` (30 s) has passed. Other refusals are final, and so is a success
/// whose content is no OTLP answer, a page for instance. Redirects are not followed, since headers may
/// be secret. What is lost is counted, and said with its cause.
///
/// ```
/// use otel_setup::{Exporter, Setup};
///
/// # fn main() -> Result<(), otel_setup::Error> {
/// let setup = Setup::new("checkout").with_exporter(
///     Exporter::otlp()
///         .with_endpoint("http://collector:4318")
///         .with_header("x-api-key", "secret"),
/// );
/// # drop(setup.with_env(|_| None).build()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "an exporter works once it is given to `Setup::with_exporter`"]
pub struct OtlpExporter(OtlpSettings);

impl OtlpExporter {
    /// How to speak to the backend: `http/protobuf` by default, or `grpc` where the feature
    /// `otlp-http` is off (`OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`, `OTEL_EXPORTER_OTLP_PROTOCOL`).
    ///
    /// A protocol whose feature is off is an error of the setup when asked for here, and reported
    /// and passed over when it is asked for by a variable.
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.0.protocol = Some(protocol);
        self
    }

    /// The backend's URL. Over HTTP, `/v1/traces` is added to one that has no path.
    ///
    /// Default: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` as it is, or `OTEL_EXPORTER_OTLP_ENDPOINT` with
    /// `/v1/traces` added, or `http://localhost:4318/v1/traces`. Over gRPC nothing is added,
    /// `host:port` is a URL too (see [`with_insecure`](Self::with_insecure)), a path is left out with
    /// a warning, and the default is `http://localhost:4317`. A URL with a fragment is none. User and
    /// password in it are sent as `authorization: Basic …`, unless a header of that name is set.
    pub fn with_endpoint(mut self, url: impl Into<String>) -> Self {
        self.0.endpoint = Some(url.into());
        self
    }

    /// Whether a gRPC endpoint that is only `host:port` is spoken to without TLS: no by default
    /// (`OTEL_EXPORTER_OTLP_TRACES_INSECURE`, `OTEL_EXPORTER_OTLP_INSECURE`).
    ///
    /// An endpoint that begins with `http://` or `https://` has said so itself, and over HTTP every
    /// endpoint does: there this setting changes nothing. It never turns certificates' checks off.
    pub fn with_insecure(mut self, insecure: bool) -> Self {
        self.0.insecure = Some(insecure);
        self
    }

    /// A header of every request, an API key for instance (over gRPC: metadata). Its value is shown
    /// nowhere.
    ///
    /// Headers of the same name in `OTEL_EXPORTER_OTLP_TRACES_HEADERS` or, if that is unset,
    /// `OTEL_EXPORTER_OTLP_HEADERS` (`name=value,name=value`) are replaced, others are sent too. What
    /// says how the body or the connection is to be read (`content-type`, `content-length`, `host`,
    /// …) the exporter sets itself: as a header it is left out, which is a warning for a variable.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push((name.into(), value.into()));
        self
    }

    /// How long one attempt may take: ten seconds by default
    /// (`OTEL_EXPORTER_OTLP_TRACES_TIMEOUT`, `OTEL_EXPORTER_OTLP_TIMEOUT`, in milliseconds).
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = Some(timeout);
        self
    }

    /// How batches are compressed: not at all by default
    /// (`OTEL_EXPORTER_OTLP_TRACES_COMPRESSION`, `OTEL_EXPORTER_OTLP_COMPRESSION`: `none`, `gzip`,
    /// `zstd`).
    ///
    /// It is done on the export thread. A compression whose feature is off is an error of the setup
    /// when asked for here, and reported and passed over when it is asked for by a variable.
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.0.compression = Some(compression);
        self
    }

    /// A PEM file with the root certificates to trust, instead of the system's
    /// (`OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE`, `OTEL_EXPORTER_OTLP_CERTIFICATE`).
    #[cfg(feature = "tls")]
    pub fn with_certificate(mut self, path: impl Into<String>) -> Self {
        self.0.certificate = Some(path.into());
        self
    }

    /// PEM files with the certificate (chain) that this process identifies itself by, and with its
    /// private key, for backends behind mutual TLS
    /// (`OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE` and `…_CLIENT_KEY`, or
    /// `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `…_CLIENT_KEY`).
    ///
    /// They are read once, when the exporter is opened; files named here that cannot be used, or do
    /// not belong together, are an error of the setup.
    #[cfg(feature = "tls")]
    pub fn with_client_certificate(
        mut self,
        certificate: impl Into<String>,
        key: impl Into<String>,
    ) -> Self {
        let (certificate, key) = (certificate.into(), key.into());
        self.0.client_certificate = Some(ClientCertificate { certificate, key });
        self
    }

    #[cfg(feature = "config-file")]
    pub(super) fn with(settings: OtlpSettings) -> Self {
        Self(settings)
    }

    /// For a backend by name, which is what statistics and messages then call it.
    pub(super) fn of(backend: Backend) -> Self {
        Self(OtlpSettings { backend: Some(backend), ..OtlpSettings::default() })
    }

    /// What the worker drives.
    ///
    /// # Errors
    ///
    /// When a file named in code, or the machine's certificates, cannot be used.
    pub(super) fn open(&self, r: &mut Resolver<'_>) -> Result<Box<dyn BlockingExporter>, Error> {
        let config = OtlpConfig::resolve(&self.0, r);
        match config.protocol {
            #[cfg(feature = "otlp-http")]
            Protocol::HttpProtobuf | Protocol::HttpJson => {
                Ok(Box::new(OtlpHttpExporter::open(config, r)?))
            }
            #[cfg(feature = "otlp-grpc")]
            Protocol::Grpc => Ok(Box::new(OtlpGrpcExporter::open(config, r)?)),
            #[cfg(not(all(feature = "otlp-http", feature = "otlp-grpc")))]
            other => unreachable!("{other:?} is refused where its feature is off"),
        }
    }

    /// Settles everything, and opens no connection: whether certificates can be used is seen by
    /// reading them.
    pub(super) fn explain(&self, r: &mut Resolver<'_>) {
        let config = OtlpConfig::resolve(&self.0, r);
        #[cfg(feature = "tls")]
        if config.endpoint.scheme_str() == Some("https") {
            super::tls::check(&config, r);
        }
        #[cfg(not(feature = "tls"))]
        drop(config);
    }

    pub(super) fn backend(&self) -> Option<&'static str> {
        self.0.backend.map(|backend| backend.name)
    }
}
