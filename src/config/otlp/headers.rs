//! Headers of every request: they may be secret, so messages never show a value.

use http::{HeaderName, HeaderValue};

use super::{Origin, OtlpSettings};
use crate::config::explain::Source;
use crate::config::parse::{Problems, Shown, percent_decoded};
use crate::config::resolver::{Resolver, Said};
use crate::config::variables::{HEADERS, TRACES_HEADERS};
use crate::error::escape;

/// Headers in their order, each name once.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Headers(Vec<(HeaderName, HeaderValue)>);

/// The code's headers first; of the variables, the one for traces hides the general one.
pub(super) fn headers(
    settings: &OtlpSettings,
    r: &mut Resolver<'_>,
) -> Vec<(HeaderName, HeaderValue)> {
    let source = match settings.origin {
        Origin::Code => Source::Code,
        #[cfg(feature = "config-file")]
        Origin::File => Source::File,
    };
    let mut own = Vec::new();
    for (name, value) in &settings.headers {
        // the name is the programmer's own; the value may be a secret
        let shown = format!("OTLP header {:?}", escape(name));
        match header(name, value) {
            Ok(header) => own.push(header),
            Err(SET_HERE) => r.findings.noted(&shown, format!("{SET_HERE}; it is left out")),
            Err(cause) => r.findings.refused(&shown, cause),
        }
    }
    let shown = if own.is_empty() { "none".to_owned() } else { Headers(own.clone()).shown() };
    let variables = r.optional(Said::in_code(None), &[&TRACES_HEADERS, &HEADERS], &shown);
    if !own.is_empty() {
        match &variables {
            None => r.resettle(&TRACES_HEADERS.row, source),
            Some(_) => r.settle(&TRACES_HEADERS.row, shown, source),
        }
    }
    let mut others = variables.map(|headers| headers.value).unwrap_or_default().0;
    others.retain(|(name, _)| own.iter().all(|(known, _)| known != name));
    own.extend(others);
    own
}

/// `name=value,name=value`, values percent-encoded. An entry that is neither is left out.
pub(in crate::config) fn parse(text: &str, problems: &mut Problems) -> Option<Headers> {
    let mut headers = Headers::default();
    for entry in entries(text) {
        match entry {
            Ok((header, _)) => headers.set(header),
            Err(wrong) => problems.but(wrong.what, "it is left out"),
        }
    }
    (!headers.0.is_empty()).then_some(headers)
}

/// An entry of a list that cannot be sent.
pub(in crate::config) struct Wrong {
    /// Which one it is, and why; nothing in it may be secret.
    pub(in crate::config) what: String,
    /// It could be sent, if the exporter did not set it.
    #[cfg_attr(not(feature = "config-file"), expect(dead_code, reason = "a file's alone"))]
    pub(in crate::config) is_set_here: bool,
}

/// As [`parse`], as names and values.
#[cfg(feature = "config-file")]
pub(in crate::config) fn pairs(
    text: &str,
) -> impl Iterator<Item = Result<(String, String), Wrong>> {
    entries(text).map(|entry| entry.map(|((name, _), value)| (name.as_str().to_owned(), value)))
}

/// Whether it can be sent, and else why not, in words that quote nothing.
#[cfg(feature = "config-file")]
pub(in crate::config) fn check(name: &str, value: &str) -> Result<(), Wrong> {
    let checked = header(name, value);
    checked.map(drop).map_err(|cause| Wrong::new(cause.to_owned(), cause))
}

impl Wrong {
    fn new(what: String, cause: &str) -> Self {
        Self { what, is_set_here: cause == SET_HERE }
    }
}

impl Headers {
    /// Of the same name twice, the last counts.
    fn set(&mut self, (name, value): (HeaderName, HeaderValue)) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }
}

impl Shown for Headers {
    fn shown(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|(name, _)| format!("{name}=[redacted]")).collect();
        names.join(",")
    }
}

/// A header, and its value as text.
type Entry = ((HeaderName, HeaderValue), String);

/// What is wrong has its place, counted from one. The value may be a secret, and so may what only
/// looks like a name.
fn entries(text: &str) -> impl Iterator<Item = Result<Entry, Wrong>> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries.enumerate().map(|(at, entry)| {
        let at = at + 1;
        let Some((name, value)) = entry.split_once('=') else {
            let cause = "is not name=value";
            return Err(Wrong::new(format!("entry {at} {cause}"), cause));
        };
        let name = name.trim();
        let decoded = percent_decoded(value.trim()).map_err(|_| NOT_DECODED);
        let header = decoded.and_then(|value| Ok((header(name, &value)?, value)));
        header.map_err(|cause| {
            let shown =
                HeaderName::try_from(name).map_or(String::new(), |name| format!(", {name}"));
            Wrong::new(format!("entry {at}{shown}: {cause}"), cause)
        })
    })
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name = HeaderName::try_from(name).map_err(|_| "the name is not one of HTTP's")?;
    if OWN.contains(&name.as_str()) {
        return Err(SET_HERE);
    }
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| "the value has a character in it that HTTP has not")?;
    value.set_sensitive(true);
    Ok((name, value))
}

const NOT_DECODED: &str = "the value is not percent-encoded UTF-8";
const SET_HERE: &str = "the exporter sets it itself";
/// What says how the body, or the connection, is to be read.
const OWN: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-timeout",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
