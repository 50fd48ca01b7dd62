//! With `panic = "abort"` nothing is dropped when a thread panics: the flush in the panic hook is
//! what saves the spans that are queued.
//!
//! `cargo run --config 'profile.dev.panic="abort"' --example panic_abort` prints the span and
//! aborts. Built as usual, it panics, and the guard's drop does the same.

use otel_setup::Setup;

fn main() -> Result<(), otel_setup::Error> {
    let _guard = Setup::new("panic-abort").with_flush_on_panic().init()?;
    tracing::info_span!("before the abort").in_scope(|| tracing::info!("still here"));
    panic!("on purpose");
}
