//! Which propagator is used where none was given.

use opentelemetry::global;
use opentelemetry::propagation::TextMapPropagator;

/// The global propagator; in a test's capture, if the process has none, the capture's.
pub(crate) fn with_propagator<R>(f: impl FnOnce(&dyn TextMapPropagator) -> R) -> R {
    let mut f = Some(f);
    global::get_text_map_propagator(|propagator| {
        let f = f.take().expect("the global propagator is asked for once");
        #[cfg(feature = "testing")]
        if propagator.fields().next().is_none()
            && let Some(own) = scoped::propagator()
        {
            return f(&own);
        }
        f(propagator)
    })
}

#[cfg(feature = "testing")]
pub(crate) mod scoped {
    //! Captures offer theirs, so that nothing in here knows of captures.

    use std::sync::OnceLock;

    use crate::propagation::Propagator;

    type Offer = fn() -> Option<Propagator>;

    /// What to ask for the propagator of the current thread, in a process without a global one.
    pub(crate) fn offer(offer: Offer) {
        let _ = OFFER.set(offer);
    }

    pub(super) fn propagator() -> Option<Propagator> {
        OFFER.get()?()
    }

    static OFFER: OnceLock<Offer> = OnceLock::new();
}
