//! Two versions of this crate in one program: the second says what is wrong, and touches nothing.
//!
//! The crate's own modules, compiled a second time into this test, are the other version.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    unused_imports,
    reason = "the crate's modules are compiled into a program that uses little of them"
)]
#![allow(clippy::pedantic, reason = "they are linted where they belong")]

#[path = "../src/assemble.rs"]
mod assemble;
#[path = "../src/config/mod.rs"]
mod config;
#[path = "../src/diagnostics.rs"]
mod diagnostics;
#[path = "../src/error/mod.rs"]
mod error;
#[path = "../src/exception.rs"]
mod exception;
#[path = "../src/global/mod.rs"]
mod global;
#[path = "../src/guard.rs"]
mod guard;
#[path = "../src/guarded.rs"]
mod guarded;
#[path = "../src/layer/mod.rs"]
mod layer;
#[path = "../src/pipeline/mod.rs"]
mod pipeline;
#[path = "../src/propagation/mod.rs"]
mod propagation;
#[path = "../src/setup.rs"]
mod setup;
#[path = "../src/stack.rs"]
mod stack;
#[path = "../src/streams.rs"]
mod streams;
#[path = "../src/sync.rs"]
mod sync;
#[path = "../src/tracer/mod.rs"]
mod tracer;

use std::time::Duration;

use guard::Guard;
use opentelemetry_sdk::trace::InMemorySpanExporter;

// no harness: the modules' own tests run where they belong
fn main() {
    let memory = InMemorySpanExporter::default();
    let first = otel_setup::Setup::new("first version")
        .with_exporter(otel_setup::Exporter::custom(memory.clone()))
        .init()
        .expect("nobody was before");

    let error = setup::setup_tracing("second version").expect_err("the first has the globals");
    assert!(error.is_foreign_subscriber(), "{error}");
    let error = error.to_string();
    assert!(error.contains("a second version of otel-setup"), "{error}");
    assert!(error.contains("`cargo tree -d`"), "it says how to find it: {error}");

    tracing::info_span!("of the first").in_scope(|| {});
    first.flush(Duration::from_secs(10)).expect("nothing is lost");
    assert_eq!(memory.get_finished_spans().expect("no panic under its lock").len(), 1);
    println!("test result: ok. 1 passed; 0 failed");
}
