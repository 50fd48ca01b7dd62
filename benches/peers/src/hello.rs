//! What a program of five lines takes with each crate: crates, time to build, size.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The smallest program that sends a span to an OTLP backend over HTTP, in each crate's words.
struct Hello {
    name: &'static str,
    dependencies: &'static str,
    main: &'static str,
}

pub(crate) fn print() -> Result<(), String> {
    println!("the smallest program that sends spans over OTLP/HTTP, built in release from nothing");
    println!("{:<36}{:>10}{:>16}{:>16}", "", "crates", "build, s", "binary, KiB");
    let room = std::env::temp_dir().join(format!("otel-setup-hello-{}", std::process::id()));
    let outcome = HELLOS.iter().try_for_each(|hello| one(hello, &room.join(hello.name)));
    // what could not be removed is the temporary directory's
    let _ = fs::remove_dir_all(&room);
    outcome
}

fn one(hello: &Hello, room: &Path) -> Result<(), String> {
    write(hello, room).map_err(|e| format!("cannot write {}: {e}", room.display()))?;
    // all sources are here before the clock starts
    let tree = cargo(room, &["tree", "-e", "normal", "--prefix", "none", "--no-dedupe"])?;
    let mut crates: Vec<_> = tree
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        // not the program itself
        .filter(|line| !line.starts_with("hello "))
        .collect();
    crates.sort();
    crates.dedup();
    let started = Instant::now();
    cargo(room, &["build", "--release", "--offline"])?;
    let seconds = started.elapsed().as_secs_f64();
    let binary = room.join("target/release/hello");
    let size = fs::metadata(&binary).map_err(|e| format!("{}: {e}", binary.display()))?.len();
    println!("{:<36}{:>10}{seconds:>16.0}{:>16}", hello.name, crates.len(), size / 1024);
    Ok(())
}

fn write(hello: &Hello, room: &Path) -> std::io::Result<()> {
    let ours = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let dependencies = hello.dependencies.replace("OURS", &ours.display().to_string());
    fs::create_dir_all(room.join("src"))?;
    fs::write(
        room.join("Cargo.toml"),
        format!(
            "[workspace]\n[package]\nname = \"hello\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\ntracing = \"0.1\"\n{dependencies}\n[profile.release]\nstrip = true\n"
        ),
    )?;
    fs::write(room.join("src/main.rs"), hello.main)
}

fn cargo(room: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("cargo")
        .args(arguments)
        .current_dir(room)
        .env("CARGO_TARGET_DIR", room.join("target"))
        .output()
        .map_err(|e| format!("cannot run cargo: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

const HELLOS: &[Hello] = &[
    Hello {
        name: "tracing-opentelemetry",
        dependencies: r#"
opentelemetry = { version = "0.33", default-features = false, features = ["trace"] }
opentelemetry_sdk = { version = "0.33", default-features = false, features = ["trace"] }
opentelemetry-otlp = { version = "0.33", default-features = false, features = ["trace", "http-proto", "reqwest-blocking-client", "reqwest-rustls"] }
tracing-opentelemetry = { version = "0.34", default-features = false }
tracing-subscriber = { version = "0.3", features = ["env-filter"] }
"#,
        main: r#"
use opentelemetry::trace::TracerProvider as _;
use tracing_subscriber::prelude::*;
fn main() {
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().build().unwrap();
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("hello"));
    tracing_subscriber::registry()
        .with(tracing_subscriber::EnvFilter::from_default_env())
        .with(tracing_subscriber::fmt::layer())
        .with(layer)
        .init();
    tracing::info_span!("hello").in_scope(|| ());
    provider.shutdown().unwrap();
}
"#,
    },
    Hello {
        name: "init-tracing-opentelemetry",
        dependencies: r#"
init-tracing-opentelemetry = { version = "0.44", features = ["otlp", "tracing_subscriber_ext"] }
"#,
        main: r#"
fn main() {
    let _guard = init_tracing_opentelemetry::TracingConfig::production().init_subscriber().unwrap();
    tracing::info_span!("hello").in_scope(|| ());
}
"#,
    },
    Hello {
        name: "logfire",
        dependencies: "logfire = \"0.13\"\n",
        main: r#"
fn main() {
    let logfire = logfire::configure().finish().unwrap();
    tracing::info_span!("hello").in_scope(|| ());
    logfire.shutdown().unwrap();
}
"#,
    },
    Hello {
        name: "otel-setup",
        dependencies: "otel-setup = { path = \"OURS\" }\n",
        main: r#"
fn main() {
    let _guard = otel_setup::setup_tracing("hello").unwrap();
    tracing::info_span!("hello").in_scope(|| ());
}
"#,
    },
];
