//! The front door: `setup_tracing`, and the builder behind it.

use std::ffi::OsString;
use std::fmt;
use std::panic::Location;
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry_sdk::trace::SpanProcessor;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::Registry;

use crate::assemble;
use crate::config::{
    AttributeValue, BatchSettings, ConfigFile, Env, Explanation, Level, LogFormat,
    ResourceDetectorKind, Settings, SpanLimits,
};
use crate::error::{Error, Severity};
use crate::global;
use crate::guard::Guard;
use crate::layer::{SpanDetail, UserLayer};
use crate::pipeline::{Exporter, Sampler};
use crate::propagation::Propagator;
use crate::stack::Stack;

/// Sets tracing up for the whole process: one call, in `main`.
///
/// After it, the ordinary `tracing` macros anywhere make OpenTelemetry traces, and
/// `opentelemetry::global::tracer` anywhere gives a tracer of the same provider. With nothing
/// configured, finished spans are printed on stdout, and events become log lines on stderr. For
/// production set `OTEL_EXPORTER_OTLP_ENDPOINT`, or use [`Setup`] with
/// [`Exporter::otlp`].
///
/// `service_name` is what backends show; `OTEL_SERVICE_NAME` overrides it.
///
/// # A second call
///
/// It costs an atomic load and returns a guard on the first setup; the first one decides
/// everything. If it asks for another service name, one warning on stderr says where the first was.
/// Of several threads that call at once, exactly one sets up, and all get a guard on that.
///
/// # Errors
///
/// Nothing global has been touched when an error comes back, and the call can be repeated:
///
/// - [`is_config`](Error::is_config): a setting cannot be used (an empty service name, say);
/// - [`is_foreign_subscriber`](Error::is_foreign_subscriber): somebody else has set the global
///   subscriber;
/// - [`is_reentrant`](Error::is_reentrant): called by something that setup is running.
///
/// ```
/// use tracing::{info, instrument};
///
/// #[instrument]
/// fn greet(name: &str) {
///     info!("hello");
/// }
///
/// fn main() -> Result<(), otel_setup::Error> {
///     let _guard = otel_setup::setup_tracing("my-service")?;
///     greet("world");
///     Ok(())
/// }
/// ```
#[inline]
#[track_caller]
pub fn setup_tracing(service_name: &str) -> Result<Guard, Error> {
    let location = Location::caller();
    if let Some(installed) = global::installed() {
        installed.shared_with(service_name, location);
        return Ok(Guard::of(installed));
    }
    first_setup(service_name, location)
}

#[cold]
fn first_setup(service_name: &str, location: &'static Location<'static>) -> Result<Guard, Error> {
    let (installed, won) = Setup::new(service_name).install(location)?;
    if !won {
        installed.shared_with(service_name, location);
    }
    Ok(Guard::of(installed))
}

/// Everything that can be chosen, and then [`init`](Self::init) or [`build`](Self::build).
///
/// What is set here comes first, then the environment, then the default: an operator's variables
/// fill what the code leaves open. The one exception is the service name, which is a default that
/// `OTEL_SERVICE_NAME` overrides.
///
#[cfg_attr(feature = "otlp-http", doc = "```no_run")]
#[cfg_attr(not(feature = "otlp-http"), doc = "```ignore")]
/// use otel_setup::{Exporter, Sampler, Setup};
///
/// # fn main() -> Result<(), otel_setup::Error> {
/// let _guard = Setup::new("checkout")
///     .with_service_version(env!("CARGO_PKG_VERSION"))
///     .with_exporter(Exporter::otlp())
///     .with_sampler(Sampler::ratio(0.1))
///     .init()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is set up before `init` or `build`"]
pub struct Setup {
    pub(crate) code: Settings,
    pub(crate) env: Env,
    pub(crate) exporters: Vec<Exporter>,
    pub(crate) sampler: Option<Sampler>,
    pub(crate) propagator: Option<Propagator>,
    pub(crate) processors: Vec<Box<dyn SpanProcessor>>,
    pub(crate) layers: Vec<UserLayer>,
    pub(crate) span_detail: SpanDetail,
    pub(crate) stock_layer: bool,
    pub(crate) diagnostics: Option<Box<DiagnosticsSink>>,
    config_file: Option<PathBuf>,
    pub(crate) exits: global::Exits,
    #[cfg(feature = "testing")]
    pub(crate) observer: Option<std::sync::Arc<dyn crate::layer::Observer>>,
}

