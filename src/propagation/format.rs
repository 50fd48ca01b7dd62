//! What a propagation format is to the propagator: one of several, each with headers of its own.

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};

/// A format reads into a context that is `None` unless the carrier holds something of the format:
/// what is absent or invalid costs no copy of a context, and leaves untouched what other formats
/// have found.
pub(super) trait Format: std::fmt::Debug + Send + Sync {
    fn inject(&self, context: &Context, carrier: &mut dyn Injector);

    fn extract(&self, context: &Context, carrier: &dyn Extractor) -> Option<Context>;

    /// As [`extract`](Self::extract) where no other format is asked, which is the rule: compiled for
    /// each format, so that what is absent costs a look-up and little more.
    fn extract_alone(&self, context: &Context, carrier: &dyn Extractor) -> Context {
        self.extract(context, carrier).unwrap_or_else(|| context.clone())
    }

    fn fields(&self) -> &'static [&'static str];
}

/// A header's name, and the name by which a carrier of ours answers what its second value is.
///
/// The trait can only show a second value by allocating a list, for headers that have one value
/// nearly always. The second name cannot be that of a header.
pub(super) struct Header {
    pub(super) name: &'static str,
    pub(super) second: &'static str,
}

impl Header {
    /// Whether there is another value beside the one that `get` shows.
    #[inline]
    pub(super) fn is_repeated(&self, carrier: &dyn Extractor) -> bool {
        match carrier.get(self.second) {
            Some(second) => second != NO_SECOND,
            None => carrier.get_all(self.name).is_some_and(|values| values.len() > 1),
        }
    }

    /// Shows every value to `f`, in their order, until it fails. `first` is what `get` showed.
    #[inline]
    pub(super) fn each<'a>(
        &self,
        first: &'a str,
        carrier: &'a dyn Extractor,
        mut f: impl FnMut(&'a str) -> Option<()>,
    ) -> Option<()> {
        if carrier.get(self.second) == Some(NO_SECOND) {
            return f(first);
        }
        match carrier.get_all(self.name) {
            Some(values) => values.into_iter().try_for_each(f),
            None => f(first),
        }
    }
}

/// Answers a carrier's [`Header::second`]; `None` if the key is not such a name.
#[cfg(feature = "http")]
#[inline]
pub(super) fn second<'a>(
    key: &str,
    value: impl FnOnce(&str) -> Option<&'a str>,
) -> Option<&'a str> {
    key.strip_prefix(':').map(|name| value(name).unwrap_or(NO_SECOND))
}

/// Without the white space that HTTP allows around a value.
#[inline]
pub(super) fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

const NO_SECOND: &str = "";
