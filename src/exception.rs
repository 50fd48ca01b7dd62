//! Errors and panics on spans, by the semantic conventions for exceptions.
//!
//! [`RecordErr::record_err`] puts the error of a `Result` on the current span. It needs no setup:
//! without one, outside of every span and in one that is not recorded, nothing happens. Panics are
//! recorded after [`Setup::with_panic_events`](crate::Setup::with_panic_events).

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::error::Error;
use std::fmt::Write as _;
use std::ops::Deref;
use std::panic::PanicHookInfo;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use opentelemetry::trace::{SpanId, SpanRef, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};

use crate::guarded::guarded;

/// Records the error of a `Result` on the current span.
///
/// ```
/// use otel_setup::RecordErr as _;
///
/// #[tracing::instrument]
/// fn port(text: &str) -> Result<u16, std::num::ParseIntError> {
///     text.parse().record_err()
/// }
///
/// assert!(port("http").is_err()); // and the span `port` says why
/// ```
pub trait RecordErr<E>: Sized {
    /// The same `Result`; if it is an error, the current span has an event `exception` with
    /// `exception.message`, the error and its sources joined by `: `, and `exception.type`; the
    /// attribute `error.type`; and the status Error (Semantic conventions, "Exceptions on spans",
    /// "Recording errors").
    ///
    /// It takes every `std::error::Error`, and what dereferences to a `dyn Error`: boxed errors, and
    /// those of `anyhow` and `eyre`. Their type is not known: there is no `exception.type`, and
    /// `error.type` is `_OTHER`. No error hands out its stack trace in stable Rust.
    ///
    /// The current span is that of OpenTelemetry's context: the span entered last, of `tracing` or
    /// of a native tracer. A status of Ok stays.
    fn record_err<Kind>(self) -> Self
    where
        E: AsError<Kind>;
}

impl<T, E> RecordErr<E> for Result<T, E> {
    #[inline]
    fn record_err<Kind>(self) -> Self
    where
        E: AsError<Kind>,
    {
        if let Err(error) = &self {
            record_error(error.as_error(), E::type_name());
        }
        self
    }
}

/// What [`RecordErr::record_err`] takes. `Kind` only tells the cases apart, and is inferred.
pub trait AsError<Kind> {
    /// The error itself.
    fn as_error(&self) -> &(dyn Error + 'static);

    /// The name of its type, if it is known.
    fn type_name() -> Option<&'static str>;
}

/// An error of a type that is known.
#[derive(Debug)]
pub enum Concrete {}

/// A pointer to an error of any type.
#[derive(Debug)]
pub enum Boxed {}

/// `dyn Error`, with or without `Send` and `Sync`.
pub trait DynError {
    /// Without them.
    fn as_dyn(&self) -> &(dyn Error + 'static);
}

impl<E: Error + 'static> AsError<Concrete> for E {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }

    fn type_name() -> Option<&'static str> {
        Some(std::any::type_name::<E>())
    }
}

impl<E: Deref<Target: DynError>> AsError<Boxed> for E {
    fn as_error(&self) -> &(dyn Error + 'static) {
        (**self).as_dyn()
    }

    fn type_name() -> Option<&'static str> {
        None
    }
}