type DiagnosticsSink = dyn Fn(Severity, &str) + Send + Sync;

impl Setup {
    /// A setup with everything at its default. `OTEL_SERVICE_NAME` overrides `service_name`.
    pub fn new(service_name: &str) -> Self {
        let code = Settings { service_name: service_name.to_owned(), ..Default::default() };
        Self {
            code,
            env: Env::process(),
            exporters: Vec::new(),
            sampler: None,
            propagator: None,
            processors: Vec::new(),
            layers: Vec::new(),
            span_detail: SpanDetail::default(),
            stock_layer: false,
            diagnostics: None,
            config_file: None,
            exits: global::Exits::default(),
            #[cfg(feature = "testing")]
            observer: None,
        }
    }

    /// `service.version` of the resource; by default there is none.
    pub fn with_service_version(self, version: impl Into<String>) -> Self {
        self.with_resource_attribute("service.version", version.into())
    }

    /// `service.namespace` of the resource, which sets services of the same name apart; by default
    /// there is none.
    pub fn with_service_namespace(self, namespace: impl Into<String>) -> Self {
        self.with_resource_attribute("service.namespace", namespace.into())
    }

    /// An attribute of the resource, which every span carries. Of the same key twice, the last
    /// counts, and what is set here counts more than `OTEL_RESOURCE_ATTRIBUTES` (a `service.name`
    /// also more than `OTEL_SERVICE_NAME`, which [`Setup::new`]'s name does not).
    pub fn with_resource_attribute(
        mut self,
        key: impl Into<String>,
        value: impl Into<AttributeValue>,
    ) -> Self {
        self.code.resource_attributes.push((key.into(), value.into()));
        self
    }

    /// What detects attributes of the resource: by default what finds something in containers and
    /// pods alone (`OTEL_RUST_RESOURCE_DETECTORS`, which is a list, `all` or `none`).
    ///
    /// The default is silent elsewhere: a console on somebody's own machine stays readable, and no
    /// host's name, user or path leaves a machine unasked. What is detected gives way to everything
    /// that is said of the same key.
    ///
    /// ```
    /// use otel_setup::{ResourceDetectorKind as Detector, Setup};
    ///
    /// let setup = Setup::new("checkout")
    ///     .with_resource_detectors([Detector::Host, Detector::Process, Detector::Kubernetes]);
    /// # drop(setup.with_env(|_| None));
    /// ```
    pub fn with_resource_detectors(
        mut self,
        kinds: impl IntoIterator<Item = ResourceDetectorKind>,
    ) -> Self {
        self.code.detectors = Some(kinds.into_iter().collect());
        self
    }

    /// Where spans go. Called again, it adds a destination with a queue of its own. Never called,
    /// `OTEL_TRACES_EXPORTER` decides; that unset too, OTLP if an OTLP endpoint is set, and else
    /// the console.
    pub fn with_exporter(mut self, exporter: impl Into<Exporter>) -> Self {
        self.exporters.push(exporter.into());
        self
    }

    /// Which traces are recorded: by default all, unless a remote parent decided otherwise
    /// (`OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG`).
    pub fn with_sampler(mut self, sampler: impl Into<Sampler>) -> Self {
        self.sampler = Some(sampler.into());
        self
    }

    /// In which formats context crosses processes: by default W3C trace context and baggage
    /// (`OTEL_PROPAGATORS`).
    ///
    /// [`init`](Self::init) installs it as the global propagator.
    pub fn with_propagator(mut self, propagator: Propagator) -> Self {
        self.propagator = Some(propagator);
        self
    }

