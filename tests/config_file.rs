//! What a declarative configuration does: to spans, to requests, and to the variables beside it.

#![cfg(all(feature = "config-file", feature = "otlp-http", feature = "gzip", feature = "file"))]

#[path = "support/collector.rs"]
mod collector;
#[path = "config_file/findings.rs"]
mod findings;
#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use otel_setup::{BatchSettings, LogFormat, Sampler, Setup, Source, Stack};
use prost::Message as _;

use self::collector::Collector;
use self::support::{Said, memory, spans, with_variables};

/// A file that is gone when it is dropped.
struct Yaml(PathBuf);

impl Yaml {
    fn new(text: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("otel-setup-config-{}-{n}.yaml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).expect("the name is ours");
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn text(&self) -> &str {
        self.0.to_str().expect("a name of ASCII in the system's directory")
    }

    fn setup(&self) -> Setup {
        Setup::new("code").with_log_format(LogFormat::Off).with_config_file(self.path())
    }
}

impl Drop for Yaml {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Runs `f` under the stack, and flushes what it made.
#[track_caller]
fn run(stack: &Stack, f: impl FnOnce()) {
    tracing::dispatcher::with_default(stack.dispatch(), f);
    stack.flush(Duration::from_secs(10)).expect("nothing is lost");
}

fn traces(more: &str) -> String {
    format!(
        "file_format: \"1.0\"\n\
         tracer_provider:\n\
         \x20 processors:\n\
         \x20   - simple: {{exporter: {{console: }}}}\n{more}"
    )
}

#[test]
fn what_the_file_says_arrives_at_the_collector_and_variables_count_for_nothing() {
    let collector = Collector::kind();
    let yaml = Yaml::new(
        "file_format: '1.0'\n\
         attribute_limits: {attribute_value_length_limit: 3}\n\
         resource:\n\
         \x20 schema_url: https://opentelemetry.io/schemas/1.30.0\n\
         \x20 detection/development: {detectors: [{process: }]}\n\
         \x20 attributes_list: a=list,b=list\n\
         \x20 attributes:\n\
         \x20   - {name: service.name, value: \"${SHOP:-shop}\"}\n\
         \x20   - {name: b, type: int_array, value: [1, 2]}\n\
         tracer_provider:\n\
         \x20 processors:\n\
         \x20   - batch:\n\
         \x20       schedule_delay: 20\n\
         \x20       exporter:\n\
         \x20         otlp_http:\n\
         \x20           endpoint: ${COLLECTOR}/my/path\n\
         \x20           compression: gzip\n\
         \x20           headers_list: x-tenant=list,x-list=a%20b\n\
         \x20           headers:\n\
         \x20             - {name: X-Tenant, value: entry}\n\
         \x20             - {name: authorization, value: 'Bearer ${TOKEN}'}\n\
         \x20             - {name: x-none, value: }\n\
         \x20 limits: {attribute_count_limit: 2}\n",
    );
    let url = collector.url();
    let variables = [
        ("OTEL_CONFIG_FILE", yaml.text()),
        ("COLLECTOR", &url),
        ("TOKEN", "hunter2"),
        ("OTEL_SERVICE_NAME", "variable"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-variable=1"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=variable"),
    ];
    let said = Said::default();
    let setup =
        Setup::new("code").with_log_format(LogFormat::Off).with_env(with_variables(&variables));
    let stack = setup.with_diagnostics(said.sink()).build().expect("the file is right");
    run(&stack, || tracing::info_span!("work", x = "abcdef", y = 2, z = 3).in_scope(|| {}));
    assert_eq!(said.lines(), Vec::<String>::new());

    let [request] = &collector.seen()[..] else { panic!("one request") };
    for (name, value) in [
        ("authorization", Some("Bearer hunter2")),
        ("x-tenant", Some("entry")),
        ("x-list", Some("a b")),
        ("x-none", None),
        ("x-variable", None),
        ("content-encoding", Some("gzip")),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
    assert_eq!(request.path, "/my/path");
    let mut body = Vec::new();
    let compressed = flate2::read::GzDecoder::new(&request.body[..]);
    { compressed }.read_to_end(&mut body).expect("it is gzip");
    let decoded = ExportTraceServiceRequest::decode(&body[..]).expect("it is OTLP");
    let spans = &decoded.resource_spans[0];
    assert_eq!(spans.schema_url, "https://opentelemetry.io/schemas/1.30.0");
    let resource = spans.resource.clone().expect("there is one").attributes;
    let attribute = |key: &str| {
        let found = resource.iter().find(|attribute| attribute.key == key);
        found.and_then(|attribute| attribute.value.clone()?.value)
    };
    assert_eq!(attribute("service.name"), Some(Value::StringValue("shop".into())));
    assert_eq!(attribute("a"), Some(Value::StringValue("list".into())));
    let pid = i64::from(std::process::id());
    assert_eq!(attribute("process.pid"), Some(Value::IntValue(pid)));
    assert!(matches!(attribute("b"), Some(Value::ArrayValue(array)) if array.values.len() == 2));
    let span = &spans.scope_spans[0].spans[0];
    assert_eq!((span.attributes.len(), span.dropped_attributes_count), (2, 1));
    let value = span.attributes[0].value.clone().and_then(|value| value.value);
    assert_eq!(value, Some(Value::StringValue("abc".into())));
}

#[test]
fn code_comes_before_the_file() {
    let yaml = Yaml::new(&traces(
        "  sampler: {always_off: }\n\
         resource: {attributes: [{name: service.name, value: file}, {name: a, value: file}]}\n\
         disabled: false\n",
    ));
    let (exporter, seen) = memory();
    let setup = yaml.setup().with_env(|_| None).with_exporter(exporter);
    let setup = setup.with_sampler(Sampler::always_on()).with_resource_attribute("a", "code");
    let found = setup.explain();
    let value = |text: &str| found.settings().iter().any(|s| s.value == text);
    assert!(value("a=code") && value("file") && value("AlwaysOnSampler"), "{found}");
    let stack = setup.build().expect("all is right");
    run(&stack, || tracing::info_span!("work").in_scope(|| {}));
    assert_eq!(spans(&seen).len(), 1);
}

#[test]
fn the_codes_file_comes_before_the_variables() {
    let (right, wrong) = (Yaml::new(&traces("")), Yaml::new("wrong"));
    let env = [("OTEL_CONFIG_FILE", wrong.text())];
    let stack = right.setup().with_env(with_variables(&env)).build();
    drop(stack.expect("the wrong one is not read"));
    let setup = Setup::new("code").with_log_format(LogFormat::Off).with_env(with_variables(&env));
    let error = setup.build().map(drop).expect_err("it is read");
    assert_eq!(error.to_string(), format!("{}:1: it is not a map", wrong.text()));
}

#[test]
fn everything_that_is_wrong_is_an_error_with_its_line() {
    let yaml = Yaml::new(&traces("  sampler: {trace_id_ratio_based: {ratio: 2}}\n  limit: 1\n"));
    let error =
        yaml.setup().with_env(|_| None).build().map(drop).expect_err("two things are wrong");
    assert!(error.is_config());
    let path = yaml.text();
    assert_eq!(
        error.to_string(),
        format!(
            "{path}:5: tracer_provider.sampler.trace_id_ratio_based.ratio: \"2\" is not a number \
             from 0 to 1; {path}:6: tracer_provider.limit: the key is not one of processors, limits, \
             sampler, id_generator, tracer_configurator/development"
        )
    );
    let nowhere = Setup::new("code").with_env(|_| None).with_config_file("/nowhere/otel.yaml");
    let error = nowhere.build().map(drop).expect_err("it is not there").to_string();
    assert!(error.starts_with("configuration file \"/nowhere/otel.yaml\": "), "{error}");
    let explanation = yaml.setup().with_env(|_| None).explain().to_string();
    assert!(explanation.contains(":6: tracer_provider.limit"), "{explanation}");
}

#[test]
fn what_is_for_others_is_named_and_no_error_even_under_strict() {
    let yaml = Yaml::new(&traces("meter_provider:\n  readers: []\n"));
    let said = Said::default();
    let setup = yaml.setup().with_env(|_| None).with_diagnostics(said.sink()).strict();
    drop(setup.build().expect("it is for others"));
    let expected =
        format!("{}:5: meter_provider has no effect: this crate makes no metrics", yaml.text());
    assert_eq!(said.lines(), [expected]);
    let yaml = Yaml::new(&traces("  tracer_configurator/development: {}\n"));
    let error =
        yaml.setup().with_env(|_| None).strict().build().map(drop).expect_err("it is for us");
    assert!(error.to_string().contains(":5: tracer_provider.tracer_configurator/development"));
}

#[test]
fn without_a_tracer_provider_nothing_is_recorded_unless_the_code_says_where_to() {
    let yaml = Yaml::new("file_format: '1.0'\n");
    let said = Said::default();
    let stack = yaml.setup().with_env(|_| None).with_diagnostics(said.sink()).build();
    let stack = stack.expect("the file is right");
    run(&stack, || tracing::info_span!("work").in_scope(|| {}));
    assert_eq!(stack.stats().started, 0);
    let expected = format!("{}: there is no tracer_provider, so nothing is recorded", yaml.text());
    assert_eq!(said.lines(), [expected]);
    let (exporter, seen) = memory();
    let stack = yaml.setup().with_env(|_| None).with_exporter(exporter).build();
    let stack = stack.expect("the file is right");
    run(&stack, || tracing::info_span!("work").in_scope(|| {}));
    assert_eq!(spans(&seen).len(), 1);
}

#[test]
fn propagators_are_those_of_the_file_and_none_where_it_names_none() {
    let fields = |more: &str| {
        let yaml = Yaml::new(&traces(more));
        let stack = yaml.setup().with_env(|_| None).build().expect("the file is right");
        let propagator = stack.propagator();
        let mut fields: Vec<_> = propagator.fields().map(str::to_owned).collect();
        fields.sort_unstable();
        fields
    };
    assert_eq!(fields(""), Vec::<String>::new());
    assert_eq!(fields("propagator: {composite: [{baggage: }]}\n"), ["baggage"]);
    let both = fields("propagator: {composite_list: \"tracecontext, baggage\"}\n");
    assert_eq!(both, ["baggage", "traceparent", "tracestate"]);
}

#[test]
fn composite_rules_drop_health_checks_and_say_what_the_others_stand_for() {
    let yaml = Yaml::new(&traces(
        "  sampler:\n\
         \x20   composite/development:\n\
         \x20     rule_based:\n\
         \x20       rules:\n\
         \x20         - attribute_patterns: {key: url.path, included: [/health*], excluded: [/healthy]}\n\
         \x20           sampler: {always_off: }\n\
         \x20         - sampler: {parent_threshold: {root: {always_on: }}}\n",
    ));
    let (exporter, seen) = memory();
    let stack = yaml.setup().with_env(|_| None).with_exporter(exporter).build();
    let stack = stack.expect("the file is right");
    run(&stack, || {
        for path in ["/health", "/healthy", "/orders"] {
            let request = tracing::info_span!("request", url.path = path);
            request.in_scope(|| tracing::info_span!("query", below = path).in_scope(|| {}));
        }
    });
    let spans = spans(&seen);
    assert_eq!(spans.len(), 4, "{spans:?}");
    for span in spans {
        assert_eq!(span.span_context.trace_state().header(), "ot=th:0", "{span:?}");
        assert!(!span.attributes.iter().any(|a| a.value.as_str() == "/health"), "{span:?}");
    }
}

#[test]
fn a_disabled_file_records_nothing() {
    for (value, expected) in [("true", 0), ("${OFF:-false}", 1), ("false", 1)] {
        let yaml = Yaml::new(&traces(&format!("disabled: {value}\n")));
        let (exporter, seen) = memory();
        let setup = yaml.setup().with_env(with_variables(&[("OTEL_SDK_DISABLED", "true")]));
        let stack = setup.with_exporter(exporter).build().expect("the file is right");
        run(&stack, || tracing::info_span!("work").in_scope(|| {}));
        assert_eq!(spans(&seen).len(), expected, "{value}");
    }
}

#[test]
fn a_file_exporter_writes_where_the_file_says() {
    let out = std::env::temp_dir().join(format!("otel-setup-config-{}.jsonl", std::process::id()));
    let yaml = Yaml::new(&format!(
        "file_format: '1.0'\ntracer_provider:\n  processors:\n    - simple:\n        exporter:\n\
         \x20         otlp_file/development: {{output_stream: 'file://{}'}}\n",
        out.display()
    ));
    let stack = yaml.setup().with_env(|_| None).build().expect("the file is right");
    run(&stack, || tracing::info_span!("work").in_scope(|| {}));
    drop(stack);
    let written = fs::read_to_string(&out).expect("it is there");
    fs::remove_file(&out).expect("it was just read");
    assert!(written.contains("\"name\":\"work\""), "{written}");
}

#[test]
fn it_explains_what_is_from_the_file_and_what_that_hides() {
    let yaml = Yaml::new(
        "file_format: '1.0'\n\
         propagator: {composite_list: baggage}\n\
         tracer_provider:\n\
         \x20 processors:\n\
         \x20   - batch: {max_queue_size: 99, schedule_delay: 1000, exporter: {otlp_http: {endpoint: 'http://u:${PW}@localhost:1/v1/traces', headers: [{name: api-key, value: \"${PW}\"}]}}}\n\
         \x20 sampler: {trace_id_ratio_based: {ratio: 0.25}}\n",
    );
    let env = [
        ("OTEL_CONFIG_FILE", yaml.text()),
        ("PW", "hunter2"),
        ("OTEL_PROPAGATORS", "tracecontext"),
        ("OTEL_RUST_TRACE_FILTER", "debug"),
    ];
    let explanation = Setup::new("code").with_env(with_variables(&env)).explain();
    let text = explanation.to_string();
    assert!(!text.contains("hunter2"), "{text}");
    let found = |setting: &str| {
        // what each exporter has for itself comes later than what is for all
        let found = explanation.settings().iter().rfind(|s| s.setting == setting);
        found.map(|found| (found.value.as_str(), found.source))
    };
    assert_eq!(
        found("OTEL_CONFIG_FILE"),
        Some((yaml.text(), Source::Variable("OTEL_CONFIG_FILE")))
    );
    for (setting, value) in [
        ("OTEL_PROPAGATORS", "baggage"),
        ("OTEL_TRACES_SAMPLER", "TraceIdRatioBased{0.25}"),
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "99"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1000"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=[redacted]"),
    ] {
        assert_eq!(found(setting), Some((value, Source::File)), "{setting}");
    }
    // ours, for which the schema has no word
    let ours = Source::Variable("OTEL_RUST_TRACE_FILTER");
    assert_eq!(found("OTEL_RUST_TRACE_FILTER"), Some(("debug", ours)));
    let hidden = explanation.ignored().iter().find(|i| i.setting == "OTEL_PROPAGATORS");
    assert!(hidden.is_some_and(|hidden| !hidden.is_wrong), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_name_of_the_file_need_not_be_utf8() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    let mut name = format!("otel-setup-config-{}-", std::process::id()).into_bytes();
    name.extend(b"\xff.yaml");
    let path = std::env::temp_dir().join(OsString::from_vec(name));
    fs::write(&path, "file_format: \"1.0\"\npropagator:\n  composite_list: b3\n")
        .expect("the name is ours");
    let variable = path.clone().into_os_string();
    let explanation = Setup::new("code")
        .with_env(move |name| (name == "OTEL_CONFIG_FILE").then(|| variable.clone()))
        .explain();
    fs::remove_file(&path).expect("it is there");
    let of = |setting| explanation.settings().iter().find(|s| s.setting == setting);
    let propagators = of("OTEL_PROPAGATORS").expect("it is settled");
    assert_eq!((propagators.value.as_str(), propagators.source), ("b3", Source::File));
}

#[cfg(target_os = "linux")]
#[test]
fn control_characters_in_the_name_of_the_file_were_shown_as_they_are() {
    let name = format!("otel-setup-config-{}-\u{1b}[31m\n.yaml", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::write(&path, traces("meter_provider:\n")).expect("the name is ours");
    let variable = path.clone().into_os_string();
    let said = Said::default();
    let setup = Setup::new("code").with_log_format(LogFormat::Off).with_diagnostics(said.sink());
    let setup = setup.with_env(move |name| (name == "OTEL_CONFIG_FILE").then(|| variable.clone()));
    let explanation = setup.explain();
    drop(setup.build().expect("the file is right"));
    fs::remove_file(&path).expect("it is there");
    for line in explanation.to_string().lines().chain(said.lines().iter().map(String::as_str)) {
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
    assert!(
        said.lines()[0].contains("-\\u{1b}[31m\\n.yaml:5: meter_provider"),
        "{:?}",
        said.lines()
    );
}

/// What is explained of one variable: each value with its source, and what is told, with whether it
/// is wrong.
type Explained = (Vec<(String, Source)>, Vec<(String, bool)>);

fn delays(setup: &Setup) -> Explained {
    let explanation = setup.explain();
    let name = "OTEL_BSP_SCHEDULE_DELAY";
    let shown = explanation.settings().iter().filter(|effective| effective.setting == name);
    let told = explanation.ignored().iter().filter(|ignored| ignored.setting == name);
    (
        shown.map(|effective| (effective.value.clone(), effective.source)).collect(),
        told.map(|ignored| (ignored.why.clone(), ignored.is_wrong)).collect(),
    )
}

fn batches(delays: &[&str]) -> Yaml {
    let processors: Vec<_> = delays
        .iter()
        .map(|delay| match *delay {
            "simple" => "{simple: {exporter: {console: }}}".to_owned(),
            delay => format!("{{batch: {{schedule_delay: {delay}, exporter: {{console: }}}}}}"),
        })
        .collect();
    let processors = processors.join(", ");
    Yaml::new(&format!("file_format: '1.0'\ntracer_provider: {{processors: [{processors}]}}\n"))
}

#[test]
fn a_delay_of_a_file_is_shown_as_it_is_used() {
    let raised = || vec![("the least is 10, which is used".to_owned(), false)];
    let in_file = |value: &str| (value.to_owned(), Source::File);
    let yaml = batches(&["5"]);
    let found = delays(&yaml.setup().with_env(|_| None));
    assert_eq!(found, (vec![in_file("10")], raised()));
    // each exporter has its own, behind what is for all
    let yaml = batches(&["5", "1000", "0", "simple"]);
    let found = delays(&yaml.setup().with_env(|_| None));
    let own = ("the exporter's own".to_owned(), Source::Default);
    let shown = vec![own, in_file("10"), in_file("1000"), in_file("10"), in_file("10")];
    assert_eq!(found, (shown, raised()));
    // the code's is for all of them, and so nothing in the file has been raised
    let batch = BatchSettings::new().with_schedule_delay(Duration::from_millis(50));
    let found = delays(&yaml.setup().with_env(|_| None).with_batch(batch));
    assert_eq!(found, (vec![("50".to_owned(), Source::Code)], vec![]));
}

#[test]
fn simple_processors_got_a_note_on_a_delay_that_nobody_had_set() {
    let yaml = batches(&["simple", "simple"]);
    let found = delays(&yaml.setup().with_env(|_| None));
    assert_eq!(found, (vec![("10".to_owned(), Source::File)], vec![]));
    let hidden = ("a configuration file comes in place of it".to_owned(), false);
    for delay in ["3", "1000"] {
        let env = with_variables(&[("OTEL_BSP_SCHEDULE_DELAY", delay)]);
        let found = delays(&yaml.setup().with_env(env));
        assert_eq!(found, (vec![("10".to_owned(), Source::File)], vec![hidden.clone()]));
    }
}

#[test]
fn strict_takes_no_offence_at_variables_that_a_file_hides() {
    let yaml = Yaml::new(&traces(""));
    // wrong, if anybody looked at them
    let env = [
        ("OTEL_CONFIG_FILE", yaml.text()),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "none"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
    ];
    let said = Said::default();
    let setup = || {
        let setup = Setup::new("code").with_log_format(LogFormat::Off).strict();
        setup.with_env(with_variables(&env)).with_diagnostics(said.sink())
    };
    drop(setup().build().expect("nothing is wrong"));
    assert_eq!(said.lines(), [""; 0]);
    let explanation = setup().explain();
    for (name, _) in &env[1..] {
        let told = explanation.ignored().iter().find(|ignored| ignored.setting == *name);
        assert!(told.is_some_and(|told| !told.is_wrong), "{name}: {explanation}");
    }
    // this crate's own are not hidden
    let ours = [env[0], ("OTEL_RUST_FLUSH_TIMEOUT", "soon")];
    let setup = setup().with_env(with_variables(&ours));
    let error = setup.build().map(drop).expect_err("that is no number").to_string();
    assert!(error.starts_with("OTEL_RUST_FLUSH_TIMEOUT: \"soon\""), "{error}");
}

#[test]
fn what_is_done_in_place_of_a_simple_processor_is_explained() {
    let yaml = Yaml::new(&traces(""));
    let explanation = yaml.setup().with_env(|_| None).explain();
    let of_file = explanation.ignored().iter().filter(|ignored| ignored.setting == yaml.text());
    let told: Vec<_> = of_file.map(|ignored| (&*ignored.why, ignored.is_wrong)).collect();
    let expected = "a simple processor is a batch that is exported at the latest after 10 ms, so \
                    that no thread of the program waits for an export";
    assert_eq!(told, [(expected, false)]);
}
