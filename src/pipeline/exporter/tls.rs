//! Which certificates are trusted, and which one this process shows.

use std::fmt::Display;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{ClientCertificate, Findings, OtlpConfig, Source, Sourced};
use crate::error::Error;

/// A certificate chain and the key that belongs to it, in PEM, which is what both clients take.
pub(super) struct Identity {
    pub(super) chain: Vec<u8>,
    pub(super) key: Vec<u8>,
}

/// The cryptography of ours, whatever the program has made the process's default. (tonic asks for that
/// default first, and takes this one where there is none.)
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The roots of the file that was asked for, or the system's.
///
/// # Errors
///
/// When a file named in code or in the configuration file cannot be used, or the system has no certificates.
pub(super) fn roots(
    config: &OtlpConfig,
    findings: &mut Findings,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let Some(file) = &config.certificate else { return system() };
    match certificates(&file.value) {
        Ok(roots) => Ok(roots),
        Err(problem) if is_explicit(file.source) => {
            Err(Error::config(format!("OTLP certificate: {problem}")))
        }
        Err(problem) => {
            let name = variable(file, "OTEL_EXPORTER_OTLP_CERTIFICATE");
            findings.ignored(name, &problem, "the system's certificates are used");
            system()
        }
    }
}

/// What this process identifies itself by, if that was asked for.
///
/// # Errors
///
/// When a file named in code or in the configuration file cannot be used.
pub(super) fn identity(
    config: &OtlpConfig,
    findings: &mut Findings,
) -> Result<Option<Identity>, Error> {
    let Some(files) = &config.client_certificate else { return Ok(None) };
    match read_identity(&files.value) {
        Ok(identity) => Ok(Some(identity)),
        Err(problem) if is_explicit(files.source) => {
            Err(Error::config(format!("OTLP client certificate: {problem}")))
        }
        Err(problem) => {
            let name = variable(files, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE");
            findings.ignored(name, &problem, "no client certificate is sent");
            Ok(None)
        }
    }
}

/// What a variable names and is of no use is reported; what the code or a file names is an error.
fn is_explicit(source: Source) -> bool {
    matches!(source, Source::Code | Source::File)
}

/// The one that named the file.
fn variable<T>(file: &Sourced<T>, general: &'static str) -> &'static str {
    match file.source {
        Source::Variable(name) => name,
        _ => general,
    }
}

fn read_identity(files: &ClientCertificate) -> Result<Identity, String> {
    let parsed = certificates(&files.certificate)?;
    let wrong = |path: &str, error: &dyn Display| format!("{path:?} cannot be read: {error}");
    let read = |path: &str| std::fs::read(path).map_err(|error| wrong(path, &error));
    let identity = Identity { chain: read(&files.certificate)?, key: read(&files.key)? };
    let key =
        PrivateKeyDer::from_pem_slice(&identity.key).map_err(|error| wrong(&files.key, &error))?;
    // the handshake would fail too, but with the backend to blame
    CertifiedKey::from_der(parsed, key, &provider()).map_err(|error| {
        format!("{:?} is not the key of {:?}: {error}", files.key, files.certificate)
    })?;
    Ok(identity)
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| format!("{path:?} cannot be read: {error}"))?;
    if found.is_empty() {
        return Err(format!("{path:?} has no certificate in it"));
    }
    Ok(found)
}

fn system() -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let cause = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
        return Err(Error::config(format!(
            "no root certificate found on this system{cause}; install ca-certificates, or name a \
             PEM file in OTEL_EXPORTER_OTLP_CERTIFICATE"
        )));
    }
    Ok(found.certs)
}
