//! Which traces are recorded.
//!
//! `guarded` is what the provider calls, `threshold` and `tracestate` are consistent probability
//! sampling, and each sampler that has settings of its own has a room.

mod guarded;
mod parent;
mod rate;
mod rules;
mod span_match;
mod threshold;
mod tracestate;

use std::fmt;
use std::sync::Arc;

use opentelemetry::trace::{
    Link, SpanContext, SpanKind, SpanRef, TraceContextExt as _, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{
    Sampler as SdkSampler, SamplingDecision, SamplingResult, ShouldSample,
};

pub(crate) use self::guarded::GuardedSampler;
pub use self::parent::ParentBasedSampler;
use self::rate::RateLimit;
pub use self::rules::RuleSampler;
use self::rules::Rules;
pub use self::span_match::{SpanMatch, SpanParent};
use self::threshold::Consistent;
use crate::config::SamplerConfig;

/// Decides, when a span starts, whether it is recorded (Tracing SDK, "Sampler").
///
/// ```
/// use otel_setup::Sampler;
///
/// // one trace in ten, and whatever a caller has decided for its trace
/// let sampler = Sampler::parent_based(Sampler::ratio(0.1));
/// // the same, without health checks
/// let sampler = Sampler::rules().dropping("GET /health*").with_fallback(sampler);
/// ```
///
/// Its `Display` is its description as the specification asks for it.
#[derive(Debug, Clone)]
pub struct Sampler {
    kind: Kind,
    /// Promised for a sampler of the user's.
    obeys: bool,
}

#[derive(Debug, Clone)]
enum Kind {
    AlwaysOn,
    AlwaysOff,
    Ratio(f64),
    Consistent(Box<Consistent>),
    RateLimited(Arc<RateLimit>),
    ParentBased(Box<ParentBasedSampler>),
    Rules(Arc<Rules>),
    Custom(Box<dyn ShouldSample>),
}

/// The span that is asked about.
struct NewSpan<'a> {
    context: Option<&'a Context>,
    /// Only a valid one.
    parent: Option<&'a SpanContext>,
    trace_id: TraceId,
    name: &'a str,
    kind: &'a SpanKind,
    attributes: &'a [KeyValue],
    links: &'a [Link],
}

impl Sampler {
    /// Every span.
    pub fn always_on() -> Self {
        Kind::AlwaysOn.into()
    }

    /// No span. Contexts go on propagating, with the sampled flag off.
    pub fn always_off() -> Self {
        Kind::AlwaysOff.into()
    }

    /// This share of all traces, decided by the trace id, so that every service that uses the same
    /// share decides alike. Below 0 and not a number count as 0, above 1 as 1.
    pub fn ratio(ratio: f64) -> Self {
        Kind::Ratio(share(ratio)).into()
    }

    /// This share of all traces, decided so that services with *different* shares, in any language,
    /// agree: what is recorded at one share is recorded at every greater one.
    ///
    /// It decides by the randomness that the trace brings along (`rv`) or else by the trace id, and
    /// says in the trace state which share it applied (`th`), so that a backend can extrapolate:
    /// a span with `ot=th:e666` stands for ten. Other entries are left as they are. It does not ask
    /// the parent; [`parent_based`](Self::parent_based) around it does, and keeps `th`. A trace id
    /// whose sender does not set the random flag is presumed to be random.
    ///
    /// Each recorded span carries the trace state then: a few allocations more than
    /// [`ratio`](Self::ratio) ("`TraceState`: Probability Sampling").
    pub fn consistent(ratio: f64) -> Self {
        let kind = Consistent::new(share(ratio));
        kind.map_or(Kind::AlwaysOff, |consistent| Kind::Consistent(Box::new(consistent))).into()
    }

    /// At most this many traces a second, a fraction included; a burst may use up one second's
    /// worth at once, and one trace at least.
    ///
    /// Counted are spans without a parent and those with a parent in another process. Inside the
    /// process the parent's decision holds, and an unsampled parent is obeyed wherever it is. Below
    /// 0 and not a number count as 0.
    ///
    /// ```
    /// use otel_setup::Sampler;
    ///
    /// // no more than a hundred traces a second, started here or elsewhere
    /// let sampler = Sampler::rate_limited(100.0);
    /// // no more than a hundred started here, and what was recorded elsewhere
    /// let sampler = Sampler::parent_based(Sampler::rate_limited(100.0));
    /// ```
    pub fn rate_limited(traces_per_second: f64) -> Self {
        Kind::RateLimited(Arc::new(RateLimit::new(traces_per_second))).into()
    }

    /// What the parent decided, local or remote; `root` decides where there is no parent.
    ///
    /// Each of the four kinds of parent can be given a sampler of its own.
    pub fn parent_based(root: impl Into<Self>) -> ParentBasedSampler {
        ParentBasedSampler::new(root.into())
    }

    /// The first rule that matches a span names its sampler.
    pub fn rules() -> RuleSampler {
        RuleSampler::new()
    }

    /// A sampler of your own. It is shown every span, those under an unsampled parent included.
    pub fn custom(sampler: impl ShouldSample + 'static) -> Self {
        Kind::Custom(Box::new(sampler)).into()
    }

