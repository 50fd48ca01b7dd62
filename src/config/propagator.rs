//! `OTEL_PROPAGATORS`: the formats in which context crosses processes.

use super::choice::Choice;
use super::resolver::Resolver;
use super::variables::PROPAGATORS;

/// A format in which context crosses processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PropagatorKind {
    TraceContext,
    Baggage,
    B3,
    B3Multi,
    Jaeger,
    XRay,
}

/// What the variable says, or a file: the code has propagators of its own.
pub(crate) fn propagators(r: &mut Resolver<'_>) -> Vec<PropagatorKind> {
    let default = vec![PropagatorKind::TraceContext, PropagatorKind::Baggage];
    r.setting(r.said(|s| s.propagators.clone()), &[&PROPAGATORS], default).value
}

impl Choice for PropagatorKind {
    const ALL: &[Self] =
        &[Self::TraceContext, Self::Baggage, Self::B3, Self::B3Multi, Self::Jaeger, Self::XRay];

    fn why_not(name: &str) -> Option<&'static str> {
        let is_ottrace = name.eq_ignore_ascii_case("ottrace");
        is_ottrace.then_some("is deprecated in the specification, and not supported")
    }

    fn name(self) -> &'static str {
        match self {
            Self::TraceContext => "tracecontext",
            Self::Baggage => "baggage",
            Self::B3 => "b3",
            Self::B3Multi => "b3multi",
            Self::Jaeger => "jaeger",
            Self::XRay => "xray",
        }
    }
}
