//! The layers: what is to be traced, and how.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Extensions, Method, Uri};
use opentelemetry::propagation::TextMapPropagator;
use tower_layer::Layer;

use super::service::{ClientService, ServerService};
use crate::integrations::Trust;
use crate::integrations::http::{Conventions, Propagation};

/// Traces every request that a server gets, as a span of kind SERVER.
///
/// The span is named by method and route (`GET /orders/{id}`), or by the method alone when there is
/// no route. It is the child of the span that the request's headers name, if they do and are
/// trusted ([`Trust`]). It ends with the response's body. The [module](super) says what is recorded.
///
/// ```
/// use otel_setup::tower::ServerLayer;
/// use tower::{Service, ServiceBuilder, service_fn};
/// # use std::convert::Infallible;
///
/// # fn is_service(_: impl Service<http::Request<String>>) {}
/// let service = ServiceBuilder::new()
///     .layer(ServerLayer::new()) // the line
///     .service(service_fn(async |request: http::Request<String>| {
///         Ok::<_, Infallible>(http::Response::new(request.into_body()))
///     }));
/// # is_service(service);
/// ```
#[derive(Clone, Default)]
#[must_use = "it traces nothing until it is put around a service"]
pub struct ServerLayer(Arc<ServerOptions>);

#[derive(Clone, Default)]
pub(super) struct ServerOptions {
    pub(super) trust: Trust,
    pub(super) propagation: Propagation,
    pub(super) conventions: Conventions,
    pub(super) ignores_forwarded: bool,
    pub(super) trace_response: bool,
    pub(super) route: Option<Route>,
    pub(super) peer: Option<Peer>,
    pub(super) skip: Option<Arc<Skip>>,
}

pub(super) type Route = fn(&Extensions) -> Option<&str>;
pub(super) type Peer = fn(&Extensions) -> Option<SocketAddr>;
pub(super) type Skip = dyn Fn(&Method, &Uri) -> bool + Send + Sync;

impl ServerLayer {
    /// Continues the trace of a request, by the global propagator.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the trace that a request says it belongs to is continued; [`Trust::Continue`] unless
    /// set. A server that anybody can reach wants [`Trust::Edge`].
    pub fn with_trust(self, trust: Trust) -> Self {
        self.with(|options| options.trust = trust)
    }

    /// Reads the headers by this propagator instead of the global one.
    pub fn with_propagator(
        self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        self.with(|options| options.propagation = Propagation::new(propagator))
    }

    /// Leaves requests untraced, and all that is done for them: `skip` says which. A trace that they
    /// bring passes through untouched in their headers, unless it is that of a stranger
    /// ([`Trust::Edge`]). For health checks:
    ///
    /// ```
    /// use otel_setup::tower::ServerLayer;
    ///
    /// let layer = ServerLayer::new().with_skip(|_, uri| uri.path() == "/healthz");
    /// # drop(layer);
    /// ```
    pub fn with_skip(self, skip: impl Fn(&Method, &Uri) -> bool + Send + Sync + 'static) -> Self {
        self.with(|options| options.skip = Some(Arc::new(skip)))
    }

    /// Tells whoever sent a request the ids of its trace, in the header `traceresponse` (W3C Trace
    /// Context, level 3). Off by default.
    pub fn with_trace_response(self, on: bool) -> Self {
        self.with(|options| options.trace_response = on)
    }

    /// Whether `Forwarded` and `X-Forwarded-*` say where a request came from and which host it was
    /// sent to. On by default, as the conventions have it; anybody can send these headers, so turn
    /// it off where no proxy of yours is in front.
    pub fn with_forwarded(self, on: bool) -> Self {
        self.with(|options| options.ignores_forwarded = !on)
    }

    /// Where a framework keeps the route that matched, as a template. It must be one of a few.
    pub fn with_route(self, route: fn(&Extensions) -> Option<&str>) -> Self {
        self.with(|options| options.route = Some(route))
    }

    /// Where a framework keeps the address of whoever is at the other end of the connection.
    pub fn with_peer(self, peer: fn(&Extensions) -> Option<SocketAddr>) -> Self {
        self.with(|options| options.peer = Some(peer))
    }

    /// Which methods have a name of their own in spans, in place of the usual ones and of
    /// `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` ([known methods](super#known-methods)). Case counts.
    ///
    /// ```
    /// let layer = otel_setup::tower::ServerLayer::new().with_known_methods(["GET", "PURGE"]);
    /// # drop(layer);
    /// ```
    pub fn with_known_methods(self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with(|options| options.conventions.set_known_methods(methods))
    }

    /// More keys of queries whose values are not to be seen, beside the [usual ones](super#secrets-in-queries). Neither
    /// case nor `-`, `_` and `.` count.
    pub fn with_secret_query_keys(self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.with(|options| options.conventions.add_secret_keys(names))
    }

    fn with(mut self, change: impl FnOnce(&mut ServerOptions)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = ServerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ServerService::new(inner, self.0.clone())
    }
}

impl fmt::Debug for ServerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerLayer").field(&self.0).finish()
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("trust", &self.trust)
            .field("propagation", &self.propagation)
            .field("conventions", &self.conventions)
            .field("ignores_forwarded", &self.ignores_forwarded)
            .field("trace_response", &self.trace_response)
            .finish_non_exhaustive()
    }
}

/// Traces every request that a client sends, as a span of kind CLIENT, and sends the context along.
///
/// The span ends when the head of the response is there. Under a layer that retries, each attempt
/// has a span of its own; around it, one span has them all.
///
/// ```
/// use otel_setup::tower::ClientLayer;
/// use tower::{Service, ServiceBuilder, service_fn};
/// # use std::convert::Infallible;
///
/// # fn is_service(_: impl Service<http::Request<String>>) {}
/// # let http_client = service_fn(async |request: http::Request<String>| {
/// #     Ok::<_, Infallible>(http::Response::new(request.into_body()))
/// # });
/// let client = ServiceBuilder::new().layer(ClientLayer::new()).service(http_client);
/// # is_service(client);
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it traces nothing until it is put around a service"]
pub struct ClientLayer {
    propagation: Propagation,
    conventions: Conventions,
}

impl ClientLayer {
    /// Writes the headers by the global propagator.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes the headers by this propagator instead of the global one.
    pub fn with_propagator(
        mut self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        self.propagation = Propagation::new(propagator);
        self
    }

    /// Which methods have a name of their own in spans, in place of the usual ones and of
    /// `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` ([known methods](super#known-methods)). Case counts.
    pub fn with_known_methods(
        mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.conventions.set_known_methods(methods);
        self
    }

    /// More keys of queries whose values are not to be seen, beside the [usual ones](super#secrets-in-queries). Neither
    /// case nor `-`, `_` and `.` count.
    pub fn with_secret_query_keys(
        mut self,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        self.conventions.add_secret_keys(names);
        self
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ClientService::new(inner, self.propagation.clone(), self.conventions.clone())
    }
}
