//! The body of a response, whose end is the end of the span.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::integrations::call::{Call, Inside};

pin_project! {
    /// The body of a response to a traced request: the span ends with it.
    pub struct ResponseBody<B> {
        #[pin]
        inner: B,
        call: Option<Call>,
        // how much is to be sent yet, if that is known: whoever has it all need not ask for more.
        remaining: Option<u64>,
    }
}

impl<B: Body> ResponseBody<B> {
    /// With `call`, the span ends with this body; with `None` it has nothing to do with it.
    /// `length` is what the head promises, if it does.
    pub(in crate::integrations) fn new(
        inner: B,
        mut call: Option<Call>,
        length: Option<u64>,
    ) -> Self {
        let remaining = length.or_else(|| inner.size_hint().exact());
        if let (Some(0), Some(call)) = (remaining, &mut call) {
            // nobody asks for a body of no bytes
            call.set_complete();
        }
        Self { inner, call, remaining }
    }
}

impl<B: Body<Error: 'static>> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(call) = this.call.as_mut() else { return this.inner.poll_frame(cx) };
        let (polled, is_last) = call.run(|call| {
            let polled = this.inner.as_mut().poll_frame(cx);
            let is_last = match &polled {
                Poll::Pending => false,
                Poll::Ready(None) => {
                    call.ended(None);
                    true
                }
                Poll::Ready(Some(Err(error))) => {
                    call.failed(error);
                    true
                }
                Poll::Ready(Some(Ok(frame))) => {
                    sent(frame, this.remaining, call) || {
                        let is_last = this.inner.is_end_stream();
                        if is_last {
                            call.ended(None);
                        }
                        is_last
                    }
                }
            };
            (polled, is_last)
        });
        if is_last {
            *this.call = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Takes note of a frame; true if it is the last.
fn sent<D: Buf>(frame: &Frame<D>, remaining: &mut Option<u64>, call: &mut Inside<'_>) -> bool {
    if let Some(trailers) = frame.trailers_ref() {
        call.ended(Some(trailers));
        return true;
    }
    if let (Some(remaining), Some(data)) = (remaining, frame.data_ref()) {
        *remaining = remaining.saturating_sub(data.remaining() as u64);
        if *remaining == 0 {
            // whoever has it all need not ask for more, and may drop the body
            call.set_complete();
        }
    }
    false
}

impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        Self { inner: B::default(), call: None, remaining: None }
    }
}

impl<B: fmt::Debug> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("inner", &self.inner).finish_non_exhaustive()
    }
}
