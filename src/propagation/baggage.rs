//! W3C baggage: <https://www.w3.org/TR/baggage/>.

use opentelemetry::Context;
use opentelemetry::baggage::{Baggage as Values, BaggageExt as _, BaggageMetadata};
use opentelemetry::propagation::{Extractor, Injector};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::format::{Format, Header, trim};

/// The header `baggage`.
///
/// A member that is invalid is left out, silently: whoever can send a request could fill a log. At
/// most 64 members and 8,192 bytes go in and out, and no part of a member.
#[derive(Debug)]
pub(super) struct Baggage;

impl Format for Baggage {
    fn inject(&self, context: &Context, carrier: &mut dyn Injector) {
        let baggage = context.baggage();
        if !baggage.is_empty()
            && let Some(header) = write(baggage)
        {
            carrier.set(HEADER.name, header);
        }
    }

    fn extract(&self, context: &Context, carrier: &dyn Extractor) -> Option<Context> {
        let first = carrier.get(HEADER.name)?;
        let mut baggage = Values::new();
        let mut left = MAX_BYTES;
        HEADER.each(first, carrier, |value| {
            for member in value.split(',') {
                // with its comma; what follows a member that is too much is too much as well
                left = left.checked_sub(member.len())?;
                read(member, &mut baggage);
                left = left.saturating_sub(1);
            }
            Some(())
        });
        (!baggage.is_empty()).then(|| with_baggage(context, baggage))
    }

    fn fields(&self) -> &'static [&'static str] {
        &["baggage"]
    }
}

/// The context with these values, and with what it holds already under other keys.
pub(super) fn with_baggage(context: &Context, mut values: Values) -> Context {
    for (key, (value, metadata)) in context.baggage() {
        if values.get(key.as_str()).is_none() {
            values.insert_with_metadata(key.clone(), value.clone(), metadata.clone());
        }
    }
    context.with_baggage(values)
}

/// Section 3.2.1, "Definition".
fn read(member: &str, baggage: &mut Values) {
    let (pair, properties) = member.split_once(';').unwrap_or((member, ""));
    let Some((key, value)) = pair.split_once('=') else { return };
    let (key, value, properties) = (trim(key), trim(value), trim(properties));
    if baggage.len() >= MAX_MEMBERS || !is_key(key) || !value.bytes().all(is_octet) {
        return;
    }
    let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
    let metadata = if is_metadata(properties) { properties } else { "" };
    baggage.insert_with_metadata(key.to_owned(), value, BaggageMetadata::from(metadata));
}

fn write(baggage: &Values) -> Option<String> {
    let mut header = String::new();
    for (key, (value, metadata)) in baggage {
        let before = header.len();
        if before > 0 {
            header.push(',');
        }
        header.push_str(key.as_str());
        header.push('=');
        header.extend(utf8_percent_encode(value.as_str(), ENCODED));
        let metadata = metadata.as_str();
        if !metadata.is_empty() && is_metadata(metadata) {
            header.push(';');
            header.push_str(metadata);
        }
        if header.len() > MAX_BYTES {
            header.truncate(before);
        }
    }
    (!header.is_empty()).then_some(header)
}

/// A token of RFC 7230.
fn is_key(key: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !key.is_empty() && key.bytes().all(is_token)
}

/// `baggage-octet`; the comma and the semicolon have been split at.
fn is_octet(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && !b"\",;\\".contains(&byte)
}

/// Properties are opaque: what can be sent on as it is.
fn is_metadata(metadata: &str) -> bool {
    metadata.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t') && byte != b',')
}

/// What is no `baggage-octet`, and `%` itself.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');
const HEADER: Header = Header::new(":::::::baggage");
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;
