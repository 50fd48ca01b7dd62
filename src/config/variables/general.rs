//! General configuration, samplers, propagators and the choice of exporters.

use super::super::choice::choices;
use super::super::exporter::ExporterName;
use super::super::parse::{self, Level};
use super::super::propagator::PropagatorKind;
use super::super::resource;
use super::super::sampler::{self, SamplerName};
use super::{Kind, Owner, Row, Variable, variables};

variables! {
    CONFIG_FILE: String = "OTEL_CONFIG_FILE" {
        parse: parse::text,
        kind: String,
        owner: if cfg!(feature = "config-file") {
            Owner::Specification
        } else {
            Owner::Unsupported("declarative configuration needs the feature config-file")
        },
        default: "none",
        meaning: "a declarative configuration, in place of the specification's other variables \
                  (feature `config-file`)",
        code: "`Setup::with_config_file`",
    }
    SDK_DISABLED: bool = "OTEL_SDK_DISABLED" {
        parse: parse::flag,
        kind: Boolean,
        default: "`false`",
        meaning: "nothing is recorded; log lines and propagation go on",
        code: "[`Setup::with_sdk_disabled`]",
    }
    SERVICE_NAME: String = "OTEL_SERVICE_NAME" {
        parse: resource::service_name,
        kind: String,
        default: "that of the code",
        meaning: "`service.name` of the resource",
        code: "[`Setup::new`]",
    }
    RESOURCE_ATTRIBUTES: Vec<(String, String)> = "OTEL_RESOURCE_ATTRIBUTES" {
        parse: resource::pairs,
        kind: Pairs,
        default: "none",
        meaning: "attributes of the resource, values percent-encoded",
        code: "[`Setup::with_resource_attribute`]",
    }
    LOG_LEVEL: Level = "OTEL_LOG_LEVEL" {
        parse: parse::level,
        kind: Enum,
        default: "`info`",
        meaning: "the least that this crate says of itself: `none`, `error`, `warn`, `info`, `debug`",
        code: "[`Setup::with_diagnostics_level`]",
    }
    PROPAGATORS: Vec<PropagatorKind> = "OTEL_PROPAGATORS" {
        parse: choices,
        kind: List,
        default: "`tracecontext,baggage`",
        meaning: "how context crosses processes: `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, \
                  `xray`, `none`",
        code: "[`Setup::with_propagator`]",
    }
    TRACES_SAMPLER: SamplerName = "OTEL_TRACES_SAMPLER" {
        parse: sampler::name,
        kind: Enum,
        default: "`parentbased_always_on`",
        meaning: "which traces are recorded: `always_on`, `always_off`, `traceidratio`, of this crate's \
                  own `consistent` and `rate_limited`, or one of them under `parentbased_`",
        code: "[`Setup::with_sampler`]",
    }
    TRACES_SAMPLER_ARG: String = "OTEL_TRACES_SAMPLER_ARG" {
        parse: parse::text,
        kind: String,
        default: "`1`; `100`",
        meaning: "of `traceidratio` and `consistent`: the share of traces that is recorded, from 0 to 1; \
                  of `rate_limited`: traces a second",
        code: "[`Sampler::ratio`], [`Sampler::consistent`], [`Sampler::rate_limited`]",
    }
    TRACES_EXPORTER: Vec<ExporterName> = "OTEL_TRACES_EXPORTER" {
        parse: choices,
        kind: List,
        default: "`otlp` if an OTLP endpoint is set, else `console`",
        meaning: "where spans go: `console`, `tree`, `otlp`, `otlp_file`, `none`, and OTLP to the intake of \
                  `jaeger`, `zipkin`, `datadog`",
        code: "[`Setup::with_exporter`]",
    }
}
