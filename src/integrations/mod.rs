//! Frameworks: each a module of its own, under a feature of its own.
//!
//! They know `tracing`, the OpenTelemetry API and propagators, and nothing of how this process was
//! set up, so that a library can use them without initializing anything.

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(any(feature = "tower", feature = "reqwest"))]
#[cfg_attr(not(feature = "tower"), expect(dead_code, reason = "a client alone needs half of it"))]
mod call;
#[cfg(any(feature = "tower", feature = "reqwest", feature = "kafka"))]
mod current;
#[cfg(any(feature = "tower", feature = "reqwest"))]
#[cfg_attr(not(feature = "tower"), expect(dead_code, reason = "a client alone needs half of it"))]
mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "tonic")]
mod names;
#[cfg(feature = "reqwest")]
pub mod reqwest;
#[cfg(feature = "tonic")]
pub mod tonic;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "tower")]
mod trust;

#[cfg(feature = "tower")]
pub use trust::Trust;
