//! The spans of HTTP, with all that is known of a request before it is worked on.

use http::{Request, header};
use tracing::Span;
use tracing::field::Empty;

use super::layer::ServerOptions;
use crate::integrations::http::{
    Address, Attempts, ClientRequest, Conventions, Forwarded, Said, TARGET, checked_host_and_port,
    client_span, default_port, full_url, header as http_header, host_and_port, protocol_version,
    redacted,
};

pub(super) fn server<B>(request: &Request<B>, options: &ServerOptions) -> Span {
    let (method, uri, said) = (request.method(), request.uri(), Said::by(request.headers()));
    let forwarded =
        if options.ignores_forwarded { Forwarded::default() } else { Forwarded::of(&said) };
    let route = options.route.and_then(|route| route(request.extensions()));
    let known = options.conventions.known(method);
    let mut name = String::new();
    let host = forwarded.host.and_then(checked_host_and_port);
    let host = host.or_else(|| uri.authority().map(|authority| host_and_port(authority.as_str())));
    let host = host.or_else(|| checked_host_and_port(said.host?));
    let (host, port) = host.filter(|(host, _)| !host.is_empty()).unzip();
    let peer = options.peer.and_then(|peer| peer(request.extensions()));
    let address = peer.map(|peer| Address::of(&peer));
    let address = address.as_ref().map(Address::as_str);
    let query = uri.query().map(|query| redacted(query, options.conventions.secret_keys()));
    tracing::info_span!(
        target: TARGET,
        "request",
        // the one that is always recorded later comes first: it is found the soonest
        http.response.status_code = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
        otel.kind = "server",
        otel.name = span_name(&mut name, known, route),
        http.request.method = known.unwrap_or("_OTHER"),
        http.request.method_original = known.is_none().then(|| method.as_str()),
        http.route = route,
        url.scheme = forwarded.proto.or_else(|| uri.scheme_str()).unwrap_or("http"),
        url.path = uri.path(),
        url.query = query.as_deref(),
        server.address = host,
        server.port = port.flatten(),
        client.address = forwarded.client.or(address),
        network.peer.address = address,
        network.peer.port = peer.map(|peer| i64::from(peer.port())),
        network.protocol.version = protocol_version(request.version()),
        user_agent.original = said.user_agent,
    )
}

pub(super) fn client<B>(request: &Request<B>, conventions: &Conventions) -> Span {
    let (method, uri) = (request.method(), request.uri());
    let known = conventions.known(method);
    let scheme = uri.scheme_str().unwrap_or("http");
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let authority = authority.or_else(|| http_header(request.headers(), header::HOST));
    // one that names no host is none
    let host = authority.and_then(checked_host_and_port);
    let authority = authority.filter(|_| host.is_some()).unwrap_or_default();
    let (credentials, authority) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let (host, port) = host.unzip();
    let secret = conventions.secret_keys();
    let url = full_url(scheme, credentials.is_some(), authority, uri.path(), uri.query(), secret);
    client_span(&ClientRequest {
        method: known,
        method_original: method.as_str(),
        url: &url,
        host,
        port: port.flatten().or_else(|| host.and(default_port(scheme))),
        resends: request.extensions().get::<Attempts>().and_then(Attempts::next),
    })
}

/// `GET /orders/{id}`, `GET`, `HTTP /orders/{id}`, `HTTP`. `space` is where it is put together.
fn span_name<'a>(space: &'a mut String, known: Option<&'a str>, route: Option<&str>) -> &'a str {
    let method = known.unwrap_or("HTTP");
    let Some(route) = route else { return method };
    *space = [method, " ", route].concat();
    space
}
