//! A handler at work in the span of its message, and how it ends.

use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;

use pin_project_lite::pin_project;
use tracing::field::display;
use tracing::instrument::Instrumented;
use tracing::{Instrument as _, Span};

pin_project! {
    /// The future of [`ConsumerTracing::process`](super::ConsumerTracing::process): a handler in
    /// the span of its message.
    #[derive(Debug)]
    #[must_use = "a handler that is not awaited does nothing"]
    pub struct Process<F> {
        // `None` once the handler has ended
        handling: Option<Handling>,
        #[pin]
        handler: Instrumented<F>,
    }
}

impl<F> Process<F> {
    pub(super) fn new(span: Span, handler: F) -> Self {
        Self { handling: Some(Handling::new(&span)), handler: handler.instrument(span) }
    }
}

impl<F, T, E> Future for Process<F>
where
    F: Future<Output = Result<T, E>>,
    E: fmt::Display,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.handler.poll(cx));
        if let Some(handling) = this.handling.take() {
            handling.end(result.as_ref().err());
        }
        Poll::Ready(result)
    }
}

/// Runs a handler in the span of its message.
pub(super) fn run<T, E: fmt::Display>(
    span: &Span,
    handler: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let handling = Handling::new(span);
    let result = span.in_scope(handler);
    handling.end(result.as_ref().err());
    result
}

/// A handler that has not ended.
#[derive(Debug)]
struct Handling {
    span: Span,
    has_ended: bool,
}

impl Handling {
    fn new(span: &Span) -> Self {
        Self { span: span.clone(), has_ended: false }
    }

    fn end<E: fmt::Display>(mut self, error: Option<&E>) {
        self.has_ended = true;
        if let Some(error) = error {
            self.failed(type_name::<E>(), error);
        }
    }

    fn failed(&self, kind: &str, description: &dyn fmt::Display) {
        self.span.record("error.type", kind);
        self.span.record("otel.status_description", display(description));
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        if thread::panicking() {
            self.failed("panic", &"the handler panicked");
        } else {
            self.failed("cancelled", &"the handler was dropped before its end");
        }
    }
}
