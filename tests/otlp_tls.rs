//! OTLP over HTTPS: whom the exporter trusts, and what it shows of itself.

#![cfg(all(feature = "otlp-http", feature = "tls"))]

#[path = "support/collector.rs"]
mod collector;
mod support;
#[path = "support/tls.rs"]
mod tls;

use std::sync::Arc;
use std::time::Duration;

use collector::{Answer, Collector, Stream};
use otel_setup::{Exporter, LogFormat, OtlpExporter, Setup, Source, Stack};
use support::{Said, spans_in, with_variables};
use tls::{Authority, pem_file};

/// A collector whose certificate is for `localhost`; it wants one of `clients`, if that is given.
fn collector(authority: &Authority, clients: Option<&Authority>) -> Collector {
    let config = Arc::new(authority.server_config(clients));
    let wrap = move |stream| {
        let connection = rustls::ServerConnection::new(config.clone()).expect("a right config");
        let mut stream = rustls::StreamOwned::new(connection, stream);
        // the handshake, so that a refusal of it is no request
        stream.conn.complete_io(&mut stream.sock).ok()?;
        Some(Box::new(stream) as Box<dyn Stream>)
    };
    Collector::serve("https", Vec::<Answer>::new(), Arc::new(wrap))
}

fn setup(exporter: OtlpExporter) -> Setup {
    Setup::new("checkout").with_exporter(exporter).with_log_format(LogFormat::Off)
}

fn otlp(collector: &Collector) -> OtlpExporter {
    Exporter::otlp().with_endpoint(collector.url())
}

/// A stack that gives up after the first attempt, and what it said.
fn impatient(exporter: OtlpExporter, pairs: &[(&str, &str)]) -> (Stack, Said) {
    let said = Said::default();
    let mut pairs = pairs.to_vec();
    pairs.push(("OTEL_BSP_EXPORT_TIMEOUT", "250"));
    let setup = setup(exporter).with_env(with_variables(&pairs)).with_diagnostics(said.sink());
    (setup.build().expect("the settings are right"), said)
}

#[track_caller]
fn exports(stack: &Stack) {
    spans_in(stack, 1);
    stack.flush(PATIENCE).expect("nothing is lost");
}

#[track_caller]
fn fails(stack: &Stack) -> String {
    spans_in(stack, 1);
    stack.flush(PATIENCE).expect_err("nothing can be exported").to_string()
}

#[test]
fn a_certificate_is_trusted_by_the_root_that_was_given() {
    let authority = Authority::new();
    let collector = collector(&authority, None);
    let root = pem_file(&authority.root_pem());
    let (stack, _) = impatient(otlp(&collector).with_certificate(root.path()), &[]);
    exports(&stack);
    let (general, of_traces) =
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE");
    let other = pem_file(&Authority::new().root_pem());
    for variables in [
        &[(general, root.path())][..],
        &[(of_traces, root.path())],
        &[(general, other.path()), (of_traces, root.path())],
    ] {
        let (stack, said) = impatient(otlp(&collector), variables);
        exports(&stack);
        assert_eq!(said.lines(), Vec::<String>::new());
    }
    assert_eq!(collector.seen().len(), 4);
    let wrong = [(general, root.path()), (of_traces, other.path())];
    let error = fails(&impatient(otlp(&collector), &wrong).0);
    assert!(error.contains("certificate not trusted"), "{error}");
}

#[test]
fn a_certificate_of_another_authority_is_named_as_the_cause() {
    let collector = collector(&Authority::new(), None);
    let root = pem_file(&Authority::new().root_pem());
    let (stack, _) = impatient(otlp(&collector).with_certificate(root.path()), &[]);
    let error = fails(&stack);
    assert!(error.contains("certificate not trusted"), "{error}");
    assert!(error.contains(&collector.url()), "{error}");
    assert_eq!(collector.seen().len(), 0);
}

