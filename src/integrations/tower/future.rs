//! What a service answers, waited for inside the span.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderValue, Response, header};
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::ResponseBody;
use crate::integrations::call::{Call, Head, Inside, Progress};

pin_project! {
    /// The future of a traced server, and of a traced client whose span ends with the body.
    pub struct ResponseFuture<F> {
        #[pin]
        answer: Answer<F>,
        // the response to HEAD has the length of a body, and no body
        is_head: bool,
        trace_response: Option<HeaderValue>,
    }
}

pin_project! {
    /// The future of [`ClientService`](super::ClientService): the span ends with the head of the
    /// response.
    pub struct ClientFuture<F> {
        #[pin]
        answer: Answer<F>,
    }
}

pin_project! {
    /// A future inside the span of a call, up to the call's response.
    struct Answer<F> {
        #[pin]
        inner: Option<F>,
        call: Option<Call>,
    }

    impl<F> PinnedDrop for Answer<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(call) = this.call {
                // what it says when it is dropped belongs to the request
                call.run(|_| this.inner.set(None));
            }
        }
    }
}

impl<F> ResponseFuture<F> {
    pub(in crate::integrations) fn new(
        inner: F,
        call: Call,
        is_head: bool,
        trace_response: Option<HeaderValue>,
    ) -> Self {
        Self { answer: Answer { inner: Some(inner), call: Some(call) }, is_head, trace_response }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: 'static,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let is_head = *this.is_head;
        let (result, call) = ready!(this.answer.poll(cx, |call, response| {
            let progress = call.responded(&Head::of(response));
            if progress != Progress::Over && (is_head || response.body().is_end_stream()) {
                call.ended(None);
                return Progress::Over;
            }
            progress
        }));
        let mut response = result?;
        if let Some(value) = this.trace_response.take() {
            // not where the map is full
            let _ = response.headers_mut().try_insert(TRACE_RESPONSE, value);
        }
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        Poll::Ready(Ok(response.map(|body| ResponseBody::new(body, call, length))))
    }
}

impl<F> ClientFuture<F> {
    pub(super) fn new(inner: F, call: Call) -> Self {
        Self { answer: Answer { inner: Some(inner), call: Some(call) } }
    }
}

impl<F, B, E> Future for ClientFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let answer = self.project().answer;
        let polled = answer.poll(cx, |call, response| call.responded(&Head::of(response)));
        polled.map(|(result, _)| result)
    }
}

impl<F> Answer<F> {
    /// The response, and the call if it is not over with it.
    fn poll<B, E>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        responded: impl FnOnce(&mut Inside<'_>, &Response<B>) -> Progress,
    ) -> Poll<(F::Output, Option<Call>)>
    where
        F: Future<Output = Result<Response<B>, E>>,
        E: 'static,
    {
        let mut this = self.project();
        let call = this.call.as_mut().expect("a future is not polled after it was ready");
        let (result, progress) = ready!(call.run(|call| {
            let inner = this.inner.as_mut().as_pin_mut().expect("it is there as long as the call");
            let result = ready!(inner.poll(cx));
            let progress = match &result {
                Ok(response) => responded(call, response),
                Err(error) => {
                    call.failed(error);
                    Progress::Over
                }
            };
            this.inner.set(None);
            Poll::Ready((result, progress))
        }));
        let call = this.call.take().filter(|_| progress != Progress::Over);
        Poll::Ready((result, call))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for ClientFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFuture").finish_non_exhaustive()
    }
}

/// Where the ids of a request's trace are told to whoever sent it (W3C Trace Context, level 3).
const TRACE_RESPONSE: http::HeaderName = http::HeaderName::from_static("traceresponse");
