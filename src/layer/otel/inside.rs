//! Whether this thread is inside the SDK on behalf of this layer.
//!
//! What samplers and processors log or trace there would come back to this layer, and could go round
//! for ever: spans and events made inside are not recorded.

use std::cell::Cell;

/// Ends when it is dropped.
pub(super) struct Inside(bool);

impl Inside {
    #[inline]
    pub(super) fn sdk() -> Self {
        Self(INSIDE.replace(true))
    }

    #[inline]
    pub(super) fn is_sdk() -> bool {
        INSIDE.get()
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}

thread_local! {
    /// Has no destructor, so it is there for the destructors of others.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}
