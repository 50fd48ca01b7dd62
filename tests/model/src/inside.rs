//! The crate's room of this name, on a thread-local of the scheduler's threads.

use std::cell::Cell;

pub(super) struct Inside(bool);

impl Inside {
    pub(super) fn sdk() -> Self {
        Self(INSIDE.with(|inside| inside.replace(true)))
    }

    pub(super) fn is_sdk() -> bool {
        INSIDE.with(Cell::get)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with(|inside| inside.set(self.0));
    }
}

#[cfg(feature = "loom")]
use loom::thread_local;
#[cfg(feature = "shuttle")]
use shuttle::thread_local;

thread_local! {
    static INSIDE: Cell<bool> = Cell::new(false);
}