    /// How much each exporter queues and when it exports: what is open in `batch` comes from
    /// `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_BSP_EXPORT_TIMEOUT`, `OTEL_BSP_MAX_QUEUE_SIZE` and
    /// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, then from the defaults.
    pub fn with_batch(mut self, batch: BatchSettings) -> Self {
        self.code.batch = batch;
        self
    }

    /// How much one span may carry: what is open in `limits` comes from `OTEL_SPAN_*_LIMIT`,
    /// `OTEL_EVENT_*_LIMIT`, `OTEL_LINK_*_LIMIT` and `OTEL_ATTRIBUTE_*_LIMIT`, then from the
    /// defaults.
    pub fn with_span_limits(mut self, limits: SpanLimits) -> Self {
        self.code.limits = limits;
        self
    }

    /// Whether to record nothing at all (`OTEL_SDK_DISABLED`): `true` makes no spans and exports
    /// none, while log lines and propagation go on.
    pub fn with_sdk_disabled(mut self, disabled: bool) -> Self {
        self.code.disabled = Some(disabled);
        self
    }

    /// Which events become log lines, as directives: `info`, `warn,my_crate=debug`.
    ///
    /// `RUST_LOG` by default, and `info` if that is unset. Traces do not depend on it.
    pub fn with_log_filter(mut self, directives: impl Into<String>) -> Self {
        self.code.log_filter = Some(directives.into());
        self
    }

    /// Which spans and events are traced, as directives.
    ///
    /// `OTEL_RUST_TRACE_FILTER` by default, and `info` if that is unset. Directives on spans and
    /// fields (`[request{user=alice}]=debug`) work, but cost a look at every enter and exit.
    pub fn with_trace_filter(mut self, directives: impl Into<String>) -> Self {
        self.code.trace_filter = Some(directives.into());
        self
    }

    /// How log lines on stderr look: text by default (`OTEL_RUST_LOG_FORMAT`).
    pub fn with_log_format(mut self, format: LogFormat) -> Self {
        self.code.log_format = Some(format);
        self
    }

    /// Whether log lines have colours: by default on a terminal, unless `NO_COLOR` is set or `TERM` is
    /// `dumb`.
    pub fn with_color(mut self, color: bool) -> Self {
        self.code.no_color = Some(!color);
        self
    }

