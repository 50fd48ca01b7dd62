//! The spans of RPC.

use std::sync::Arc;

use http::Request;
use tonic::transport::server::TcpConnectInfo;
use tracing::Span;
use tracing::field::Empty;

use super::ClientOptions;
use crate::integrations::call::Traced;
use crate::integrations::http::{
    self as conventions, Address, checked_host_and_port, default_port, host_and_port,
};
use crate::integrations::names::{Names, Unproven};

/// Which methods a server has.
#[derive(Debug, Clone)]
pub(super) enum Methods {
    Known(Arc<[String]>),
    /// Those that it has not said it does not have.
    Seen(Arc<Names>),
}

impl Default for Methods {
    fn default() -> Self {
        Self::Seen(Arc::default())
    }
}

impl Methods {
    pub(super) fn known(methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let methods = methods.into_iter().map(Into::into);
        Self::Known(methods.map(|name| method(&name).to_owned()).collect())
    }

    fn admit(&self, name: &str) -> bool {
        match self {
            Self::Known(known) => known.iter().any(|known| known == name),
            Self::Seen(names) => names.admits(name),
        }
    }
}

/// The span of a call, and its name if that is yet to be settled.
pub(super) fn server<B>(request: &Request<B>, methods: &Methods) -> (Span, Option<Unproven>) {
    let uri = request.uri();
    let host = uri.authority().map(|authority| host_and_port(authority.as_str()));
    let header = || conventions::header(request.headers(), http::header::HOST);
    let (host, port) = host.or_else(|| checked_host_and_port(header()?)).unzip();
    let port = port.flatten().or_else(|| default_port(uri.scheme_str()?));
    let peer = request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    let address = peer.as_ref().map(Address::of);
    let address = address.as_ref().map(Address::as_str);
    let method = method(uri.path());
    let is_admitted = methods.admit(method);
    let span = tracing::info_span!(
        target: TARGET,
        "rpc",
        rpc.response.status_code = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
        rpc.method_original = (!is_admitted).then_some(method),
        otel.kind = "server",
        otel.name = if is_admitted { method } else { OTHER_NAME },
        rpc.system.name = "grpc",
        rpc.method = if is_admitted { method } else { OTHER },
        server.address = host,
        server.port = port,
        client.address = address,
        network.peer.address = address,
        network.peer.port = peer.map(|peer| i64::from(peer.port())),
    );
    let unproven = match methods {
        Methods::Seen(names) if is_admitted && !span.is_disabled() => {
            uri.path_and_query().map(|path| Unproven { path: path.clone(), names: names.clone() })
        }
        _ => None,
    };
    (span, unproven)
}

/// The end of a call, which shows whether the server has the method. If it has not, its name is
/// whatever somebody has sent.
pub(super) fn settle(Traced { span, unproven }: &Traced, is_there: bool) {
    let Some(Unproven { path, names }) = unproven else { return };
    let method = method(path.path());
    if !(is_there && names.keep(method)) {
        span.record("otel.name", OTHER_NAME);
        span.record("rpc.method", OTHER);
        span.record("rpc.method_original", method);
    }
}

pub(super) fn client<B>(request: &Request<B>, options: &ClientOptions) -> Span {
    let uri = request.uri();
    let given = options.server.as_ref();
    let (host, port) = given.map_or_else(
        || {
            let (host, port) = uri.authority().map(|a| host_and_port(a.as_str())).unzip();
            (host, port.flatten().or_else(|| default_port(uri.scheme_str()?)))
        },
        |(host, port)| (Some(host.as_str()), Some(i64::from(*port))),
    );
    let method = method(uri.path());
    tracing::info_span!(
        target: TARGET,
        "client_rpc",
        rpc.response.status_code = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
        otel.kind = "client",
        otel.name = method,
        rpc.system.name = "grpc",
        rpc.method = method,
        server.address = host,
        server.port = port,
    )
}

/// `/orders.v1.Orders/Place` without its slash.
fn method(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

/// The method, and the name of the span, where that is not one of a few.
const OTHER: &str = "_OTHER";
const OTHER_NAME: &str = "grpc";
const TARGET: &str = "otel_setup::rpc";
