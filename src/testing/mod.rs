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
//! Those of this thread, and so those of every task in a test under `#[tokio::test]`, whose runtime
//! has one thread. Other threads belong to a capture that is carried to them by
//! [`Capture::carry`], and tasks on other threads by
//! `tracing::instrument::WithSubscriber::with_current_subscriber`. A span counts from its end on:
//! join what you have started, or wait for it with [`Capture::wait`].
//!
//! Sampling, limits and filters are the defaults of this crate, whatever the environment says;
//! [`capture_with`] changes them. Unlike an exported span's, the context of a captured one does not say
//! that its trace id is random (the flag `02` of a `traceparent`).

mod capture;
mod expect;
mod family;
mod snapshot;

pub use opentelemetry_sdk::trace::SpanData;

pub use self::capture::{Capture, capture, capture_with};
pub use self::expect::{ExpectedEvent, ExpectedSpan, event, span};
pub use self::snapshot::Snapshot;
