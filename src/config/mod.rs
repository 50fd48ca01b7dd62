//! What was asked for: plain data, no SDK types, and one precedence.
//!
//! Explicit code comes first, then the environment, then the configuration file, then the default.
//! An empty variable is unset; a value that cannot be used is reported and ignored, or is an error
//! under `strict`. The table in `variables` is what is read, documented and explained.

mod batch;
mod choice;
mod detectors;
mod env;
mod explain;
mod exporter;
#[cfg(feature = "config-file")]
mod file;
mod findings;
mod limits;
mod log_format;
#[cfg(not(feature = "config-file"))]
mod no_file;
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
mod otlp;
mod parse;
mod propagator;
mod resolver;
mod resource;
mod sampler;
mod value;
mod variables;

use std::time::Duration;

pub use batch::BatchSettings;
pub(crate) use batch::{Batch, LEAST_SCHEDULE_DELAY, delay_of_one};
pub use detectors::ResourceDetectorKind;
pub(crate) use env::Env;
pub(crate) use explain::Sourced;
pub use explain::{Effective, Explanation, Ignored, Source};
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
pub(crate) use exporter::Intake;
pub(crate) use exporter::{ExporterKind, exporters};
#[cfg(feature = "config-file")]
pub(crate) use file::ConfigFile;
pub(crate) use findings::Findings;
pub(crate) use limits::LimitSettings;
pub use limits::SpanLimits;
pub use log_format::LogFormat;
#[cfg(not(feature = "config-file"))]
pub(crate) use no_file::ConfigFile;
#[cfg(all(
    any(feature = "tls", feature = "config-file"),
    any(feature = "otlp-http", feature = "otlp-grpc")
))]
pub(crate) use otlp::ClientCertificate;
#[cfg(all(feature = "config-file", any(feature = "otlp-http", feature = "otlp-grpc")))]
pub(crate) use otlp::Origin;
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
pub(crate) use otlp::{Backend, OtlpConfig, OtlpSettings};
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
pub use otlp::{Compression, Protocol};
pub(crate) use parse::Level;
pub(crate) use propagator::{PropagatorKind, propagators};
pub(crate) use resolver::Resolver;
#[cfg(feature = "config-file")]
pub(crate) use sampler::{AttributeRule, ParentPlace, SamplingRule, SpanKindName};
pub(crate) use sampler::{ParentBasedConfig, SamplerConfig, sampler};
pub use value::AttributeValue;
pub(crate) use variables::{
    LOG_FILTER, PROPAGATORS, Row, TRACE_FILTER, TRACES_EXPORTER, TRACES_SAMPLER,
};

use self::resolver::Said;
use self::variables::{
    EXPLAIN, FLUSH_TIMEOUT, HTTP_KNOWN_METHODS, LOG_FORMAT, LOG_LEVEL, NO_COLOR, SDK_DISABLED,
    Variable,
};
use crate::error::Severity;

/// What one source, the code or a file, says; everything that it leaves open is `None`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// The code's alone, and the one exception to the precedence: a default.
    pub(crate) service_name: String,
    pub(crate) resource_attributes: Vec<(String, AttributeValue)>,
    /// The file's alone.
    pub(crate) schema_url: Option<String>,
    pub(crate) detectors: Option<Vec<ResourceDetectorKind>>,
    pub(crate) disabled: Option<bool>,
    pub(crate) diagnostics: Option<Level>,
    pub(crate) propagators: Option<Vec<PropagatorKind>>,
    pub(crate) log_filter: Option<String>,
    pub(crate) trace_filter: Option<String>,
    pub(crate) log_format: Option<LogFormat>,
    pub(crate) no_color: Option<bool>,
    pub(crate) flush_timeout: Option<Duration>,
    pub(crate) batch: BatchSettings,
    pub(crate) limits: SpanLimits,
    /// Whether variables that cannot be used are errors.
    pub(crate) strict: bool,
}

/// Every effective setting, but for exporters, samplers and propagators.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// Of the resource, each key once, `service.name` included.
    pub(crate) resource_attributes: Vec<(String, AttributeValue)>,
    pub(crate) schema_url: Option<String>,
    pub(crate) disabled: bool,
    /// The least that our own voice says; `None` is silence.
    pub(crate) diagnostics: Option<Severity>,
    pub(crate) log_filter: Sourced<String>,
    pub(crate) trace_filter: Sourced<String>,
    pub(crate) log_format: LogFormat,
    /// Where nobody has said: colours on a terminal.
    pub(crate) no_color: Option<bool>,
    pub(crate) flush_timeout: Duration,
    pub(crate) batch: Batch,
    pub(crate) limits: LimitSettings,
    /// Whether to print the explanation at the start.
    pub(crate) explain: bool,
}

impl Config {
    /// What is wrong is found, wherever it stands.
    pub(crate) fn resolve(r: &mut Resolver<'_>) -> Self {
        let filter = |said, variable: &'static Variable<String>, r: &mut Resolver<'_>| {
            r.setting(said, &[variable], DEFAULT_FILTER.to_owned())
        };
        let info = Level(Some(Severity::Info));
        // the integrations, which know nothing of a setup, read it for themselves
        r.setting(Said::in_code(None), &[&HTTP_KNOWN_METHODS], KNOWN_METHODS.to_owned());
        Self {
            schema_url: r.file.and_then(|file| file.schema_url.clone()),
            disabled: r.setting(r.said(|s| s.disabled), &[&SDK_DISABLED], false).value,
            resource_attributes: resource::attributes(r),
            batch: Batch::resolve(r),
            limits: LimitSettings::resolve(r),
            log_filter: filter(r.said(|s| s.log_filter.clone()), &LOG_FILTER, r),
            trace_filter: filter(r.said(|s| s.trace_filter.clone()), &TRACE_FILTER, r),
            log_format: r
                .setting(r.said(|s| s.log_format), &[&LOG_FORMAT], LogFormat::default())
                .value,
            no_color: r
                .optional(r.said(|s| s.no_color), &[&NO_COLOR], "colours on a terminal")
                .map(|no_color| no_color.value)
                .or_else(|| r.is_dumb().then_some(true)),
            flush_timeout: r
                .setting(r.said(|s| s.flush_timeout), &[&FLUSH_TIMEOUT], DEFAULT_FLUSH_TIMEOUT)
                .value,
            diagnostics: r.setting(r.said(|s| s.diagnostics), &[&LOG_LEVEL], info).value.0,
            explain: r.setting(Said::in_code(None), &[&EXPLAIN], false).value,
        }
    }
}

pub(crate) const DEFAULT_FILTER: &str = "info";
const KNOWN_METHODS: &str = "CONNECT,DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,QUERY,TRACE";
const DEFAULT_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
