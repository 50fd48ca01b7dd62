use std::ffi::OsString;

use http::{HeaderName, HeaderValue};

use super::*;
use crate::config::{Env, Settings};

fn resolve(code: &OtlpSettings, pairs: &[(&str, &str)]) -> (OtlpConfig, Vec<String>) {
    let pairs: Vec<(String, String)> =
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let env =
        Env::new(move |name| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| OsString::from(v)));
    let settings = Settings::default();
    let mut resolver = Resolver::new(&settings, None, &env);
    let config = OtlpConfig::resolve(code, &mut resolver);
    assert!(resolver.findings.error(false).is_none(), "the code is right");
    (config, resolver.findings.warnings(false).collect())
}

#[track_caller]
fn sends_to(code: &OtlpSettings, pairs: &[(&str, &str)], endpoint: &str) {
    let (config, found) = resolve(code, pairs);
    assert_eq!(config.endpoint.to_string(), endpoint, "{pairs:?}");
    assert_eq!(found, Vec::<String>::new(), "{pairs:?}");
}

fn at(endpoint: &str) -> OtlpSettings {
    OtlpSettings { endpoint: Some(endpoint.to_owned()), ..OtlpSettings::default() }
}

const GENERAL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

#[cfg(feature = "otlp-http")]
#[test]
fn endpoints_over_http() {
    let open = OtlpSettings::default();
    sends_to(&open, &[], "http://localhost:4318/v1/traces");
    sends_to(&open, &[(GENERAL, "http://a:1")], "http://a:1/v1/traces");
    sends_to(&open, &[(GENERAL, "http://a:1/base/")], "http://a:1/base/v1/traces");
    sends_to(&open, &[(GENERAL, "http://a/?k=v")], "http://a/v1/traces?k=v");
    sends_to(&open, &[(TRACES, "http://a:1")], "http://a:1/");
    sends_to(&open, &[(GENERAL, "http://a"), (TRACES, "http://b/as/is")], "http://b/as/is");
    sends_to(&at("http://c"), &[(TRACES, "http://b")], "http://c/v1/traces");
    sends_to(&at("http://c/as/is"), &[], "http://c/as/is");
    // insecure is gRPC's: it changes no endpoint here
    let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
    sends_to(&open, &[insecure, (GENERAL, "http://a:1")], "http://a:1/v1/traces");

    let (config, found) = resolve(&open, &[(TRACES, "a:1"), (GENERAL, "http://b")]);
    assert_eq!(config.endpoint.to_string(), "http://b/v1/traces");
    let expected = format!("{TRACES}: \"a:1\" does not begin with http:// or https://");
    assert_eq!(found, [format!("{expected}; http://b/v1/traces is used")]);
}

/// The path was put behind the fragment, and cut off with it.
#[cfg(feature = "otlp-http")]
#[test]
fn a_fragment_sent_spans_to_the_root_of_the_server() {
    let (config, found) = resolve(&OtlpSettings::default(), &[(GENERAL, "http://a:1#x")]);
    assert_eq!(config.endpoint.to_string(), "http://localhost:4318/v1/traces");
    let expected = format!(
        "{GENERAL}: \"http://a:1?[redacted]\" has a fragment, which is sent to nobody; \
         http://localhost:4318/v1/traces is used"
    );
    assert_eq!(found, [expected]);
}

#[cfg(feature = "otlp-grpc")]
#[test]
fn a_path_over_grpc_was_dropped_in_silence() {
    let grpc = || OtlpSettings { protocol: Some(Protocol::Grpc), ..OtlpSettings::default() };
    let words =
        "\"http://a:1/v1/traces\" has a path, and gRPC has paths of its own; http://a:1/ is used";
    for (code, pairs, name) in [
        (grpc(), &[(GENERAL, "http://a:1/v1/traces")][..], GENERAL),
        (grpc(), &[(TRACES, "http://a:1/v1/traces")], TRACES),
        // no error: a variable may have chosen the protocol
        (
            OtlpSettings { endpoint: Some("http://a:1/v1/traces".to_owned()), ..grpc() },
            &[],
            "OTLP endpoint",
        ),
    ] {
        let (config, found) = resolve(&code, pairs);
        assert_eq!(config.endpoint.to_string(), "http://a:1/");
        assert_eq!(found, [format!("{name}: {words}")]);
    }
}

