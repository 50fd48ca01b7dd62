use std::ffi::OsString;

use super::*;

/// Every effective setting, and the sampler.
type Resolved = (Config, SamplerConfig);

fn env(pairs: &[(&str, &str)]) -> Env {
    let pairs: Vec<(String, String)> =
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Env::new(move |name| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| OsString::from(v)))
}

fn resolve_env(env: &Env) -> (Resolved, Vec<String>) {
    let code = Settings { service_name: "code".to_owned(), ..Default::default() };
    let mut resolver = Resolver::new(&code, None, env);
    let config = Config::resolve(&mut resolver);
    let sampler = sampler(&mut resolver);
    assert!(resolver.findings.error(false).is_none(), "the code's name is right");
    ((config, sampler), resolver.findings.warnings(false).collect())
}

fn resolve(pairs: &[(&str, &str)]) -> (Resolved, Vec<String>) {
    resolve_env(&env(pairs))
}

#[expect(clippy::needless_pass_by_value, reason = "reads better in a table")]
#[track_caller]
fn is<T: PartialEq + std::fmt::Debug>(
    pairs: &[(&str, &str)],
    read: impl FnOnce(Config) -> T,
    expected: T,
) {
    let ((config, _), found) = resolve(pairs);
    assert_eq!(read(config), expected, "{pairs:?}");
    assert_eq!(found, Vec::<String>::new(), "{pairs:?}");
}

/// The value is reported by this text, and the effect is as if the variable were unset.
#[track_caller]
fn ignores(pairs: &[(&str, &str)], message: &str) {
    let (config, found) = resolve(pairs);
    assert_eq!(found, [message], "{pairs:?}");
    let unset: Vec<_> = pairs.iter().take(pairs.len() - 1).copied().collect();
    assert_eq!(config, resolve(&unset).0, "{pairs:?}");
}

fn attribute(config: &Config, key: &str) -> Option<AttributeValue> {
    config.resource_attributes.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone())
}

#[test]
fn samplers() {
    #[expect(clippy::needless_pass_by_value, reason = "reads better in a table")]
    #[track_caller]
    fn is(pairs: &[(&str, &str)], expected: SamplerConfig) {
        let ((_, sampler), found) = resolve(pairs);
        assert_eq!(sampler, expected, "{pairs:?}");
        assert_eq!(found, Vec::<String>::new(), "{pairs:?}");
    }
    is(&[], SamplerConfig::parent_based(SamplerConfig::AlwaysOn));
    is(&[("OTEL_TRACES_SAMPLER", "")], SamplerConfig::parent_based(SamplerConfig::AlwaysOn));
    is(&[("OTEL_TRACES_SAMPLER", " ALWAYS_OFF ")], SamplerConfig::AlwaysOff);
    let ratio = ("OTEL_TRACES_SAMPLER", "traceidratio");
    is(&[ratio], SamplerConfig::Ratio(1.0));
    is(&[ratio, ("OTEL_TRACES_SAMPLER_ARG", "0.25")], SamplerConfig::Ratio(0.25));
    is(&[ratio, ("OTEL_TRACES_SAMPLER_ARG", "0")], SamplerConfig::Ratio(0.0));
    for bad in ["-0.1", "NaN", "1.01", "x", "inf"] {
        ignores(
            &[ratio, ("OTEL_TRACES_SAMPLER_ARG", bad)],
            &format!("OTEL_TRACES_SAMPLER_ARG: {bad:?} is not a number from 0 to 1; 1 is used"),
        );
    }
    let name = |name| ("OTEL_TRACES_SAMPLER", name);
    let argument = |text| ("OTEL_TRACES_SAMPLER_ARG", text);
    is(&[name("consistent"), argument("0.5")], SamplerConfig::Consistent(0.5));
    is(
        &[name("parentbased_consistent"), argument("0.5")],
        SamplerConfig::parent_based(SamplerConfig::Consistent(0.5)),
    );
    is(&[name("Rate_Limited"), argument("2.5")], SamplerConfig::RateLimited(2.5));
    is(
        &[name("parentbased_rate_limited")],
        SamplerConfig::parent_based(SamplerConfig::RateLimited(100.0)),
    );
    for bad in ["-1", "NaN", "inf", "x"] {
        let message = format!(
            "OTEL_TRACES_SAMPLER_ARG: {bad:?} is not a number of traces a second; 100 is used"
        );
        ignores(&[name("rate_limited"), argument(bad)], &message);
    }
    for missing in ["jaeger_remote", "parentbased_jaeger_remote", "xray"] {
        let message = format!(
            "OTEL_TRACES_SAMPLER: {missing:?} is not supported by this crate; \
             parentbased_always_on is used"
        );
        ignores(&[name(missing)], &message);
    }
    ignores(
        &[name("sometimes")],
        "OTEL_TRACES_SAMPLER: \"sometimes\" is not one of always_on, always_off, traceidratio, \
         parentbased_always_on, parentbased_always_off, parentbased_traceidratio, consistent, \
         parentbased_consistent, rate_limited, parentbased_rate_limited; parentbased_always_on is \
         used",
    );
}

