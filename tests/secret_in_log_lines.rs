//! A secret header is in no log line, not even in what the clients say of themselves at `trace`.

#![cfg(feature = "otlp-http")]

#[path = "support/collector.rs"]
mod collector;
mod support;

use std::time::Duration;

use collector::Collector;
use otel_setup::{Exporter, Setup};
use support::{child, is_child, run};

#[test]
fn a_secret_header_is_in_no_log_line() {
    const CASE: &str = "a_secret_header_is_in_no_log_line";
    if is_child(CASE) {
        let collector = Collector::kind();
        let endpoint = collector.url();
        let exporter = |exporter: otel_setup::OtlpExporter| {
            exporter.with_endpoint(&endpoint).with_header("authorization", "Bearer hunter2hunter2")
        };
        let setup = Setup::new("secretive").with_exporter(exporter(Exporter::otlp()));
        // it fails at a server of HTTP/1.1, with its headers sent
        #[cfg(feature = "otlp-grpc")]
        let setup = setup.with_exporter(exporter(Exporter::otlp_grpc()));
        let guard = setup.init().expect("nobody was before");
        tracing::info_span!("work").in_scope(|| {});
        let _ = guard.flush(Duration::from_secs(10));
        assert!(!collector.seen().is_empty());
        return;
    }
    let mut test = child(CASE);
    test.env("RUST_LOG", "trace").env("OTEL_BSP_EXPORT_TIMEOUT", "250");
    let test = run(&mut test);
    test.assert_success();
    assert!(test.stderr.contains("ureq::"), "the client speaks:\n{}", test.stderr);
    // the dump breaks its lines anywhere, so a part of the secret is looked for too
    for part in ["hunter2", "unter2", "ureq_proto::util"] {
        assert!(!test.stderr.contains(part), "{part} in\n{}", test.stderr);
    }
}
