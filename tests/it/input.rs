//! Bad input: it works, or the error says what is wrong and what to do.

use std::ffi::OsString;

use otel_setup::{Exporter, LogFormat, Setup};

use crate::support::{Said, memory, span};
use crate::{run, stack};

#[track_caller]
fn refuses_name(name: &str, problem: &str) {
    let error = Setup::new(name).build().expect_err("no service has such a name");
    assert!(error.is_config());
    assert_eq!(error.to_string(), problem);
}

#[test]
fn absurd_service_names_are_refused() {
    let empty = "service name \"\" is empty; give the name that backends shall show, \
                 \"my-service\" for instance";
    refuses_name("", empty);
    refuses_name("  \t", &empty.replace("\"\" is", "\"  \\t\" is"));
    refuses_name(
        "a\nb",
        "service name \"a\\nb\" has a control character in it; give the name that backends shall \
         show, \"my-service\" for instance",
    );
    let long = "x".repeat(256);
    refuses_name(
        &long,
        "service name of 256 bytes is longer than 255; give the name that backends shall show, \
         \"my-service\" for instance",
    );
}

#[test]
fn unusual_service_names_work() {
    for name in ["x", "日本 service", "a/b:c=d,e", &"x".repeat(255)] {
        let (exporter, _) = memory();
        drop(Setup::new(name).with_env(|_| None).with_exporter(exporter).build().expect(name));
    }
}

#[test]
fn an_attribute_key_twice_the_last_one_counts_once() {
    let (stack, seen) = stack(|s| {
        s.with_resource_attribute("team", "first")
            .with_resource_attribute("team", "second")
            .with_resource_attribute("size", 7_i64)
    });
    run(&stack, || tracing::info_span!("span").in_scope(|| {}));
    span(&seen, "span");
    // the resource is what the exporter was handed; the in-memory one does not keep it
    let (exporter, resource) = crate::suppression::resource_probe();
    let stack = Setup::new("it")
        .with_env(|_| None)
        .with_exporter(exporter)
        .with_resource_attribute("team", "first")
        .with_resource_attribute("team", "second")
        .with_service_version("1.2.3")
        .build()
        .expect("a key twice is no error");
    drop(stack);
    let resource = resource.lock().expect("no panic under it").clone();
    let found = |key: &str| -> Vec<_> {
        resource.iter().filter(|(k, _)| k == key).map(|(_, v)| v.as_str()).collect()
    };
    assert_eq!(found("team"), ["second"]);
    assert_eq!(found("service.name"), ["it"]);
    assert_eq!(found("service.version"), ["1.2.3"]);
}

#[test]
fn filters_in_code_that_do_not_parse_are_errors() {
    let error = Setup::new("x").with_log_filter("x=verbose").build().expect_err("no such level");
    assert!(error.to_string().starts_with("log filter \"x=verbose\": "), "{error}");
    let error = Setup::new("x").with_trace_filter("a=b=c").build().expect_err("no such filter");
    assert!(error.to_string().starts_with("trace filter \"a=b=c\": "), "{error}");
}

fn env(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + Send + Sync {
    move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v))
}

#[test]
fn bad_variables_are_named_and_the_defaults_used() {
    let said = Said::default();
    let stack = Setup::new("it")
        .with_env(env(&[("RUST_LOG", "x=verbose"), ("OTEL_RUST_TRACE_FILTER", "a=b=c")]))
        .with_exporter(Exporter::none())
        .with_diagnostics(said.sink())
        .build()
        .expect("a bad variable is no failure");
    assert_eq!((stack.log_filter(), stack.trace_filter()), ("info".to_owned(), "info".to_owned()));
    let said = said.lines().join("\n");
    for part in ["RUST_LOG", "x=verbose", "OTEL_RUST_TRACE_FILTER", "a=b=c"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[test]
fn strict_turns_bad_variables_into_one_error() {
    let error = Setup::new("it")
        .with_env(env(&[("RUST_LOG", "x=verbose"), ("OTEL_RUST_TRACE_FILTER", "a=b=c")]))
        .with_exporter(Exporter::none())
        .strict()
        .build()
        .expect_err("two variables are bad");
    let text = error.to_string();
    assert!(text.contains("RUST_LOG") && text.contains("OTEL_RUST_TRACE_FILTER"), "{text}");
}

#[test]
fn setup_from_inside_a_span_works() {
    let (outer, outside) = stack(|s| s);
    run(&outer, || {
        let _span = tracing::info_span!("around the setup").entered();
        let (exporter, seen) = memory();
        let inner = Setup::new("inner")
            .with_env(|_| None)
            .with_exporter(exporter)
            .with_log_format(LogFormat::Off)
            .build()
            .expect("a span around it is no failure");
        run(&inner, || tracing::info_span!("inside").in_scope(|| {}));
        // the outer span is the current context, whoever made it
        let inside = span(&seen, "inside");
        assert!(inside.parent_span_id != opentelemetry::trace::SpanId::INVALID);
    });
    span(&outside, "around the setup");
}

#[test]
fn strict_tells_of_the_code_and_of_every_variable_at_once() {
    let setup = || {
        Setup::new("")
            .with_env(env(&[
                ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
                ("OTEL_TRACES_SAMPLER", "sometimes"),
                ("OTEL_PROPAGATORS", "unheard-of"),
                ("OTEL_RESOURCE_ATTRIBUTES", "%"),
                ("OTEL_RUST_FLUSH_TIMEOUT", "soon"),
                ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "http://zipkin:9411"),
                // of another signal, and no mistake
                ("OTEL_METRICS_EXPORTER", "prometheus"),
            ]))
            .with_log_filter("a=b=c")
            .with_exporter(Exporter::none())
    };
    let in_code = ["service name", "log filter"];
    let error = setup().build().expect_err("the code is wrong").to_string();
    assert!(in_code.iter().all(|part| error.contains(part)) && !error.contains("OTEL_"), "{error}");
    let error = setup().strict().build().expect_err("everything is wrong").to_string();
    for part in in_code.into_iter().chain([
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_TRACES_SAMPLER",
        "OTEL_PROPAGATORS",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_RUST_FLUSH_TIMEOUT",
        "OTEL_EXPORTER_ZIPKIN_ENDPOINT",
    ]) {
        assert!(error.contains(part), "{part} is not in {error}");
    }
    assert!(!error.contains("OTEL_METRICS_EXPORTER"), "{error}");
}
