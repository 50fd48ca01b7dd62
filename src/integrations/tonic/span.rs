//! The spans of RPC.

use http::Request;
use tonic::transport::server::TcpConnectInfo;
use tracing::Span;
use tracing::field::Empty;

use super::ClientOptions;
use crate::integrations::call::Traced;
use crate::integrations::http::{self as conventions, Address, default_port, host_and_port};

pub(super) fn server<B>(request: &Request<B>) -> Span {
    let uri = request.uri();
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let authority =
        authority.or_else(|| conventions::header(request.headers(), http::header::HOST));
    let (host, port) = authority.map(host_and_port).unzip();
    let port = port.flatten().or_else(|| default_port(uri.scheme_str()?));
    let peer = request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    let address = peer.as_ref().map(Address::of);
    let address = address.as_ref().map(Address::as_str);
    let method = method(uri.path());
    tracing::info_span!(
        target: TARGET,
        "rpc",
        rpc.response.status_code = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
        rpc.method_original = Empty,
        otel.kind = "server",
        otel.name = method,
        rpc.system.name = "grpc",
        rpc.method = method,
        server.address = host,
        server.port = port,
        client.address = address,
        network.peer.address = address,
        network.peer.port = peer.map(|peer| i64::from(peer.port())),
    )
}

/// The server has no such method: its name is whatever somebody has sent.
pub(super) fn forget_method(Traced { span, path }: &Traced) {
    span.record("otel.name", "grpc");
    span.record("rpc.method", "_OTHER");
    span.record("rpc.method_original", path.as_ref().map(|path| method(path.path())));
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

const TARGET: &str = "otel_setup::rpc";
