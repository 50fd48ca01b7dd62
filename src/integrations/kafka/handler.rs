//! A handler at work in the span of its message, and how it ends.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use opentelemetry::{Context as OtelContext, ContextGuard};
use pin_project_lite::pin_project;
use tracing::Span;
use tracing::field::display;
use tracing::span::Entered;

use super::TARGET;
use crate::exception::{is_panic_recorded, message_of, type_of};
use crate::integrations::current::Before;

pin_project! {
    /// The future of [`ConsumerTracing::process`](super::ConsumerTracing::process): a handler in
    /// the span of its message.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was done.
    #[derive(Debug)]
    #[must_use = "a handler that is not awaited does nothing"]
    pub struct Process<F> {
        #[pin]
        handler: Option<F>,
        // `None` once the handler has ended
        handling: Option<Handling>,
    }

    impl<F> PinnedDrop for Process<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(handling) = this.handling {
                // what it says when it is dropped belongs to the message
                let _inside = handling.enter();
                this.handler.set(None);
            }
        }
    }
}

impl<F> Process<F> {
    pub(super) fn new(handling: Handling, handler: F) -> Self {
        Self { handling: Some(handling), handler: Some(handler) }
    }
}

impl<F, T, E> Future for Process<F>
where
    F: Future<Output = Result<T, E>>,
    E: fmt::Display,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let handling = this.handling.as_mut().expect("not polled after it was done");
        let result = ready!(handling.run(|| {
            let handler = this.handler.as_mut().as_pin_mut().expect("there until it is done");
            let result = ready!(handler.poll(cx));
            this.handler.set(None);
            Poll::Ready(result)
        }));
        if let Some(handling) = this.handling.take() {
            handling.end(result.as_ref().err());
        }
        Poll::Ready(result)
    }
}

/// Runs a handler in the span of its message.
pub(super) fn run<T, E: fmt::Display>(
    mut handling: Handling,
    handler: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let result = handling.run(handler);
    handling.end(result.as_ref().err());
    result
}

/// A handler that has not ended.
#[derive(Debug)]
pub(super) struct Handling {
    span: Span,
    /// What is current inside, where the span is not: a filter has refused it, or nothing is set up.
    outside: Option<OtelContext>,
    has_ended: bool,
}

impl Handling {
    /// `outside` is what the span was made in.
    pub(super) fn new(span: Span, outside: OtelContext) -> Self {
        let before = Before::now();
        let is_traced =
            span.in_scope(|| OtelContext::map_current(|current| before.is_replaced_by(current)));
        Self { span, outside: (!is_traced).then_some(outside), has_ended: false }
    }

    fn enter(&self) -> (Option<ContextGuard>, Entered<'_>) {
        // the context is detached before the span is left
        let entered = self.span.enter();
        (self.outside.clone().map(OtelContext::attach), entered)
    }

    /// A panic is caught here, since whoever catches it further out may do so before this is
    /// dropped, which would then pass for being cancelled.
    fn run<R>(&mut self, f: impl FnOnce() -> R) -> R {
        let inside = self.enter();
        let result = catch_unwind(AssertUnwindSafe(f));
        drop(inside);
        result.unwrap_or_else(|payload| self.panicked(payload))
    }

    #[cold]
    fn panicked(&mut self, payload: Box<dyn Any + Send>) -> ! {
        self.has_ended = true;
        if !self.span.is_disabled() {
            let _entered = self.span.enter();
            if !is_panic_recorded() {
                tracing::error!(
                    target: TARGET,
                    { "exception.type" = "panic", "exception.message" = message_of(&*payload) },
                    "exception"
                );
            }
        }
        self.failed("panic", &"the handler panicked");
        resume_unwind(payload)
    }

    fn end<E: fmt::Display>(mut self, error: Option<&E>) {
        self.has_ended = true;
        if let Some(error) = error {
            self.failed(type_of(error), error);
        }
    }

    fn failed(&self, kind: &str, description: &dyn fmt::Display) {
        self.span.record("error.type", kind);
        self.span.record("otel.status_description", display(description));
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        if !self.has_ended {
            self.failed("cancelled", &"the handler was dropped before its end");
        }
    }
}
