//! Panics, and endings at which no destructor runs: an abort after a panic, a signal. All of it is
//! opt-in.

use std::panic;

use opentelemetry::Context;

use super::installed;
#[cfg(feature = "signals")]
use crate::error::{Error, Kind};
use crate::exception;

/// Puts an event on the current span behind the panic hook that is there.
pub(crate) fn record_panics() {
    record_panics_where(|| true);
}

/// On the threads, and at the times, for which `wants` says so.
pub(crate) fn record_panics_where(wants: fn() -> bool) {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if exception::is_caught() {
            return;
        }
        before(info);
        if wants() {
            exception::record_panic(info);
        }
    }));
}

/// Puts a flush behind the panic hook that is there.
///
/// For `panic = "abort"`, where the hook is the last code that runs. Otherwise it costs a bounded
/// wait a panic.
pub(crate) fn flush_on_panic() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if exception::is_caught() {
            return;
        }
        before(info);
        // the pipeline's own threads work under suppression: one of them must not wait for itself
        if !Context::is_current_telemetry_suppressed()
            && let Some(installed) = installed()
        {
            installed.stack.flush_on_drop();
        }
    }));
}

/// A thread that sleeps until SIGTERM or SIGINT, flushes, and lets the signal do what it does by
/// default: end the process.
#[cfg(feature = "signals")]
pub(crate) fn flush_on_signals() -> Result<(), Error> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let refused = |e: std::io::Error| {
        Error::new(Kind::System { what: "listen for SIGTERM and SIGINT", cause: e.to_string() })
    };
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(refused)?;
    std::thread::Builder::new()
        .name("otel-setup-signals".to_owned())
        .spawn(move || {
            for signal in &mut signals {
                if let Some(installed) = installed() {
                    installed.stack.flush_on_drop();
                }
                // ends the process, as if nobody had listened
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        })
        .map(drop)
        .map_err(refused)
}
