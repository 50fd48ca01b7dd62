//! Whether a request's own trace is continued.

/// What a server does with the trace context that comes with a request.
///
/// Whoever can send a request can also send a `traceparent`: it decides which trace the request
/// belongs to, and, under a parent-based sampler, whether it is recorded. Between services that is
/// the point. From strangers it lets anybody have everything recorded, or put spans into traces
/// that are not theirs.
///
/// The default is [`Continue`](Self::Continue): most services are behind a gateway, and there a
/// trace that is cut at every hop is of no use. The service that faces the public is the one that
/// must say so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// The request's trace is continued and its baggage kept; without one, that of the current span
    /// is, if there is one.
    #[default]
    Continue,
    /// The request starts a trace of its own, or is the child of the current span if there is one. It
    /// is sampled as any other, with a link to the span that it says it comes from, unless that is of
    /// the same trace. Its baggage is dropped, and the propagator's headers are removed from the
    /// request, so that nothing of them is sent on by whoever forwards it. A request that is skipped
    /// loses them, too; under [`Continue`](Self::Continue) it keeps them as they are.
    Edge,
}
