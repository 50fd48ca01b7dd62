//! The spans without state that a thread is in: children of an unsampled span, which store nothing.
//!
//! In a service that samples little nearly every span is one. What it costs is what it does here, so
//! this room has no destructor to ask about, nothing to borrow and no entry to move: an id is put
//! down on entering and taken up on leaving. Whatever else is entered or left goes through `local`,
//! which first [takes](take) over what is here.

use std::cell::Cell;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanId, TraceContextExt as _};

/// What the children of an unsampled span have of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heritage {
    /// What OpenTelemetry calls that span.
    pub(super) id: SpanId,
    /// Where its context's baggage is, which stays there as long as the context does.
    pub(super) baggage: usize,
}

impl Heritage {
    #[inline]
    pub(super) fn new(id: SpanId, context: &Context) -> Self {
        Self { id, baggage: std::ptr::from_ref(context.baggage()).addr() }
    }
}

struct Quiet {
    /// Whose unsampled span was entered last, and none if that was another; layers count from one.
    layer: Cell<u64>,
    of: Cell<Heritage>,
    /// The span without state that was made or left last, a child of that one.
    recent: Cell<u64>,
    /// How many without state have been entered in it.
    depth: Cell<usize>,
    /// What the registry calls it, and they, from the outside in.
    entered: [Cell<u64>; MOST],
}

thread_local! {
    /// Empty once `local` is gone.
    static QUIET: Quiet = const {
        Quiet {
            layer: Cell::new(NONE),
            of: Cell::new(Heritage { id: SpanId::INVALID, baggage: 0 }),
            recent: Cell::new(NONE),
            depth: Cell::new(0),
            entered: [const { Cell::new(NONE) }; MOST],
        }
    };
}

impl Quiet {
    #[inline]
    fn innermost(&self) -> &Cell<u64> {
        &self.entered[self.depth.get() % MOST]
    }

    /// False if somebody has made another context current since, be it one with other baggage.
    #[inline]
    fn is_current(&self) -> bool {
        let Heritage { id, baggage } = self.of.get();
        Context::map_current(|context| {
            if !context.has_active_span() {
                return false;
            }
            let span = context.span();
            let span = span.span_context();
            span.span_id() == id
                && !span.is_sampled()
                && !span.is_remote()
                && std::ptr::from_ref(context.baggage()).addr() == baggage
                && !context.is_telemetry_suppressed()
        })
    }
}

/// Whether what was entered last is an unsampled span of this layer.
#[inline]
pub(super) fn is_unsampled(layer: u64) -> bool {
    QUIET.with(|quiet| quiet.layer.get() == layer)
}

/// If it is, and the current context is its, what the registry calls what was entered last.
#[inline]
pub(super) fn innermost(layer: u64) -> Option<u64> {
    QUIET.with(|quiet| {
        let is_current = quiet.layer.get() == layer && quiet.is_current();
        is_current.then(|| quiet.innermost().get())
    })
}

/// A span without state has been made in the current one.
#[inline]
pub(super) fn made(span: u64) {
    QUIET.with(|quiet| quiet.recent.set(span));
}

/// A span that has state has been made: from here on the id is its.
#[inline]
pub(super) fn forget() {
    QUIET.with(|quiet| quiet.recent.set(NONE));
}

/// Enters a span that was made or left last. False if it was not, if the context that it inherits is
/// not the current one, or if there are too many.
#[inline]
pub(super) fn enter(layer: u64, span: u64) -> bool {
    QUIET.with(|quiet| {
        let depth = quiet.depth.get() + 1;
        if quiet.recent.get() != span
            || quiet.layer.get() != layer
            || depth == MOST
            || !quiet.is_current()
        {
            return false;
        }
        quiet.recent.set(NONE);
        quiet.depth.set(depth);
        quiet.innermost().set(span);
        true
    })
}

/// Leaves a span, if it was entered last.
#[inline]
pub(super) fn exit(layer: u64, span: u64) -> bool {
    QUIET.with(|quiet| {
        let depth = quiet.depth.get();
        if depth == 0 || quiet.innermost().get() != span || quiet.layer.get() != layer {
            return false;
        }
        quiet.depth.set(depth - 1);
        quiet.recent.set(span);
        true
    })
}

/// Forgets a span, which is closed. False if it is not the one that was made or left last.
#[inline]
pub(super) fn close(layer: u64, span: u64) -> bool {
    QUIET.with(|quiet| {
        if quiet.recent.get() != span || quiet.layer.get() != layer {
            return false;
        }
        quiet.recent.set(NONE);
        true
    })
}

/// Whether the span is known here to inherit the current context.
pub(super) fn inherits(layer: u64, span: u64) -> Option<Heritage> {
    QUIET.with(|quiet| {
        let inherits = quiet.recent.get() == span && quiet.layer.get() == layer;
        (inherits && quiet.is_current()).then(|| quiet.of.get())
    })
}

/// A span without state was left, which inherits this.
pub(super) fn left(layer: u64, span: u64, of: Heritage) {
    QUIET.with(|quiet| {
        if quiet.layer.get() == layer && quiet.of.get() == of {
            quiet.recent.set(span);
        }
    });
}

/// What was entered last is an unsampled span: by layer, what the registry calls it and what its
/// children have of it. All without state must have been [taken](take).
#[inline]
pub(super) fn set(layer: u64, span: u64, of: Heritage) {
    QUIET.with(|quiet| {
        quiet.layer.set(layer);
        quiet.of.set(of);
        quiet.recent.set(NONE);
        quiet.entered[0].set(span);
    });
}

/// What was entered last is none. All without state must have been [taken](take).
#[inline]
pub(super) fn set_none() {
    QUIET.with(|quiet| quiet.layer.set(NONE));
}

/// Whether spans without state have been entered.
#[inline]
pub(super) fn is_entered() -> bool {
    QUIET.with(|quiet| quiet.depth.get() > 0)
}

/// Hands over the spans without state that have been entered: the layer, what they inherit, and what
/// the registry calls them, from the outside in. It is to be [`set`] after.
pub(super) fn take(mut each: impl FnMut(u64, Heritage, u64)) {
    QUIET.with(|quiet| {
        let depth = quiet.depth.replace(0);
        for span in quiet.entered.iter().take(depth + 1).skip(1) {
            each(quiet.layer.get(), quiet.of.get(), span.get());
        }
    });
}

/// Of layers, and of spans in the registry: both are counted from one.
const NONE: u64 = 0;
/// As many as are entered at once without an entry for each. A power of two, for the sake of `%`.
const MOST: usize = 16;
