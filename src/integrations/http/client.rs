//! The span of a client's request, whatever the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tracing::Span;
use tracing::field::Empty;

use super::TARGET;

/// What there is to say of a request.
pub(in crate::integrations) struct ClientRequest<'a> {
    pub(in crate::integrations) method: Option<&'a str>,
    pub(in crate::integrations) method_original: &'a str,
    pub(in crate::integrations) url: &'a str,
    pub(in crate::integrations) host: Option<&'a str>,
    pub(in crate::integrations) port: Option<i64>,
    pub(in crate::integrations) resends: Option<u32>,
}

pub(in crate::integrations) fn client_span(request: &ClientRequest<'_>) -> Span {
    tracing::info_span!(
        target: TARGET,
        "client_request",
        http.response.status_code = Empty,
        network.protocol.version = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
        otel.kind = "client",
        otel.name = request.method.unwrap_or("HTTP"),
        http.request.method = request.method.unwrap_or("_OTHER"),
        http.request.method_original = request.method.is_none().then_some(request.method_original),
        http.request.resend_count = request.resends,
        url.full = request.url,
        server.address = request.host,
        server.port = request.port,
    )
}

/// Shared by the clones of a request.
#[derive(Debug, Clone, Default)]
pub(in crate::integrations) struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// Counts an attempt; how many were before it, if some were.
    pub(in crate::integrations) fn next(&self) -> Option<u32> {
        Some(self.0.fetch_add(1, Relaxed)).filter(|before| *before > 0)
    }
}
