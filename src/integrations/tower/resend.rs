//! How often a request was sent before.

use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use crate::integrations::http::Attempts;

/// Counts the attempts of a request, for `http.request.resend_count`.
///
/// It goes around the layer that retries, and [`ClientLayer`](super::ClientLayer) under it: whatever
/// is retried is a clone of the request, and this is how the clones know of each other.
///
/// ```
/// use otel_setup::tower::{ClientLayer, CountResends};
/// use tower::{Service, ServiceBuilder, service_fn};
/// # use std::convert::Infallible;
///
/// # fn is_service(_: impl Service<http::Request<String>>) {}
/// # let http_client = service_fn(async |request: http::Request<String>| {
/// #     Ok::<_, Infallible>(http::Response::new(request.into_body()))
/// # });
/// let client = ServiceBuilder::new()
///     .layer(CountResends)
///     // .retry(policy)
///     .layer(ClientLayer::new())
///     .service(http_client);
/// # is_service(client);
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "it counts nothing until it is put around a service"]
pub struct CountResends;

impl<S> Layer<S> for CountResends {
    type Service = ResendCounter<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ResendCounter { inner }
    }
}

/// A service whose requests know how often they were sent, made by [`CountResends`].
#[derive(Debug, Clone)]
pub struct ResendCounter<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for ResendCounter<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(Attempts::default());
        self.inner.call(request)
    }
}
