//! tonic: servers and clients, for every kind of call, streams in either direction included.
//!
//! ```
//! use otel_setup::tonic::{ClientLayer, ServerLayer};
//! use tonic::transport::{Channel, Server};
//!
//! # fn server() -> impl Sized {
//! Server::builder().layer(ServerLayer::new()) // .add_service(…).serve(…)
//! # }
//! # fn client(channel: Channel) -> impl Sized {
//! tower::ServiceBuilder::new()
//!     .layer(ClientLayer::new().with_server("orders.example", 50051))
//!     .service(channel) // OrdersClient::new(…)
//! # }
//! ```
//!
//! The spans follow the stable conventions for RPC (1.40 and later): `rpc.system.name`,
//! `rpc.method` with the service in it, and `rpc.response.status_code` by its name. `rpc.system`,
//! `rpc.service` and `rpc.grpc.status_code` are what these were before.
//!
//! | a span says | |
//! |---|---|
//! | its name | `orders.v1.Orders/Place`; `grpc` for a [method](#methods) that the server does not have |
//! | `rpc.system.name` | `grpc` |
//! | `rpc.method` | as the name; `_OTHER` and `rpc.method_original` where the server does not have it |
//! | `rpc.response.status_code` | `OK`, `NOT_FOUND`, … |
//! | `server.address`, `server.port` | of `:authority`; of [`ClientLayer::with_server`] in a client |
//! | `client.address`, `network.peer.address`, `network.peer.port` | of the connection |
//! | `error.type` | the status, the type of the transport's error, `panic` |
//!
//! A server's span is an error for `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`,
//! `UNAVAILABLE` and `DATA_LOSS`; the other codes are the client's doing. A client's is for all but `OK`. It
//! lasts until the last message of the response. A call that is dropped before is `CANCELLED`; one
//! that has no response has the code that tonic gives it (`CANCELLED` after the channel's timeout), or
//! else is `UNAVAILABLE`.
//!
//! # Methods
//!
//! What a stranger sends must not name spans. A server says with [`ServerLayer::with_known_methods`]
//! which methods it has; all others are `_OTHER`, and a method that is listed keeps its name
//! whatever is answered. Without a list, a method is taken for one that is not there if the answer is
//! `UNIMPLEMENTED`, and of the others, the first 1,000 of at most 256 bytes keep their names: a
//! layer that answers before the services do (`UNAUTHENTICATED` for whatever path) lets strangers use
//! these up, so give a list where there is one.
//!
//! The spans are ordinary `tracing` spans at level INFO with the target `otel_setup::rpc`.

mod rules;
mod service;
mod span;

use std::fmt;
use std::sync::Arc;

use opentelemetry::propagation::TextMapPropagator;
use tower_layer::Layer;

pub use self::service::{ClientService, ServerService};
use self::span::Methods;
use super::Trust;
use super::http::Propagation;

/// Traces every call that a server gets, as a span of kind SERVER; see the [module](self).
#[derive(Clone, Default)]
#[must_use = "it traces nothing until it is put around a service"]
pub struct ServerLayer(Arc<ServerOptions>);

#[derive(Debug, Clone, Default)]
struct ServerOptions {
    trust: Trust,
    propagation: Propagation,
    methods: Methods,
}

impl ServerLayer {
    /// Continues the trace of a call, by the global propagator.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the trace that a call says it belongs to is continued; [`Trust::Continue`] unless
    /// set.
    pub fn with_trust(mut self, trust: Trust) -> Self {
        Arc::make_mut(&mut self.0).trust = trust;
        self
    }

    /// Which methods the server has, as `package.Service/Method`: spans are named by these and no
    /// others ([methods](self#methods)).
    ///
    /// ```
    /// let methods = ["orders.v1.Orders/Place", "orders.v1.Orders/Cancel"];
    /// let layer = otel_setup::tonic::ServerLayer::new().with_known_methods(methods);
    /// # drop(layer);
    /// ```
    pub fn with_known_methods(
        mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Arc::make_mut(&mut self.0).methods = Methods::known(methods);
        self
    }

    /// Reads the metadata by this propagator instead of the global one.
    pub fn with_propagator(
        mut self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.0).propagation = Propagation::new(propagator);
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

/// Traces every call that a client makes, as a span of kind CLIENT, and sends the context along;
/// see the [module](self).
#[derive(Clone, Default)]
#[must_use = "it traces nothing until it is put around a channel"]
pub struct ClientLayer(Arc<ClientOptions>);

#[derive(Debug, Clone, Default)]
struct ClientOptions {
    server: Option<(String, u16)>,
    propagation: Propagation,
}

impl ClientLayer {
    /// Writes the metadata by the global propagator.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which server the channel leads to, for `server.address` and `server.port`: a channel does not
    /// tell.
    pub fn with_server(mut self, address: impl Into<String>, port: u16) -> Self {
        Arc::make_mut(&mut self.0).server = Some((address.into(), port));
        self
    }

    /// Writes the metadata by this propagator instead of the global one.
    pub fn with_propagator(
        mut self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.0).propagation = Propagation::new(propagator);
        self
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ClientService::new(inner, self.0.clone())
    }
}

impl fmt::Debug for ClientLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientLayer").field(&self.0).finish()
    }
}
