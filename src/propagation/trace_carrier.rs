//! A context as data: for queues, database rows and messages between tasks.

#[cfg(feature = "serde")]
mod with_serde;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::{Context, ContextGuard};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tracing::Span;

use super::format::further;
use super::{Relation, current};

/// A context as data, to be stored or sent by any means, and picked up by whoever reads it.
///
/// It holds what the global propagator writes (`traceparent`, `tracestate`, `baggage`), and is a
/// carrier itself, for any other propagator. In serde (feature `serde`) it is a map of strings; as
/// text it is `traceparent=00-…-01&baggage=…`, percent-encoded.
///
/// Whatever is read is bounded: 64 fields and 16,384 bytes, and what is more is left out. A carrier
/// that is damaged reads as what is left of it, at worst as empty: work is not lost because of its
/// trace. In serde that holds for the formats that people can read (JSON, YAML, TOML), whatever stands
/// in its place; the others do not say what a value is, and fail.
///
/// ```
/// use otel_setup::propagation::{Relation, TraceCarrier};
///
/// struct Job { order: u64, trace: String }
///
/// // where the job is made
/// let job = Job { order: 7, trace: TraceCarrier::current().to_string() };
/// // where it is done, perhaps tomorrow, by another process
/// let carrier: TraceCarrier = job.trace.parse().unwrap();
/// let span = carrier.span(Relation::Link, || tracing::info_span!("job", job.order));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TraceCarrier {
    fields: BTreeMap<String, String>,
    bytes: usize,
}

impl TraceCarrier {
    /// The current context, by the global propagator; empty where nobody has set one.
    pub fn current() -> Self {
        let mut carrier = Self::default();
        current::inject(&mut carrier);
        carrier
    }

    /// Another context than the current one.
    pub fn of(context: &Context) -> Self {
        let mut carrier = Self::default();
        current::inject_context(context, &mut carrier);
        carrier
    }

    /// The context that it holds, by the global propagator.
    pub fn extract(&self) -> Context {
        current::extract(self)
    }

    /// Makes the context that it holds the current one, until the guard is dropped: every span that
    /// is made meanwhile is its child.
    #[must_use = "the context is current as long as the guard lives"]
    pub fn attach(&self) -> ContextGuard {
        self.extract().attach()
    }

    /// The span that `make` makes, as a child of the context or with a link to it; see
    /// [`Relation::span`].
    pub fn span(&self, relation: Relation, make: impl FnOnce() -> Span) -> Span {
        relation.span(&self.extract(), make)
    }

    /// Its fields, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Keeps a field if there is room for it.
    fn put(&mut self, key: String, value: String) {
        let old = self.fields.get(&key).map_or(0, |old| key.len() + old.len());
        let bytes = self.bytes - old + key.len() + value.len();
        let is_one_too_many = old == 0 && self.fields.len() >= MAX_FIELDS;
        if bytes <= MAX_BYTES && !is_one_too_many {
            self.bytes = bytes;
            self.fields.insert(key, value);
        }
    }
}

impl Injector for TraceCarrier {
    fn set(&mut self, key: &str, value: String) {
        self.put(key.to_ascii_lowercase(), value);
    }
}

impl Extractor for TraceCarrier {
    fn get(&self, key: &str) -> Option<&str> {
        // a field has one value, whatever somebody may have called another
        let further = further(key, || false, |_, _| None);
        if further.is_some() {
            return further;
        }
        if let Some(value) = self.fields.get(key) {
            return Some(value);
        }
        let is_key = |field: &&String| field.eq_ignore_ascii_case(key);
        self.fields.keys().find(is_key).and_then(|field| self.fields.get(field)).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.fields.keys().map(String::as_str).collect()
    }
}

impl fmt::Display for TraceCarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (key, value)) in self.iter().enumerate() {
            let separator = if n == 0 { "" } else { "&" };
            let key = utf8_percent_encode(key, ENCODED);
            let value = utf8_percent_encode(value, ENCODED);
            write!(f, "{separator}{key}={value}")?;
        }
        Ok(())
    }
}

/// Never fails: what is no field is left out.
impl FromStr for TraceCarrier {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // a character takes three at most
        let end = boundary(text, 3 * MAX_BYTES);
        let pairs = text[..end].split('&').filter_map(|pair| pair.split_once('='));
        let decoded = |text| percent_decode_str(text).decode_utf8().map(String::from);
        Ok(pairs
            .filter_map(|(key, value)| Some((decoded(key).ok()?, decoded(value).ok()?)))
            .collect())
    }
}

impl FromIterator<(String, String)> for TraceCarrier {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(fields: I) -> Self {
        let mut carrier = Self::default();
        for (key, value) in fields.into_iter().take(MAX_READ) {
            carrier.put(key, value);
        }
        carrier
    }
}

impl IntoIterator for TraceCarrier {
    type Item = (String, String);
    type IntoIter = std::collections::btree_map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.fields.into_iter()
    }
}

/// The largest index up to `index` at which `text` can be cut.
fn boundary(text: &str, index: usize) -> usize {
    let end = index.min(text.len());
    (0..=end).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

const MAX_FIELDS: usize = 64;
const MAX_BYTES: usize = 16_384;
/// Fields that are looked at: some may be too long to be kept.
const MAX_READ: usize = 2 * MAX_FIELDS;
/// Readable as far as a URL or a form can be.
const ENCODED: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
