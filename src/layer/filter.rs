//! A per-layer filter whose rules can be exchanged while the program runs.
//!
//! `tracing_subscriber::reload` would do, at the cost of a shared lock on every enter, exit and
//! close; and wrapped around a layer it hides the layer from `OpenTelemetrySpanExt`. Here plain
//! level-and-target rules are decided once per callsite and never looked at again, and only
//! directives on spans or fields (`[span{field=value}]=debug`) cost something per span.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use parking_lot::ReentrantMutex;
use tracing::metadata::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber, span};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::error::Error;

/// The filter as a layer carries it.
pub(crate) struct SwapFilter(Arc<Shared>);

/// The same rules from outside: reads them, replaces them.
#[derive(Clone)]
pub(crate) struct FilterHandle(Arc<Shared>);

struct Shared {
    rules: ArcSwap<Rules>,
    /// Whether the rules want to hear of each span: one relaxed load when they do not.
    per_span: AtomicBool,
    /// The index in [`LEVELS`] if the rules are one level for all, and beyond it otherwise.
    one_level: AtomicUsize,
    /// Whether there may be spans that the filter's layer has not been shown.
    has_refused: AtomicBool,
    purpose: Purpose,
}

/// Is with a span of the registry that the layer of the traces has not been shown.
pub(crate) struct Refused;

/// What a filter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Logs,
    /// Spans; the OpenTelemetry crates' own events never become events of a user's span.
    Traces,
}

struct Rules {
    directives: String,
    kind: Kind,
}

enum Kind {
    Targets(Box<Targets>),
    Env(Box<EnvFilter>),
}

impl FilterHandle {
    /// # Errors
    ///
    /// When the directives do not parse; the text quotes them.
    pub(crate) fn new(purpose: Purpose, directives: &str) -> Result<Self, Error> {
        let rules = Rules::parse(purpose, directives)?;
        let per_span = AtomicBool::new(rules.per_span());
        let one_level = AtomicUsize::new(rules.one_level());
        let rules = ArcSwap::from_pointee(rules);
        let has_refused = AtomicBool::new(false);
        Ok(Self(Arc::new(Shared { rules, per_span, one_level, has_refused, purpose })))
    }

    pub(crate) fn filter(&self) -> SwapFilter {
        SwapFilter(self.0.clone())
    }

    pub(crate) fn directives(&self) -> String {
        self.0.rules.load().directives.clone()
    }

    /// Replaces the rules for every callsite, those already seen included.
    pub(crate) fn set(&self, directives: &str) -> Result<(), Error> {
        let rules = Rules::parse(self.0.purpose, directives)?;
        let _alone = CHANGING.lock();
        // before the rules, so that no span that the new ones ask about goes unheard
        self.0.per_span.store(true, Ordering::Release);
        let (per_span, one_level) = (rules.per_span(), rules.one_level());
        self.0.rules.store(Arc::new(rules));
        self.0.one_level.store(one_level, Ordering::Release);
        self.0.per_span.store(per_span, Ordering::Release);
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }
}

impl fmt::Debug for FilterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FilterHandle").field(&self.directives()).finish()
    }
}

impl Rules {
    fn parse(purpose: Purpose, directives: &str) -> Result<Self, Error> {
        let wrong = |e: &dyn fmt::Display| {
            Error::config(format!(
                "{purpose} filter {directives:?}: {e}; write `info` or `info,my_crate=debug`"
            ))
        };
        let kind = if directives.contains('[') {
            Kind::Env(Box::new(EnvFilter::builder().parse(directives).map_err(|e| wrong(&e))?))
        } else {
            Kind::Targets(Box::new(directives.parse().map_err(|e| wrong(&e))?))
        };
        Ok(Self { directives: directives.to_owned(), kind })
    }

    fn one_level(&self) -> usize {
        let level = self.directives.trim().parse::<LevelFilter>().ok();
        level.and_then(|level| LEVELS.iter().position(|l| *l == level)).unwrap_or(LEVELS.len())
    }

    fn per_span(&self) -> bool {
        matches!(self.kind, Kind::Env(_))
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Logs => "log",
            Self::Traces => "trace",
        })
    }
}

