//! The file that was asked for, and what it adds to the settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{FileConfig, FileExporter, Refused, Traces, Warning, shown};
use crate::config::env::Held;
use crate::config::resolver::Resolver;
use crate::config::variables::CONFIG_FILE;
use crate::config::{BatchSettings, Env, ExporterKind, SamplerConfig, Settings, Source};

/// The configuration file of a setup, if there is one.
#[derive(Debug, Default)]
pub(crate) struct ConfigFile(Option<Loaded>);

#[derive(Debug)]
struct Loaded {
    path: String,
    source: Source,
    /// Empty if the file is wrong: variables count for nothing even then.
    settings: Settings,
    traces: Option<Traces>,
    /// There is nowhere to export to, whether or not the file says that it is disabled.
    records_nothing: bool,
    errors: Vec<String>,
    /// Where, and what.
    warnings: Vec<(String, String)>,
    /// As warnings, and no mistakes.
    remarks: Vec<(String, String)>,
}

impl ConfigFile {
    /// That of the code, or that of the variable. Without a `tracer_provider` nothing is recorded,
    /// unless the code `has_destinations`.
    pub(crate) fn load(code: Option<&Path>, env: &Env, has_destinations: bool) -> Self {
        let name = CONFIG_FILE.row.name;
        let (path, source) = match (code, env.held(name), env.raw(name)) {
            (Some(path), ..) => (path.to_owned(), Source::Code),
            (None, Held::Text(path), _) => (PathBuf::from(path), Source::Variable(name)),
            // a path need not be UTF-8
            (None, Held::NotUtf8, Some(path)) => (PathBuf::from(path), Source::Variable(name)),
            _ => return Self::default(),
        };
        let mut loaded = match FileConfig::load(&path, env) {
            Ok(config) => Loaded::new(&path, source, config),
            Err(Refused { errors, warnings }) => {
                let mut loaded = Loaded { errors, ..Loaded::empty(&path, source) };
                loaded.warn(warnings);
                loaded
            }
        };
        if loaded.errors.is_empty() && loaded.traces.is_none() && !has_destinations {
            loaded.records_nothing = true;
            let is_said = loaded.settings.disabled.is_some();
            let said = *loaded.settings.disabled.get_or_insert(true);
            if !(is_said && said) {
                let what = "there is no tracer_provider, so nothing is recorded".to_owned();
                loaded.remarks.push((loaded.path.clone(), what));
            }
        }
        Self(Some(loaded))
    }

    pub(crate) fn settings(&self) -> Option<&Settings> {
        self.0.as_ref().map(|loaded| &loaded.settings)
    }

    /// Whether nothing is recorded, whatever it says of `disabled`.
    pub(crate) fn records_nothing(&self) -> bool {
        self.0.as_ref().is_some_and(|loaded| loaded.records_nothing)
    }

    /// Says where the settings are from, and what is wrong there.
    pub(crate) fn tell(&self, r: &mut Resolver<'_>) {
        let Some(loaded) = &self.0 else { return };
        if loaded.source == Source::Code {
            r.note_if_set(&CONFIG_FILE.row, "what the code says comes first");
        }
        r.settle(&CONFIG_FILE.row, &loaded.path, loaded.source);
        for error in &loaded.errors {
            r.findings.refused("", error);
        }
        for (place, what) in &loaded.warnings {
            r.findings.warned(place, what);
        }
        for (place, what) in &loaded.remarks {
            r.findings.told(place, what);
        }
        let exporters = loaded.traces.iter().flat_map(|traces| &traces.exporters);
        if exporters.into_iter().any(|exporter| exporter.is_simple) {
            r.findings.noted(&loaded.path, SIMPLE);
        }
    }

    pub(crate) fn sampler(&self) -> Option<SamplerConfig> {
        self.0.as_ref()?.traces.as_ref()?.sampler.clone()
    }