#[cfg(feature = "otlp-grpc")]
#[test]
fn endpoints_over_grpc() {
    let grpc = || OtlpSettings { protocol: Some(Protocol::Grpc), ..OtlpSettings::default() };
    let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
    sends_to(&grpc(), &[], "http://localhost:4317/");
    sends_to(&grpc(), &[(GENERAL, "http://a:1")], "http://a:1/");
    sends_to(&grpc(), &[(TRACES, "http://b:1"), (GENERAL, "http://a:1")], "http://b:1/");
    sends_to(&grpc(), &[(GENERAL, "a:1"), insecure], "http://a:1/");
    let code = OtlpSettings { insecure: Some(true), ..grpc() };
    sends_to(&code, &[(GENERAL, "a:1")], "http://a:1/");
    #[cfg(feature = "tls")]
    {
        sends_to(&grpc(), &[(GENERAL, "a:1")], "https://a:1/");
        sends_to(&grpc(), &[(GENERAL, "https://a:1"), insecure], "https://a:1/");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "false");
        sends_to(&grpc(), &[(GENERAL, "a:1"), insecure, own], "https://a:1/");
    }
}

#[test]
fn headers_of_the_code_replace_those_of_variables() {
    let general = "OTEL_EXPORTER_OTLP_HEADERS";
    let names = |code: &[(&str, &str)], pairs: &[(&str, &str)]| {
        let headers = code.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let (config, found) = resolve(&OtlpSettings { headers, ..OtlpSettings::default() }, pairs);
        let shown = |(name, value): &(HeaderName, HeaderValue)| {
            format!("{name}={}", value.to_str().expect("it is ASCII"))
        };
        (config.headers.iter().map(shown).collect::<Vec<_>>(), found)
    };
    let nothing = Vec::<String>::new();
    assert_eq!(names(&[], &[(general, "a=1, b = x%20y ,")]).0, ["a=1", "b=x y"]);
    assert_eq!(
        names(&[("A", "2")], &[(general, "a=1,b=1")]),
        (vec!["a=2".into(), "b=1".into()], nothing)
    );
    let own = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "c=3");
    assert_eq!(names(&[], &[own, (general, "a=1")]).0, ["c=3"]);
    let (headers, found) = names(&[], &[(general, "hunter2,a=1")]);
    assert_eq!(headers, ["a=1"]);
    assert_eq!(found, [format!("{general}: entry 1 is not name=value; it is left out")]);
}

#[test]
fn bad_headers_were_one_warning_with_the_wrong_cause() {
    let general = "OTEL_EXPORTER_OTLP_HEADERS";
    let text = "a=1,b=hunter2%zz,hunter2,x y=hunter2,c=hunter2%0a,d=\u{e9}";
    let (config, found) = resolve(&OtlpSettings::default(), &[(general, text)]);
    let expected = [
        "entry 2, b: the value is not percent-encoded UTF-8",
        "entry 3 is not name=value",
        "entry 4: the name is not one of HTTP's",
        "entry 5, c: the value has a character in it that HTTP has not",
    ];
    assert_eq!(found, expected.map(|what| format!("{general}: {what}; it is left out")));
    let names: Vec<_> = config.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "d"]);
}

#[test]
fn headers_that_the_exporter_sets_itself_were_shown_in_effect() {
    let general = "OTEL_EXPORTER_OTLP_HEADERS";
    let text = "content-length=3,Content-Type=text/html,host=x,transfer-encoding=chunked,a=1";
    let (config, found) = resolve(&OtlpSettings::default(), &[(general, text)]);
    let names: Vec<_> = config.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a"]);
    let expected: Vec<_> = ["content-length", "content-type", "host", "transfer-encoding"]
        .into_iter()
        .enumerate()
        .map(|(at, name)| {
            let at = at + 1;
            format!("{general}: entry {at}, {name}: the exporter sets it itself; it is left out")
        })
        .collect();
    assert_eq!(found, expected);
    let code = OtlpSettings {
        headers: vec![("Host".to_owned(), "x".to_owned())],
        ..OtlpSettings::default()
    };
    let (config, found) = resolve(&code, &[]);
    assert!(config.headers.is_empty());
    // of the code it is explained only
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_code_comes_first_and_no_debug_shows_a_secret() {
    let code = OtlpSettings {
        headers: vec![("x-key".to_owned(), "hunter2".to_owned())],
        timeout: Some(Duration::from_millis(7)),
        ..at("http://user:hunter2@a/?key=hunter2")
    };
    let (config, _) = resolve(&code, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "9")]);
    assert_eq!(config.timeout, Duration::from_millis(7));
    let shown = format!("{code:?} {config:?}");
    assert!(shown.contains("x-key") && !shown.contains("hunter2"), "{shown}");
    let (config, _) = resolve(&OtlpSettings::default(), &[("OTEL_EXPORTER_OTLP_TIMEOUT", "9")]);
    assert_eq!(config.timeout, Duration::from_millis(9));
    assert_eq!(resolve(&OtlpSettings::default(), &[]).0.timeout, Duration::from_secs(10));
}
