//! OTLP over gRPC: what arrives, and how.

#![cfg(feature = "otlp-grpc")]
#![allow(dead_code, unused_imports, reason = "each set of features uses its own part of this")]

#[path = "support/grpc.rs"]
mod grpc;
mod support;
#[path = "support/tls.rs"]
mod tls;

use std::time::Duration;

use grpc::{GrpcCollector, PATIENCE, exports, fails, grpc, impatient, setup, stack};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use otel_setup::{Compression, Exporter, LogFormat, Setup};
use support::{Said, with_variables};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

#[test]
fn spans_arrive_with_their_resource_and_metadata() {
    let collector = GrpcCollector::start([]);
    let stack = stack(grpc(&collector).with_header("x-tenant", "shop"));
    exports(&stack, 2);
    exports(&stack, 1);
    let seen = collector.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].metadata.get("x-tenant").expect("it was sent"), "shop");
    let batch = &seen[0].request.resource_spans[0];
    let resource = batch.resource.clone().expect("there is one");
    let name = resource.attributes.iter().find(|a| a.key == "service.name");
    let name = name.and_then(|a| a.value.clone()?.value);
    assert_eq!(name, Some(Value::StringValue("checkout".to_owned())));
    assert_eq!(batch.scope_spans[0].spans.len(), 2);
    let stats = &stack.stats().exporters[0];
    assert_eq!((stats.name.as_str(), stats.exported), ("otlp-grpc", 3));
}

#[test]
fn user_and_password_were_sent_as_part_of_the_authority() {
    let collector = GrpcCollector::start([]);
    let url = collector.url().replace("http://", "http://us%40er:p%3Ass@");
    let stack = stack(Exporter::otlp_grpc().with_endpoint(url));
    exports(&stack, 1);
    let sent = &collector.seen()[0];
    assert_eq!(sent.metadata.get("authorization").expect("it was sent"), "Basic dXNAZXI6cDpzcw==");
    assert_eq!(sent.authority, Some(collector.target()));
}

#[test]
fn it_works_within_runtimes_of_either_kind() {
    let current = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let multi = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
    for runtime in [current, multi] {
        let collector = GrpcCollector::start([]);
        // built, flushed, shut down and dropped by a thread that a runtime runs on
        runtime.expect("a runtime").block_on(async {
            let stack = stack(grpc(&collector));
            exports(&stack, 1);
            stack.shutdown(PATIENCE).expect("nothing is lost");
        });
        assert_eq!(collector.seen().len(), 1);
    }
}

#[test]
fn a_setup_that_is_never_used_can_be_dropped_within_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        drop(stack(Exporter::otlp_grpc()));
        drop(setup(Exporter::otlp_grpc()));
    });
}

#[test]
fn what_it_does_is_not_traced() {
    let collector = GrpcCollector::start([]);
    let stack = setup(grpc(&collector)).with_trace_filter("trace").with_env(|_| None).build();
    let stack = stack.expect("the settings are right");
    exports(&stack, 1);
    exports(&stack, 1);
    assert_eq!(stack.stats().started, 2);
}

#[test]
fn a_timeout_of_zero_is_none() {
    let collector = GrpcCollector::start([]);
    let env = with_variables(&[("OTEL_BSP_EXPORT_TIMEOUT", "0")]);
    let setup = setup(grpc(&collector).with_timeout(Duration::ZERO)).with_env(env);
    exports(&setup.build().expect("the settings are right"), 1);
}

#[cfg(all(feature = "gzip", feature = "zstd"))]
#[test]
fn compressed_batches_arrive() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let collector = GrpcCollector::start([]);
        exports(&stack(grpc(&collector).with_compression(compression)), 50);
        let seen = collector.seen();
        assert_eq!(seen[0].request.resource_spans[0].scope_spans[0].spans.len(), 50);
        let encoding = seen[0].metadata.get("grpc-encoding").expect("it is compressed");
        let expected = if compression == Compression::Gzip { "gzip" } else { "zstd" };
        assert_eq!(encoding, expected);
    }
}

#[test]
fn variables_choose_it_and_its_endpoint_as_it_is() {
    let collector = GrpcCollector::start([]);
    let (url, target) = (collector.url(), collector.target());
    let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let (general, of_traces) =
        ("OTEL_EXPORTER_OTLP_INSECURE", "OTEL_EXPORTER_OTLP_TRACES_INSECURE");
    for (endpoint, insecure) in [
        (("OTEL_EXPORTER_OTLP_ENDPOINT", &*url), general),
        (("OTEL_EXPORTER_OTLP_ENDPOINT", &*target), general),
        (("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*target), of_traces),
    ] {
        let insecure = (insecure, "true");
        let said = Said::default();
        let env = with_variables(&[protocol, endpoint, insecure]);
        let setup = Setup::new("checkout").with_log_format(LogFormat::Off).with_env(env);
        let stack = setup.with_diagnostics(said.sink()).build().expect("the settings are right");
        exports(&stack, 1);
        assert_eq!(stack.stats().exporters[0].name, "otlp-grpc");
        assert_eq!(said.lines(), Vec::<String>::new());
    }
    assert_eq!(collector.seen().len(), 3);
}

#[cfg(feature = "tls")]
#[test]
fn tls_with_roots_and_client_certificates() {
    let (authority, clients) = (tls::Authority::new(), tls::Authority::new());
    let (certificate, key) = authority.server();
    let server = ServerTlsConfig::new()
        .identity(Identity::from_pem(certificate, key))
        .client_ca_root(Certificate::from_pem(clients.root_pem()));
    let collector = GrpcCollector::with_tls(server);
    let root = tls::pem_file(&authority.root_pem());
    let (certificate, key) = clients.client();
    let (certificate, key) = (tls::pem_file(&certificate), tls::pem_file(&key));

    let trusting = || grpc(&collector).with_certificate(root.path());
    let shown = trusting().with_client_certificate(certificate.path(), key.path());
    exports(&stack(shown), 1);
    assert_eq!(collector.seen().len(), 1);

    let error = fails(&impatient(trusting()).0);
    assert!(error.contains(&collector.url()), "{error}");
    let other = tls::pem_file(&tls::Authority::new().root_pem());
    let error = fails(&impatient(grpc(&collector).with_certificate(other.path())).0);
    assert!(error.contains("certificate not trusted"), "{error}");
    assert_eq!(collector.seen().len(), 1);
}

#[cfg(feature = "config-file")]
#[test]
fn a_configuration_file_sends_to_a_target_without_tls() {
    let collector = GrpcCollector::start([]);
    let name = format!("otel-setup-grpc-{}.yaml", std::process::id());
    let path = std::env::temp_dir().join(name);
    let target = collector.target();
    let yaml = format!(
        "file_format: '1.0'\n\
         tracer_provider:\n\
         \x20 processors:\n\
         \x20   - batch:\n\
         \x20       exporter:\n\
         \x20         otlp_grpc:\n\
         \x20           endpoint: {target}\n\
         \x20           tls: {{insecure: true}}\n\
         \x20           headers: [{{name: x-tenant, value: shop}}]\n"
    );
    std::fs::write(&path, yaml).expect("the name is ours");
    let setup = Setup::new("checkout").with_log_format(LogFormat::Off).with_env(|_| None);
    let stack = setup.with_config_file(&path).build().expect("the file is right");
    std::fs::remove_file(&path).expect("it was just read");
    exports(&stack, 1);
    let seen = collector.seen();
    assert_eq!(seen[0].metadata.get("x-tenant").expect("it was sent"), "shop");
    assert_eq!(stack.stats().exporters[0].name, "otlp-grpc");
}
