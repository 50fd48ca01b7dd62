//! `tracer_provider` and `resource`.

use std::time::Duration;

use super::{parse, right, says, traces};
use crate::config::{
    AttributeRule, AttributeValue, BatchSettings, ExporterKind, ParentBasedConfig, ParentPlace,
    ResourceDetectorKind, SamplerConfig, SamplingRule, SpanKindName, SpanLimits,
};

fn sampler(text: &str) -> SamplerConfig {
    let text = traces(&format!("  sampler:\n    {}", text.replace('\n', "\n    ")));
    right(&text).traces.and_then(|traces| traces.sampler).expect("it has a sampler")
}

#[test]
fn limits_of_spans_come_before_those_of_all() {
    let limits = |text: &str| right(&traces(text)).settings.limits;
    let general = "\
attribute_limits:
  attribute_value_length_limit: 10
  attribute_count_limit: 7
";
    assert_eq!(
        limits(general),
        SpanLimits::new().with_attribute_value_length(10).with_attributes(7)
    );
    assert_eq!(
        limits(&format!(
            "\
\x20 limits:
    attribute_value_length_limit: 4
    attribute_count_limit:
    event_count_limit: 1
    link_count_limit: 2
    event_attribute_count_limit: 3
    link_attribute_count_limit: 5000000000
{general}"
        )),
        SpanLimits::new()
            .with_attribute_value_length(4)
            .with_attributes(7)
            .with_events(1)
            .with_links(2)
            .with_attributes_per_event(3)
            .with_attributes_per_link(u32::MAX)
    );
    says(
        &traces(
            "\
\x20 limits:
    event_count_limit: -1
    link_count_limit: 1.5
",
        ),
        &[
            "otel.yaml:5: tracer_provider.limits.event_count_limit: \"-1\" is not an integer from 0 on",
            "otel.yaml:6: tracer_provider.limits.link_count_limit: \"1.5\" is not an integer from 0 on",
        ],
    );
}

#[test]
fn samplers() {
    use SamplerConfig::{AlwaysOff, AlwaysOn, Consistent, ParentBased, Ratio, Rules};
    assert_eq!(sampler("always_on:"), AlwaysOn);
    assert_eq!(sampler("always_off: {}"), AlwaysOff);
    assert_eq!(sampler("trace_id_ratio_based: {ratio: 0.25}"), Ratio(0.25));
    assert_eq!(sampler("trace_id_ratio_based:"), Ratio(1.0));
    assert_eq!(sampler("trace_id_ratio_based: {ratio: 1}"), Ratio(1.0));
    assert_eq!(sampler("probability/development: {ratio: 1e-1}"), Consistent(0.1));
    let parts = ParentBasedConfig {
        root: Ratio(0.5),
        remote_parent_sampled: Some(AlwaysOff),
        remote_parent_not_sampled: None,
        local_parent_sampled: None,
        local_parent_not_sampled: Some(AlwaysOn),
    };
    assert_eq!(
        sampler(
            "\
parent_based:
  root: {trace_id_ratio_based: {ratio: 0.5}}
  remote_parent_sampled: {always_off: }
  local_parent_not_sampled: {always_on: }
  local_parent_sampled:"
        ),
        ParentBased(Box::new(parts))
    );
    assert_eq!(sampler("parent_based:"), SamplerConfig::parent_based(AlwaysOn));
    assert_eq!(
        sampler("composite/development: {parent_threshold: {root: {probability: {ratio: 0.1}}}}"),
        SamplerConfig::parent_based(Consistent(0.1))
    );
    assert_eq!(sampler("composite/development: {always_on: }"), Consistent(1.0));
    let rule = SamplingRule {
        span_kinds: vec![SpanKindName::Server],
        parents: vec![ParentPlace::None, ParentPlace::Remote],
        attributes: vec![
            AttributeRule { key: "a".into(), values: vec!["1".into()], ..Default::default() },
            AttributeRule {
                key: "url.path".into(),
                included: vec!["/h*".into()],
                excluded: vec!["/home".into()],
                ..Default::default()
            },
        ],
        sampler: AlwaysOff,
    };
    let everything_else = SamplingRule {
        span_kinds: vec![],
        parents: vec![],
        attributes: vec![],
        sampler: Consistent(1.0),
    };
    assert_eq!(
        sampler(
            "\
composite/development:
  rule_based:
    rules:
      - attribute_values: {key: a, values: [1]}
        attribute_patterns: {key: url.path, included: [/h*], excluded: [/home]}
        span_kinds: [server]
        parent: [none, remote]
        sampler: {always_off: }
      - sampler: {always_on: }"
        ),
        Rules(vec![rule, everything_else])
    );
}

