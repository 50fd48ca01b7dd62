//! The services that the layers make: a request comes in, its span opens.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Method, Request, Response};
use http_body::Body;
use opentelemetry::Context as OtelContext;
use opentelemetry::trace::TraceContextExt as _;
use tower_service::Service;

use super::body::ResponseBody;
use super::future::{ClientFuture, ResponseFuture};
use super::layer::ServerOptions;
use super::origin::origin;
use super::span;
use crate::integrations::Trust;
use crate::integrations::call::Call;
use crate::integrations::http::{Conventions, HttpClient, HttpServer, Propagation};

/// A server, traced by [`ServerLayer`](super::ServerLayer).
#[derive(Clone)]
pub struct ServerService<S> {
    inner: S,
    options: Arc<ServerOptions>,
}

impl<S> ServerService<S> {
    pub(super) fn new(inner: S, options: Arc<ServerOptions>) -> Self {
        Self { inner, options }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ServerService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>, Error: 'static>,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let Self { inner, options } = self;
        let is_head = request.method() == Method::HEAD;
        if options.skip.as_ref().is_some_and(|skip| skip(request.method(), request.uri())) {
            if options.trust == Trust::Edge {
                options.propagation.remove(request.headers_mut());
            }
            let mut call = Call::untraced(&HttpServer);
            let inner = call.run(|_| inner.call(request));
            return ResponseFuture::new(inner, call, is_head, None);
        }
        let (parent, link) = origin(options.trust, &options.propagation, request.headers_mut());
        let mut call = {
            let _parent = parent.clone().attach();
            Call::new(span::server(&request, options), &HttpServer)
        };
        let mut trace_response = None;
        let inner = call.begin(parent, link, || {
            if options.trace_response {
                trace_response = OtelContext::map_current(ids);
            }
            inner.call(request)
        });
        // the ids of our own span, not of what happens to be current where it was refused
        let trace_response = trace_response.filter(|_| call.is_traced());
        ResponseFuture::new(inner, call, is_head, trace_response)
    }
}

impl<S: fmt::Debug> fmt::Debug for ServerService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerService")
            .field("inner", &self.inner)
            .field("options", &self.options)
            .finish()
    }
}

/// `00-<trace id>-<span id>-<flags>`
fn ids(context: &OtelContext) -> Option<HeaderValue> {
    if !context.has_active_span() {
        return None;
    }
    let span = context.span();
    let context = span.span_context();
    let ids = format!(
        "00-{}-{}-{:02x}",
        context.trace_id(),
        context.span_id(),
        context.trace_flags().to_u8()
    );
    context.is_valid().then(|| HeaderValue::try_from(ids).ok())?
}

/// A client, traced by [`ClientLayer`](super::ClientLayer).
#[derive(Debug, Clone)]
pub struct ClientService<S> {
    inner: S,
    propagation: Propagation,
    conventions: Conventions,
}

impl<S> ClientService<S> {
    pub(super) fn new(inner: S, propagation: Propagation, conventions: Conventions) -> Self {
        Self { inner, propagation, conventions }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ClientService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>, Error: 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let Self { inner, propagation, conventions } = self;
        let mut call = Call::new(span::client(&request, conventions), &HttpClient);
        let inner = call.run(|_| {
            propagation.inject(request.headers_mut());
            inner.call(request)
        });
        ClientFuture::new(inner, call)
    }
}
