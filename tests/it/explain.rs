//! What `explain` tells, and what it does not.

use otel_setup::{
    BatchSettings, Effective, Explanation, Exporter, LogFormat, Sampler, Setup, Source,
};

use crate::support::{Said, with_variables};

#[track_caller]
fn effective<'a>(explanation: &'a Explanation, setting: &str) -> &'a Effective {
    let found = explanation.settings().iter().find(|effective| effective.setting == setting);
    found.unwrap_or_else(|| panic!("{setting} is not in {explanation}"))
}

#[track_caller]
fn is(explanation: &Explanation, setting: &str, value: &str, source: Source) {
    let found = effective(explanation, setting);
    assert_eq!((found.value.as_str(), found.source), (value, source), "{setting}");
}

#[test]
fn each_setting_and_who_had_the_last_word() {
    let setup = Setup::new("checkout")
        .with_env(with_variables(&[
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", " 32 "),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_TRACES_SAMPLER", "always_off"),
            ("OTEL_SERVICE_NAME", "cart"),
            ("OTEL_METRICS_EXPORTER", "otlp"),
        ]))
        .with_sampler(Sampler::always_on())
        .with_exporter(Exporter::stdout())
        .with_batch(BatchSettings::new().with_max_queue_size(1000));
    let explanation = setup.explain();
    is(&explanation, "OTEL_SERVICE_NAME", "cart", Source::Variable("OTEL_SERVICE_NAME"));
    let limit = "OTEL_SPAN_EVENT_COUNT_LIMIT";
    is(&explanation, limit, "32", Source::Variable(limit));
    is(&explanation, "OTEL_BSP_MAX_QUEUE_SIZE", "1000", Source::Code);
    is(&explanation, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512", Source::Default);
    is(&explanation, "OTEL_TRACES_EXPORTER", "console", Source::Code);
    assert_eq!(effective(&explanation, "OTEL_TRACES_SAMPLER").source, Source::Code);
    let ignored: Vec<_> =
        explanation.ignored().iter().map(|i| (&*i.setting, &*i.why, i.is_wrong)).collect();
    let code = "what the code says comes first";
    assert_eq!(
        ignored,
        [
            ("OTEL_BSP_MAX_QUEUE_SIZE", code, false),
            ("OTEL_TRACES_SAMPLER", code, false),
            ("OTEL_METRICS_EXPORTER", "it is of metrics, and this crate makes traces", false),
        ]
    );
}