    /// Its exporters, with the delays that are theirs alone; nothing if there is no file.
    pub(crate) fn exporters(&self) -> Option<Vec<(ExporterKind, Option<Duration>)>> {
        let traces = self.0.as_ref()?.traces.as_ref();
        let exporters = traces.map_or(&[][..], |traces| &traces.exporters);
        let exporters = exporters.iter();
        let shared = self.0.as_ref()?.settings.batch.schedule_delay;
        Some(
            exporters
                .map(|exporter| {
                    (
                        exporter.kind.clone(),
                        exporter.batch.schedule_delay.filter(|_| shared.is_none()),
                    )
                })
                .collect(),
        )
    }
}

impl Loaded {
    fn empty(path: &Path, source: Source) -> Self {
        Self {
            path: shown(path),
            source,
            settings: Settings::default(),
            traces: None,
            records_nothing: false,
            errors: Vec::new(),
            warnings: Vec::new(),
            remarks: Vec::new(),
        }
    }

    fn warn(&mut self, warnings: Vec<Warning>) {
        for warning in warnings {
            let list = if warning.is_for_others { &mut self.remarks } else { &mut self.warnings };
            list.push((warning.place, warning.what));
        }
    }

    fn new(path: &Path, source: Source, config: FileConfig) -> Self {
        let mut loaded = Self::empty(path, source);
        loaded.settings = config.settings;
        loaded.warn(config.warnings);
        if let Some(traces) = &config.traces {
            let (batch, differs) = shared(&traces.exporters);
            loaded.settings.batch = batch;
            if differs {
                let what = "max_queue_size, max_export_batch_size and export_timeout differ \
                            between processors: here all have the greatest of each"
                    .to_owned();
                loaded.remarks.push((loaded.path.clone(), what));
            }
        }
        loaded.traces = config.traces;
        loaded
    }
}

/// What all exporters have in common, and whether the file wanted it otherwise. Delays that differ
/// are each exporter's own.
fn shared(exporters: &[FileExporter]) -> (BatchSettings, bool) {
    let mut differs = false;
    let mut delays = exporters.iter().map(|exporter| exporter.batch.schedule_delay);
    let delay = delays.next().flatten().filter(|first| delays.all(|other| other == Some(*first)));
    // zero is without end
    let endless = |timeout: Duration| if timeout.is_zero() { Duration::MAX } else { timeout };
    let (timeout, timeouts_differ) = greatest(
        exporters,
        |batch| batch.export_timeout.map(endless),
        |_| BatchSettings::EXPORT_TIMEOUT,
    );
    let (queue, queues_differ) =
        greatest(exporters, |batch| batch.max_queue_size, |_| BatchSettings::MAX_QUEUE_SIZE);
    let (size, sizes_differ) =
        greatest(exporters, |batch| batch.max_export_batch_size, BatchSettings::default_batch_size);
    differs |= timeouts_differ || queues_differ || sizes_differ;
    let timeout =
        timeout.map(|timeout| if timeout == Duration::MAX { Duration::ZERO } else { timeout });
    let batch = BatchSettings {
        schedule_delay: delay,
        export_timeout: timeout,
        max_queue_size: queue,
        max_queue_bytes: None,
        max_export_batch_size: size,
    };
    (batch, differs)
}

/// What no processor says is left to the default; what one does not say counts as its default
/// beside the others.
fn greatest<T: Ord + Copy>(
    exporters: &[FileExporter],
    of: impl Fn(&BatchSettings) -> Option<T>,
    default: impl Fn(&BatchSettings) -> T,
) -> (Option<T>, bool) {
    let batches = || exporters.iter().filter(|e| !e.is_simple).map(|e| &e.batch);
    if batches().all(|batch| of(batch).is_none()) {
        return (None, false);
    }
    let all: Vec<_> = batches().map(|b| of(b).unwrap_or_else(|| default(b))).collect();
    (all.iter().copied().max(), all.windows(2).any(|pair| pair[0] != pair[1]))
}

const SIMPLE: &str = "a simple processor is a batch that is exported at the latest after 10 ms, so \
                      that no thread of the program waits for an export";