impl DynError for dyn Error {
    fn as_dyn(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl DynError for dyn Error + Send {
    fn as_dyn(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl DynError for dyn Error + Send + Sync {
    fn as_dyn(&self) -> &(dyn Error + 'static) {
        self
    }
}

/// A processor is running: the lock of the span that it is shown may be held by this thread.
pub(crate) struct Quiet(bool);

impl Quiet {
    #[inline]
    pub(crate) fn here() -> Self {
        Self(QUIET.replace(true))
    }

    fn is_here() -> bool {
        QUIET.get()
    }
}

impl Drop for Quiet {
    #[inline]
    fn drop(&mut self) {
        QUIET.set(self.0);
    }
}

#[cold]
fn record_error(error: &(dyn Error + 'static), type_name: Option<&'static str>) {
    if Quiet::is_here() {
        return;
    }
    // a copy: code of others runs below, and may make another context current
    let context = Context::current();
    let span = context.span();
    if context.is_telemetry_suppressed() || !span.is_recording() {
        return;
    }
    let message = chain(error);
    let mut attributes = vec![KeyValue::new("exception.message", message.clone())];
    attributes.extend(type_name.map(|name| KeyValue::new("exception.type", name)));
    record(&span, type_name.unwrap_or("_OTHER"), message, attributes);
}

/// Puts a panic on the current span, from the panic hook: a panic in here would end the process.
#[cold]
pub(crate) fn record_panic(info: &PanicHookInfo<'_>) {
    if Quiet::is_here() || Context::is_current_telemetry_suppressed() {
        return;
    }
    let context = Context::current();
    if !context.span().span_context().is_valid() {
        return;
    }
    let message = message_of(info.payload()).unwrap_or("a value that is not text").to_owned();
    let mut attributes = vec![
        KeyValue::new("exception.type", "panic"),
        KeyValue::new("exception.message", message.clone()),
    ];
    if let Some(location) = info.location() {
        attributes.push(KeyValue::new("code.file.path", location.file().to_owned()));
        attributes.push(KeyValue::new("code.line.number", i64::from(location.line())));
    }
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        attributes.push(KeyValue::new("exception.stacktrace", backtrace.to_string()));
    }
    record_elsewhere(context, message, attributes);
}

/// Runs `f`; `None` if it panics, which is no news to anybody: the hooks of this crate neither show
/// it nor put it on a span.
#[cfg(feature = "kafka")]
pub(crate) fn caught<R>(f: impl FnOnce() -> R) -> Option<R> {
    let before = CAUGHT.replace(true);
    let result = guarded(f);
    CAUGHT.set(before);
    result.ok()
}

/// Whether a panic of this thread goes no further than this crate.
pub(crate) fn is_caught() -> bool {
    // without unwinding it ends the program, and that is to be told
    cfg!(panic = "unwind") && CAUGHT.get()
}

/// The name of an error's type, or the word for those that have none of their own.
#[cfg(any(feature = "tower", feature = "reqwest", feature = "kafka"))]
pub(crate) fn type_of<E>(_: &E) -> &'static str {
    let name = std::any::type_name::<E>();
    if name.contains("dyn ") { "_OTHER" } else { name }
}

/// What a panic says, if that is text.
pub(crate) fn message_of(payload: &(dyn Any + Send)) -> Option<&str> {
    let message = payload.downcast_ref::<&str>().copied();
    message.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// On another thread: who panics may hold the lock of the span, in a processor of somebody else's
/// provider, say, and would wait for itself for ever.
fn record_elsewhere(context: Context, message: String, attributes: Vec<KeyValue>) {
    let id = context.span().span_context().span_id();
    let (done, wait) = mpsc::channel::<()>();
    let thread = std::thread::Builder::new().name("otel-panic".to_owned());
    let spawned = thread.spawn(move || {
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        if context.span().is_recording() {
            record(&context.span(), "panic", message, attributes);
        }
        // the last reference to a span ends it, and that belongs before the flush
        drop(context);
        drop(done);
    });
    // disconnected when the thread is done; without a thread nothing is recorded
    if spawned.is_ok() && wait.recv_timeout(LONGEST_WAIT) == Err(RecvTimeoutError::Disconnected) {
        PANICKED.set(id);
    }
}

/// Whether the hook has put the last panic of this thread on the span that is current.
#[cfg(any(feature = "tower", feature = "reqwest", feature = "kafka"))]
pub(crate) fn is_panic_recorded() -> bool {
    let id = Context::map_current(|current| current.span().span_context().span_id());
    id != SpanId::INVALID && PANICKED.get() == id
}

fn record(
    span: &SpanRef<'_>,
    error_type: &'static str,
    message: String,
    attributes: Vec<KeyValue>,
) {
    span.add_event("exception", attributes);
    span.set_attribute(KeyValue::new("error.type", error_type));
    span.set_status(Status::error(message));
}

/// What an error says, and what its sources do. One whose `Display` fails or panics says so.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut message = String::new();
    let mut next = Some(error);
    // a chain that comes back to itself would have no end
    for _ in 0..MOST_ERRORS {
        let Some(error) = next else { break };
        let said = guarded(|| {
            let mut said = String::new();
            write!(said, "{error}").map(|()| said)
        });
        if !message.is_empty() {
            message.push_str(": ");
        }
        match said {
            Ok(Ok(said)) => message.push_str(&said),
            Ok(Err(_)) => message.push_str("[its Display failed]"),
            Err(_) => message.push_str("[its Display panicked]"),
        }
        next = guarded(|| error.source()).unwrap_or_default();
    }
    message
}

const MOST_ERRORS: usize = 64;

/// Far more than recording takes, unless it cannot be done.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
    /// The span that the last panic was put on.
    static PANICKED: Cell<SpanId> = const { Cell::new(SpanId::INVALID) };
}
