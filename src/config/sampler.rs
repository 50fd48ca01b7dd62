//! `OTEL_TRACES_SAMPLER` and its argument, and samplers as data.

use super::choice::{Choice, choice};
use super::parse::{Problems, Shown, quoted};
use super::resolver::{Resolver, Said};
use super::variables::{TRACES_SAMPLER, TRACES_SAMPLER_ARG};

/// A sampler that a variable or a file asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SamplerConfig {
    AlwaysOn,
    AlwaysOff,
    Ratio(f64),
    Consistent(f64),
    /// Traces a second.
    RateLimited(f64),
    ParentBased(Box<ParentBasedConfig>),
    /// The first that matches decides, whatever the parent is; where none does, nothing is sampled.
    #[cfg(feature = "config-file")]
    Rules(Vec<SamplingRule>),
}

/// What is not said follows the parent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ParentBasedConfig {
    pub(crate) root: SamplerConfig,
    pub(crate) remote_parent_sampled: Option<SamplerConfig>,
    pub(crate) remote_parent_not_sampled: Option<SamplerConfig>,
    pub(crate) local_parent_sampled: Option<SamplerConfig>,
    pub(crate) local_parent_not_sampled: Option<SamplerConfig>,
}

/// All that is said must hold.
#[cfg(feature = "config-file")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SamplingRule {
    /// One of them; any, if there are none.
    pub(crate) span_kinds: Vec<SpanKindName>,
    /// One of them; any, if there are none.
    pub(crate) parents: Vec<ParentPlace>,
    pub(crate) attributes: Vec<AttributeRule>,
    pub(crate) sampler: SamplerConfig,
}

/// Values of one attribute.
#[cfg(feature = "config-file")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AttributeRule {
    pub(crate) key: String,
    /// Exactly these, or matching ones, if any are said.
    pub(crate) values: Vec<String>,
    /// With `*` and `?`.
    pub(crate) included: Vec<String>,
    pub(crate) excluded: Vec<String>,
}

#[cfg(feature = "config-file")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanKindName {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

#[cfg(feature = "config-file")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParentPlace {
    None,
    Remote,
    Local,
}

/// As they are called in the variable. The last four are this crate's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SamplerName {
    AlwaysOn,
    AlwaysOff,
    Ratio,
    ParentBasedAlwaysOn,
    ParentBasedAlwaysOff,
    ParentBasedRatio,
    Consistent,
    ParentBasedConsistent,
    RateLimited,
    ParentBasedRateLimited,
}

/// What the variables say: the code has samplers of its own.
pub(crate) fn sampler(r: &mut Resolver<'_>) -> SamplerConfig {
    let default = SamplerName::ParentBasedAlwaysOn;
    let name = r.setting(Said::in_code(None), &[&TRACES_SAMPLER], default).value;
    match name {
        SamplerName::AlwaysOn => SamplerConfig::AlwaysOn,
        SamplerName::AlwaysOff => SamplerConfig::AlwaysOff,
        SamplerName::Ratio => SamplerConfig::Ratio(ratio(r)),
        SamplerName::ParentBasedAlwaysOn => SamplerConfig::parent_based(SamplerConfig::AlwaysOn),
        SamplerName::ParentBasedAlwaysOff => SamplerConfig::parent_based(SamplerConfig::AlwaysOff),
        SamplerName::ParentBasedRatio => {
            SamplerConfig::parent_based(SamplerConfig::Ratio(ratio(r)))
        }
        SamplerName::Consistent => SamplerConfig::Consistent(ratio(r)),
        SamplerName::ParentBasedConsistent => {
            SamplerConfig::parent_based(SamplerConfig::Consistent(ratio(r)))
        }
        SamplerName::RateLimited => SamplerConfig::RateLimited(rate(r)),
        SamplerName::ParentBasedRateLimited => {
            SamplerConfig::parent_based(SamplerConfig::RateLimited(rate(r)))
        }
    }
}

/// The names that are known; those of the specification that are not to be had are named.
pub(super) fn name(text: &str, problems: &mut Problems) -> Option<SamplerName> {
    if NOT_TO_BE_HAD.iter().any(|name| name.eq_ignore_ascii_case(text)) {
        return problems.useless(format!("{} is not supported by this crate", quoted(text)));
    }
    choice(text, problems)
}

impl SamplerConfig {
    /// What the parent decided, and where there is none, `root`.
    pub(crate) fn parent_based(root: Self) -> Self {
        Self::ParentBased(Box::new(ParentBasedConfig {
            root,
            remote_parent_sampled: None,
            remote_parent_not_sampled: None,
            local_parent_sampled: None,
            local_parent_not_sampled: None,
        }))
    }
}

fn ratio(r: &mut Resolver<'_>) -> f64 {
    argument(r, 1.0, |ratio| (0.0..=1.0).contains(&ratio), "a number from 0 to 1")
}

fn rate(r: &mut Resolver<'_>) -> f64 {
    let is_rate = |rate: f64| rate >= 0.0 && rate.is_finite();
    argument(r, DEFAULT_RATE, is_rate, "a number of traces a second")
}

fn argument(r: &mut Resolver<'_>, default: f64, fits: fn(f64) -> bool, what: &str) -> f64 {
    let read = |_: &_, text: String| {
        let number = text.parse().ok().filter(|number| fits(*number));
        number.ok_or_else(|| format!("{} is not {what}", quoted(&text)))
    };
    let chosen = r.read(Said::in_code(None), &[&TRACES_SAMPLER_ARG], read, &default.shown());
    chosen.map_or(default, |number| number.value)
}

impl Choice for SamplerName {
    const ALL: &[Self] = &[
        Self::AlwaysOn,
        Self::AlwaysOff,
        Self::Ratio,
        Self::ParentBasedAlwaysOn,
        Self::ParentBasedAlwaysOff,
        Self::ParentBasedRatio,
        Self::Consistent,
        Self::ParentBasedConsistent,
        Self::RateLimited,
        Self::ParentBasedRateLimited,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::AlwaysOn => "always_on",
            Self::AlwaysOff => "always_off",
            Self::Ratio => "traceidratio",
            Self::ParentBasedAlwaysOn => "parentbased_always_on",
            Self::ParentBasedAlwaysOff => "parentbased_always_off",
            Self::ParentBasedRatio => "parentbased_traceidratio",
            Self::Consistent => "consistent",
            Self::ParentBasedConsistent => "parentbased_consistent",
            Self::RateLimited => "rate_limited",
            Self::ParentBasedRateLimited => "parentbased_rate_limited",
        }
    }
}

impl Shown for f64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

const NOT_TO_BE_HAD: [&str; 3] = ["jaeger_remote", "parentbased_jaeger_remote", "xray"];
/// Traces a second.
const DEFAULT_RATE: f64 = 100.0;
