//! Certificates that are made for a test, and gone with it.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;

/// Somebody who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("there is randomness");
        Self(CertifiedIssuer::self_signed(params, key).expect("right parameters"))
    }

    pub fn root_pem(&self) -> String {
        self.0.pem()
    }

    /// A client's certificate and its key, in PEM.
    pub fn client(&self) -> (String, String) {
        let (certificate, key) = self.signed("client");
        (certificate.pem(), key.serialize_pem())
    }

    /// A server named `localhost`'s certificate and its key, in PEM.
    pub fn server(&self) -> (String, String) {
        let (certificate, key) = self.signed("localhost");
        (certificate.pem(), key.serialize_pem())
    }

    /// Of a server named `localhost`, which wants certificates of `clients`, if that is given.
    pub fn server_config(&self, clients: Option<&Self>) -> rustls::ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the defaults are safe");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.0.der().clone()).expect("it is a certificate");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("there is a root"))
            }
        };
        let (certificate, key) = self.signed("localhost");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        builder.with_single_cert(vec![certificate.der().clone()], key).expect("its own key")
    }

    fn signed(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("there is randomness");
        let params = CertificateParams::new([name.to_owned()]).expect("a right name");
        (params.signed_by(&key, &self.0).expect("right parameters"), key)
    }
}

/// A file in the temporary directory, removed when this is dropped.
pub struct PemFile(PathBuf);

impl PemFile {
    pub fn path(&self) -> &str {
        self.0.to_str().expect("the temporary directory is UTF-8")
    }
}

impl Drop for PemFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub fn pem_file(text: &str) -> PemFile {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("otel-setup-{}-{n}.pem", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mut file = std::fs::File::create_new(&path).expect("the name is ours");
    file.write_all(text.as_bytes()).expect("there is room for a certificate");
    PemFile(path)
}