    /// Promises that this sampler never records a span whose local parent is unsampled.
    ///
    /// Such spans are then not even shown to it, and cost next to nothing. The samplers above that
    /// obey their parents do so by themselves.
    pub fn obeying_parent(mut self) -> Self {
        self.obeys = true;
        self
    }

    /// It decides for a child of a span that it did not sample as it did for that span.
    pub(crate) fn repeats_itself(&self) -> bool {
        // what these go by is the same in the whole trace
        self.obeys_parent() || matches!(self.kind, Kind::Ratio(_) | Kind::Consistent(_))
    }

    /// It never samples a span whose local parent is unsampled, whoever decided on that.
    pub(crate) fn obeys_parent(&self) -> bool {
        self.obeys
            || match &self.kind {
                Kind::AlwaysOff | Kind::RateLimited(_) => true,
                Kind::AlwaysOn | Kind::Ratio(_) | Kind::Consistent(_) | Kind::Custom(_) => false,
                Kind::ParentBased(parts) => parts.obeys_parent(),
                Kind::Rules(rules) => rules.obeys_parent(),
            }
    }

    fn sample(&self, span: &NewSpan<'_>) -> SamplingResult {
        match &self.kind {
            Kind::AlwaysOn => span.decided(true),
            Kind::AlwaysOff => span.decided(false),
            Kind::Ratio(ratio) => span.decided(is_in_ratio(*ratio, span)),
            Kind::Consistent(consistent) => consistent.sample(span),
            Kind::RateLimited(limit) => limit.sample(span),
            Kind::ParentBased(parts) => parts.sample(span),
            Kind::Rules(rules) => rules.sample(span),
            Kind::Custom(sampler) => sampler.should_sample(
                span.context,
                span.trace_id,
                span.name,
                span.kind,
                span.attributes,
                span.links,
            ),
        }
    }
}

impl NewSpan<'_> {
    /// A decision of unknown probability: the parent's `th` does not hold for it.
    fn decided(&self, sampled: bool) -> SamplingResult {
        result(sampled, self.parent.map_or_else(TraceState::default, tracestate::unsettled))
    }

    /// The parent's decision, and its trace state.
    fn following(&self, parent: &SpanContext) -> SamplingResult {
        let sampled = parent.is_sampled();
        let state = if parent.is_remote() {
            tracestate::checked(parent, self.trace_id, sampled)
        } else {
            parent.trace_state().clone()
        };
        result(sampled, state)
    }
}

fn result(sampled: bool, trace_state: TraceState) -> SamplingResult {
    let decision = if sampled { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
    SamplingResult { decision, attributes: Vec::new(), trace_state }
}

/// By the SDK's own arithmetic, so that services which use the stock sampler decide alike.
fn is_in_ratio(ratio: f64, span: &NewSpan<'_>) -> bool {
    let sdk = SdkSampler::TraceIdRatioBased(ratio);
    let decided = sdk.should_sample(None, span.trace_id, span.name, span.kind, &[], &[]);
    decided.decision == SamplingDecision::RecordAndSample
}

fn share(ratio: f64) -> f64 {
    if ratio.is_nan() { 0.0 } else { ratio.clamp(0.0, 1.0) }
}

impl ShouldSample for Sampler {
    fn should_sample(
        &self,
        context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parent = context.map(Context::span);
        let parent = parent.as_ref().map(SpanRef::span_context);
        let parent = parent.filter(|parent| parent.is_valid());
        self.sample(&NewSpan { context, parent, trace_id, name, kind, attributes, links })
    }
}

impl From<Kind> for Sampler {
    fn from(kind: Kind) -> Self {
        Self { kind, obeys: false }
    }
}

impl From<SamplerConfig> for Sampler {
    fn from(config: SamplerConfig) -> Self {
        match config {
            SamplerConfig::AlwaysOn => Self::always_on(),
            SamplerConfig::AlwaysOff => Self::always_off(),
            SamplerConfig::Ratio(ratio) => Self::ratio(ratio),
            SamplerConfig::Consistent(ratio) => Self::consistent(ratio),
            SamplerConfig::RateLimited(rate) => Self::rate_limited(rate),
            SamplerConfig::ParentBased(parts) => ParentBasedSampler::from(*parts).into(),
            #[cfg(feature = "config-file")]
            SamplerConfig::Rules(rules) => RuleSampler::from(rules).into(),
        }
    }
}

impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::AlwaysOn => f.write_str("AlwaysOnSampler"),
            Kind::AlwaysOff => f.write_str("AlwaysOffSampler"),
            Kind::Ratio(ratio) => write!(f, "TraceIdRatioBased{{{ratio}}}"),
            Kind::Consistent(consistent) => consistent.fmt(f),
            Kind::RateLimited(limit) => limit.fmt(f),
            Kind::ParentBased(parts) => parts.fmt(f),
            Kind::Rules(rules) => rules.fmt(f),
            Kind::Custom(sampler) => write!(f, "{sampler:?}"),
        }
    }
}

#[cfg(test)]
mod tests;
