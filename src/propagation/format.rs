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

/// A header's name, and the names by which a carrier of ours answers what its further values are:
/// with one colon for the second, with two for the third.
///
/// The trait can only show a second value by allocating a list, for headers that have one value
/// nearly always, and for those of whoever wants us to allocate. These cannot be names of headers. In
/// a plain map they can be keys: what is there counts as a further value, and so at worst makes the
/// header invalid, as whoever fills the map can do anyway.
pub(super) struct Header {
    pub(super) name: &'static str,
    second: &'static str,
    last: &'static str,
}

impl Header {
    /// By its name after some colons; of a header with more values than there are colons, a list
    /// is made.
    pub(super) const fn new(last: &'static str) -> Self {
        let mut colons = 0;
        while last.as_bytes()[colons] == b':' {
            colons += 1;
        }
        Self { name: last.split_at(colons).1, second: last.split_at(colons - 1).1, last }
    }

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
        match carrier.get(self.second) {
            Some(NO_SECOND) => f(first),
            Some(second) if carrier.get(self.last) == Some(NO_SECOND) => {
                f(first)?;
                f(second)?;
                let names = (0..self.last.len() - self.name.len() - 1).rev();
                let further = names.map_while(|start| carrier.get(&self.last[start..]));
                further.take_while(|value| *value != NO_SECOND).try_for_each(f)
            }
            _ => match carrier.get_all(self.name) {
                Some(values) => values.into_iter().try_for_each(f),
                None => f(first),
            },
        }
    }
}

/// Answers the names that a carrier has a header's further values under; `None` if the key is not
/// such a name. `value` is given the header's name and the value's index, where `has_several`: where
/// there is a header with more than one value at all.
#[inline]
pub(crate) fn further<'a>(
    key: &str,
    has_several: impl FnOnce() -> bool,
    value: impl FnOnce(&str, usize) -> Option<Option<&'a str>>,
) -> Option<&'a str> {
    let after = key.strip_prefix(':')?;
    if !has_several() {
        return Some(NO_SECOND);
    }
    let name = after.trim_start_matches(':');
    let answer = match value(name, key.len() - name.len()) {
        None => NO_SECOND,
        Some(None | Some("")) => NO_TEXT,
        Some(Some(text)) => text,
    };
    Some(answer)
}

/// Without the white space that HTTP allows around a value.
#[inline]
pub(super) fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

const NO_SECOND: &str = "";
/// A value that says nothing in any format.
const NO_TEXT: &str = " ";
