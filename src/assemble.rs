//! From what was asked for to a stack: the one place that knows every room.

use std::time::Duration;

use opentelemetry::InstrumentationScope;

use crate::config::{
    self, Batch, Config, ConfigFile, DEFAULT_FILTER, Explanation, ExporterKind, Findings,
    LOG_FILTER, LimitSettings, PROPAGATORS, PropagatorKind, Resolver, Row, Source, Sourced,
    TRACE_FILTER, TRACES_EXPORTER, TRACES_SAMPLER,
};
use crate::diagnostics::Diagnostics;
use crate::error::{Error, Severity};
use crate::layer::{self, FilterHandle, LayerSpec, OtelKind, Purpose, Unsampled};
use crate::pipeline::{
    self, BatchConfig, Destination, Exporter, Limits, Pipeline, PipelineSpec, Sampler,
};
use crate::propagation::{Propagator, TextMapPropagator as _};
use crate::setup::Setup;
use crate::stack::Stack;

/// Builds everything; touches nothing that is global.
pub(crate) fn stack(setup: Setup) -> Result<Stack, Error> {
    let file = setup.file();
    let mut resolver = Resolver::new(&setup.code, file.settings(), &setup.env);
    let Settled { config, log_filter, trace_filter, exporters, sampler, propagator } =
        settle(&setup, &file, &mut resolver);
    let own = setup.exporters.into_iter().map(|exporter| (exporter, None));
    let chosen = if own.len() == 0 { exporters } else { own.collect() };
    let chosen = if config.disabled { Vec::new() } else { chosen };
    let exporters = open(chosen, &mut resolver)?;
    resolver.find_unused();

    let diagnostics = match setup.diagnostics {
        Some(sink) => Diagnostics::to(config.diagnostics, sink),
        None => Diagnostics::stderr(config.diagnostics),
    };
    if config.explain {
        diagnostics.print(Severity::Info, &resolver.explanation().to_string());
    }
    report(&resolver.findings, setup.code.strict, &diagnostics)?;
    let (Some(log_filter), Some(trace_filter)) = (log_filter, trace_filter) else {
        unreachable!("a filter that cannot be had has been refused");
    };

    let otel = if setup.stock_layer {
        OtelKind::Stock
    } else {
        let unsampled = Unsampled {
            skips_children_of_own: sampler.repeats_itself(),
            skips_children_of_any: sampler.obeys_parent(),
        };
        OtelKind::Own { detail: setup.span_detail, unsampled }
    };
    let pipeline = Pipeline::start(PipelineSpec {
        resource: pipeline::resource(&config.resource_attributes, config.schema_url.as_deref()),
        sampler: Box::new(sampler),
        exporters,
        processors: setup.processors,
        batch: batch(&config.batch),
        limits: limits(&config.limits),
        diagnostics: diagnostics.clone(),
    })?;
    let dispatch = layer::subscriber(LayerSpec {
        tracer: (!config.disabled).then(|| pipeline.tracer(scope)),
        otel,
        trace_filter: trace_filter.clone(),
        user_layers: setup.layers,
        log_format: config.log_format,
        log_filter: log_filter.clone(),
        colour: layer::stderr_wants_colour(config.no_color),
        #[cfg(feature = "testing")]
        observer: setup.observer,
    });
    Ok(Stack {
        dispatch,
        pipeline,
        disabled: config.disabled,
        propagator,
        log_filter,
        trace_filter,
        flush_timeout: config.flush_timeout,
        diagnostics,
    })
}

/// What [`stack`] would do, and nothing done.
pub(crate) fn explain(setup: &Setup) -> Explanation {
    let file = setup.file();
    let mut resolver = Resolver::new(&setup.code, file.settings(), &setup.env);
    let settled = settle(setup, &file, &mut resolver);
    let others = settled.exporters.iter().map(|(exporter, _)| exporter);
    for exporter in setup.exporters.iter().chain(others) {
        exporter.explain(&mut resolver);
    }
    resolver.find_unused();
    resolver.explanation()
}

/// What both of them need: nothing opened, and what is wrong only found.
struct Settled {
    config: Config,
    log_filter: Option<FilterHandle>,
    trace_filter: Option<FilterHandle>,
    /// Of variables or a file, where the code has none, and the delays of their own.
    exporters: Vec<(Exporter, Option<Duration>)>,
    /// Of the code, or else of variables or a file.
    sampler: Sampler,
    propagator: Propagator,
}

