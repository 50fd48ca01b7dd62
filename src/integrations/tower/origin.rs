//! Where the trace of a request comes from.

use std::cell::Cell;

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceId};

use crate::integrations::Trust;
use crate::integrations::call::Parent;
use crate::integrations::http::Propagation;
use crate::propagation::{HeaderExtractor, Relation};

/// What a server span is the child of, and what it is linked to. What is not trusted goes no
/// further.
pub(in crate::integrations) fn origin(
    trust: Trust,
    propagation: &Propagation,
    headers: &mut HeaderMap,
) -> (Parent, Option<SpanContext>) {
    match trust {
        Trust::Continue => (continued(propagation, headers), None),
        Trust::Edge => {
            let stranger = propagation.extract(&Context::new(), &HeaderExtractor(headers));
            propagation.remove(headers);
            let link = Relation::Link.link(&stranger);
            let own = Context::map_current(trace);
            (Parent::current(), link.filter(|link| Some(link.trace_id()) != own))
        }
    }
}

/// The span in the headers, unless the current one has come from it: then another layer has seen
/// this very request, and what it has begun goes on.
fn continued(propagation: &Propagation, headers: &HeaderMap) -> Parent {
    let current = Context::current();
    let carrier = Listened { headers: HeaderExtractor(headers), is_silent: Cell::new(true) };
    let found = propagation.extract(&current, &carrier);
    if carrier.is_silent.get() {
        // nothing was found, by what the API asks of propagators
        return Parent::current();
    }
    let is_local = current.has_active_span() && !current.span().span_context().is_remote();
    if is_local && trace(&current).is_some_and(|own| trace(&found) == Some(own)) {
        return Parent::current();
    }
    Parent::of(found)
}

/// Headers that know whether they have said anything.
struct Listened<'a> {
    headers: HeaderExtractor<'a>,
    is_silent: Cell<bool>,
}

impl Extractor for Listened<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = self.headers.get(key)?;
        self.is_silent.set(false);
        Some(value)
    }

    fn keys(&self) -> Vec<&str> {
        self.is_silent.set(false);
        self.headers.keys()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values = self.headers.get_all(key)?;
        self.is_silent.set(false);
        Some(values)
    }
}

fn trace(context: &Context) -> Option<TraceId> {
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id())
}
