//! The queue, the ledger and the state of a span, under a scheduler of our choosing.
//!
//! The sources are the crate's own, by path: there they find `crate::sync`, and here another one.

#![cfg(test)]

#[allow(dead_code, reason = "the checks use a part of the room")]
mod otel;
#[allow(dead_code, reason = "the checks use a part of the rooms")]
mod pipeline;
mod sync;
#[allow(dead_code, reason = "a span's state names the tracer, and no check starts one")]
#[path = "../../../src/tracer/mod.rs"]
mod tracer;
