//! Captures spans in your own tests, and compares them with what you expect.
//!
//! A capture is this crate's whole stack without an exporter, for the current thread: nothing
//! global is touched, so tests run in parallel and beside a program that has set tracing up.
//!
//! ```
//! use otel_setup::testing::{capture, span};
//!
//! #[tracing::instrument]
//! fn charge(card: &str, amount: u32) {
//!     tracing::info_span!("ask the bank", otel.kind = "client").in_scope(|| {
//!         tracing::warn!(attempt = 2, "no answer");
//!     });
//! }
//!
//! // in a #[test]
//! let capture = capture();
//! charge("1234", 13);
//!
//! capture.assert(span("charge").root().with_attribute("amount", 13));
//! capture.assert(
//!     span("ask the bank")
//!         .child_of("charge")
//!         .with_kind(otel_setup::SpanKind::Client)
//!         .with_event("no answer"),
//! );
//! assert_eq!(
//!     capture.snapshot().without("card"),
//!     r#"
//! charge
//!   amount=13
//!   ask the bank (client)
//!     - no answer  attempt=2  level="WARN"
//! "#
//! );
//! ```
//!
//! `examples/orders.rs` in this crate's repository is a small program with tests like this one, which
//! `cargo test --features testing --example orders` runs in parallel.
//!
//! # Which spans
//!
//! - Those of this thread, and so those of every task in a test under `#[tokio::test]`, whose runtime
//!   has one thread.
//! - On another thread, what happens inside a span that was made here: a task with `.instrument(span)`,
//!   a closure of `spawn_blocking` or `std::thread::spawn` that enters the span. Its children and events
//!   are captured as long as it is entered, unless that thread has a capture of its own.
//! - What is carried to another thread: a function by [`Capture::carry`], a task by
//!   `tracing::instrument::WithSubscriber::with_current_subscriber`, and both by
//!   [`propagation`](crate::propagation)'s `spawn`, `spawn_blocking` and `spawn_thread`.
//!
//! A plain `tokio::spawn` onto another thread, or `spawn_blocking`, with no span of the test around it
//! is not captured. Neither are spans of `opentelemetry::global::tracer`, whose provider is a process's:
//! [`Stack::tracer_provider`](crate::Stack::tracer_provider) of [`Capture::stack`] has tracers for a
//! test. A span counts from its end on: join what you have started, or wait for it with
//! [`Capture::wait`].
//!
//! In a process without a global propagator, [`propagation::inject`](crate::propagation::inject),
//! [`extract`](crate::propagation::extract) and the servers and clients of this crate use the
//! capture's: W3C trace context and baggage, or what
//! [`with_propagator`](crate::Setup::with_propagator) says.
//!
//! Sampling, limits and filters are the defaults of this crate, whatever the environment says;
//! [`capture_with`] changes them. Unlike an exported span's, the context of a captured one does not say
//! that its trace id is random (the flag `02` of a `traceparent`).

mod assign;
mod capture;
mod event;
mod expect;
mod family;
mod recorder;
mod second;
mod snapshot;
mod watch;

pub use opentelemetry_sdk::trace::SpanData;

pub use self::capture::{Capture, capture, capture_with};
pub use self::event::{ExpectedEvent, event};
pub use self::expect::{ExpectedSpan, span};
pub use self::snapshot::Snapshot;
