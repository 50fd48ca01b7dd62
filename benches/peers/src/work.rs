//! The work, which is the same for all: a span named `request` with two or four attributes.

use std::hint::black_box;

/// In whose words a span is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    Tracing,
    Fastrace,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Whether it happens inside a span that stays open.
    inside: bool,
    four: bool,
}

pub(crate) const CASES: &[Case] = &[
    Case { name: "root", inside: false, four: false },
    Case { name: "child", inside: true, four: false },
    Case { name: "child, 4 attributes", inside: true, four: true },
];

impl Case {
    /// So many spans to warm up, and so many that count.
    pub(crate) fn run(&self, api: Api, count: u64, sampled: bool) {
        match api {
            Api::Tracing if self.inside => {
                tracing::info_span!("parent").in_scope(|| self.tracing(count));
            }
            Api::Tracing => self.tracing(count),
            Api::Fastrace => self.fastrace(count, sampled),
        }
    }

    fn tracing(&self, count: u64) {
        let work = if self.four { four } else { two };
        twice(count, &mut { work });
    }

    fn fastrace(&self, count: u64, sampled: bool) {
        use fastrace::prelude::*;
        let context = || SpanContext::random().sampled(sampled);
        let two = |n: u64| [("n", n.to_string()), ("user", "alice".to_owned())];
        if !self.inside {
            return twice(count, &mut |n| {
                let _span = Span::root("request", context()).with_properties(|| two(n));
                black_box(n);
            });
        }
        let parent = Span::root("parent", context());
        let _guard = parent.set_local_parent();
        twice(count, &mut |n| {
            let span = LocalSpan::enter_with_local_parent("request");
            let _span = if self.four {
                let others = [("cached", "true".to_owned()), ("ratio", "0.5".to_owned())];
                span.with_properties(|| two(n).into_iter().chain(others))
            } else {
                span.with_properties(|| two(n))
            };
            black_box(n);
        });
    }
}

fn twice(count: u64, work: &mut dyn FnMut(u64)) {
    (0..count).for_each(&mut *work);
    counted_by_callgrind(count, work);
}

/// callgrind counts what happens in here, and knows it by its name.
#[inline(never)]
fn counted_by_callgrind(count: u64, work: &mut dyn FnMut(u64)) {
    (0..count).for_each(work);
}

/// Roots, as fast as this thread can.
pub(crate) fn burst(api: Api, count: u64) {
    Case { name: "burst", inside: false, four: false }.run(api, count / 2, true);
}

#[inline(never)]
fn two(n: u64) {
    let span = tracing::info_span!("request", n, user = "alice");
    let _entered = span.enter();
    black_box(n);
}

#[inline(never)]
fn four(n: u64) {
    let span = tracing::info_span!("request", n, user = "alice", cached = true, ratio = 0.5);
    let _entered = span.enter();
    black_box(n);
}
