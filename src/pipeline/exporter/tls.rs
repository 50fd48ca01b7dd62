//! Which certificates are trusted, and which one this process shows.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{ClientCertificate, OtlpConfig, Resolver, Source};
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
    r: &mut Resolver<'_>,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    named_roots(config, r)?.map_or_else(system, Ok)
}

/// What this process identifies itself by, if that was asked for.
///
/// # Errors
///
/// When a file named in code or in the configuration file cannot be used.
pub(super) fn identity(
    config: &OtlpConfig,
    r: &mut Resolver<'_>,
) -> Result<Option<Identity>, Error> {
    let Some(files) = &config.client_certificate else { return Ok(None) };
    match read_identity(&files.value) {
        Ok(identity) => Ok(Some(identity)),
        Err(problem) if is_explicit(files.source) => {
            Err(Error::config(format!("OTLP client certificate: {problem}")))
        }
        Err(problem) => {
            OtlpConfig::refuse_client_certificate(&problem, r);
            Ok(None)
        }
    }
}

/// Finds what the others would find, but for what the system lacks.
pub(super) fn check(config: &OtlpConfig, r: &mut Resolver<'_>) {
    for error in [named_roots(config, r).err(), identity(config, r).err()].into_iter().flatten() {
        let is_ours = r.findings.refused_with(error);
        debug_assert!(is_ours.is_ok(), "what a file holds is an error of the settings");
    }
}

fn named_roots(
    config: &OtlpConfig,
    r: &mut Resolver<'_>,
) -> Result<Option<Vec<CertificateDer<'static>>>, Error> {
    let Some(file) = &config.certificate else { return Ok(None) };
    match certificates(&file.value) {
        Ok(roots) => Ok(Some(roots)),
        Err(problem) if is_explicit(file.source) => {
            Err(Error::config(format!("OTLP certificate: {problem}")))
        }
        Err(problem) => {
            OtlpConfig::refuse_certificate(&problem, r);
            Ok(None)
        }
    }
}

/// What a variable names and is of no use is reported; what the code or a file names is an error.
fn is_explicit(source: Source) -> bool {
    matches!(source, Source::Code | Source::File)
}

fn read_identity(files: &ClientCertificate) -> Result<Identity, String> {
    let identity = Identity { chain: bytes(&files.certificate)?, key: bytes(&files.key)? };
    let parsed = parsed(&files.certificate, &identity.chain)?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key)
        .map_err(|error| unreadable(&files.key, &error))?;
    // the handshake would fail too, but with the backend to blame
    CertifiedKey::from_der(parsed, key, &provider()).map_err(|error| {
        format!("{:?} is not the key of {:?}: {error}", files.key, files.certificate)
    })?;
    Ok(identity)
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    parsed(path, &bytes(path)?)
}

fn parsed(path: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(path, &error))?;
    if found.is_empty() {
        return Err(format!("{path:?} has no certificate in it"));
    }
    Ok(found)
}

/// Of a regular file, since another may never end.
fn bytes(path: &str) -> Result<Vec<u8>, String> {
    let wrong = |error: io::Error| unreadable(path, &error);
    if !fs::metadata(path).map_err(wrong)?.is_file() {
        return Err(unreadable(path, &"it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(wrong)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(unreadable(path, &format!("it has more than {MOST_BYTES} bytes")));
    }
    Ok(bytes)
}

fn unreadable(path: &str, cause: &dyn Display) -> String {
    format!("{path:?} cannot be read: {cause}")
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

/// Far more than the roots of any system.
const MOST_BYTES: u64 = 16 << 20;
