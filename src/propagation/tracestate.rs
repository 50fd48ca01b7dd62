//! `tracestate`: <https://www.w3.org/TR/trace-context-2/#tracestate-header>.

use opentelemetry::propagation::Extractor;
use opentelemetry::trace::TraceState;
use smallvec::SmallVec;

use super::format::Header;

/// The state that all values of the header together are. One member that is invalid, or more than
/// 32 members, discard all of it; of a key that comes twice, the first counts. What is longer than
/// 512 characters loses whole members: first the long ones, then those at the end.
pub(super) fn read(first: &str, header: &Header, carrier: &dyn Extractor) -> TraceState {
    let mut members = Members { list: SmallVec::new(), read: 0 };
    match header.each(first, carrier, |value| members.add(value)) {
        Some(()) => members.state(),
        None => TraceState::NONE,
    }
}

/// The header of a state, or `None` for an empty one, which should not be sent.
pub(super) fn write(state: &TraceState) -> Option<String> {
    let length: usize = state.into_iter().map(|(key, value)| key.len() + value.len() + 2).sum();
    if length == 0 {
        return None;
    }
    let mut header = String::with_capacity(length - 1);
    for (key, value) in state {
        if !header.is_empty() {
            header.push(',');
        }
        header.push_str(key);
        header.push('=');
        header.push_str(value);
    }
    Some(header)
}

/// At most as many as fit without an allocation.
struct Members<'a> {
    list: SmallVec<[(&'a str, &'a str); MAX_MEMBERS]>,
    /// The length of the headers that they are from.
    read: usize,
}

impl<'a> Members<'a> {
    /// Section 3.3.1.1, "list"; empty members are allowed.
    fn add(&mut self, header: &'a str) -> Option<()> {
        self.read += header.len() + 1;
        let bytes = header.as_bytes();
        let mut at = 0;
        loop {
            at = end_of(BETWEEN, bytes, at);
            if at == bytes.len() {
                return Some(());
            }
            let equals = end_of_key(bytes, at)?;
            let key = &header[at..equals];
            at = end_of(VALUE, bytes, equals + 1);
            // white space at its end is that around the member
            let mut value = &header[equals + 1..at];
            while let Some(shorter) = value.strip_suffix(' ') {
                value = shorter;
            }
            at = end_of(SPACE, bytes, at);
            let is_value = (1..=MAX_VALUE).contains(&value.len());
            if !is_value || !matches!(bytes.get(at), None | Some(b',')) {
                return None;
            }
            if self.list.iter().any(|(known, _)| *known == key) {
                continue;
            }
            if self.list.len() == MAX_MEMBERS {
                return None;
            }
            self.list.push((key, value));
        }
    }

    fn state(&mut self) -> TraceState {
        self.shorten();
        let members = self.list.iter().copied();
        TraceState::from_key_value(members.clone())
            .or_else(|_| TraceState::from_key_value(members.filter(|(key, _)| !is_refused(key))))
            .unwrap_or_default()
    }

    /// Section 3.3.1.5, "tracestate Limits".
    fn shorten(&mut self) {
        if self.read <= MAX_LENGTH + 1 {
            return;
        }
        let length = |member: &(&str, &str)| member.0.len() + member.1.len() + 2;
        let mut total: usize = self.list.iter().map(length).sum();
        if total <= MAX_LENGTH + 1 {
            return;
        }
        // a member's own length is without the comma
        for only_long in [true, false] {
            for at in (0..self.list.len()).rev() {
                if total <= MAX_LENGTH + 1 {
                    return;
                }
                let length = length(&self.list[at]);
                if !only_long || length - 1 > LONG_MEMBER {
                    total -= length;
                    self.list.remove(at);
                }
            }
        }
    }
}

/// Where the `=` after the key is. Section 3.3.1.3.1, "Key".
///
/// The grammar of level 2 has `@` for a character like any other but the first; that of level 1 has
/// one at most, between a tenant of up to 241 characters and a system of up to 14. `a@b@c` is valid by
/// the former alone, and the test suite, at its strict level 2, wants it refused
/// (`test_tracestate_key_illegal_vendor_format`, `…_length_limit`). The suite decides: what we send on
/// is accepted by both. A first digit is level 2's.
#[inline]
fn end_of_key(bytes: &[u8], start: usize) -> Option<usize> {
    let end = end_of_name(bytes, start)?;
    match bytes.get(end)? {
        b'=' => (end - start <= MAX_KEY).then_some(end),
        b'@' => {
            let end_of_system = end_of_name(bytes, end + 1)?;
            let fits = end - start <= MAX_TENANT && end_of_system - end - 1 <= MAX_SYSTEM;
            (fits && bytes.get(end_of_system) == Some(&b'=')).then_some(end_of_system)
        }
        _ => None,
    }
}

#[inline]
fn end_of_name(bytes: &[u8], start: usize) -> Option<usize> {
    let is_start = CLASSES[usize::from(*bytes.get(start)?)] & NAME_START != 0;
    is_start.then(|| end_of(NAME, bytes, start + 1))
}

/// The first index from `start` on with a byte that is not of the class.
#[inline]
fn end_of(class: u8, bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while at < bytes.len() && CLASSES[usize::from(bytes[at])] & class != 0 {
        at += 1;
    }
    at
}

/// A key that is valid, but that opentelemetry's type cannot hold.
fn is_refused(key: &str) -> bool {
    key.rsplit_once('@').is_some_and(|(_, system)| system.len() == MAX_SYSTEM)
}

const MAX_MEMBERS: usize = 32;
const MAX_LENGTH: usize = 512;
const LONG_MEMBER: usize = 128;
const MAX_KEY: usize = 256;
const MAX_TENANT: usize = 241;
const MAX_SYSTEM: usize = 14;
const MAX_VALUE: usize = 256;

const NAME_START: u8 = 1;
const NAME: u8 = 2;
/// Section 3.3.1.3.2, "Value".
const VALUE: u8 = 4;
const SPACE: u8 = 8;
/// White space around members, and members that are empty.
const BETWEEN: u8 = 16;

/// The classes that each byte belongs to.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b'a'..=b'z' | b'0'..=b'9' => NAME_START | NAME | VALUE,
            b'_' | b'-' | b'*' | b'/' => NAME | VALUE,
            b' ' => VALUE | SPACE | BETWEEN,
            b'\t' => SPACE | BETWEEN,
            b',' => BETWEEN,
            b'=' => 0,
            b'!'..=b'~' => VALUE,
            _ => 0,
        };
        byte += 1;
    }
    classes
};
