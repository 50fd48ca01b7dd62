//! Consistent probability sampling: a trace's randomness against a rejection threshold.

use std::fmt;

use opentelemetry::trace::{TraceId, TraceState};
use opentelemetry_sdk::trace::SamplingResult;

use super::tracestate::OtState;
use super::{NewSpan, result, tracestate};

/// How many of 2^56 traces are rejected: `th`. Never all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Threshold(u64);

/// The 56 random bits of a trace: `rv`, or the end of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Randomness(u64);

/// A share of all traces, which every service that knows their randomness can tell.
#[derive(Debug, Clone)]
pub(super) struct Consistent {
    ratio: f64,
    threshold: Threshold,
    /// The trace state of a root.
    state: TraceState,
}

impl Consistent {
    /// `None` for what is less than the smallest share there is: never is none.
    pub(super) fn new(ratio: f64) -> Option<Self> {
        let threshold = Threshold::of_probability(ratio)?;
        Some(Self { ratio, threshold, state: tracestate::only(threshold) })
    }

    pub(super) fn sample(&self, span: &NewSpan<'_>) -> SamplingResult {
        let Some(parent) = span.parent else {
            let sampled = self.threshold.keeps(Randomness::of(span.trace_id));
            let state = if sampled { self.state.clone() } else { TraceState::NONE };
            return result(sampled, state);
        };
        let ot = OtState::of(parent.trace_state());
        let sampled = self.threshold.keeps(ot.randomness(span.trace_id));
        result(sampled, ot.with_threshold(sampled.then_some(self.threshold)))
    }
}

impl fmt::Display for Consistent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consistent{{{},th={}}}", self.ratio, self.threshold)
    }
}

impl Threshold {
    /// Rounded to four significant digits, as the specification recommends.
    fn of_probability(probability: f64) -> Option<Self> {
        if !(LEAST_PROBABILITY..=1.0).contains(&probability) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a power of two is exact, and the product is from 1 to that power"
        )]
        let kept = (probability * ALL as f64).round() as u64;
        Some(Self(rounded(ALL - kept)))
    }

    /// From 1 to 14 digits; trailing zeros may be missing.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = hex_digits(text).filter(|_| (1..=DIGITS).contains(&text.len()))?;
        Some(Self(digits << (4 * (DIGITS - text.len()))))
    }

    pub(super) fn keeps(self, randomness: Randomness) -> bool {
        randomness.0 >= self.0
    }
}

impl Randomness {
    /// The 56 bits that are random by the W3C's Trace Context level 2.
    pub(super) fn of(trace_id: TraceId) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
        let low = u128::from_be_bytes(trace_id.to_bytes()) as u64;
        Self(low % ALL)
    }

    /// Exactly 14 digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        hex_digits(text).filter(|_| text.len() == DIGITS).map(Self)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        let zeros = self.0.trailing_zeros() as usize / 4;
        let (digits, width) = (self.0 >> (4 * zeros), DIGITS - zeros);
        write!(f, "{digits:0width$x}")
    }
}

/// Keeps four digits behind the leading ones that say that it is close to none or all.
fn rounded(threshold: u64) -> u64 {
    let bits = threshold << 8;
    let leading = bits.leading_zeros().max(bits.leading_ones()) as usize / 4;
    let Some(dropped) = DIGITS.checked_sub(leading + PRECISION).filter(|dropped| *dropped > 0)
    else {
        return threshold;
    };
    // never reaches 2^56: behind the leading f is a digit that is none
    let shift = 4 * dropped;
    ((threshold + (1 << (shift - 1))) >> shift) << shift
}

fn hex_digits(text: &str) -> Option<u64> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    u64::from_str_radix(text, 16).ok().filter(|_| text.bytes().all(is_digit))
}

/// 2^56.
const ALL: u64 = 1 << 56;
const DIGITS: usize = 14;
const PRECISION: usize = 4;
/// 2^-56.
const LEAST_PROBABILITY: f64 = f64::EPSILON / 16.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The specification's table, "Converting floating-point probability to threshold value".
    #[test]
    fn the_specifications_thresholds() {
        for (one_in, expected) in [
            (1.0, "0"),
            (2.0, "8"),
            (3.0, "aaab"),
            (4.0, "c"),
            (5.0, "cccd"),
            (8.0, "e"),
            (10.0, "e666"),
            (16.0, "f"),
            (100.0, "fd70a"),
            (1000.0, "ffbe77"),
            (10_000.0, "fff9724"),
            (100_000.0, "ffff583a"),
            (1_000_000.0, "ffffef39"),
        ] {
            let threshold = Threshold::of_probability(1.0 / one_in).expect("a probability");
            assert_eq!(threshold.to_string(), expected, "one in {one_in}");
        }
    }

    #[test]
    fn the_least_and_the_greatest_probability() {
        let of = |probability: f64| Threshold::of_probability(probability).map(|t| t.to_string());
        assert_eq!(of(LEAST_PROBABILITY).as_deref(), Some("ffffffffffffff"));
        assert_eq!(of(LEAST_PROBABILITY / 2.0), None);
        assert_eq!(of(1.0_f64.next_down()).as_deref(), Some("00000000000008"));
        assert_eq!(of(0.99999).as_deref(), Some("0000a7c6"));
        for none in [0.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_no_threshold_and_no_randomness() {
        for bad in ["", "g", "C", "+1", "-1", " 1", "0x1", "000000000000000", "é"] {
            assert_eq!(Threshold::parse(bad), None, "{bad:?}");
        }
        for bad in ["", "0", "0000000000000", "000000000000000", "0000000000000G", "+0000000000000"]
        {
            assert_eq!(Randomness::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Randomness::parse("000000000000ff"), Some(Randomness(255)));
    }

    #[test]
    fn randomness_is_the_end_of_the_trace_id() {
        let id = TraceId::from(0xffff_ffff_ffff_ffff_ff12_3456_789a_bcde);
        assert_eq!(Randomness::of(id), Randomness(0x12_3456_789a_bcde));
    }

    proptest! {
        #[test]
        fn a_threshold_is_read_as_it_is_written(threshold in 0..ALL) {
            let text = Threshold(threshold).to_string();
            prop_assert_eq!(Threshold::parse(&text), Some(Threshold(threshold)), "{}", text);
            prop_assert!(text == "0" || !text.ends_with('0'));
        }

        #[test]
        fn rounding_is_close_and_keeps_the_order(a in 0.0_f64..=1.0, b in 0.0_f64..=1.0) {
            let (less, more) = if a < b { (a, b) } else { (b, a) };
            let (Some(low), Some(high)) =
                (Threshold::of_probability(less), Threshold::of_probability(more))
            else { return Ok(()) };
            prop_assert!(low >= high);
            #[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
            let really = (ALL - high.0) as f64 / ALL as f64;
            // half a unit of the fourth digit, where the leading one is a 1
            prop_assert!((really - more).abs() <= more / 8192.0, "{} for {}", really, more);
        }

        #[test]
        fn parsing_takes_anything(text in ".{0,20}") {
            let _ = (Threshold::parse(&text), Randomness::parse(&text));
        }
    }
}
