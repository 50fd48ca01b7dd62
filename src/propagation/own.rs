//! Which headers are a propagator's own, and which an earlier hop may have left.

use opentelemetry::propagation::TextMapPropagator;

/// Whether a header of this name says something of a context to this propagator.
///
/// It is one of the propagator's fields, or of what the same formats read beside them: B3 in its
/// other form, Jaeger's baggage, whose names are not known beforehand.
pub(crate) fn is_own(propagator: &dyn TextMapPropagator, header: &str) -> bool {
    propagator.fields().any(|field| {
        field.eq_ignore_ascii_case(header)
            || (is_of(field, B3) && is_of(header, B3))
            || (is_of(field, &[JAEGER]) && starts_with(header, JAEGER_BAGGAGE))
    })
}

/// The header of Jaeger's baggage that this variable stands for: a variable's name says of its key
/// only what letters it has.
pub(super) fn baggage_header(variable: &str) -> Option<String> {
    let key = variable.strip_prefix(JAEGER_VARIABLE)?;
    Some([JAEGER_BAGGAGE, &key.to_ascii_lowercase()].concat())
}

fn is_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|one| one.eq_ignore_ascii_case(name))
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

const B3: &[&str] =
    &["b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"];
const JAEGER: &str = "uber-trace-id";
const JAEGER_BAGGAGE: &str = "uberctx-";
const JAEGER_VARIABLE: &str = "UBERCTX_";
