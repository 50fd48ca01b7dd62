//! What is shown of an exporter's settings: no header's value, and nothing secret of a URL.

use std::fmt;

use super::{OtlpConfig, OtlpSettings};
use crate::error::redact_url;

impl fmt::Debug for OtlpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpSettings")
            .field("origin", &self.origin)
            .field("protocol", &self.protocol)
            .field("endpoint", &self.endpoint.as_deref().map(redact_url))
            .field("backend", &self.backend)
            .field("insecure", &self.insecure)
            .field("headers", &Names(self.headers.iter().map(|(name, _)| name)))
            .field("timeout", &self.timeout)
            .field("compression", &self.compression)
            .field("certificate", &self.certificate)
            .field("client_certificate", &self.client_certificate)
            .finish()
    }
}

impl fmt::Debug for OtlpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpConfig")
            .field("protocol", &self.protocol)
            .field("endpoint", &redact_url(&self.endpoint.to_string()))
            .field("headers", &Names(self.headers.iter().map(|(name, _)| name)))
            .field("timeout", &self.timeout)
            .field("compression", &self.compression)
            .field("certificate", &self.certificate)
            .field("client_certificate", &self.client_certificate)
            .finish_non_exhaustive()
    }
}

/// Headers without their values.
struct Names<I>(I);

impl<I: Iterator<Item: fmt::Debug> + Clone> fmt::Debug for Names<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.clone()).finish()
    }
}
