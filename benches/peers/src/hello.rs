//! What a program of five lines takes with each crate: crates, time to build, size.
//!
//! Processor time is the kernel's count for the compiler and all that it ran: on a busy machine it
//! says more than the wall clock.

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
    println!(
        "{:<36}{:>10}{:>14}{:>18}{:>14}",
        "", "crates", "build, s", "of processors, s", "binary, KiB"
    );
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
    let (started, used) = (Instant::now(), children_used()?);
    cargo(room, &["build", "--release", "--offline"])?;
    let (seconds, used) = (started.elapsed().as_secs_f64(), children_used()? - used);
    let binary = room.join("target/release/hello");
    let size = fs::metadata(&binary).map_err(|e| format!("{}: {e}", binary.display()))?.len();
    println!(
        "{:<36}{:>10}{seconds:>14.0}{used:>18.0}{:>14}",
        hello.name,
        crates.len(),
        size / 1024
    );
    Ok(())
}

/// Seconds of processor time that children which have ended took, and theirs.
fn children_used() -> Result<f64, String> {
    let stat =
        fs::read_to_string("/proc/self/stat").map_err(|e| format!("/proc/self/stat: {e}"))?;
    // the name in parentheses may have blanks in it
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(CUTIME).take(2);
    let ticks: Option<Vec<f64>> = ticks.map(|ticks| ticks.parse().ok()).collect();
    ticks
        .map(|ticks| ticks.iter().sum::<f64>() / TICKS_A_SECOND)
        .ok_or_else(|| format!("no times in {stat}"))
}

fn write(hello: &Hello, room: &Path) -> std::io::Result<()> {
    let ours = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let dependencies = hello.dependencies.replace("OURS", &ours.display().to_string());
    fs::create_dir_all(room.join("src"))?;
    fs::write(
        room.join("Cargo.toml"),
        format!(
            "[workspace]\n[package]\nname = \"hello\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\n{dependencies}\n[profile.release]\nstrip = true\n"
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

/// In `/proc/self/stat`, counted from what follows the name; two fields, user and system.
const CUTIME: usize = 13;
/// Linux reports in these whatever its own clock does.
const TICKS_A_SECOND: f64 = 100.0;

const HELLOS: &[Hello] = &[
    Hello {
        name: "tracing-opentelemetry",
        dependencies: r#"
opentelemetry = { version = "0.33", default-features = false, features = ["trace"] }
opentelemetry_sdk = { version = "0.33", default-features = false, features = ["trace"] }
opentelemetry-otlp = { version = "0.33", default-features = false, features = ["trace", "http-proto", "reqwest-blocking-client", "reqwest-rustls"] }
tracing-opentelemetry = { version = "0.34", default-features = false }
tracing-subscriber = { version = "0.3", features = ["env-filter"] }
tracing = "0.1"
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
tracing = "0.1"
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
        dependencies: "logfire = \"0.13\"\ntracing = \"0.1\"\n",
        main: r#"
fn main() {
    let logfire = logfire::configure().finish().unwrap();
    tracing::info_span!("hello").in_scope(|| ());
    logfire.shutdown().unwrap();
}
"#,
    },
    Hello {
        name: "fastrace",
        dependencies: r#"
fastrace = { version = "0.7", features = ["enable"] }
fastrace-opentelemetry = "0.19"
opentelemetry = { version = "0.33", default-features = false, features = ["trace"] }
opentelemetry_sdk = { version = "0.33", default-features = false, features = ["trace"] }
opentelemetry-otlp = { version = "0.33", default-features = false, features = ["trace", "http-proto", "reqwest-blocking-client", "reqwest-rustls"] }
"#,
        main: r#"
use std::borrow::Cow;
fn main() {
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().build().unwrap();
    let resource = Cow::Owned(opentelemetry_sdk::Resource::builder().build());
    let scope = opentelemetry::InstrumentationScope::builder("hello").build();
    let reporter = fastrace_opentelemetry::OpenTelemetryReporter::new(exporter, resource, scope);
    fastrace::set_reporter(reporter, fastrace::collector::Config::default());
    drop(fastrace::Span::root("hello", fastrace::collector::SpanContext::random()));
    fastrace::flush();
}
"#,
    },
    Hello {
        name: "otel-setup",
        dependencies: "otel-setup = { path = \"OURS\" }\ntracing = \"0.1\"\n",
        main: r#"
fn main() {
    let _guard = otel_setup::setup_tracing("hello").unwrap();
    tracing::info_span!("hello").in_scope(|| ());
}
"#,
    },
];
