//! OTLP over gRPC (OTLP specification, "OTLP/gRPC").
//!
//! tonic on a runtime that is this exporter's own and runs only while the worker's thread sends: no
//! other thread, nothing of the program's runtime, and nothing that could trace itself.

mod answer;
mod codec;

use std::error::Error as _;
use std::time::Instant;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
#[cfg(feature = "tls")]
use tonic::transport::{ClientTlsConfig, Identity};
use tonic::{Extensions, Request, Status};

use self::answer::{Problem, failure};
use self::codec::EncodedCodec;
use super::otlp::credentials::without_credentials;
use super::otlp::secrets::Secrets;
use super::otlp::verdict::receipt;
use super::protobuf::RequestEncoder;
#[cfg(feature = "tls")]
use super::tls;
use crate::config::{Compression, OtlpConfig, Resolver};
use crate::error::Error;
use crate::error::redact_url;
use crate::pipeline::export::{BlockingExporter, Failure, Payload, Receipt};

/// The open exporter.
#[derive(Debug)]
pub(super) struct OtlpGrpcExporter {
    config: OtlpConfig,
    /// The endpoint as messages may show it.
    shown: String,
    secrets: Secrets,
    endpoint: Endpoint,
    metadata: MetadataMap,
    encoder: RequestEncoder,
    /// Made by the first attempt, on the thread that drives it.
    runtime: Option<Runtime>,
    /// A connection that the last attempt left in order.
    channel: Option<Channel>,
}

impl OtlpGrpcExporter {
    /// # Errors
    ///
    /// When certificates named in code, or the machine's, cannot be used.
    pub(super) fn open(
        config: OtlpConfig,
        #[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "certificates' alone"))]
        r: &mut Resolver<'_>,
    ) -> Result<Self, Error> {
        let (bare, authorization) = without_credentials(&config.endpoint);
        let endpoint = Endpoint::from(bare);
        let endpoint = endpoint.user_agent(USER_AGENT).map_err(unusable)?;
        #[cfg(feature = "tls")]
        let endpoint = if config.endpoint.scheme_str() == Some("https") {
            endpoint.tls_config(tls_config(&config, r)?).map_err(unusable)?
        } else {
            endpoint
        };
        let mut headers: HeaderMap = config.headers.iter().cloned().collect();
        // a header that was asked for is meant
        if let Some(authorization) = authorization {
            headers.entry(AUTHORIZATION).or_insert(authorization);
        }
        Ok(Self {
            shown: redact_url(&config.endpoint.to_string()).trim_end_matches('/').to_owned(),
            secrets: Secrets::of(&config),
            endpoint,
            metadata: MetadataMap::from_headers(headers),
            encoder: RequestEncoder::default(),
            runtime: None,
            channel: None,
            config,
        })
    }

    /// One request. The connection is kept if it is still in order.
    fn attempt(&mut self, body: &[u8], deadline: Instant) -> Result<Receipt, Problem> {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout =
            Some(self.config.timeout).filter(|own| !own.is_zero()).unwrap_or(left).min(left);
        let runtime = match &mut self.runtime {
            Some(runtime) => runtime,
            none => none.insert(runtime().map_err(Problem::Runtime)?),
        };
        let mut request =
            Request::from_parts(self.metadata.clone(), Extensions::new(), body.to_vec());
        request.set_timeout(timeout);
        let (kept, endpoint) = (self.channel.take(), &self.endpoint);
        let secrets = &self.secrets;
        let compression = encoding(self.config.compression);
        let exchange = async {
            let channel = match kept {
                Some(channel) => channel,
                None => endpoint.connect().await.map_err(Problem::Connection)?,
            };
            let answer = export(channel.clone(), request, compression, secrets).await?;
            Ok((answer, channel))
        };
        let (answer, channel) = runtime
            .block_on(async { tokio::time::timeout(timeout, exchange).await })
            .map_err(|_| Problem::Timeout)??;
        self.channel = Some(channel);
        answer.map_err(Problem::Answer)
    }
}

impl BlockingExporter for OtlpGrpcExporter {
    fn name(&self) -> &'static str {
        self.config.backend.unwrap_or("otlp-grpc")
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.encoder.set_resource(resource);
    }

    fn encode(&mut self, batch: Vec<SpanData>) -> Result<Payload, Failure> {
        Ok(Payload::Encoded(self.encoder.encode(&batch)))
    }

    fn send(&mut self, payload: &mut Payload, deadline: Instant) -> Result<Receipt, Failure> {
        let Payload::Encoded(body) = payload else { return Ok(Receipt::default()) };
        let was_kept = self.channel.is_some();
        let answer = match self.attempt(body, deadline) {
            // a connection that lay idle may have been closed meanwhile: that is nobody's failure
            Err(problem) if was_kept && problem.is_broken_connection() => {
                self.attempt(body, deadline)
            }
            answer => answer,
        };
        answer.map_err(|problem| failure(&problem, &self.shown, &self.secrets))
    }

    fn shutdown(&mut self, _deadline: Instant) -> Result<(), Failure> {
        self.end();
        Ok(())
    }
}

impl OtlpGrpcExporter {
    /// Closes the connection without waiting for anything (a look-up of a name may hang).
    fn end(&mut self) {
        self.channel = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for OtlpGrpcExporter {
    fn drop(&mut self) {
        // dropped as it is, a runtime waits for its blocking calls
        self.end();
    }
}

/// The outer result is about the connection, the inner one is the backend's answer.
async fn export(
    channel: Channel,
    request: Request<Vec<u8>>,
    compression: Option<CompressionEncoding>,
    secrets: &Secrets,
) -> Result<Result<Receipt, Status>, Problem> {
    let mut client = Grpc::new(channel);
    if let Some(encoding) = compression {
        client = client.send_compressed(encoding);
    }
    client.ready().await.map_err(Problem::Connection)?;
    match client.unary(request, PathAndQuery::from_static(METHOD), EncodedCodec).await {
        Ok(answer) => Ok(Ok(receipt(answer.into_inner(), secrets))),
        // what has a cause on this side is not the backend's word
        Err(status) if status.source().is_some() => Err(Problem::Broken(status)),
        Err(status) => Ok(Err(status)),
    }
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()
}

fn encoding(compression: Compression) -> Option<CompressionEncoding> {
    match compression {
        #[cfg(feature = "gzip")]
        Compression::Gzip => Some(CompressionEncoding::Gzip),
        #[cfg(feature = "zstd")]
        Compression::Zstd => Some(CompressionEncoding::Zstd),
        // what is not compiled in is refused before an exporter is opened
        _ => None,
    }
}

#[cfg(feature = "tls")]
fn tls_config(config: &OtlpConfig, r: &mut Resolver<'_>) -> Result<ClientTlsConfig, Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(tls::roots(config, r)?);
    let tls = ClientTlsConfig::new().trust_anchors(roots.roots);
    Ok(match tls::identity(config, r)? {
        Some(identity) => tls.identity(Identity::from_pem(identity.chain, identity.key)),
        None => tls,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn unusable(error: tonic::transport::Error) -> Error {
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    Error::config(format!("OTLP endpoint: {cause}"))
}

const METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

const USER_AGENT: &str = concat!("OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));