impl SwapFilter {
    fn excludes(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        target.starts_with("opentelemetry")
            && self.0.purpose == Purpose::Traces
            && SDK_TARGETS.contains(&target)
    }

    /// Whether a span or an event of this kind may pass, decided anew.
    #[inline]
    pub(crate) fn allows<S>(&self, metadata: &Metadata<'_>, cx: &Context<'_, S>) -> bool
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        match LEVELS.get(self.0.one_level.load(Ordering::Acquire)) {
            Some(level) => metadata.level() <= level && !self.excludes(metadata),
            None => Filter::<S>::enabled(self, metadata, cx),
        }
    }

    /// To be called for every span that the layer is not shown, when it is made: what the rules say
    /// of it later may be something else.
    #[cold]
    pub(crate) fn note_refused_span<S>(&self, id: &span::Id, cx: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        // whoever gets the span's handle from this thread is told of this too
        self.0.has_refused.store(true, Ordering::Relaxed);
        if self.0.purpose == Purpose::Traces
            && let Some(span) = cx.span(id)
        {
            span.extensions_mut().insert(Refused);
        }
    }

    #[inline]
    pub(crate) fn has_refused_spans(&self) -> bool {
        self.0.has_refused.load(Ordering::Relaxed)
    }

    /// Whether it must hear of each span.
    #[inline]
    pub(crate) fn follows_spans(&self) -> bool {
        self.0.per_span.load(Ordering::Acquire)
    }

    /// The rules, if they are of the kind that follows each span.
    fn per_span<R>(&self, f: impl FnOnce(&EnvFilter) -> R) -> Option<R> {
        if !self.follows_spans() {
            return None;
        }
        match &self.0.rules.load().kind {
            Kind::Env(filter) => Some(f(filter)),
            Kind::Targets(_) => None,
        }
    }
}

impl<S> Filter<S> for SwapFilter
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.excludes(metadata) {
            return Interest::never();
        }
        match &self.0.rules.load().kind {
            Kind::Targets(rules) => Filter::<S>::callsite_enabled(&**rules, metadata),
            Kind::Env(rules) => Filter::<S>::callsite_enabled(&**rules, metadata),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, cx: &Context<'_, S>) -> bool {
        if self.excludes(metadata) {
            return false;
        }
        match &self.0.rules.load().kind {
            Kind::Targets(rules) => Filter::<S>::enabled(&**rules, metadata, cx),
            Kind::Env(rules) => Filter::<S>::enabled(&**rules, metadata, cx),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        match &self.0.rules.load().kind {
            Kind::Targets(rules) => Filter::<S>::max_level_hint(&**rules),
            Kind::Env(rules) => Filter::<S>::max_level_hint(&**rules),
        }
    }

    fn on_new_span(&self, attrs: &span::Attributes<'_>, id: &span::Id, cx: Context<'_, S>) {
        self.per_span(|rules| Filter::<S>::on_new_span(rules, attrs, id, cx));
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, cx: Context<'_, S>) {
        self.per_span(|rules| Filter::<S>::on_record(rules, id, values, cx));
    }

    fn on_enter(&self, id: &span::Id, cx: Context<'_, S>) {
        self.per_span(|rules| Filter::<S>::on_enter(rules, id, cx));
    }

    fn on_exit(&self, id: &span::Id, cx: Context<'_, S>) {
        self.per_span(|rules| Filter::<S>::on_exit(rules, id, cx));
    }

    fn on_close(&self, id: span::Id, cx: Context<'_, S>) {
        self.per_span(|rules| Filter::<S>::on_close(rules, id, cx));
    }
}

/// One change after the other, in all stacks of the process: of two that rebuild what `tracing`
/// keeps of each callsite at once, the one that asked before a change may write after it. Whatever
/// code of others the rebuilding runs may change a filter itself.
static CHANGING: ReentrantMutex<()> = ReentrantMutex::new(());

const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

/// The targets under which the OpenTelemetry crates speak of themselves.
const SDK_TARGETS: [&str; 5] = [
    "opentelemetry",
    "opentelemetry_sdk",
    "opentelemetry-stdout",
    "opentelemetry-http",
    "opentelemetry-otlp",
];
