//! At most so many traces a second.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use opentelemetry_sdk::trace::SamplingResult;

use super::NewSpan;

/// A token bucket without a lock: one number says up to when all tokens are spoken for (the
/// "theoretical arrival time" of the generic cell rate algorithm), in nanoseconds since `since`.
#[derive(Debug)]
pub(super) struct RateLimit {
    traces_per_second: f64,
    /// Between two traces; `None` for none at all.
    interval: Option<u64>,
    /// How far ahead tokens may be taken.
    burst: u64,
    spoken_for: AtomicU64,
    since: Instant,
}

impl RateLimit {
    pub(super) fn new(traces_per_second: f64) -> Self {
        let rate = if traces_per_second > 0.0 { traces_per_second } else { 0.0 };
        // less than one in the life of a machine is none
        let interval = Duration::try_from_secs_f64(rate.recip())
            .ok()
            .and_then(|interval| u64::try_from(interval.as_nanos()).ok())
            .filter(|interval| *interval < u64::MAX / 2);
        Self {
            traces_per_second: rate,
            interval,
            burst: interval.map_or(0, |interval| interval.max(SECOND)),
            spoken_for: AtomicU64::new(0),
            since: Instant::now(),
        }
    }

    pub(super) fn sample(&self, span: &NewSpan<'_>) -> SamplingResult {
        match span.parent {
            Some(parent) if !parent.is_remote() || !parent.is_sampled() => span.following(parent),
            _ => span.decided(self.take(self.since.elapsed())),
        }
    }

    /// Takes a token, if there is one at the time `now` since the start.
    fn take(&self, now: Duration) -> bool {
        let Some(interval) = self.interval else { return false };
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let latest = now.saturating_add(self.burst);
        let next = |spoken_for: u64| spoken_for.max(now).saturating_add(interval);
        self.spoken_for
            .fetch_update(Relaxed, Relaxed, |spoken_for| {
                Some(next(spoken_for)).filter(|next| *next <= latest)
            })
            .is_ok()
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RateLimited{{{}}}", self.traces_per_second)
    }
}

const SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(limit: &RateLimit, at_millis: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let taken = |at: &u64| limit.take(Duration::from_millis(*at));
        at_millis.into_iter().filter(taken).collect()
    }

    #[test]
    fn one_seconds_worth_at_once_and_then_one_an_interval() {
        let limit = RateLimit::new(4.0);
        assert_eq!(taken(&limit, [0; 10]), [0; 4]);
        assert_eq!(taken(&limit, 1..=1000), [250, 500, 750, 1000]);
        // what was not used for an hour is not saved up
        assert_eq!(taken(&limit, [3_600_000; 10]).len(), 4);
    }

    #[test]
    fn a_fraction_is_one_in_several_seconds() {
        let limit = RateLimit::new(0.5);
        assert_eq!(taken(&limit, (0..=6000).step_by(100)), [0, 2000, 4000, 6000]);
    }

    #[test]
    fn what_is_no_rate_is_none_and_what_is_too_much_is_all() {
        for none in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY, 1e-300] {
            assert!(taken(&RateLimit::new(none), [0, 1000, u64::MAX]).is_empty(), "{none}");
        }
        for all in [1e10, f64::MAX, f64::INFINITY] {
            assert_eq!(taken(&RateLimit::new(all), [0; 100]).len(), 100, "{all}");
        }
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_nothing_away() {
        let limit = RateLimit::new(1.0);
        assert_eq!(taken(&limit, [5000, 5000, 4000, 0, 5999, 6000]), [5000, 6000]);
    }

    #[test]
    fn threads_together_take_no_more_than_one_would() {
        let limit = RateLimit::new(1000.0);
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| taken(&limit, [7; 1000]).len())).collect();
            threads.into_iter().map(|thread| thread.join().expect("it counts")).sum()
        });
        assert_eq!(taken, 1000);
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_the_rate_and_the_burst(
            rate in 1_u32..50,
            mut times in proptest::collection::vec(0_u64..20_000, 1..400),
        ) {
            times.sort_unstable();
            let taken = taken(&RateLimit::new(f64::from(rate)), times);
            for window in taken.windows(2 * rate as usize + 2) {
                let (first, last) = (window[0], window[window.len() - 1]);
                prop_assert!(last - first >= 1000, "{window:?}");
            }
        }
    }
}