#[test]
fn what_is_no_sampler() {
    let of = |text: &str, expected: &str| {
        let errors = parse(&traces(&format!("  sampler: {text}\n"))).expect_err(text);
        assert!(errors.len() == 1 && errors[0].starts_with(expected), "{text}: {errors:?}");
    };
    let at = "otel.yaml:4: tracer_provider.sampler";
    of("jaeger_remote/development", &format!("{at}: it is not a map"));
    of(
        "{jaeger_remote/development: }",
        &format!("{at}.jaeger_remote/development: this crate has no such sampler"),
    );
    of("{always_on: , always_off: }", &format!("{at}: it needs exactly one entry"));
    of("{}", &format!("{at}: it needs exactly one entry"));
    for bad in ["1.5", "-0.1", ".nan", "x", "'0.5'", "[]"] {
        let path = "trace_id_ratio_based";
        of(&format!("{{{path}: {{ratio: {bad}}}}}"), &format!("{at}.{path}.ratio: "));
    }
    of(
        "{composite/development: {parent_threshold: }}",
        &format!("{at}.composite/development.parent_threshold: root is missing"),
    );
    of(
        "{composite/development: {rule_based: {rules: [{span_kinds: [servant], sampler: {always_on: }}]}}}",
        &format!(
            "{at}.composite/development.rule_based.rules[0].span_kinds[0]: \"servant\" is not one of internal, "
        ),
    );
}

#[test]
fn the_resource() {
    use AttributeValue as V;
    let config = right(
        "file_format: '1.0'\n\
         resource:\n\
         \x20 schema_url: https://opentelemetry.io/schemas/1.30.0\n\
         \x20 attributes_list: service.name=list,b=x%2Cy\n\
         \x20 attributes:\n\
         \x20   - {name: service.name, value: shop}\n\
         \x20   - {name: port, value: 8080}\n\
         \x20   - {name: i, type: int, value: 0x10}\n\
         \x20   - {name: d, type: double, value: 2}\n\
         \x20   - {name: f, type: bool, value: false}\n\
         \x20   - {name: s, type: string_array, value: [a, 1]}\n\
         \x20   - {name: n, type: int_array, value: [1, 2]}\n\
         \x20   - {name: x, type: double_array, value: [1, .5]}\n\
         \x20   - {name: t, type: bool_array, value: [true]}\n",
    );
    let expected: Vec<(&str, V)> = vec![
        ("service.name", "list".into()),
        ("b", "x,y".into()),
        ("service.name", "shop".into()),
        ("port", "8080".into()),
        ("i", V::Int(16)),
        ("d", V::Double(2.0)),
        ("f", V::Bool(false)),
        ("s", V::Strings(vec!["a".into(), "1".into()])),
        ("n", V::Ints(vec![1, 2])),
        ("x", V::Doubles(vec![1.0, 0.5])),
        ("t", V::Bools(vec![true])),
    ];
    let found: Vec<_> =
        config.settings.resource_attributes.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
    assert_eq!(found, expected);
    assert_eq!(
        config.settings.schema_url.as_deref(),
        Some("https://opentelemetry.io/schemas/1.30.0")
    );
    says(
        "\
file_format: '1.0'
resource:
  attributes:
    - {name: a, type: int, value: x}
    - {value: x}
    - {name: b, type: str, value: x}
    - {name: service.name, value: ''}
",
        &[
            "otel.yaml:4: resource.attributes[0].value: it is not of the type int",
            "otel.yaml:5: resource.attributes[1]: name is missing",
            "otel.yaml:6: resource.attributes[2].type: \"str\" is not one of string, bool, int, double, \
         string_array, bool_array, int_array, double_array",
            "otel.yaml:7: resource.attributes[3].value: service name \"\" is empty; give the name that \
         backends shall show, \"my-service\" for instance",
        ],
    );
    says(
        "\
file_format: '1.0'
resource:
  attributes:
    - {name: a, value: }
",
        &["otel.yaml:4: resource.attributes[0] a has no value, and is left out"],
    );
}

