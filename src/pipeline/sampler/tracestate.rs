//! The `ot` entry of the trace state, in which samplers talk to each other across services
//! ("`TraceState` Handling").

use opentelemetry::trace::{SpanContext, TraceId, TraceState};

use super::threshold::{Randomness, Threshold};

/// The sub-keys that samplers read, and all the others as they came.
pub(super) struct OtState<'a> {
    state: &'a TraceState,
    /// The whole entry; empty where there is none.
    entry: &'a str,
    /// One that can be read, or not.
    has_threshold: bool,
    threshold: Option<Threshold>,
    randomness: Option<Randomness>,
}

/// A new trace state that holds nothing but a threshold.
pub(super) fn only(threshold: Threshold) -> TraceState {
    with_entry(&TraceState::NONE, &format!("{THRESHOLD}:{threshold}"))
}

/// The parent's, for a child that was decided on in another way: without the threshold.
pub(super) fn unsettled(parent: &SpanContext) -> TraceState {
    let state = parent.trace_state();
    if state.get(KEY).is_none() {
        return state.clone();
    }
    OtState::of(state).with_threshold(None)
}

/// The parent's, without a threshold that is at odds with its decision.
pub(super) fn checked(parent: &SpanContext, trace_id: TraceId, sampled: bool) -> TraceState {
    let ot = OtState::of(parent.trace_state());
    match ot.threshold {
        Some(threshold) if threshold.keeps(ot.randomness(trace_id)) == sampled => {
            parent.trace_state().clone()
        }
        _ => ot.with_threshold(None),
    }
}

impl<'a> OtState<'a> {
    /// What cannot be read does not count, and neither does what is there twice.
    pub(super) fn of(state: &'a TraceState) -> Self {
        let entry = state.get(KEY).unwrap_or_default();
        let (mut threshold, mut randomness) = (None, None);
        let (mut thresholds, mut randomnesses) = (0, 0);
        for (key, value, _) in members(entry) {
            match key {
                THRESHOLD => (threshold, thresholds) = (Threshold::parse(value), thresholds + 1),
                RANDOMNESS => {
                    (randomness, randomnesses) = (Randomness::parse(value), randomnesses + 1);
                }
                _ => {}
            }
        }
        Self {
            state,
            entry,
            has_threshold: thresholds > 0,
            threshold: threshold.filter(|_| thresholds == 1),
            randomness: randomness.filter(|_| randomnesses == 1),
        }
    }

    /// That which the trace brings along, or else its id's.
    pub(super) fn randomness(&self, trace_id: TraceId) -> Randomness {
        self.randomness.unwrap_or_else(|| Randomness::of(trace_id))
    }

    /// The state with this threshold and no other; all else is kept, in its order. A threshold for
    /// which there is no room is left out: then the probability is unknown, which is true.
    pub(super) fn with_threshold(&self, threshold: Option<Threshold>) -> TraceState {
        if threshold == self.threshold && (threshold.is_some() || !self.has_threshold) {
            return self.state.clone();
        }
        let kept = members(self.entry).filter(|(key, ..)| *key != THRESHOLD);
        let mut entry = kept.map(|(.., whole)| whole).collect::<Vec<_>>().join(";");
        if let Some(threshold) = threshold {
            let separator = if entry.is_empty() { "" } else { ";" };
            let member = format!("{separator}{THRESHOLD}:{threshold}");
            if entry.len() + member.len() <= LONGEST_ENTRY {
                entry.push_str(&member);
            }
        }
        with_entry(self.state, &entry)
    }
}

/// Key, value and both with the colon. What has no colon is all key.
fn members(entry: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    entry.split(';').filter(|member| !member.is_empty()).map(|member| {
        let (key, value) = member.split_once(':').unwrap_or((member, ""));
        (key, value, member)
    })
}

/// Moves the entry to the front, as whoever changes one must; the last of 32 others gives way.
fn with_entry(state: &TraceState, entry: &str) -> TraceState {
    let changed = if entry.is_empty() { state.delete(KEY) } else { state.insert(KEY, entry) };
    // the key is right, and the value is made of what was one
    changed.unwrap_or_else(|_| state.clone())
}

