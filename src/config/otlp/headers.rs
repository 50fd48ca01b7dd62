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
        if let Some(header) = header(name, value) {
            own.push(header);
        } else {
            // the name is the programmer's own; the value may be a secret
            let name = escape(name);
            r.findings.refused("", format!("OTLP header {name:?} is not a valid HTTP header"));
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
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        match header_pair(pair) {
            Some(header) => headers.set(header),
            // the value may be a secret, and so may what looks like a name
            None => problems.but("an entry is not name=value", "it is left out"),
        }
    }
    (!headers.0.is_empty()).then_some(headers)
}

/// As [`parse`], of which every entry must be one.
#[cfg(feature = "config-file")]
pub(in crate::config) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let value = percent_decoded(value.trim()).ok()?;
            is_header(name.trim(), &value).then(|| (name.trim().to_owned(), value))
        })
        .collect()
}

#[cfg(feature = "config-file")]
pub(in crate::config) fn is_header(name: &str, value: &str) -> bool {
    header(name, value).is_some()
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

fn header_pair(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = pair.split_once('=')?;
    header(name.trim(), &percent_decoded(value.trim()).ok()?)
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    Some((HeaderName::try_from(name).ok()?, value))
}