#[test]
fn the_service_name_variable_beats_code_and_resource_attributes() {
    let name = |config: Config| attribute(&config, "service.name");
    is(&[], name, Some("code".into()));
    is(&[("OTEL_RESOURCE_ATTRIBUTES", "service.name=list")], name, Some("list".into()));
    is(
        &[("OTEL_RESOURCE_ATTRIBUTES", "service.name=list"), ("OTEL_SERVICE_NAME", "variable")],
        name,
        Some("variable".into()),
    );
    is(&[("OTEL_SERVICE_NAME", "  ")], name, Some("code".into()));
    ignores(
        &[("OTEL_SERVICE_NAME", "a\nb")],
        "OTEL_SERVICE_NAME: service name \"a\\nb\" has a control character in it; give the name \
         that backends shall show, \"my-service\" for instance; code is used",
    );
}

#[test]
fn resource_attributes_are_percent_decoded_or_discarded_as_a_whole() {
    let key = "OTEL_RESOURCE_ATTRIBUTES";
    is(
        &[(key, "a=1, b = x%2Cy%20z ,a=2,")],
        |c| (attribute(&c, "a"), attribute(&c, "b")),
        (Some("2".into()), Some("x,y z".into())),
    );
    for (bad, problem) in [
        ("a=1,b", "\"b\" is not key=value"),
        ("a=1,=2", "\"=2\" has no key"),
        ("a=%zz", "\"%zz\" is not percent-encoded UTF-8"),
        ("a=%f", "\"%f\" is not percent-encoded UTF-8"),
        ("a=%ff", "\"%ff\" is not percent-encoded UTF-8"),
    ] {
        ignores(&[(key, bad)], &format!("{key}: {problem}; the whole variable is ignored"));
    }
}

#[test]
fn an_empty_service_name_among_resource_attributes_was_taken() {
    let key = "OTEL_RESOURCE_ATTRIBUTES";
    for (name, problem) in [
        ("", "\"\" is empty"),
        ("%20", "\" \" is empty"),
        ("%00%1b", "\"\\0\\u{1b}\" has a control character in it"),
    ] {
        let ((config, _), found) = resolve(&[(key, &format!("a=1,service.name={name}"))]);
        assert_eq!(attribute(&config, "service.name"), Some("code".into()));
        assert_eq!(attribute(&config, "a"), Some("1".into()));
        let hint = "give the name that backends shall show, \"my-service\" for instance";
        let expected = format!("{key}: service name {problem}; {hint}; that entry is left out");
        assert_eq!(found, [expected]);
    }
}

#[test]
fn numbers() {
    let delay = |c: Config| c.batch.schedule_delay;
    let name = "OTEL_BSP_SCHEDULE_DELAY";
    is(&[(name, "0")], delay, Some(Duration::from_millis(10)));
    is(&[(name, "10")], delay, Some(Duration::from_millis(10)));
    is(&[(name, " 250 ")], delay, Some(Duration::from_millis(250)));
    for bad in ["-1", "1.5", "1s", "18446744073709551616"] {
        ignores(
            &[(name, bad)],
            &format!("{name}: {bad:?} is not a number of milliseconds; the exporter's own is used"),
        );
    }
    let limits = |c: Config| (c.limits.attributes, c.limits.attributes_per_event, c.limits.events);
    is(&[], limits, (128, 128, 128));
    is(&[("OTEL_ATTRIBUTE_COUNT_LIMIT", "7")], limits, (7, 7, 128));
    is(
        &[("OTEL_ATTRIBUTE_COUNT_LIMIT", "7"), ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "9")],
        limits,
        (9, 7, 128),
    );
    is(&[("OTEL_SPAN_EVENT_COUNT_LIMIT", "4294967296")], limits, (128, 128, u32::MAX));
}

