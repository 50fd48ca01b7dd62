//! The parent decides.

use std::fmt;

use opentelemetry_sdk::trace::SamplingResult;

use super::{Kind, NewSpan, Sampler};
use crate::config::ParentBasedConfig;

/// What the parent decided, with a sampler for each kind of parent that shall not be followed:
/// [`Sampler::parent_based`] (Tracing SDK, "`ParentBased`").
///
/// The `th` of a remote parent, which says at which share it was sampled, is kept if it agrees with
/// the parent's sampled flag, and is erased if not.
///
/// ```
/// use otel_setup::Sampler;
///
/// // callers cannot force recording: at most ten of their traces a second
/// let sampler = Sampler::parent_based(Sampler::ratio(0.01))
///     .with_remote_parent_sampled(Sampler::rate_limited(10.0));
/// ```
#[derive(Debug, Clone)]
pub struct ParentBasedSampler {
    root: Sampler,
    // where there is none, the parent is followed
    remote_parent_sampled: Option<Sampler>,
    remote_parent_not_sampled: Option<Sampler>,
    local_parent_sampled: Option<Sampler>,
    local_parent_not_sampled: Option<Sampler>,
}

impl ParentBasedSampler {
    pub(super) fn new(root: Sampler) -> Self {
        Self {
            root,
            remote_parent_sampled: None,
            remote_parent_not_sampled: None,
            local_parent_sampled: None,
            local_parent_not_sampled: None,
        }
    }

    /// Decides where a parent in another process is sampled; by default the span is too.
    pub fn with_remote_parent_sampled(mut self, sampler: impl Into<Sampler>) -> Self {
        self.remote_parent_sampled = unless_following(sampler.into(), true);
        self
    }

    /// Decides where a parent in another process is not sampled; by default the span is not.
    pub fn with_remote_parent_not_sampled(mut self, sampler: impl Into<Sampler>) -> Self {
        self.remote_parent_not_sampled = unless_following(sampler.into(), false);
        self
    }

    /// Decides where a parent in this process is sampled; by default the span is too.
    pub fn with_local_parent_sampled(mut self, sampler: impl Into<Sampler>) -> Self {
        self.local_parent_sampled = unless_following(sampler.into(), true);
        self
    }

    /// Decides where a parent in this process is not sampled; by default the span is not.
    pub fn with_local_parent_not_sampled(mut self, sampler: impl Into<Sampler>) -> Self {
        self.local_parent_not_sampled = unless_following(sampler.into(), false);
        self
    }

    pub(super) fn obeys_parent(&self) -> bool {
        self.local_parent_not_sampled.as_ref().is_none_or(Sampler::obeys_parent)
    }

    pub(super) fn sample(&self, span: &NewSpan<'_>) -> SamplingResult {
        let Some(parent) = span.parent else { return self.root.sample(span) };
        let part = match (parent.is_remote(), parent.is_sampled()) {
            (true, true) => &self.remote_parent_sampled,
            (true, false) => &self.remote_parent_not_sampled,
            (false, true) => &self.local_parent_sampled,
            (false, false) => &self.local_parent_not_sampled,
        };
        match part {
            Some(sampler) => sampler.sample(span),
            None => span.following(parent),
        }
    }
}

/// To sample the children of sampled parents is to follow them.
fn unless_following(sampler: Sampler, parent_is_sampled: bool) -> Option<Sampler> {
    match (&sampler.kind, parent_is_sampled) {
        (Kind::AlwaysOn, true) | (Kind::AlwaysOff, false) => None,
        _ => Some(sampler),
    }
}

impl From<ParentBasedConfig> for ParentBasedSampler {
    fn from(config: ParentBasedConfig) -> Self {
        let part = |part: Option<_>, sampled| {
            part.and_then(|part| unless_following(Sampler::from(part), sampled))
        };
        Self {
            root: config.root.into(),
            remote_parent_sampled: part(config.remote_parent_sampled, true),
            remote_parent_not_sampled: part(config.remote_parent_not_sampled, false),
            local_parent_sampled: part(config.local_parent_sampled, true),
            local_parent_not_sampled: part(config.local_parent_not_sampled, false),
        }
    }
}

impl From<ParentBasedSampler> for Sampler {
    fn from(parts: ParentBasedSampler) -> Self {
        Kind::ParentBased(Box::new(parts)).into()
    }
}

impl fmt::Display for ParentBasedSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { root, .. } = self;
        write!(f, "ParentBased{{root={root}")?;
        for (name, part, default) in [
            ("remoteParentSampled", &self.remote_parent_sampled, Sampler::always_on()),
            ("remoteParentNotSampled", &self.remote_parent_not_sampled, Sampler::always_off()),
            ("localParentSampled", &self.local_parent_sampled, Sampler::always_on()),
            ("localParentNotSampled", &self.local_parent_not_sampled, Sampler::always_off()),
        ] {
            write!(f, ",{name}={}", part.as_ref().unwrap_or(&default))?;
        }
        f.write_str("}")
    }
}
