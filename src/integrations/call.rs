//! A request that is being worked on: its span, from the first byte of the request to the last of
//! the response.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

#[cfg(feature = "tower")]
use http::Response;
use http::{HeaderMap, StatusCode, Version};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, ContextGuard};
use tracing::Span;

use super::current::Before;
use super::http::TARGET;
#[cfg(feature = "tonic")]
use super::names::Unproven;
use crate::exception::{is_panic_recorded, message_of, type_of};

/// What a protocol has to say at each step.
pub(super) trait Rules: fmt::Debug + Send + Sync {
    fn responded(&self, traced: &Traced, head: &Head<'_>) -> Progress;

    /// The end of the body, with its trailers if it had some.
    fn ended(&self, _traced: &Traced, _trailers: Option<&HeaderMap>) {}

    /// There is no response, or no more of it. `kind` is the error's type or another word of a few.
    fn failed(&self, traced: &Traced, kind: &str, error: Option<&dyn Any>);

    /// Nobody wants the rest.
    fn abandoned(&self, traced: &Traced);
}

/// What a request's span is, and what it may yet have to say of the request.
#[derive(Debug)]
pub(super) struct Traced {
    pub(super) span: Span,
    /// What the span is named by, where the end shows whether that stays.
    #[cfg(feature = "tonic")]
    pub(super) unproven: Option<Unproven>,
}

/// A response without its body.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: &'a HeaderMap,
}

#[cfg(feature = "tower")]
impl<'a> Head<'a> {
    pub(super) fn of<B>(response: &'a Response<B>) -> Self {
        let (status, version) = (response.status(), response.version());
        Self { status, version, headers: response.headers() }
    }
}

/// What is yet to come after the head of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Body,
    /// A body that has no end of its own.
    EndlessBody,
    /// Nothing that the span should wait for.
    Over,
}

/// A span, and what is current while its request is worked on. Dropped before its end, it is
/// abandoned.
#[derive(Debug)]
pub(super) struct Call {
    traced: Traced,
    /// What came with the request, where the span does not carry it: the filter has refused the
    /// span, the request is skipped, or nothing is set up.
    context: Option<Context>,
    rules: &'static dyn Rules,
    is_over: bool,
}

/// What a span is the child of, where that is not simply what is current.
#[derive(Debug, Clone)]
pub(super) struct Parent(Option<Context>);

/// Inside the span of a call.
pub(super) struct Inside<'a> {
    traced: &'a Traced,
    rules: &'static dyn Rules,
    is_over: &'a mut bool,
}

impl Parent {
    pub(super) fn of(context: Context) -> Self {
        Self(Some(context))
    }

    /// What is current, as it is.
    pub(super) fn current() -> Self {
        Self(None)
    }

    /// Makes it current, as long as the guard lives.
    pub(super) fn attach(self) -> Option<ContextGuard> {
        self.0.map(Context::attach)
    }
}

impl Call {
    pub(super) fn new(span: Span, rules: &'static dyn Rules) -> Self {
        let traced = Traced {
            span,
            #[cfg(feature = "tonic")]
            unproven: None,
        };
        Self { traced, context: None, rules, is_over: false }
    }

    /// Keeps for the end what the span is named by.
    #[cfg(feature = "tonic")]
    pub(super) fn with_unproven(mut self, unproven: Option<Unproven>) -> Self {
        self.traced.unproven = unproven;
        self
    }

    /// A call that leaves no trace, nor does anything that happens in it.
    pub(super) fn untraced(rules: &'static dyn Rules) -> Self {
        let suppressed = Context::new().with_telemetry_suppressed();
        let mut call = Self::new(Span::none(), rules);
        call.context = Some(suppressed);
        call
    }

    /// The first step: enters the span, which starts it. `parent` was attached when it was made.
    pub(super) fn begin<R>(
        &mut self,
        parent: Parent,
        link: Option<SpanContext>,
        f: impl FnOnce() -> R,
    ) -> R {
        let before = Before::now();
        let entered = self.traced.span.enter();
        let is_traced = Context::map_current(|current| {
            let is_traced = before.is_replaced_by(current);
            if is_traced && let Some(link) = link {
                current.span().add_link(link, Vec::new());
            }
            is_traced
        });
        if !is_traced {
            self.context = Some(parent.0.unwrap_or_else(Context::current));
        }
        let _context = self.context.clone().map(Context::attach);
        let result = catch_unwind(AssertUnwindSafe(f));
        drop(entered);
        result.unwrap_or_else(|payload| self.panicked(payload))
    }

    /// Whether its span has ids of its own, once it has begun.
    pub(super) fn is_traced(&self) -> bool {
        self.context.is_none()
    }

    /// All is sent, though the end has not been seen: no abandonment from here on.
    pub(super) fn set_complete(&mut self) {
        self.is_over = true;
    }

    /// Another step, inside the span.
    pub(super) fn run<R>(&mut self, f: impl FnOnce(&mut Inside<'_>) -> R) -> R {
        let entered = self.traced.span.enter();
        let _context = self.context.clone().map(Context::attach);
        let mut inside =
            Inside { traced: &self.traced, rules: self.rules, is_over: &mut self.is_over };
        let result = catch_unwind(AssertUnwindSafe(|| f(&mut inside)));
        drop(entered);
        result.unwrap_or_else(|payload| self.panicked(payload))
    }

    #[cold]
    fn panicked(&mut self, payload: Box<dyn Any + Send>) -> ! {
        self.is_over = true;
        let message = message_of(&*payload);
        self.traced.span.in_scope(|| {
            if !is_panic_recorded() {
                tracing::error!(
                    target: TARGET,
                    { "exception.type" = "panic", "exception.message" = message },
                    "exception"
                );
            }
            self.rules.failed(&self.traced, "panic", None);
        });
        resume_unwind(payload)
    }
}

impl Inside<'_> {
    /// As [`Call::set_complete`].
    pub(super) fn set_complete(&mut self) {
        *self.is_over = true;
    }

    pub(super) fn responded(&mut self, head: &Head<'_>) -> Progress {
        let progress = self.rules.responded(self.traced, head);
        *self.is_over = progress != Progress::Body;
        progress
    }

    pub(super) fn ended(&mut self, trailers: Option<&HeaderMap>) {
        self.rules.ended(self.traced, trailers);
        *self.is_over = true;
    }

    /// By a word of a few.
    #[cfg(feature = "reqwest")]
    pub(super) fn failed_as(&mut self, kind: &str) {
        self.rules.failed(self.traced, kind, None);
        *self.is_over = true;
    }

    pub(super) fn failed<E: 'static>(&mut self, error: &E) {
        self.rules.failed(self.traced, type_of(error), Some(error));
        *self.is_over = true;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_over && !self.traced.span.is_disabled() {
            // inside, so that this is when the span ends
            self.traced.span.in_scope(|| self.rules.abandoned(&self.traced));
        }
    }
}
