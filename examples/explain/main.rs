//! A configuration from code, environment, file and defaults at once, and what comes of it.
//!
//! `cargo run --example explain` prints every effective setting, who had the
//! last word, and what was set for nothing; then the same as JSON. Variables of your own count, too:
//! try it with `RUST_LOG=debug`, or with `OTEL_CONFIG_FILE=` to see what they say without a file.

use std::ffi::OsString;

use otel_setup::{Sampler, Setup};

fn main() {
    let setup = Setup::new("checkout")
        .with_env(|name| std::env::var_os(name).or_else(|| of_an_operator(name)))
        .with_resource_attribute("deployment.environment.name", "production")
        .with_sampler(
            Sampler::rules()
                .dropping("GET /health*")
                .with_fallback(Sampler::parent_based(Sampler::consistent(0.1))),
        );
    let explanation = setup.explain();
    println!("{explanation}");
    println!("{}", explanation.to_json());
}

/// What an operator has set, unless whoever runs this has set it otherwise.
fn of_an_operator(name: &str) -> Option<OsString> {
    let value = match name {
        "OTEL_CONFIG_FILE" => concat!(env!("CARGO_MANIFEST_DIR"), "/examples/explain/otel.yaml"),
        // the file refers to these
        "COLLECTOR" => "http://collector:4318",
        "COLLECTOR_TOKEN" => "a secret",
        // the code comes first
        "OTEL_TRACES_SAMPLER" => "always_on",
        // the file comes in place of these
        "OTEL_PROPAGATORS" => "b3",
        "OTEL_BSP_MAX_QUEUE_SIZE" => "4096",
        // the schema has no word for this, and so it counts
        "OTEL_RUST_TRACE_FILTER" => "debug",
        _ => return None,
    };
    Some(value.into())
}