    /// Adds a layer of your own, beside ours and under no filter but its own.
    ///
    /// An unfiltered layer is interested in everything: every callsite of the program is then
    /// enabled. Give it a filter (`with_filter`) to keep disabled spans free.
    ///
    /// Where it panics as a span is made, entered, left or closed, the span goes on without it and the
    /// program too: unwinding from there would leave spans open. Where it panics over an event or a
    /// record, that unwinds into the program.
    pub fn with_layer(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// Adds a span processor, called before the exporters' own, on the thread that starts or ends
    /// the span.
    pub fn with_span_processor(mut self, processor: impl SpanProcessor + 'static) -> Self {
        self.processors.push(Box::new(processor));
        self
    }

    /// What each span tells beside its fields; by default nothing.
    pub fn with_span_detail(mut self, detail: SpanDetail) -> Self {
        self.span_detail = detail;
        self
    }

    /// Makes spans with tracing-opentelemetry's own layer in place of ours: an escape hatch, should
    /// ours stand in a program's way. It costs more, an unsampled span in particular, and
    /// [`with_span_detail`](Self::with_span_detail) has no effect on it.
    pub fn with_stock_layer(mut self) -> Self {
        self.stock_layer = true;
        self
    }

    /// How long dropping a guard may wait for the export of what is queued: five seconds by default
    /// (`OTEL_RUST_FLUSH_TIMEOUT`, in milliseconds).
    pub fn with_flush_timeout(mut self, timeout: Duration) -> Self {
        self.code.flush_timeout = Some(timeout);
        self
    }

    /// Flushes in the panic hook, behind the hook that is there: for `panic = "abort"`.
    ///
    /// Installed by [`init`](Self::init) only. Each panic then waits for the export, no longer than
    /// the flush timeout.
    pub fn with_flush_on_panic(mut self) -> Self {
        self.exits.panic = true;
        self
    }

    /// Records each panic inside a span on it, in the panic hook, behind the hook that is there.
    ///
    /// The span has an event `exception` with `exception.type` (`panic`), `exception.message`,
    /// `code.file.path` and `code.line.number`, with `exception.stacktrace` if `RUST_BACKTRACE` or
    /// `RUST_LIB_BACKTRACE` asks for backtraces; the attribute `error.type` (`panic`); and the status
    /// Error. A panic that is caught counts as well. Installed by [`init`](Self::init) only,
    /// and for a capture of its own in tests (`testing::capture_with`).
    ///
    /// With `panic = "abort"` the span itself never ends, so it is not exported.
    pub fn with_panic_events(mut self) -> Self {
        self.exits.panic_events = true;
        self
    }

    /// Flushes when SIGTERM or SIGINT arrives, then lets the signal end the process.
    ///
    /// Installed by [`init`](Self::init) only. For programs that do not handle these signals
    /// themselves: one that does (`tokio::signal`) would be ended before its own handler is done;
    /// it holds the guard until after its graceful shutdown instead.
    #[cfg(feature = "signals")]
    pub fn with_flush_on_signals(mut self) -> Self {
        self.exits.signals = true;
        self
    }

    /// Turns every setting that cannot be used into an error, all of them reported at once, where
    /// a variable would otherwise be warned about and ignored.
    ///
    /// An error is what is wrong whoever reads it: a value that does not parse or is out of range, a
    /// name that is not known, a feature that is off, a variable that no longer exists, an argument
    /// (`OTEL_TRACES_SAMPLER_ARG`) that the chosen sampler does not take, and in a configuration
    /// file an option that this crate does not have.
    ///
    /// No error is a variable that is right and has no effect *here*: one that the code, a narrower
    /// variable or a configuration file comes before, one of an exporter that is not in use, one of
    /// metrics or log records. Variables are set for whole fleets, and the specification itself has
    /// most of them ignored where there is a configuration file; a program that refused to start
    /// for that could not be deployed beside others. [`explain`](Self::explain) names each, with its
    /// reason. Nor is it an error when a machine is to blame, as when a resource detector has not
    /// answered in time: that is a warning as ever. What a variable that is not looked at holds is
    /// not looked at either: a bad value hidden by the code is no error.
    pub fn strict(mut self) -> Self {
        self.code.strict = true;
        self
    }

    /// Reads a declarative configuration (`OTEL_CONFIG_FILE`), YAML in OpenTelemetry's configuration
    /// schema 1.x, for all that the code leaves open.
    ///
    /// In its place the specification's other variables count for nothing, but for those that it
    /// refers to, as in `${NAME}` and `${NAME:-default}`. This crate's own (`OTEL_RUST_*`) and
    /// `RUST_LOG` go on working, since the schema has no word for what they do. As the schema has
    /// it, nothing propagates without a `propagator`, and nothing is recorded without a
    /// `tracer_provider`.
    ///
    /// Read are `disabled`, `log_level`, `attribute_limits`, `resource` (with its detectors), `propagator` and
    /// `tracer_provider`: batch and simple processors, the exporters `otlp_http`, `otlp_grpc`,
    /// `otlp_file/development` and `console`, limits, and samplers, those of
    /// `probability/development` and `composite/development` included. A file that is missing, is not
    /// a regular file (a pipe, a device) or does not conform is an error of the setup, with each line
    /// that is wrong; what is for others (`meter_provider`) is named in a warning. It may have 1 MiB,
    /// and 16 MiB where its aliases are expanded.
    ///
    /// ```
    /// use otel_setup::Setup;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::env::temp_dir().join(format!("otel-setup-doc-{}.yaml", std::process::id()));
    /// let file = r#"
    /// file_format: "1.0"
    /// propagator:
    ///   composite: [{tracecontext: }, {baggage: }]
    /// tracer_provider:
    ///   processors:
    ///     - batch: {exporter: {console: }}
    ///   sampler:
    ///     parent_based: {root: {trace_id_ratio_based: {ratio: 0.1}}}
    /// "#;
    /// std::fs::write(&path, file)?;
    /// let stack = Setup::new("checkout").with_config_file(&path).build()?;
    /// # std::fs::remove_file(&path)?;
    /// # drop(stack);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "config-file")]
    pub fn with_config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config_file = Some(path.into());
        self
    }

