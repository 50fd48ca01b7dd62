//! Context across processes, threads and tasks.
//!
//! Setup installs the global propagator, and the servers and clients of this crate use it. What is
//! here is for all other ways that a request can go: [`extract`] and [`inject`] for any carrier,
//! [`TraceCarrier`] for what is stored or queued, [`CurrentTrace`] for tasks and threads,
//! [`inject_env`] for child processes, and [`Relation`] for how what was caused follows from its
//! cause.
//!
//! Nothing here needs a setup: a library can use it, and what it does then is harmless.

mod b3;
mod baggage;
#[cfg(feature = "http")]
mod carrier;
mod chosen;
mod current;
mod env;
mod format;
mod hex;
mod jaeger;
mod own;
mod propagator;
mod relation;
mod task;
mod trace_carrier;
mod tracestate;
mod w3c;
mod xray;

pub use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
pub use opentelemetry::trace::{SpanContext, TraceId};
pub use opentelemetry::{Context, ContextGuard};

#[cfg(any(feature = "tower", feature = "reqwest"))]
pub(crate) use carrier::remove_headers;
#[cfg(feature = "http")]
pub use carrier::{HeaderExtractor, HeaderInjector, inject_headers, inject_headers_by};
#[cfg(feature = "tonic")]
pub use carrier::{MetadataExtractor, MetadataInjector};
#[cfg(feature = "testing")]
pub(crate) use chosen::scoped;
pub(crate) use chosen::with_propagator;
pub use current::{current_span_context, current_trace_id, extract, inject, inject_context};
pub use env::{extract_env, extract_env_by, inject_env, inject_env_by};
#[cfg(feature = "kafka")]
pub(crate) use format::further;
#[cfg(feature = "kafka")]
pub(crate) use own::is_own;
pub use propagator::Propagator;
pub use relation::Relation;
pub use task::{CurrentTrace, InTrace, TraceFutureExt, spawn_thread};
#[cfg(feature = "tokio")]
pub use task::{spawn, spawn_blocking};
pub use trace_carrier::TraceCarrier;
