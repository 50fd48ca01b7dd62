//! Once only: the single room that sets process-wide state.
//!
//! Claim, build all that can fail, set the global subscriber (the last step that can fail), then
//! the propagator and the provider, commit. The cell stays empty after a failure or a panic, so a
//! failed setup has touched nothing and can be tried again.

mod exit;

use std::cell::Cell;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};

use once_cell::sync::OnceCell;

#[cfg(feature = "testing")]
pub(crate) use self::exit::record_panics_where;
use crate::error::{Error, Kind, Severity};
use crate::stack::Stack;

/// What won.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) stack: Stack,
    /// As the caller gave it, not as the environment may have overridden it.
    service_name: String,
    location: &'static Location<'static>,
    warned: AtomicBool,
}

/// The installed stack, at the cost of one atomic load.
#[inline]
pub(crate) fn installed() -> Option<&'static Installed> {
    INSTALLED.get()
}

/// Installs what `build` makes, or finds what was installed before.
///
/// Of several threads exactly one builds and installs; the others wait for it, and if it fails the
/// next of them tries in its place. The flag says whether it was this call.
pub(crate) fn install(
    service_name: &str,
    location: &'static Location<'static>,
    exits: Exits,
    build: impl FnOnce() -> Result<Stack, Error>,
) -> Result<(&'static Installed, bool), Error> {
    if let Some(installed) = installed() {
        return Ok((installed, false));
    }
    let _claim = Claim::of_this_thread(location)?;
    let mut won = false;
    let installed = INSTALLED.get_or_try_init(|| {
        let stack = build()?;
        commit(&stack, exits)?;
        won = true;
        let warned = AtomicBool::new(false);
        Ok(Installed { stack, service_name: service_name.to_owned(), location, warned })
    })?;
    Ok((installed, won))
}

impl Installed {
    /// A later call that asks for another service name gets this stack, and one warning a process.
    #[inline]
    pub(crate) fn shared_with(&self, service_name: &str, location: &'static Location<'static>) {
        if service_name != self.service_name && !self.warned.load(Ordering::Relaxed) {
            self.warn(service_name, location);
        }
    }

    #[cold]
    fn warn(&self, service_name: &str, location: &'static Location<'static>) {
        if self.warned.swap(true, Ordering::Relaxed) {
            return;
        }
        self.stack.diagnostics().say_once(
            Severity::Warning,
            format_args!(
                "{location} asks for service {service_name:?}, but tracing was already set up for \
                 {:?} at {}; the first setup is used",
                self.service_name, self.location
            ),
        );
    }

    pub(crate) fn refusal(&self) -> Error {
        Error::new(Kind::AlreadyInstalled {
            service_name: self.service_name.clone(),
            location: self.location,
        })
    }
}

/// At which endings without destructors to flush, and whether to record panics.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Exits {
    pub(crate) panic: bool,
    pub(crate) panic_events: bool,
    #[cfg(feature = "signals")]
    pub(crate) signals: bool,
}

/// Everything up to the subscriber can fail; nothing after it can.
fn commit(stack: &Stack, exits: Exits) -> Result<(), Error> {
    tracing::dispatcher::set_global_default(stack.dispatch().clone())
        .map_err(|_| Error::new(Kind::ForeignSubscriber))?;
    opentelemetry::global::set_text_map_propagator(stack.propagator());
    if !stack.disabled {
        opentelemetry::global::set_tracer_provider(stack.tracer_provider());
    }
    bridge_log(stack);
    listen(stack, exits);
    Ok(())
}

/// After the commit point, so what fails here is said and not returned.
fn listen(stack: &Stack, exits: Exits) {
    // before the flush
    if exits.panic_events {
        exit::record_panics();
    }
    if exits.panic {
        exit::flush_on_panic();
    }
    #[cfg(feature = "signals")]
    if exits.signals
        && let Err(error) = exit::flush_on_signals()
    {
        stack.diagnostics().say_once(Severity::Error, format_args!("{error}"));
    }
    #[cfg(not(feature = "signals"))]
    let _ = stack;
}

/// Records of the `log` crate become events. Somebody else's logger is not a failure of ours.
fn bridge_log(stack: &Stack) {
    // the level is left to the filters, which can change while the program runs
    let tracer = tracing_log::LogTracer::builder()
        .with_max_level(tracing_log::log::LevelFilter::Trace)
        // a dump of all that the HTTP client sends, secret headers included
        .ignore_crate("ureq_proto::util")
        .init();
    if tracer.is_err() {
        stack.diagnostics().say_once(
            Severity::Info,
            format_args!(
                "another `log` logger is installed, so records of the `log` crate go there and \
                 not into our log lines; set up tracing before it to have them here"
            ),
        );
    }
}

/// Marks the thread that is installing: `OnceCell` would wait for itself for ever.
struct Claim;

impl Claim {
    fn of_this_thread(location: &'static Location<'static>) -> Result<Self, Error> {
        if INSTALLING.replace(true) {
            return Err(Error::new(Kind::Reentrant { location }));
        }
        Ok(Self)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        INSTALLING.set(false);
    }
}

static INSTALLED: OnceCell<Installed> = OnceCell::new();

thread_local! {
    static INSTALLING: Cell<bool> = const { Cell::new(false) };
}