    /// Looks variables up with `lookup` instead of in the process's environment.
    pub fn with_env(
        mut self,
        lookup: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Self {
        self.env = Env::new(lookup);
        self
    }

    /// Hands this crate's own messages (bad settings, lost spans) to `sink` instead of stderr.
    ///
    /// They are limited in rate and hold no secrets. `sink` is called from any thread, and must not
    /// use `tracing`: what it speaks of may be the reason why that does not work.
    pub fn with_diagnostics(
        mut self,
        sink: impl Fn(Severity, &str) + Send + Sync + 'static,
    ) -> Self {
        self.diagnostics = Some(Box::new(sink));
        self
    }

    /// The least that this crate says of itself, `None` being nothing: [`Severity::Info`] by default
    /// (`OTEL_LOG_LEVEL`).
    pub fn with_diagnostics_level(mut self, least: impl Into<Option<Severity>>) -> Self {
        self.code.diagnostics = Some(Level(least.into()));
        self
    }

    /// Every effective setting, where it came from, and what was ignored and why; nothing is built
    /// or opened for it. `OTEL_RUST_EXPLAIN=true` says the same on stderr when the stack is built.
    ///
    /// Secrets are not in it. Files of certificates are not read: what is wrong with them is found
    /// by [`build`](Self::build).
    ///
    /// ```
    /// use otel_setup::{Setup, Source};
    ///
    /// let explanation = Setup::new("checkout").with_sdk_disabled(true).explain();
    /// let found = explanation.settings().iter().find(|s| s.setting == "OTEL_SDK_DISABLED").unwrap();
    /// assert_eq!((found.value.as_str(), found.source), ("true", Source::Code));
    /// println!("{explanation}");
    /// ```
    pub fn explain(&self) -> Explanation {
        assemble::explain(self)
    }

    /// Builds the stack and touches nothing that is global.
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config) when a setting cannot be used.
    pub fn build(self) -> Result<Stack, Error> {
        assemble::stack(self)
    }

    /// Builds the stack and installs it for the whole process, if nobody has before.
    ///
    /// # Errors
    ///
    /// As [`setup_tracing`], and [`is_already_installed`](Error::is_already_installed) when there
    /// was a setup before, saying where. Nothing global has been touched then.
    #[track_caller]
    pub fn init(self) -> Result<Guard, Error> {
        match self.install(Location::caller())? {
            (installed, true) => Ok(Guard::of(installed)),
            (installed, false) => Err(installed.refusal()),
        }
    }

    /// The configuration file, read.
    pub(crate) fn file(&self) -> ConfigFile {
        let has_destinations = !self.exporters.is_empty() || !self.processors.is_empty();
        ConfigFile::load(self.config_file.as_deref(), &self.env, has_destinations)
    }

    fn install(
        self,
        location: &'static Location<'static>,
    ) -> Result<(&'static global::Installed, bool), Error> {
        let service_name = self.code.service_name.clone();
        global::install(&service_name, location, self.exits, || self.build())
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("service_name", &self.code.service_name)
            .field("exporters", &self.exporters)
            .finish_non_exhaustive()
    }
}
