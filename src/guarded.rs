//! Calls code of others, whose panics are theirs.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `call` returns, or what it panicked with, in words.
#[inline]
pub(crate) fn guarded<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(words)
}

/// The words of a panic, which is got rid of.
#[cold]
#[inline(never)]
pub(crate) fn words(panic: Box<dyn Any + Send>) -> String {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let words = words.unwrap_or("no message").to_owned();
    // what it panicked with may panic itself when it is dropped; that one's is not dropped
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
    words
}
