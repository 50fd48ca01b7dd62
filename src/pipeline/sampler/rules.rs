//! Rules: the first that matches a span names its sampler.

use std::fmt;
use std::sync::Arc;

use opentelemetry_sdk::trace::SamplingResult;

use super::{Kind, NewSpan, Sampler, SpanMatch};
#[cfg(feature = "config-file")]
use crate::config::SamplingRule;

/// Rules for spans by name, kind, attribute and parent: [`Sampler::rules`].
///
/// The first rule that matches decides; where none does, the fallback, which is
/// `parent_based(always_on)` until another one is set. An unsampled parent is obeyed before any
/// rule is looked at, so that what is dropped is dropped with all that is below it; see
/// [`despite_unsampled_parents`](Self::despite_unsampled_parents).
///
/// Rules see what a span has when it starts: its name, kind, and the fields given to its macro.
///
/// ```
/// use otel_setup::{Sampler, SpanKind, SpanMatch};
///
/// let sampler = Sampler::rules()
///     .dropping("GET /health*")
///     .with_rule(SpanMatch::any().with_attribute("tenant", "gold"), Sampler::always_on())
///     .with_rule(SpanMatch::any().with_kind(SpanKind::Consumer), Sampler::rate_limited(10.0))
///     .with_fallback(Sampler::parent_based(Sampler::ratio(0.1)));
/// ```
#[derive(Debug, Clone)]
pub struct RuleSampler(Rules);

#[derive(Debug, Clone)]
pub(super) struct Rules {
    in_order: Vec<Rule>,
    fallback: Sampler,
    obeys: bool,
}

#[derive(Debug, Clone)]
struct Rule {
    spans: SpanMatch,
    sampler: Sampler,
}

impl RuleSampler {
    pub(super) fn new() -> Self {
        let fallback = Sampler::parent_based(Sampler::always_on()).into();
        Self(Rules { in_order: Vec::new(), fallback, obeys: true })
    }

    /// Adds a rule behind those that are there. A string is the span's name, in which `*` stands
    /// for any characters and `?` for one.
    pub fn with_rule(mut self, spans: impl Into<SpanMatch>, sampler: impl Into<Sampler>) -> Self {
        self.0.in_order.push(Rule { spans: spans.into(), sampler: sampler.into() });
        self
    }

    /// Adds a rule that records none of these spans, nor what is below them.
    pub fn dropping(self, spans: impl Into<SpanMatch>) -> Self {
        self.with_rule(spans, Sampler::always_off())
    }

    /// Decides where no rule matches.
    pub fn with_fallback(mut self, sampler: impl Into<Sampler>) -> Self {
        self.0.fallback = sampler.into();
        self
    }

    /// Looks at the rules for the children of unsampled parents, too.
    ///
    /// A rule can then record a span in a trace that is not recorded otherwise. It costs: each span
    /// under an unsampled one is built in order to be asked about.
    pub fn despite_unsampled_parents(mut self) -> Self {
        self.0.obeys = false;
        self
    }
}

impl Rules {
    pub(super) fn obeys_parent(&self) -> bool {
        let mut parts = self.in_order.iter().map(|rule| &rule.sampler).chain([&self.fallback]);
        self.obeys || parts.all(Sampler::obeys_parent)
    }

    pub(super) fn sample(&self, span: &NewSpan<'_>) -> SamplingResult {
        if let Some(parent) = span.parent
            && self.obeys
            && !parent.is_sampled()
        {
            return span.following(parent);
        }
        let rule = self.in_order.iter().find(|rule| rule.spans.matches(span));
        rule.map_or(&self.fallback, |rule| &rule.sampler).sample(span)
    }
}

/// Composable rules decide for every span, and drop what none of them matches.
#[cfg(feature = "config-file")]
impl From<Vec<SamplingRule>> for RuleSampler {
    fn from(rules: Vec<SamplingRule>) -> Self {
        let all = Self::new().with_fallback(Sampler::always_off()).despite_unsampled_parents();
        rules.into_iter().fold(all, |all, rule| {
            let sampler = Sampler::from(rule.sampler.clone());
            all.with_rule(SpanMatch::from(rule), sampler)
        })
    }
}

impl From<RuleSampler> for Sampler {
    fn from(rules: RuleSampler) -> Self {
        Kind::Rules(Arc::new(rules.0)).into()
    }
}

impl fmt::Display for RuleSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RuleBased{")?;
        for Rule { spans, sampler } in &self.in_order {
            write!(f, "({spans}):{sampler},")?;
        }
        write!(f, "fallback={}}}", self.fallback)
    }
}