#[test]
fn a_bad_value_is_told_with_what_is_used_instead() {
    let explanation = Setup::new("checkout")
        .with_env(with_variables(&[
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "lots"),
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "64"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "200"),
            ("RUST_LOG", "a=b=c"),
        ]))
        .explain();
    let limit = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT";
    is(&explanation, limit, "64", Source::Variable("OTEL_ATTRIBUTE_COUNT_LIMIT"));
    is(&explanation, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100", Source::Default);
    is(&explanation, "RUST_LOG", "info", Source::Default);
    let why = |setting: &str| {
        let found = explanation.ignored().iter().find(|i| i.setting == setting && i.is_wrong);
        found.map(|found| found.why.clone()).unwrap_or_default()
    };
    let expected = "\"lots\" is not a number from 0 to 18446744073709551615; 64 is used";
    assert_eq!(why(limit), expected);
    assert_eq!(
        why("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
        "200 is more than the queue's 100; 100 is used"
    );
    assert!(why("RUST_LOG").ends_with("`info` is used"), "{explanation}");
}

#[test]
fn what_the_code_cannot_have_is_told_and_not_an_error_yet() {
    let explanation = Setup::new("").with_env(|_| None).with_log_filter("a=b=c").explain();
    let wrong: Vec<_> = explanation.ignored().iter().filter(|i| i.is_wrong).collect();
    assert_eq!(wrong.len(), 2, "{explanation}");
}

#[cfg(feature = "otlp-http")]
#[test]
fn no_secret_is_explained() {
    let setup = Setup::new("checkout")
        .with_env(with_variables(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@collector:4318/?key=hunter2"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=hunter2,hunter2"),
        ]))
        .with_exporter(Exporter::otlp().with_header("authorization", "Bearer hunter2"));
    let explanation = setup.explain();
    let endpoint = effective(&explanation, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    assert_eq!(endpoint.value, "http://[redacted]@collector:4318/v1/traces?[redacted]");
    let headers: Vec<_> = explanation
        .settings()
        .iter()
        .filter(|effective| effective.setting == "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
        .map(|effective| (effective.value.as_str(), effective.source))
        .collect();
    assert_eq!(
        headers,
        [
            ("x-key=[redacted]", Source::Variable("OTEL_EXPORTER_OTLP_HEADERS")),
            ("authorization=[redacted]", Source::Code),
        ]
    );
    let all = format!("{explanation} {explanation:?} {}", explanation.to_json());
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn as_json_it_is_read_by_others() {
    let explanation = Setup::new("a \"quoted\" \\ name")
        .with_env(with_variables(&[("OTEL_RESOURCE_ATTRIBUTES", "é=%0A%7f")]))
        .with_log_format(LogFormat::Off)
        .with_resource_detectors([])
        .explain();
    let json: serde_json::Value = serde_json::from_str(&explanation.to_json()).expect("it is JSON");
    let settings = json["settings"].as_array().expect("settings are an array");
    assert_eq!(settings.len(), explanation.settings().len());
    let attributes: Vec<_> = settings
        .iter()
        .filter(|setting| setting["setting"] == "OTEL_RESOURCE_ATTRIBUTES")
        .map(|setting| {
            (setting["value"].as_str(), setting["source"].as_str(), setting["of"].as_str())
        })
        .collect();
    let expected = "é=\\n\\u{7f}";
    assert_eq!(attributes, [(Some(expected), Some("variable"), Some("OTEL_RESOURCE_ATTRIBUTES"))]);
    let name = settings.iter().find(|setting| setting["setting"] == "OTEL_SERVICE_NAME");
    let name = name.expect("there is a name");
    assert_eq!(name["value"], "a \"quoted\" \\ name");
    assert_eq!((name["source"].as_str(), name["of"].is_null()), (Some("code"), true));
    assert_eq!(json["ignored"].as_array().map(Vec::len), Some(0));
}

#[test]
fn it_is_said_at_the_start_where_a_variable_asks_for_it() {
    let said = Said::default();
    let setup = Setup::new("checkout")
        .with_env(with_variables(&[("OTEL_RUST_EXPLAIN", "True"), ("OTEL_LOG_LEVEL", "none")]))
        .with_exporter(Exporter::none())
        .with_diagnostics(said.sink());
    let explained = setup.explain().to_string();
    drop(setup.build().expect("these settings are right"));
    assert_eq!(said.lines().join("\n"), explained.trim_end());
}

/// What is told of this variable, and whether it is wrong.
fn told(pairs: &'static [(&'static str, &'static str)], setting: &str) -> Vec<(String, bool)> {
    let explanation = Setup::new("checkout").with_env(with_variables(pairs)).explain();
    let of_it = explanation.ignored().iter().filter(|ignored| ignored.setting == setting);
    of_it.map(|ignored| (ignored.why.clone(), ignored.is_wrong)).collect()
}

#[test]
fn an_argument_that_no_sampler_takes_is_a_warning() {
    let argument = "OTEL_TRACES_SAMPLER_ARG";
    let words = |sampler| format!("{sampler} takes no argument; it has no effect");
    assert_eq!(
        told(&[("OTEL_TRACES_SAMPLER_ARG", "0.1")], argument),
        [(words("parentbased_always_on"), true)]
    );
    assert_eq!(
        told(
            &[("OTEL_TRACES_SAMPLER", "always_off"), ("OTEL_TRACES_SAMPLER_ARG", "0.1")],
            argument
        ),
        [(words("always_off"), true)]
    );
    assert_eq!(
        told(
            &[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.1")],
            argument
        ),
        []
    );
    let strict = Setup::new("checkout")
        .with_env(with_variables(&[("OTEL_TRACES_SAMPLER_ARG", "0.1")]))
        .strict()
        .build()
        .expect_err("it is most likely meant for a sampler");
    assert!(strict.to_string().contains(argument), "{strict}");
    // where the code has a sampler, the variable is just not asked
    let explanation = Setup::new("checkout")
        .with_env(with_variables(&[("OTEL_TRACES_SAMPLER_ARG", "0.1")]))
        .with_sampler(Sampler::always_on())
        .explain();
    assert!(explanation.ignored().iter().all(|ignored| !ignored.is_wrong), "{explanation}");
    assert_eq!(explanation.ignored().len(), 1);
}

#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
#[test]
fn what_is_set_for_an_exporter_that_is_not_used_is_noted() {
    let nothing = ("nothing that is in effect comes from it".to_owned(), false);
    for name in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"] {
        let pairs: &'static [_] = match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => &[
                ("OTEL_TRACES_EXPORTER", "console"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
            ],
            _ => &[("OTEL_EXPORTER_OTLP_HEADERS", "key=value")],
        };
        assert_eq!(told(pairs, name), std::slice::from_ref(&nothing), "{name}");
    }
}

/// What is right and has no effect here is nobody's mistake: variables are set for a whole fleet.
#[test]
fn strict_takes_no_offence_at_variables_without_effect() {
    /// Variables, one of them, and a part of what is told of it.
    type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str);
    let first = "what the code says comes first";
    let unused = "nothing that is in effect comes from it";
    let cases: &[Case] = &[
        // wrong, if anybody looked at it
        (&[("OTEL_BSP_MAX_QUEUE_SIZE", "none")], "OTEL_BSP_MAX_QUEUE_SIZE", first),
        (&[("OTEL_TRACES_EXPORTER", "unheard-of")], "OTEL_TRACES_EXPORTER", first),
        (&[("OTEL_METRICS_EXPORTER", "x")], "OTEL_METRICS_EXPORTER", "it is of metrics, "),
        (
            &[("OTEL_BLRP_MAX_QUEUE_SIZE", "x")],
            "OTEL_BLRP_MAX_QUEUE_SIZE",
            "it is of log records, ",
        ),
        (
            &[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "9"), ("OTEL_ATTRIBUTE_COUNT_LIMIT", "7")],
            "OTEL_ATTRIBUTE_COUNT_LIMIT",
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT comes first",
        ),
        (&[("OTEL_RUST_OTLP_FILE", "traces.jsonl")], "OTEL_RUST_OTLP_FILE", unused),
        #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
        (&[("OTEL_EXPORTER_OTLP_HEADERS", "a=b")], "OTEL_EXPORTER_OTLP_HEADERS", unused),
        #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
        (&[("OTEL_EXPORTER_OTLP_TIMEOUT", "1")], "OTEL_EXPORTER_OTLP_TIMEOUT", unused),
    ];
    for (pairs, name, part) in cases {
        let said = Said::default();
        let setup = || {
            Setup::new("checkout")
                .with_env(with_variables(pairs))
                .with_exporter(Exporter::none())
                .with_batch(BatchSettings::new().with_max_queue_size(9))
                .with_diagnostics(said.sink())
                .strict()
        };
        drop(setup().build().unwrap_or_else(|error| panic!("{name}: {error}")));
        assert_eq!(said.lines(), [""; 0], "{name}");
        let explanation = setup().explain();
        let told = explanation.ignored().iter().filter(|i| i.setting == *name);
        let told: Vec<_> = told.map(|i| (i.why.contains(part), i.is_wrong)).collect();
        assert!(told.contains(&(true, false)), "{name}: {explanation}");
        assert!(told.iter().all(|(_, is_wrong)| !is_wrong), "{name}: {explanation}");
    }
}

/// A variable that no longer exists, and one that asks for what is not to be had.
#[test]
fn strict_refuses_variables_that_nobody_honours() {
    for name in ["OTEL_EXPERIMENTAL_CONFIG_FILE", "OTEL_EXPORTER_ZIPKIN_ENDPOINT"] {
        let setup = Setup::new("checkout").with_env(with_variables(&[(name, "x")]));
        let setup = setup.with_exporter(Exporter::none());
        let error = setup.strict().build().map(drop).expect_err(name).to_string();
        assert!(error.starts_with(name) && error.ends_with("; it has no effect"), "{error}");
    }
}

#[test]
fn a_delay_that_is_raised_is_shown_as_it_is_used() {
    let pairs = &[("OTEL_BSP_SCHEDULE_DELAY", "0")];
    let explanation = Setup::new("checkout").with_env(with_variables(pairs)).explain();
    let delay = "OTEL_BSP_SCHEDULE_DELAY";
    is(&explanation, delay, "10", Source::Variable(delay));
    assert_eq!(told(pairs, delay), [("the least is 10, which is used".to_owned(), false)]);
}