#[test]
fn flags_levels_formats_and_propagators() {
    is(&[("OTEL_SDK_DISABLED", "TRUE")], |c| c.disabled, true);
    ignores(
        &[("OTEL_SDK_DISABLED", "1")],
        "OTEL_SDK_DISABLED: \"1\" is not `true` or `false`; false is used",
    );
    is(&[("OTEL_LOG_LEVEL", "Warn")], |c| c.diagnostics, Some(Severity::Warning));
    is(&[("OTEL_LOG_LEVEL", "none")], |c| c.diagnostics, None);
    is(&[("OTEL_RUST_LOG_FORMAT", "OFF")], |c| c.log_format, LogFormat::Off);
    ignores(
        &[("OTEL_RUST_LOG_FORMAT", "xml")],
        "OTEL_RUST_LOG_FORMAT: \"xml\" is not one of text, json, off; text is used",
    );
    let list = |text: &str| {
        let env = env(&[("OTEL_PROPAGATORS", text)]);
        let code = Settings::default();
        let mut resolver = Resolver::new(&code, None, &env);
        let kinds = propagators(&mut resolver);
        (kinds, resolver.findings.warnings(false).collect::<Vec<_>>())
    };
    let both = vec![PropagatorKind::TraceContext, PropagatorKind::Baggage];
    assert_eq!(list(""), (both.clone(), vec![]));
    let reversed = both.iter().rev().copied().collect::<Vec<_>>();
    assert_eq!(list("Baggage, tracecontext,baggage"), (reversed, vec![]));
    assert_eq!(list("none"), (vec![], vec![]));
    assert_eq!(list(" B3 ,, b3, "), (vec![PropagatorKind::B3], vec![]));
    // nothing but separators is as good as empty
    assert_eq!(list(" , "), (both.clone(), vec![]));
    let (kinds, found) = list("none,b3");
    assert_eq!((kinds, found.len()), (vec![PropagatorKind::B3], 1), "{found:?}");
    let (kinds, found) = list("ottrace,b3");
    assert_eq!(kinds, [PropagatorKind::B3]);
    assert!(
        found[0].starts_with("OTEL_PROPAGATORS: \"ottrace\" is deprecated in the "),
        "{found:?}"
    );
    let (kinds, found) = list("b4");
    assert_eq!(kinds, both);
    let expected = "OTEL_PROPAGATORS: \"b4\" is not one of tracecontext, baggage, b3, b3multi, \
                    jaeger, xray; it is left out";
    assert_eq!(found, [expected]);
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf8_is_reported_and_unset() {
    use std::os::unix::ffi::OsStringExt as _;
    let env = Env::new(|name| {
        (name == "OTEL_SERVICE_NAME").then(|| OsString::from_vec(vec![b'a', 0xff]))
    });
    let ((config, _), found) = resolve_env(&env);
    assert_eq!(attribute(&config, "service.name"), Some("code".into()));
    assert_eq!(found, ["OTEL_SERVICE_NAME: a value that is not UTF-8; code is used"]);
}

#[cfg(all(unix, any(feature = "otlp-http", feature = "otlp-grpc")))]
#[test]
fn an_endpoint_that_is_not_utf8_left_the_console_without_a_word() {
    use std::os::unix::ffi::OsStringExt as _;

    use crate::Setup;

    let setup = || {
        let lookup = |name: &str| {
            (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| OsString::from_vec(vec![0xff]))
        };
        Setup::new("code").with_env(lookup).strict()
    };
    let error = setup().build().map(drop).expect_err("it cannot be read");
    let expected = "OTEL_EXPORTER_OTLP_ENDPOINT: a value that is not UTF-8; it counts as unset";
    assert_eq!(error.to_string(), expected);
    assert!(setup().explain().to_string().contains(expected));
    // nobody looks at it
    drop(setup().with_exporter(crate::Exporter::stdout()).build().expect("the code has said"));
}
