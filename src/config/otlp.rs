//! `OTEL_EXPORTER_OTLP_*`: where and how the OTLP exporters send.

mod choice;
mod debug;
mod endpoint;
pub(super) mod headers;

use std::time::Duration;

pub use self::choice::{Compression, Protocol};
#[cfg(feature = "config-file")]
pub(super) use self::endpoint::checked as checked_endpoint;
pub(crate) use self::headers::Headers;
#[cfg(feature = "tls")]
use super::Source;
use super::Sourced;
use super::choice::{Choice, available};
use super::resolver::{Resolver, Said};
use super::variables::{
    CERTIFICATE, CLIENT_CERTIFICATE, CLIENT_KEY, COMPRESSION, PROTOCOL, TIMEOUT,
    TRACES_CERTIFICATE, TRACES_CLIENT_CERTIFICATE, TRACES_CLIENT_KEY, TRACES_COMPRESSION,
    TRACES_PROTOCOL, TRACES_TIMEOUT,
};

/// Settings of an OTLP exporter; what is `None` comes from the environment.
#[derive(Clone, Default)]
#[cfg_attr(feature = "config-file", derive(PartialEq, Eq))]
pub(crate) struct OtlpSettings {
    pub(crate) origin: Origin,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) endpoint: Option<String>,
    /// Where to send when nothing else is said; the backend's name goes with it.
    pub(crate) backend: Option<Backend>,
    pub(crate) insecure: Option<bool>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) compression: Option<Compression>,
    pub(crate) certificate: Option<String>,
    pub(crate) client_certificate: Option<ClientCertificate>,
}

/// Who has said what is in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Origin {
    #[default]
    Code,
    /// Of which what is wrong has been reported with its line.
    #[cfg(feature = "config-file")]
    File,
}

/// A backend by name, and its own OTLP intake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    /// Over HTTP.
    pub(crate) endpoint: &'static str,
}

/// PEM files with the certificate that identifies this process, and with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Effective settings of an OTLP exporter.
#[derive(Clone, PartialEq)]
pub(crate) struct OtlpConfig {
    pub(crate) protocol: Protocol,
    /// The backend that was asked for by name.
    pub(crate) backend: Option<&'static str>,
    /// The whole URL, path included.
    pub(crate) endpoint: http::Uri,
    pub(crate) headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Of one attempt.
    pub(crate) timeout: Duration,
    pub(crate) compression: Compression,
    /// A PEM file with the roots to trust, instead of the system's.
    pub(crate) certificate: Option<Sourced<String>>,
    pub(crate) client_certificate: Option<Sourced<ClientCertificate>>,
}

impl OtlpConfig {
    /// What is wrong is found, wherever it stands.
    pub(crate) fn resolve(code: &OtlpSettings, r: &mut Resolver<'_>) -> Self {
        let protocol = code.usable(code.protocol, "OTLP protocol", r);
        let variables = [&TRACES_PROTOCOL, &PROTOCOL];
        let protocol = r.setting(protocol, &variables, Protocol::DEFAULT).value;
        let compression = code.usable(code.compression, "OTLP compression", r);
        let certificates = [&TRACES_CERTIFICATE, &CERTIFICATE];
        let timeouts = [&TRACES_TIMEOUT, &TIMEOUT];
        Self {
            protocol,
            backend: code.backend.map(|backend| backend.name),
            endpoint: endpoint::endpoint(code, protocol, r),
            headers: headers::headers(code, r),
            timeout: r.setting(code.said(code.timeout), &timeouts, DEFAULT_TIMEOUT).value,
            compression: r
                .setting(compression, &[&TRACES_COMPRESSION, &COMPRESSION], Compression::None)
                .value,
            certificate: r.optional(
                code.said(code.certificate.clone()),
                &certificates,
                SYSTEM_ROOTS,
            ),
            client_certificate: client_certificate(code, r),
        }
    }
}

#[cfg(feature = "tls")]
impl OtlpConfig {
    /// A file of roots that a variable names, and that turned out to be of no use.
    pub(crate) fn refuse_certificate(problem: &str, r: &mut Resolver<'_>) {
        let instead = "the system's certificates are used";
        r.replace(&TRACES_CERTIFICATE.row, problem, SYSTEM_ROOTS, instead);
    }

    /// Files that variables name, and that turned out to be of no use.
    pub(crate) fn refuse_client_certificate(problem: &str, r: &mut Resolver<'_>) {
        r.show(&TRACES_CLIENT_KEY.row, "none");
        r.resettle(&TRACES_CLIENT_KEY.row, Source::Default);
        r.replace(&TRACES_CLIENT_CERTIFICATE.row, problem, "none", "no client certificate is sent");
    }
}

impl OtlpSettings {
    fn said<T>(&self, value: Option<T>) -> Said<T> {
        match self.origin {
            Origin::Code => Said::in_code(value),
            #[cfg(feature = "config-file")]
            Origin::File => Said { code: None, file: value },
        }
    }

    /// A choice, unless its feature is off, which is an error.
    fn usable<C: Choice>(&self, choice: Option<C>, what: &str, r: &mut Resolver<'_>) -> Said<C> {
        let usable = choice.and_then(|choice| match available(choice) {
            Ok(choice) => Some(choice),
            Err(missing) => {
                r.findings.refused(what, missing);
                None
            }
        });
        self.said(usable)
    }

    /// Over HTTP, where neither the code nor the environment names one.
    fn default_endpoint(&self) -> &'static str {
        self.backend.map_or(DEFAULT_ENDPOINT, |backend| backend.endpoint)
    }
}

/// Both of them or none.
fn client_certificate(
    code: &OtlpSettings,
    r: &mut Resolver<'_>,
) -> Option<Sourced<ClientCertificate>> {
    let (certificate, key) = match code.client_certificate.clone() {
        Some(ClientCertificate { certificate, key }) => (Some(certificate), Some(key)),
        None => (None, None),
    };
    let (certificate_row, key_row) = (&TRACES_CLIENT_CERTIFICATE.row, &TRACES_CLIENT_KEY.row);
    let certificate = r.optional(
        code.said(certificate),
        &[&TRACES_CLIENT_CERTIFICATE, &CLIENT_CERTIFICATE],
        "none",
    );
    let key = r.optional(code.said(key), &[&TRACES_CLIENT_KEY, &CLIENT_KEY], "none");
    let (row, problem) = match (certificate, key) {
        (Some(certificate), Some(key)) if cfg!(feature = "tls") => {
            let source = certificate.source;
            let (certificate, key) = (certificate.value, key.value);
            return Some(Sourced { value: ClientCertificate { certificate, key }, source });
        }
        (None, None) => return None,
        (Some(_), Some(_)) => (certificate_row, "it needs the feature tls"),
        (Some(_), None) => (certificate_row, "there is no OTEL_EXPORTER_OTLP_CLIENT_KEY"),
        (None, Some(_)) => (key_row, "there is no OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
    };
    r.replace(row, problem, "none", "no client certificate is sent");
    None
}

const DEFAULT_ENDPOINT: &str = "http://localhost:4318/v1/traces";
const SYSTEM_ROOTS: &str = "the system's";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
