//! Collectors that others wrote. They are not on every machine: `.ci/run` is where these run.
//!
//! `python3 -m venv target/peers && target/peers/bin/pip install rotel==0.0.1a15`, and the path of
//! the `rotel-agent` in it in `OTEL_SETUP_ROTEL`.

#![cfg(feature = "full")]

#[path = "support/port.rs"]
mod port;
mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use otel_setup::{Compression, Exporter, LogFormat, Protocol, Setup};
use port::reserved_port;
use support::spans_in;

/// A running rotel, and what it prints.
struct Rotel {
    process: Child,
    lines: mpsc::Receiver<String>,
    grpc: u16,
    http: u16,
}

impl Rotel {
    fn start() -> Self {
        let agent =
            std::env::var_os("OTEL_SETUP_ROTEL").expect("OTEL_SETUP_ROTEL names rotel-agent");
        let (grpc, http) = (reserved_port(), reserved_port());
        let mut process = Command::new(agent)
            .args(["start", "--exporter", "blackhole"])
            .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .args(["--pid-file", &format!("{}/rotel-{grpc}.pid", env!("CARGO_TARGET_TMPDIR"))])
            .stdout(Stdio::piped())
            .spawn()
            .expect("rotel can be run");
        let stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { process, lines, grpc, http }
    }

    /// Waits until it has printed each of these, in this order.
    #[track_caller]
    fn prints(&self, expected: &[&str]) {
        for part in expected {
            loop {
                let line = self.lines.recv_timeout(PATIENCE);
                if line.unwrap_or_else(|_| panic!("rotel never printed {part:?}")).contains(part) {
                    break;
                }
            }
        }
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs peers"]
fn rotel_takes_every_protocol_plain_and_compressed() {
    let rotel = Rotel::start();
    for (protocol, port) in [
        (Protocol::HttpProtobuf, rotel.http),
        (Protocol::HttpJson, rotel.http),
        (Protocol::Grpc, rotel.grpc),
    ] {
        for compression in [Compression::None, Compression::Gzip] {
            let name = format!("{protocol:?} {compression:?}");
            let exporter = Exporter::otlp()
                .with_endpoint(format!("http://127.0.0.1:{port}"))
                .with_protocol(protocol)
                .with_compression(compression);
            let setup = Setup::new(&name).with_exporter(exporter).with_log_format(LogFormat::Off);
            let stack = setup.with_env(|_| None).build().expect("the settings are right");
            spans_in(&stack, 1);
            // it may still be starting: that is what retries are for
            stack.flush(PATIENCE).expect("rotel takes it");
            rotel.prints(&[&name, "Name           : work", "-> number: "]);
        }
    }
}

#[test]
#[ignore = "needs peers"]
fn a_compression_that_rotel_does_not_know_is_named_as_the_cause() {
    let rotel = Rotel::start();
    let exporter = Exporter::otlp_grpc()
        .with_endpoint(format!("http://127.0.0.1:{}", rotel.grpc))
        .with_compression(Compression::Zstd);
    let setup = Setup::new("zstd").with_exporter(exporter).with_log_format(LogFormat::Off);
    let stack = setup.with_env(|_| None).build().expect("the settings are right");
    spans_in(&stack, 1);
    let error = stack.flush(PATIENCE).expect_err("rotel has no zstd").to_string();
    assert!(error.contains("answered Unimplemented") && error.contains("zstd"), "{error}");
}

const PATIENCE: Duration = Duration::from_secs(20);
