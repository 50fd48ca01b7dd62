//! How values are read from text and written to it: pure functions, one for each type of the
//! specification (environment variables, "Configuration types").

use std::time::Duration;

use crate::error::{Severity, escape};

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Quotes the value unless it may be secret.
    pub(crate) what: String,
    /// What is done, where that is not simply that another value is used.
    pub(crate) instead: Option<String>,
}

impl Problem {
    pub(crate) fn of(what: impl Into<String>) -> Self {
        Self { what: what.into(), instead: None }
    }
}

/// Everything that is wrong with one value.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// The value is of no use.
    pub(crate) fn useless<T>(&mut self, what: impl Into<String>) -> Option<T> {
        self.0.push(Problem::of(what));
        None
    }

    /// A part of the value is of no use.
    pub(crate) fn but(&mut self, what: impl Into<String>, instead: &str) {
        self.0.push(Problem { what: what.into(), instead: Some(instead.to_owned()) });
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// How a value is written in a variable; what may be secret in it is not.
pub(crate) trait Shown {
    fn shown(&self) -> String;
}

#[expect(clippy::unnecessary_wraps, reason = "every parser of the table has one type")]
pub(crate) fn text(text: &str, _: &mut Problems) -> Option<String> {
    Some(text.to_owned())
}

/// `true` in any case is true, all else is false.
#[expect(clippy::unnecessary_wraps, reason = "every parser of the table has one type")]
pub(crate) fn flag(text: &str, problems: &mut Problems) -> Option<bool> {
    let is_true = text.eq_ignore_ascii_case("true");
    if !is_true && !text.eq_ignore_ascii_case("false") {
        let what = format!("{} is not `true` or `false`", quoted(text));
        problems.but(what, "false is used");
    }
    Some(is_true)
}

/// Set to whatever (no-color.org).
#[expect(clippy::unnecessary_wraps, reason = "every parser of the table has one type")]
pub(crate) fn presence(_: &str, _: &mut Problems) -> Option<bool> {
    Some(true)
}

/// A count of things, none included.
pub(crate) fn count(text: &str, problems: &mut Problems) -> Option<usize> {
    counted(text, 0).or_else(|| {
        problems.useless(format!("{} is not a number from 0 to {}", quoted(text), usize::MAX))
    })
}

/// A count of things, one at least.
pub(crate) fn positive(text: &str, problems: &mut Problems) -> Option<usize> {
    counted(text, 1).or_else(|| {
        problems.useless(format!("{} is not a number from 1 to {}", quoted(text), usize::MAX))
    })
}

/// A count that is held in 32 bits; more than they hold is as many as they hold.
pub(crate) fn limit(text: &str, problems: &mut Problems) -> Option<u32> {
    count(text, problems).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// A duration in milliseconds.
pub(crate) fn millis(text: &str, problems: &mut Problems) -> Option<Duration> {
    match digits(text).and_then(|text| text.parse().ok()) {
        Some(millis) => Some(Duration::from_millis(millis)),
        None => problems.useless(format!("{} is not a number of milliseconds", quoted(text))),
    }
}

/// A duration in milliseconds of which none is no limit.
pub(crate) fn timeout(text: &str, problems: &mut Problems) -> Option<Duration> {
    millis(text, problems)
}

fn counted(text: &str, least: usize) -> Option<usize> {
    digits(text)?.parse().ok().filter(|n| *n >= least)
}

/// Rust's parser takes a `+` too, which no other language's does.
fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

/// The least that our own voice says; nothing is silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level(pub(crate) Option<Severity>);

pub(crate) fn level(text: &str, problems: &mut Problems) -> Option<Level> {
    Some(Level(match text.to_ascii_lowercase().as_str() {
        "none" | "off" => None,
        "error" | "fatal" => Some(Severity::Error),
        "warn" | "warning" => Some(Severity::Warning),
        "info" => Some(Severity::Info),
        "debug" | "verbose" | "trace" | "all" => Some(Severity::Debug),
        _ => {
            let what = format!("{} is not one of none, error, warn, info, debug", quoted(text));
            return problems.useless(what);
        }
    }))
}

/// For messages: control characters escaped, and of something long the beginning.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTE) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}… ({} bytes)", &text[..end], text.len()),
    }
}

pub(crate) fn percent_decoded(text: &str) -> Result<String, String> {
    let wrong = || format!("{} is not percent-encoded UTF-8", quoted(text));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(wrong());
        };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

impl Shown for String {
    fn shown(&self) -> String {
        escape(self)
    }
}

impl Shown for bool {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for usize {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for u32 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Duration {
    fn shown(&self) -> String {
        self.as_millis().to_string()
    }
}

impl Shown for Level {
    fn shown(&self) -> String {
        match self.0 {
            None => "none".to_owned(),
            Some(Severity::Warning) => "warn".to_owned(),
            Some(severity) => severity.to_string(),
        }
    }
}

const LONGEST_QUOTE: usize = 200;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The value, and how many problems it has.
    fn parsed<T>(parse: fn(&str, &mut Problems) -> Option<T>, text: &str) -> (Option<T>, usize) {
        let mut problems = Problems::default();
        let value = parse(text, &mut problems);
        (value, problems.into_iter().count())
    }

    proptest! {
        #[test]
        fn numbers_are_read_as_they_are_shown(n in any::<u64>(), small in any::<u32>()) {
            let duration = Duration::from_millis(n);
            prop_assert_eq!(parsed(millis, &duration.shown()), (Some(duration), 0));
            prop_assert_eq!(parsed(limit, &small.shown()), (Some(small), 0));
            let held = u32::try_from(n).unwrap_or(u32::MAX);
            prop_assert_eq!(parsed(limit, &n.to_string()), (Some(held), 0));
        }

        #[test]
        fn a_number_is_digits_and_nothing_else(text in "\\PC{1,24}") {
            let is_number = text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u64>().is_ok();
            let (value, problems) = parsed(millis, &text);
            prop_assert_eq!((value.is_some(), problems), (is_number, usize::from(!is_number)));
            let (value, problems) = parsed(positive, &text);
            prop_assert_eq!(value.is_some(), problems == 0);
        }

        #[test]
        fn only_true_is_true(text in "(?i:true|false|yes|1|t|\\PC{0,5})") {
            let expected = text.to_lowercase() == "true" && text.is_ascii();
            prop_assert_eq!(parsed(flag, &text).0, Some(expected));
        }

        #[test]
        fn what_is_encoded_is_decoded(text in "\\PC{0,40}", plain in "[^%]{0,40}") {
            let encoded: Vec<_> = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let encoded = encoded.concat();
            prop_assert_eq!(percent_decoded(&encoded), Ok(text));
            prop_assert_eq!(percent_decoded(&plain), Ok(plain));
        }

        #[test]
        fn a_quote_is_one_short_line(text in any::<String>()) {
            let quote = quoted(&text);
            prop_assert!(!quote.chars().any(char::is_control));
            prop_assert!(quoted(&text.repeat(500)).chars().count() < 2500);
        }
    }

    #[test]
    fn levels_are_read_as_they_are_shown() {
        let levels = [
            None,
            Some(Severity::Error),
            Some(Severity::Warning),
            Some(Severity::Info),
            Some(Severity::Debug),
        ];
        for least in levels.map(Level) {
            assert_eq!(parsed(level, &least.shown()), (Some(least), 0));
        }
    }
}
