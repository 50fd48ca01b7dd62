//! A layer above all others of a stack, for somebody who follows its spans: a test's capture.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use tracing::dispatcher::WeakDispatch;
use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::filter::SwapFilter;

/// Who is told what happens to the spans that the trace filter lets through, after it has happened.
/// Of other spans it is told all but that they were made.
pub(crate) trait Observer: Any + fmt::Debug + Send + Sync {
    /// The stack has become a dispatcher.
    fn bind(&self, dispatch: WeakDispatch);
    fn made(&self, span: u64, name: &'static str);
    fn entered(&self, span: u64);
    fn left(&self, span: u64);
    fn closed(&self, span: u64);
}

pub(super) struct Observed {
    observer: Arc<dyn Observer>,
    filter: SwapFilter,
}

/// The observer of a stack.
pub(crate) fn observer_of(dispatch: &Dispatch) -> Option<&Arc<dyn Observer>> {
    dispatch.downcast_ref::<Observed>().map(|observed| &observed.observer)
}

impl Observed {
    pub(super) fn new(observer: Arc<dyn Observer>, filter: SwapFilter) -> Self {
        Self { observer, filter }
    }
}

impl<S> Layer<S> for Observed
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.observer.bind(dispatch.downgrade());
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        if self.filter.allows(attrs.metadata(), &cx) {
            self.observer.made(id.into_u64(), attrs.metadata().name());
        }
    }

    fn on_enter(&self, id: &Id, _cx: Context<'_, S>) {
        self.observer.entered(id.into_u64());
    }

    fn on_exit(&self, id: &Id, _cx: Context<'_, S>) {
        self.observer.left(id.into_u64());
    }

    fn on_close(&self, id: Id, _cx: Context<'_, S>) {
        self.observer.closed(id.into_u64());
    }
}
