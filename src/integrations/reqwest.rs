//! reqwest: a middleware that traces each request, and sends the context along.
//!
//! ```
//! use otel_setup::reqwest::ClientMiddleware;
//!
//! let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
//!     .with(ClientMiddleware::new()) // the line
//!     .build();
//! # drop(client);
//! ```
//!
//! Put it after a middleware that retries: then each attempt has a span of its own, and the later
//! ones their number (`http.request.resend_count`); where requests share extensions, one of another
//! method or URL is not an attempt of the last. Redirects that reqwest follows by itself are
//! part of the span of the request that was asked for.
//!
//! A span of kind CLIENT is named by the method, says the URL without its secrets (`url.full`), the
//! server, the response's status, and ends when the head of the response is there. 4xx and 5xx are
//! errors. Without a response `error.type` is one of `timeout`, `connect`, `redirect`, `request`,
//! `body`, `decode`, `builder`, `middleware` (another middleware's error), `cancelled` and `_OTHER`.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use http::{Extensions, Method};
use opentelemetry::propagation::TextMapPropagator;
use reqwest::{Request, Response, Url};
use reqwest_middleware::{Error, Middleware, Next};
use tracing::Span;

use super::call::{Call, Head};
use super::http::{ClientRequest, Conventions, HttpClient, Propagation, client_span, full_url};

/// Traces each request as a span of kind CLIENT; see the [module](self).
#[derive(Debug, Clone, Default)]
#[must_use = "it traces nothing until it is part of a client"]
pub struct ClientMiddleware {
    propagation: Propagation,
    conventions: Conventions,
}

impl ClientMiddleware {
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
    /// `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`. Case counts.
    pub fn with_known_methods(
        mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.conventions.set_known_methods(methods);
        self
    }

    /// More keys of queries whose values are not to be seen, beside those that always are. Neither
    /// case nor `-`, `_` and `.` count.
    pub fn with_secret_query_keys(
        mut self,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        self.conventions.add_secret_keys(names);
        self
    }
}

#[async_trait::async_trait]
impl Middleware for ClientMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, Error> {
        let resends = resends(&request, extensions);
        let mut call = Call::new(span(&request, resends, &self.conventions), &HttpClient);
        call.run(|_| self.propagation.inject(request.headers_mut()));
        let mut answer = pin!(next.run(request, extensions));
        poll_fn(|cx| {
            call.run(|call| {
                let polled = answer.as_mut().poll(cx);
                match &polled {
                    Poll::Pending => {}
                    Poll::Ready(Ok(response)) => {
                        let (status, version) = (response.status(), response.version());
                        call.responded(&Head { status, version, headers: response.headers() });
                    }
                    Poll::Ready(Err(error)) => call.failed_as(kind(error)),
                }
                polled
            })
        })
        .await
    }
}

/// What was sent last with the extensions that it shares, and how often before.
#[derive(Debug, Clone)]
struct Sent {
    method: Method,
    url: Url,
    resends: u32,
}

/// Counts the request; how often it was sent before, if it was. One of another method or URL is
/// another request.
fn resends(request: &Request, extensions: &mut Extensions) -> Option<u32> {
    if let Some(sent) = extensions.get_mut::<Sent>()
        && sent.method == request.method()
        && sent.url == *request.url()
    {
        sent.resends = sent.resends.saturating_add(1);
        return Some(sent.resends);
    }
    let (method, url) = (request.method().clone(), request.url().clone());
    extensions.insert(Sent { method, url, resends: 0 });
    None
}

fn span(request: &Request, resends: Option<u32>, conventions: &Conventions) -> Span {
    let url = request.url();
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    let host = url.host_str().unwrap_or_default();
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    client_span(&ClientRequest {
        method: conventions.known(request.method()),
        method_original: request.method().as_str(),
        url: &full_url(
            url.scheme(),
            has_credentials,
            &authority,
            url.path(),
            url.query(),
            conventions.secret_keys(),
        ),
        host: Some(host.trim_matches(['[', ']'])).filter(|host| !host.is_empty()),
        port: url.port_or_known_default().map(i64::from),
        resends,
    })
}

/// What went wrong, in one of a few words.
fn kind(error: &Error) -> &'static str {
    let Error::Reqwest(error) = error else { return "middleware" };
    // the more telling ones first: a timeout may be one of the connection
    let kinds = [
        (error.is_timeout(), "timeout"),
        (error.is_connect(), "connect"),
        (error.is_redirect(), "redirect"),
        (error.is_builder(), "builder"),
        (error.is_body(), "body"),
        (error.is_decode(), "decode"),
        (error.is_request(), "request"),
    ];
    kinds.into_iter().find(|(is_it, _)| *is_it).map_or("_OTHER", |(_, kind)| kind)
}