const KEY: &str = "ot";
const THRESHOLD: &str = "th";
const RANDOMNESS: &str = "rv";
/// Characters, which are bytes where all of them are ASCII.
const LONGEST_ENTRY: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state(header: &str) -> TraceState {
        header.parse().expect("a trace state")
    }

    /// What becomes of a header when this threshold is set, or is erased.
    #[track_caller]
    fn is(header: &str, threshold: Option<&str>, expected: &str) {
        let threshold = threshold.map(|text| Threshold::parse(text).expect("a threshold"));
        let state = state(header);
        assert_eq!(OtState::of(&state).with_threshold(threshold).header(), expected, "{header}");
    }

    #[test]
    fn a_threshold_is_set_among_others() {
        is("", Some("c"), "ot=th:c");
        is("ot=p:8;r:62", Some("c"), "ot=p:8;r:62;th:c");
        is("ot=p:8;th:0;r:62", Some("c"), "ot=p:8;r:62;th:c");
        is("a=1,ot=rv:0000000000000a,b=2", Some("fd70a"), "ot=rv:0000000000000a;th:fd70a,a=1,b=2");
        is("a=1,tenant@ot=th:8", Some("0"), "ot=th:0,a=1,tenant@ot=th:8");
        // as it is: not a byte is moved
        is("a=1,ot=th:c;x:y", Some("c"), "a=1,ot=th:c;x:y");
    }

    #[test]
    fn a_threshold_is_erased_and_nothing_else() {
        is("a=1,ot=th:c,b=2", None, "a=1,b=2");
        is("a=1,ot=x:1;th:c;rv:zz,b=2", None, "ot=x:1;rv:zz,a=1,b=2");
        is("a=1,ot=x:1,b=2", None, "a=1,ot=x:1,b=2");
        for unreadable in ["th:C", "th", "th:", "th:123456789012345", "th:8;th:c"] {
            is(&format!("a=1,ot={unreadable}"), None, "a=1");
            is(&format!("a=1,ot={unreadable}"), Some("c"), "ot=th:c,a=1");
        }
    }

    #[test]
    fn a_threshold_that_has_no_room_is_left_out() {
        let others = format!("x:{}", "y".repeat(249));
        is(&format!("ot={others}"), Some("c"), &format!("ot={others};th:c"));
        is(&format!("ot={others}"), Some("fd"), &format!("ot={others}"));
        let full: Vec<_> = (0..32).map(|n| format!("k{n}=v")).collect();
        let set = OtState::of(&state(&full.join(","))).with_threshold(Threshold::parse("c"));
        assert_eq!(set.header(), format!("ot=th:c,{}", full[..31].join(",")));
    }

    #[test]
    fn what_is_there_twice_or_cannot_be_read_does_not_count() {
        for header in
            ["", "ot=", "ot=;;", "ot=rv:1;rv:00000000000001", "ot=rv;th", "ot=RV:00000000000001"]
        {
            let state = state(header);
            let ot = OtState::of(&state);
            assert_eq!((ot.threshold, ot.randomness), (None, None), "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_entry_keeps_all_but_its_threshold(
            entry in "([a-z][a-z0-9]{0,3}:[A-Za-z0-9._-]{0,9}|th:[0-9a-f]{0,15}|rv:[0-9a-f]{13,15}|[ -+--:<-~]{0,9}|;){0,8}",
            threshold in proptest::option::of(0..1_u64 << 56),
        ) {
            let Ok(state) = TraceState::from_key_value([("v", "1"), (KEY, &entry)]) else {
                return Ok(());
            };
            let threshold = threshold.and_then(|t| Threshold::parse(&format!("{t:014x}")));
            let before = OtState::of(&state);
            let after = before.with_threshold(threshold);
            let read = OtState::of(&after);
            prop_assert!(read.threshold == threshold || after.get(KEY).unwrap_or("").len() > 240);
            prop_assert_eq!(read.randomness, before.randomness);
            prop_assert_eq!(after.get("v"), Some("1"));
            let others = |state: &OtState<'_>| {
                let members = members(state.entry).filter(|m| m.0 != THRESHOLD);
                members.map(|m| m.2.to_owned()).collect::<Vec<_>>()
            };
            prop_assert_eq!(others(&read), others(&before));
        }
    }
}
