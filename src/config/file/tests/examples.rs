//! Whole files, of the kinds that the schema's repository has for a start.

use std::ffi::OsString;
use std::time::Duration;

use super::super::FileConfig;
use super::right;
use crate::config::{
    Compression, Env, ExporterKind, OtlpSettings, PropagatorKind, Protocol, SamplerConfig,
    SpanLimits,
};

fn otlp(config: &FileConfig) -> &OtlpSettings {
    let exporters = &config.traces.as_ref().expect("it has traces").exporters;
    match &exporters[0].kind {
        ExporterKind::OtlpOf(settings) => settings,
        other => panic!("{other:?} is not OTLP"),
    }
}

/// Everything said, most of it as it is by default, and much of it as nothing.
const COMPREHENSIVE: &str = r#"
file_format: "1.1"
disabled: false
log_level: info
resource:
  attributes:
    - name: service.name
      value: unknown_service
attribute_limits:
  attribute_value_length_limit:
  attribute_count_limit: 128
propagator:
  composite:
    - tracecontext:
    - baggage:
tracer_provider:
  processors:
    - batch:
        schedule_delay: 5000
        export_timeout: 30000
        max_queue_size: 2048
        max_export_batch_size: 512
        exporter:
          otlp_http:
            endpoint: http://localhost:4318/v1/traces
            tls:
              ca_file:
              key_file:
              cert_file:
            headers_list:
            compression: gzip
            timeout: 10000
            encoding: protobuf
  limits:
    attribute_value_length_limit:
    attribute_count_limit: 128
    event_count_limit: 128
    link_count_limit: 128
    event_attribute_count_limit: 128
    link_attribute_count_limit: 128
  sampler:
    parent_based:
      root:
        always_on:
      remote_parent_sampled:
        always_on:
      remote_parent_not_sampled:
        always_off:
      local_parent_sampled:
        always_on:
      local_parent_not_sampled:
        always_off:
"#;

#[test]
fn a_comprehensive_file() {
    let config = right(COMPREHENSIVE);
    let sampler = config.traces.as_ref().and_then(|traces| traces.sampler.clone());
    let Some(SamplerConfig::ParentBased(parts)) = sampler else { panic!("{sampler:?}") };
    assert_eq!(parts.root, SamplerConfig::AlwaysOn);
    assert_eq!(parts.remote_parent_sampled, Some(SamplerConfig::AlwaysOn));
    assert_eq!(parts.local_parent_not_sampled, Some(SamplerConfig::AlwaysOff));
    let all = SpanLimits::new().with_attributes(128).with_events(128).with_links(128);
    let all = all.with_attributes_per_event(128).with_attributes_per_link(128);
    assert_eq!(config.settings.limits, all);
    let settings = otlp(&config);
    assert_eq!(settings.protocol, Some(Protocol::HttpProtobuf));
    assert_eq!(settings.compression, Some(Compression::Gzip));
    assert_eq!(settings.endpoint.as_deref(), Some("http://localhost:4318/v1/traces"));
    assert_eq!(settings.timeout, Some(Duration::from_secs(10)));
    assert_eq!((&settings.certificate, &settings.client_certificate), (&None, &None));
}

/// For a program that was configured by variables: each that fits into the schema, and its default.
const MIGRATION: &str = r#"
file_format: "1.2"
stability: development
disabled: ${OTEL_SDK_DISABLED:-false}
resource:
  attributes:
    - name: service.name
      value: ${OTEL_SERVICE_NAME:-unknown_service}
  attributes_list: ${OTEL_RESOURCE_ATTRIBUTES}
attribute_limits:
  attribute_value_length_limit: ${OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT}
  attribute_count_limit: ${OTEL_ATTRIBUTE_COUNT_LIMIT:-128}
propagator:
  composite_list: ${OTEL_PROPAGATORS:-tracecontext,baggage}
tracer_provider:
  processors:
    - batch:
        schedule_delay: ${OTEL_BSP_SCHEDULE_DELAY:-5000}
        exporter:
          otlp_http:
            endpoint: ${OTEL_EXPORTER_OTLP_ENDPOINT:-http://localhost:4318}/v1/traces
            tls:
              ca_file: ${OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE}
            compression: ${OTEL_EXPORTER_OTLP_TRACES_COMPRESSION:-gzip}
            timeout: ${OTEL_EXPORTER_OTLP_TRACES_TIMEOUT:-10000}
            headers_list: ${OTEL_EXPORTER_OTLP_TRACES_HEADERS}
  limits:
    event_count_limit: ${OTEL_SPAN_EVENT_COUNT_LIMIT:-128}
"#;

#[test]
fn a_file_for_migration_without_variables_is_all_defaults() {
    let config = right(MIGRATION);
    let both = [PropagatorKind::TraceContext, PropagatorKind::Baggage];
    assert_eq!(config.settings.propagators.as_deref(), Some(&both[..]));
    assert_eq!(config.settings.disabled, Some(false));
    let name = ("service.name".to_owned(), "unknown_service".into());
    assert_eq!(config.settings.resource_attributes, [name]);
    let settings = otlp(&config);
    assert_eq!(settings.endpoint.as_deref(), Some("http://localhost:4318/v1/traces"));
    assert_eq!(settings.headers, []);
}

#[test]
fn a_file_for_migration_takes_each_variable() {
    let variables = [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_SERVICE_NAME", "shop"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9"),
        ("OTEL_PROPAGATORS", "baggage"),
        ("OTEL_BSP_SCHEDULE_DELAY", "7"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=x%20y"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "3"),
    ];
    let env = Env::new(move |name| {
        variables.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value))
    });
    let config = FileConfig::parse(MIGRATION, "otel.yaml", &env).expect("all of them fit");
    assert_eq!(config.settings.disabled, Some(true));
    let attributes = [("a".to_owned(), "b".into()), ("service.name".to_owned(), "shop".into())];
    assert_eq!(config.settings.resource_attributes, attributes);
    assert_eq!(config.settings.propagators.as_deref(), Some(&[PropagatorKind::Baggage][..]));
    let limits = SpanLimits::new().with_attribute_value_length(9).with_attributes(128);
    assert_eq!(config.settings.limits, limits.with_events(3));
    let settings = otlp(&config);
    assert_eq!(settings.endpoint.as_deref(), Some("http://collector:4318/v1/traces"));
    assert_eq!(settings.compression, Some(Compression::None));
    assert_eq!(settings.timeout, Some(Duration::from_millis(250)));
    assert_eq!(settings.headers, [("api-key".to_owned(), "x y".to_owned())]);
}