#[test]
fn processors_and_exporters() {
    let exporters = |text: &str| {
        let text = format!("file_format: '1.0'\ntracer_provider:\n  processors:\n{text}");
        right(&text).traces.expect("it has one").exporters
    };
    let found = exporters(
        "    - batch: {schedule_delay: 1000, export_timeout: 0, max_queue_size: 5, max_export_batch_size: 2, exporter: {console: }}\n    - simple: {exporter: {console: {}}}",
    );
    let batch = BatchSettings::new()
        .with_schedule_delay(Duration::from_secs(1))
        .with_export_timeout(Duration::ZERO)
        .with_max_queue_size(5)
        .with_max_export_batch_size(2);
    assert_eq!((&found[0].kind, &found[0].batch), (&ExporterKind::Console, &batch));
    assert_eq!(found.len(), 2);
    let at = "otel.yaml:3: tracer_provider.processors[0]";
    for (bad, expected) in [
        ("[]", "otel.yaml:3: tracer_provider.processors: it is empty".to_owned()),
        ("", "otel.yaml:3: tracer_provider.processors: it has no value".to_owned()),
        ("[{batch: }]", format!("{at}.batch: exporter is missing")),
        (
            "[{quantum: }]",
            format!("{at}.quantum: this crate has no such processor: it has batch and simple"),
        ),
        (
            "[{batch: {max_queue_size: 0, exporter: {console: }}}]",
            format!("{at}.batch.max_queue_size: \"0\" is not an integer from 1 on"),
        ),
        (
            "[{batch: {exporter: {zipkin: }}}]",
            format!(
                "{at}.batch.exporter.zipkin: Zipkin takes OTLP by itself: use otlp_http with its endpoint"
            ),
        ),
        (
            "[{batch: {exporter: {telegraph: }}}]",
            format!(
                "{at}.batch.exporter.telegraph: this crate has no such exporter: it has otlp_http, otlp_grpc, otlp_file/development and console"
            ),
        ),
    ] {
        says(&format!("file_format: '1.0'\ntracer_provider:\n  processors: {bad}"), &[&expected]);
    }
}

#[test]
fn resource_detectors() {
    use ResourceDetectorKind::{Container, Host, Os, Process, Service};
    let of = |text: &str| {
        right(&format!("file_format: '1.0'\nresource:\n  schema_url:\n{text}")).settings.detectors
    };
    assert_eq!(right("file_format: '1.0'").settings.detectors, None);
    assert_eq!(of(""), Some(vec![]));
    assert_eq!(of("  detection/development: {}"), Some(vec![]));
    assert_eq!(
        of(
            "  detection/development: {detectors: [{container: }, {host: {}}, {process: }, {service: }]}"
        ),
        Some(vec![Container, Host, Os, Process, Service])
    );
    says(
        "file_format: '1.0'\nresource:\n  detection/development:\n    attributes: {included: ['a*']}\n    detectors:\n      - jvm:\n",
        &[
            "otel.yaml:4: resource.detection/development.attributes is not supported: every \
             detected attribute is kept",
            "otel.yaml:6: resource.detection/development.detectors[0].jvm is no detector of this \
             crate",
        ],
    );
}
