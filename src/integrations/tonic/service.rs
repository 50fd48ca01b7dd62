//! The services that the layers make.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::rules::{GrpcClient, GrpcServer};
use super::{ClientOptions, ServerOptions, span};
use crate::integrations::call::Call;
use crate::integrations::tower::{ResponseBody, ResponseFuture, origin};

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
        let (parent, link) = origin(options.trust, &options.propagation, request.headers_mut());
        let mut call = {
            let _parent = parent.clone().attach();
            let (span, unproven) = span::server(&request, &options.methods);
            Call::new(span, &GrpcServer).with_unproven(unproven)
        };
        let inner = call.begin(parent, link, || inner.call(request));
        ResponseFuture::new(inner, call, false, None)
    }
}

impl<S: fmt::Debug> fmt::Debug for ServerService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// A client, traced by [`ClientLayer`](super::ClientLayer).
#[derive(Clone)]
pub struct ClientService<S> {
    inner: S,
    options: Arc<ClientOptions>,
}

impl<S> ClientService<S> {
    pub(super) fn new(inner: S, options: Arc<ClientOptions>) -> Self {
        Self { inner, options }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ClientService<S>
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
        let mut call = Call::new(span::client(&request, options), &GrpcClient);
        let inner = call.run(|_| {
            options.propagation.inject(request.headers_mut());
            inner.call(request)
        });
        ResponseFuture::new(inner, call, false, None)
    }
}

impl<S: fmt::Debug> fmt::Debug for ClientService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
