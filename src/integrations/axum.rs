//! axum: [`tower`](crate::tower)'s server layer that knows the matched route and the peer's address.
//!
//! ```
//! use axum::Router;
//! use axum::routing::get;
//!
//! let app: Router = Router::new()
//!     .route("/orders/{id}", get(async || "an order"))
//!     .layer(otel_setup::axum::server_layer()); // the line
//! # drop(app);
//! ```
//!
//! `Router::layer` instruments what was added before it, and comes after routing: that is where the
//! route is known. Put it last, below `fallback` and the other layers. The peer's address is known
//! under `into_make_service_with_connect_info::<SocketAddr>()`.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, MatchedPath};
use http::Extensions;

use super::tower::ServerLayer;

/// A [`ServerLayer`] for `Router::layer`: spans are named by the route that matched.
pub fn server_layer() -> ServerLayer {
    ServerLayer::new().with_route(matched_path).with_peer(peer)
}

fn matched_path(extensions: &Extensions) -> Option<&str> {
    extensions.get::<MatchedPath>().map(MatchedPath::as_str)
}

fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer)
}
