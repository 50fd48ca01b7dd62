//! OTLP over HTTP, in protobuf or JSON (OTLP specification, "OTLP/HTTP").
//!
//! A blocking client on the worker's own thread: no runtime, nothing that could trace itself. A
//! batch is encoded once and sent as often as the worker's retries ask for.

mod answer;

use std::time::Instant;

use http::Uri;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use ureq::Agent;
#[cfg(feature = "tls")]
use ureq::tls::{
    Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider, parse_pem,
};

use self::answer::{accepted, refused, unreachable};
use super::compress::{compressed, content_encoding};
#[cfg(feature = "otlp-json")]
use super::json::JsonEncoder;
use super::otlp::credentials::without_credentials;
use super::otlp::secrets::Secrets;
use super::protobuf::RequestEncoder;
#[cfg(feature = "tls")]
use super::tls;
use crate::config::{OtlpConfig, Protocol, Resolver};
use crate::error::Error;
use crate::error::redact_url;
use crate::pipeline::export::{BlockingExporter, Failure, Payload, Receipt, Retry};

/// The open exporter.
#[derive(Debug)]
pub(crate) struct OtlpHttpExporter {
    config: OtlpConfig,
    /// The endpoint as requests name it.
    endpoint: Uri,
    /// The endpoint as messages may show it.
    shown: String,
    secrets: Secrets,
    headers: HeaderMap,
    agent: Agent,
    encoding: Encoding,
}

#[derive(Debug)]
enum Encoding {
    Protobuf(RequestEncoder),
    #[cfg(feature = "otlp-json")]
    Json(JsonEncoder),
}

impl OtlpHttpExporter {
    /// # Errors
    ///
    /// When certificates named in code, or the machine's, cannot be used.
    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::unnecessary_wraps, reason = "certificates are all that can fail")
    )]
    pub(super) fn open(
        config: OtlpConfig,
        #[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "certificates' alone"))]
        r: &mut Resolver<'_>,
    ) -> Result<Self, Error> {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // the variables for proxies are not OTLP's; a collector is near
            .proxy(None)
            .user_agent(USER_AGENT);
        #[cfg(feature = "tls")]
        let agent = if config.endpoint.scheme_str() == Some("https") {
            agent.tls_config(tls_config(&config, r)?)
        } else {
            agent
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            headers.append(name, value.clone());
        }
        let (endpoint, authorization) = without_credentials(&config.endpoint);
        // a header that was asked for is meant
        if let Some(authorization) = authorization {
            headers.entry(AUTHORIZATION).or_insert(authorization);
        }
        // ours, whatever the operator set: the body is nothing else
        let is_json = config.protocol == Protocol::HttpJson;
        headers.insert(CONTENT_TYPE, if is_json { JSON } else { PROTOBUF });
        headers.remove(CONTENT_ENCODING);
        headers.extend(
            content_encoding(config.compression).map(|encoding| (CONTENT_ENCODING, encoding)),
        );
        Ok(Self {
            shown: redact_url(&config.endpoint.to_string()),
            secrets: Secrets::of(&config),
            endpoint,
            headers,
            agent: agent.build().new_agent(),
            encoding: Encoding::of(config.protocol),
            config,
        })
    }
}

impl Encoding {
    fn of(protocol: Protocol) -> Self {
        match protocol {
            #[cfg(feature = "otlp-json")]
            Protocol::HttpJson => Self::Json(JsonEncoder::default()),
            // a protocol whose feature is off is refused before an exporter is opened
            _ => Self::Protobuf(RequestEncoder::default()),
        }
    }
}

impl BlockingExporter for OtlpHttpExporter {
    fn name(&self) -> &'static str {
        self.config.backend.unwrap_or("otlp-http")
    }

    fn set_resource(&mut self, resource: &Resource) {
        match &mut self.encoding {
            Encoding::Protobuf(encoder) => encoder.set_resource(resource),
            #[cfg(feature = "otlp-json")]
            Encoding::Json(encoder) => encoder.set_resource(resource),
        }
    }

    fn encode(&mut self, batch: Vec<SpanData>) -> Result<Payload, Failure> {
        let bytes = match &mut self.encoding {
            Encoding::Protobuf(encoder) => encoder.encode(&batch),
            #[cfg(feature = "otlp-json")]
            Encoding::Json(encoder) => encoder.encode(batch).map_err(unencodable)?,
        };
        Ok(Payload::Encoded(compressed(bytes, self.config.compression).map_err(unencodable)?))
    }

    fn send(&mut self, payload: &mut Payload, deadline: Instant) -> Result<Receipt, Failure> {
        let Payload::Encoded(body) = payload else { return Ok(Receipt::default()) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure { message: "no time left".to_owned(), retry: Retry::Backoff });
        }
        let mut request = self.agent.post(&self.endpoint);
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.headers.clone());
        }
        let timeout = Some(left.min(self.config.timeout)).filter(|timeout| !timeout.is_zero());
        let sent = request.config().timeout_global(timeout.or(Some(left))).build().send(&body[..]);
        match sent {
            Ok(response) if response.status().is_success() => {
                accepted(response, &self.shown, &self.secrets)
            }
            Ok(response) => Err(refused(response, &self.shown, &self.secrets)),
            Err(error) => Err(unreachable(&error, &self.shown)),
        }
    }
}

fn unencodable(error: impl std::fmt::Display) -> Failure {
    Failure { message: format!("the batch cannot be encoded: {error}"), retry: Retry::Never }
}

#[cfg(feature = "tls")]
fn tls_config(config: &OtlpConfig, r: &mut Resolver<'_>) -> Result<TlsConfig, Error> {
    let roots = tls::roots(config, r)?;
    let roots: Vec<_> = roots.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    let identity = tls::identity(config, r)?.and_then(|identity| {
        let chain: Vec<_> = parse_pem(&identity.chain)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        // it has been parsed before, so there is one
        let key = PrivateKey::from_pem(&identity.key).ok()?;
        Some(ClientCert::new_with_certs(&chain, key))
    });
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(tls::provider())
        .root_certs(RootCerts::new_with_certs(&roots))
        .client_cert(identity)
        .build())
}

const JSON: http::HeaderValue = http::HeaderValue::from_static("application/json");
const PROTOBUF: http::HeaderValue = http::HeaderValue::from_static("application/x-protobuf");
const USER_AGENT: &str = concat!("OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));