#[test]
fn a_client_certificate_is_shown_to_a_collector_that_wants_one() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let collector = collector(&authority, Some(&clients));
    let root = pem_file(&authority.root_pem());
    let (certificate, key) = clients.client();
    let (certificate, key) = (pem_file(&certificate), pem_file(&key));
    let trusting = || otlp(&collector).with_certificate(root.path());

    let shown = trusting().with_client_certificate(certificate.path(), key.path());
    exports(&impatient(shown, &[]).0);
    for of in ["", "TRACES_"] {
        let variables = ["CLIENT_CERTIFICATE", "CLIENT_KEY"]
            .map(|what| format!("OTEL_EXPORTER_OTLP_{of}{what}"));
        let variables = [(&*variables[0], certificate.path()), (&*variables[1], key.path())];
        let (stack, said) = impatient(trusting(), &variables);
        exports(&stack);
        assert_eq!(said.lines(), Vec::<String>::new());
    }
    assert_eq!(collector.seen().len(), 3);

    let error = fails(&impatient(trusting(), &[]).0);
    assert!(error.contains(&collector.url()), "{error}");
    assert_eq!(collector.seen().len(), 3);
}

#[test]
fn a_key_of_another_certificate_is_an_error_in_code_and_said_of_variables() {
    let clients = Authority::new();
    let collector = collector(&Authority::new(), None);
    let certificate = pem_file(&clients.client().0);
    let key = pem_file(&clients.client().1);
    let exporter = otlp(&collector).with_client_certificate(certificate.path(), key.path());
    let error =
        setup(exporter).with_env(|_| None).build().expect_err("they do not belong together");
    let expected = format!("{:?} is not the key of {:?}", key.path(), certificate.path());
    assert!(error.is_config() && error.to_string().contains(&expected), "{error}");

    let variables = [
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate.path()),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", key.path()),
    ];
    let (_, said) = impatient(otlp(&collector), &variables);
    assert!(said.lines()[0].contains(&expected), "{:?}", said.lines());
    assert!(said.lines()[0].ends_with("no client certificate is sent"), "{:?}", said.lines());
}

#[test]
fn a_client_certificate_without_a_key_is_said() {
    let collector = Collector::kind();
    let variables = [("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/etc/client.pem")];
    let (stack, said) = impatient(otlp(&collector), &variables);
    exports(&stack);
    let expected = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: there is no \
                    OTEL_EXPORTER_OTLP_CLIENT_KEY; no client certificate is sent";
    assert_eq!(said.lines(), [expected]);
}

#[test]
fn a_certificate_that_is_not_used_was_explained_as_in_effect() {
    let (nothing, certificate) = (pem_file("no PEM"), pem_file(&Authority::new().client().0));
    for path in ["/nope", nothing.path(), "/dev/zero"] {
        let pairs = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:1"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", path),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate.path()),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", path),
        ];
        let explanation = Setup::new("checkout").with_env(with_variables(&pairs)).explain();
        for (setting, value) in [
            ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "the system's"),
            ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "none"),
            ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "none"),
        ] {
            let found = explanation.settings().iter().rfind(|found| found.setting == setting);
            let found = found.map(|found| (found.value.as_str(), found.source));
            assert_eq!(found, Some((value, Source::Default)), "{path}: {explanation}");
        }
        for name in ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"] {
            let told = explanation.ignored().iter().find(|ignored| ignored.setting == name);
            assert!(told.is_some_and(|told| told.is_wrong), "{path}: {explanation}");
        }
    }
    let code = Exporter::otlp().with_endpoint("https://localhost:1").with_certificate("/nope");
    let explanation = setup(code).with_env(|_| None).explain().to_string();
    assert!(explanation.contains("OTLP certificate: \"/nope\" cannot be read"), "{explanation}");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let missing = "/nowhere/root.pem";
    let exporter = Exporter::otlp().with_endpoint("https://localhost:1").with_certificate(missing);
    let error = setup(exporter).with_env(|_| None).build().expect_err("there is no such file");
    assert!(error.is_config() && error.to_string().contains(missing), "{error}");
}

const PATIENCE: Duration = Duration::from_secs(20);