fn settle(setup: &Setup, file: &ConfigFile, r: &mut Resolver<'_>) -> Settled {
    file.tell(r);
    let mut config = Config::resolve(r);
    config.disabled |= file.records_nothing() && setup.code.disabled.is_none();
    let sampler = if let Some(sampler) = &setup.sampler {
        r.settle_in_code(&TRACES_SAMPLER.row, sampler.to_string());
        sampler.clone()
    } else if let Some(sampler) = file.sampler().map(Sampler::from) {
        r.settle(&TRACES_SAMPLER.row, sampler.to_string(), Source::File);
        sampler
    } else {
        config::sampler(r).into()
    };
    let propagator = match &setup.propagator {
        Some(propagator) => {
            let fields: Vec<_> = propagator.fields().collect();
            r.settle_in_code(&PROPAGATORS.row, fields.join(","));
            propagator.clone()
        }
        None => propagator(&config::propagators(r)),
    };
    let exporters = if !setup.exporters.is_empty() {
        let names: Vec<_> = setup.exporters.iter().map(Exporter::name).collect();
        r.settle_in_code(&TRACES_EXPORTER.row, names.join(","));
        Vec::new()
    } else if let Some(exporters) = file.exporters() {
        of_file(exporters, setup, r)
    } else {
        let kinds = config::exporters(r).into_iter();
        kinds.map(|kind| (Exporter::from(kind), None)).collect()
    };
    r.find_unsupported();
    Settled {
        log_filter: filter(Purpose::Logs, &config.log_filter, &LOG_FILTER.row, r),
        trace_filter: filter(Purpose::Traces, &config.trace_filter, &TRACE_FILTER.row, r),
        config,
        exporters,
        sampler,
        propagator,
    }
}

/// A delay in code is for all of them.
fn of_file(
    exporters: Vec<(ExporterKind, Option<Duration>)>,
    setup: &Setup,
    r: &mut Resolver<'_>,
) -> Vec<(Exporter, Option<Duration>)> {
    let exporters: Vec<_> = exporters
        .into_iter()
        .map(|(kind, delay)| {
            let delay = delay.filter(|_| !setup.code.batch.has_schedule_delay());
            (Exporter::from(kind), delay.map(|delay| config::delay_of_one(delay, r)))
        })
        .collect();
    let names: Vec<_> = exporters.iter().map(|(exporter, _)| exporter.name()).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(",") };
    r.settle(&TRACES_EXPORTER.row, names, Source::File);
    exporters
}

/// All of them, so that all that is wrong is told at once.
fn open(
    exporters: Vec<(Exporter, Option<Duration>)>,
    r: &mut Resolver<'_>,
) -> Result<Vec<Destination>, Error> {
    let mut opened = Vec::new();
    for (exporter, schedule_delay) in exporters {
        match exporter.open(r) {
            Ok(exporter) => {
                opened.extend(exporter.map(|exporter| Destination { exporter, schedule_delay }));
            }
            Err(error) => r.findings.refused_with(error)?,
        }
    }
    Ok(opened)
}

/// A filter in code that does not parse is an error; one in a variable is found, and the default
/// is used.
fn filter(
    purpose: Purpose,
    setting: &Sourced<String>,
    row: &Row,
    r: &mut Resolver<'_>,
) -> Option<FilterHandle> {
    match FilterHandle::new(purpose, &setting.value) {
        Ok(filter) => return Some(filter),
        Err(wrong) if setting.source == Source::Code => r.findings.refused("", wrong.to_string()),
        Err(wrong) => {
            let instead = format!("`{DEFAULT_FILTER}` is used");
            r.replace(row, &wrong.to_string(), DEFAULT_FILTER, &instead);
        }
    }
    FilterHandle::new(purpose, DEFAULT_FILTER).ok()
}

/// Says what was found, and returns what of it is an error.
fn report(findings: &Findings, strict: bool, diagnostics: &Diagnostics) -> Result<(), Error> {
    for warning in findings.warnings(strict) {
        diagnostics.say_once(Severity::Warning, format_args!("{warning}"));
    }
    findings.error(strict).map_or(Ok(()), Err)
}

fn batch(settings: &Batch) -> BatchConfig {
    BatchConfig {
        schedule_delay: settings.schedule_delay,
        export_timeout: settings.export_timeout,
        max_queue_size: settings.max_queue_size,
        max_queue_bytes: settings.max_queue_bytes,
        max_export_batch_size: settings.max_export_batch_size,
    }
}

fn limits(settings: &LimitSettings) -> Limits {
    Limits {
        attribute_value_length: settings.attribute_value_length,
        attributes: settings.attributes,
        events: settings.events,
        links: settings.links,
        attributes_per_event: settings.attributes_per_event,
        attributes_per_link: settings.attributes_per_link,
        ..Limits::default()
    }
}

fn propagator(kinds: &[PropagatorKind]) -> Propagator {
    Propagator::composite(kinds.iter().map(|kind| match kind {
        PropagatorKind::TraceContext => Propagator::trace_context(),
        PropagatorKind::Baggage => Propagator::baggage(),
        PropagatorKind::B3 => Propagator::b3(),
        PropagatorKind::B3Multi => Propagator::b3_multi(),
        PropagatorKind::Jaeger => Propagator::jaeger(),
        PropagatorKind::XRay => Propagator::xray(),
    }))
}

/// Whose spans the `tracing` macros make, in OpenTelemetry's words.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}
