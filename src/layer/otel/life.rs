//! What happens to a span from its start to its end, whoever asks for it.
//!
//! The state is looked at under the span's lock, and what is to be done about it is done without:
//! each step lets go before it calls the [`Keeper`], which runs code of others.

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;

use super::inside::Inside;
use super::state::{Change, OtelSpan, Pending, Start, State, Unwinding};

/// Who keeps one span: the layer and its bridge.
pub(super) trait Keeper {
    /// Starts the span: its context, and whether it is recorded.
    fn start(&self, pending: Pending) -> (Context, bool);

    /// Starts a span that is being closed.
    fn start_late(&self, pending: Pending) -> Context;

    /// The context of a span whose start the bridge has taken over.
    fn bridged(&self) -> Option<Context>;

    /// The same of a span that is being closed.
    fn bridged_late(&self) -> Option<Context> {
        self.bridged()
    }

    /// The span has ended, and the bridge has an entry for it.
    fn forget(&self);
}

impl OtelSpan {
    /// The span's context; it is started for it.
    #[expect(clippy::inline_always, reason = "half a kilobyte would go through memory")]
    #[inline(always)]
    pub(super) fn context(&self, keeper: &impl Keeper) -> Option<Context> {
        match self.begin() {
            Start::Done(context) => Some(context),
            Start::Build(pending) => {
                let watch = Unwinding::watch(self);
                let (context, is_recording) = keeper.start(pending);
                watch.done();
                self.settle(&context, is_recording);
                Some(context)
            }
            Start::Bridge => self.bridged_context(keeper.bridged()),
            Start::Impossible => None,
        }
    }

    #[cold]
    fn bridged_context(&self, bridged: Option<Context>) -> Option<Context> {
        let context = bridged?;
        self.settle(&context, context.span().is_recording());
        Some(context)
    }

    /// Applies a change: to what is pending, or to the started span.
    pub(super) fn change(&self, keeper: &impl Keeper, change: impl Change) {
        let context = {
            let mut inner = self.lock();
            match &mut inner.state {
                State::Pending(pending) | State::Shadowed(pending) if change.fits(pending) => {
                    return change.pending(pending);
                }
                State::Started(context) => Some(context.clone()),
                State::Passive(_) | State::Closed => return,
                _ => None,
            }
        };
        if let Some(context) = context.or_else(|| self.context(keeper)) {
            let _inside = Inside::sdk();
            change.started(&context.span());
        }
    }

    pub(super) fn end(&self, keeper: &impl Keeper) {
        let mut inner = self.lock();
        if matches!(inner.state, State::Shadowed(_) | State::ShadowStarted) {
            drop(inner);
            self.bridged_context(keeper.bridged_late());
            inner = self.lock();
        }
        let (pending, context) = inner.close();
        let (left, timings, is_shadowed) = (inner.left, inner.timings.take(), inner.is_shadowed);
        drop(inner);
        // shadowed still: the dispatcher that leads to the bridge is gone
        let context = context.or_else(|| Some(keeper.start_late(*pending?)));
        if let Some(context) = context {
            let _inside = Inside::sdk();
            let otel = context.span();
            if let Some(timings) = timings {
                otel.set_attributes(timings.attributes());
            }
            match left {
                Some(left) => otel.end_with_timestamp(left),
                None => otel.end(),
            }
        }
        if is_shadowed {
            keeper.forget();
        }
    }
}
