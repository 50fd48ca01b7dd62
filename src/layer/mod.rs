//! Tracing in: the layers that the subscriber is built of, and their order.
//!
//! ```text
//! Registry           knows which spans are open
//!  └ user's layers   unfiltered: they bring their own filters
//!     └ OpenTelemetry layer, under the trace filter
//!        └ log lines, under the log filter
//! ```
//!
//! A subscriber calls its layers from the registry outwards. The OpenTelemetry layer comes before
//! the log lines, so that the context it makes current when a span is entered is there when a line
//! asks for the ids; on exit it is the first to go, so no line shows an id that has left. User
//! layers sit on the plain `Registry`, which lets them be written for a type that can be named.
//!
//! Each of our layers has a filter of its own, and the stack has none as a whole: `RUST_LOG=warn`
//! quietens the terminal and leaves every trace whole. What both filters refuse is refused at the
//! callsite, once, and then costs what `tracing` alone costs. While there are no other layers than
//! ours, the `gate` module does that at less cost than tracing-subscriber's per-layer filters; with
//! layers of the user's own, which may have such filters themselves, ours are filtered that way too.

mod filter;
mod gate;
mod log;
#[cfg(feature = "testing")]
mod observed;
mod otel;
mod user;

use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

pub(crate) use filter::{FilterHandle, Purpose};
use gate::{Gate, Gated};
pub(crate) use log::stderr_wants_colour;
#[cfg(feature = "testing")]
pub(crate) use observed::{Observer, observer_of};
use otel::OtelLayer;
pub use otel::SpanDetail;
pub(crate) use otel::Unsampled;
use user::UserLayers;

use crate::config::LogFormat;
use crate::streams::Stderr;
use crate::tracer::Tracer;

/// A layer of the user's own, on the plain registry.
pub(crate) type UserLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// What a stack is built of.
pub(crate) struct LayerSpec {
    /// `None` when tracing is disabled: log lines only.
    pub(crate) tracer: Option<Tracer>,
    pub(crate) otel: OtelKind,
    pub(crate) trace_filter: FilterHandle,
    pub(crate) user_layers: Vec<UserLayer>,
    pub(crate) log_format: LogFormat,
    pub(crate) log_filter: FilterHandle,
    pub(crate) colour: bool,
    /// Who follows the spans that are made.
    #[cfg(feature = "testing")]
    pub(crate) observer: Option<std::sync::Arc<dyn Observer>>,
}

/// Which layer makes the spans.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OtelKind {
    /// Ours.
    Own { detail: SpanDetail, unsampled: Unsampled },
    /// tracing-opentelemetry's.
    Stock,
}

/// Builds the subscriber; touches nothing that is global.
pub(crate) fn subscriber(mut spec: LayerSpec) -> Dispatch {
    let layers = std::mem::take(&mut spec.user_layers);
    if layers.is_empty() && spec.tracer.is_none() && spec.log_format == LogFormat::Off {
        // a registry that nobody listens to would still keep every span
        Dispatch::new(NoSubscriber::default())
    } else if !layers.is_empty() {
        with_otel(Registry::default().with(UserLayers(layers)), &spec)
    } else if let (Some(tracer), OtelKind::Own { detail, unsampled }) = (&spec.tracer, spec.otel) {
        gated(OtelLayer::new(tracer.clone(), detail, unsampled), &spec)
    } else {
        with_otel(Registry::default(), &spec)
    }
}

/// Our own layers alone: one gate, and no filter of tracing-subscriber's.
fn gated(otel: OtelLayer<Registry>, spec: &LayerSpec) -> Dispatch {
    let ids = log::TraceIds::default();
    let lines = log::layer(spec.log_format, ids.clone(), || Stderr, spec.colour);
    let logs = lines.iter().map(|_| spec.log_filter.filter());
    let gate = Gate::new(logs.chain([spec.trace_filter.filter()]));
    let otel = otel.with_refusals_of(spec.trace_filter.filter());
    let otel = Gated::new(otel, spec.trace_filter.filter()).with_gate(gate);
    let inner = Registry::default().with(otel);
    let dispatch = match lines {
        Some(lines) => finish(inner.with(Gated::new(lines, spec.log_filter.filter())), spec),
        None => finish(inner, spec),
    };
    ids.bind(dispatch.downgrade());
    dispatch
}

fn with_otel<S>(inner: S, spec: &LayerSpec) -> Dispatch
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let Some(tracer) = spec.tracer.clone() else { return with_log_lines(inner, spec) };
    let filter = spec.trace_filter.filter();
    match spec.otel {
        OtelKind::Own { detail, unsampled } => {
            let layer = OtelLayer::new(tracer, detail, unsampled);
            with_log_lines(inner.with(layer.with_filter(filter)), spec)
        }
        OtelKind::Stock => {
            let layer = tracing_opentelemetry::layer()
                .with_tracer(tracer.sdk().clone())
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false);
            with_log_lines(inner.with(layer.with_filter(filter)), spec)
        }
    }
}

fn with_log_lines<S>(inner: S, spec: &LayerSpec) -> Dispatch
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let ids = log::TraceIds::default();
    let lines = log::layer(spec.log_format, ids.clone(), || Stderr, spec.colour);
    let dispatch = match lines {
        Some(lines) => finish(inner.with(lines.with_filter(spec.log_filter.filter())), spec),
        None => finish(inner, spec),
    };
    ids.bind(dispatch.downgrade());
    dispatch
}

/// The dispatcher of a stack that has all other layers.
#[cfg(feature = "testing")]
fn finish<S>(stack: S, spec: &LayerSpec) -> Dispatch
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    match &spec.observer {
        Some(observer) => {
            let filter = spec.trace_filter.filter();
            Dispatch::new(stack.with(observed::Observed::new(observer.clone(), filter)))
        }
        None => Dispatch::new(stack),
    }
}

#[cfg(not(feature = "testing"))]
fn finish<S: Subscriber + Send + Sync>(stack: S, _spec: &LayerSpec) -> Dispatch {
    Dispatch::new(stack)
}
