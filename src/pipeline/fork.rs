//! Whether this process is a fork of the one that a pipeline was started in.
//!
//! A fork copies the memory and none of the threads: queues that nobody drains, locks that their
//! holder will never release, and ids that the parent is going to use as well. A counter that the
//! child raises before anything else runs in it tells all of that apart for the price of a load; to
//! ask the system for the process id would be a system call a span.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use once_cell::sync::OnceCell;

/// How many forks lie between this process and the one that asked first.
pub(crate) fn generation() -> u32 {
    GENERATION.load(Relaxed)
}

/// From here on forks are counted.
pub(crate) fn watch() {
    WATCHED.get_or_init(|| {
        #[cfg(unix)]
        #[expect(unsafe_code, reason = "registering with the system is a call into C")]
        // SAFETY: `raise` only adds to an atomic, which is allowed between fork and whatever
        // follows it; it is a function, so it lives as long as the process. A failure (no memory)
        // leaves forks uncounted.
        unsafe {
            libc::pthread_atfork(None, None, Some(raise));
        }
    });
}

#[cfg(unix)]
extern "C" fn raise() {
    GENERATION.fetch_add(1, Relaxed);
}

static GENERATION: AtomicU32 = AtomicU32::new(0);
static WATCHED: OnceCell<()> = OnceCell::new();
