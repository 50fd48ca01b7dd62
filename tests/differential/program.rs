//! Random programs over everything that a layer can be asked to do.

use tracing::Level;

/// What happens, one step after the other, each on one of the threads.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
    /// Whether there may be unsampled spans in it. Under those only a span that declares its kind
    /// can be given another parent, which is one of the differences.
    pub(crate) has_unsampled: bool,
    pub(crate) sampling: Sampling,
    /// The trace filter, and the most detailed level that it lets through.
    pub(crate) filter: (&'static str, Level),
}

/// What happens to a span whose name begins with `drop`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sampling {
    /// It is dropped with all that is below it.
    ByRoot,
    /// It is recorded for processors and not sampled; all that is below it is dropped.
    RecordedOnly,
    /// It is dropped by itself: the sampler is asked about each span.
    EachSpan,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) thread: usize,
    pub(crate) op: Op,
}

/// Slots hold span handles, any number of them for the same span.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    New {
        slot: usize,
        site: usize,
        parent: Parent,
    },
    Clone {
        from: usize,
        to: usize,
    },
    Drop {
        slot: usize,
    },
    Enter {
        slot: usize,
    },
    Exit {
        slot: usize,
    },
    Event {
        site: usize,
        parent: Parent,
    },
    Record {
        slot: usize,
        site: usize,
    },
    FollowsFrom {
        slot: usize,
        follows: usize,
    },
    /// A native span, current on its thread until `Detach`.
    Attach {
        sampled: bool,
    },
    Detach,
    /// A native child, by the context that the extension trait gives.
    NativeChild {
        slot: usize,
    },
    SetParent {
        slot: usize,
        sampled: bool,
    },
    SetAttribute {
        slot: usize,
    },
    SetStatus {
        slot: usize,
    },
    AddLink {
        slot: usize,
    },
    AddEvent {
        slot: usize,
    },
    /// A future that runs in the span, with an event and a child span at each of its polls.
    Task {
        slot: usize,
        task: usize,
    },
    Poll {
        task: usize,
    },
    /// A chain of nested spans, all entered, more than a thread keeps without an entry for each.
    Deep {
        is_unsampled: bool,
    },
    /// Leaves what the thread has entered but for so many, in an order of the seed's.
    Leave {
        rest: usize,
        seed: u64,
    },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Parent {
    Contextual,
    Root,
    Of(usize),
}

impl Program {
    pub(crate) fn random(seed: u64) -> Self {
        let mut random = Random(seed);
        let length = 4 + random.below(44);
        let threads = 1 + random.below(THREADS);
        let has_unsampled = random.below(2) == 0;
        let sampling = match random.below(4) {
            0 => Sampling::RecordedOnly,
            1 => Sampling::EachSpan,
            _ => Sampling::ByRoot,
        };
        let filter = match random.below(6) {
            0 => ("debug", Level::DEBUG),
            1 => ("warn", Level::WARN),
            // directives on spans are decided anew for each
            2 => ("info,[nowhere]=trace", Level::INFO),
            _ => ("info", Level::INFO),
        };
        let steps = (0..length).map(|_| {
            let (thread, op) = (random.below(threads), op(&mut random));
            Step { thread, op: if has_unsampled { op } else { sampled(op) } }
        });
        Self { steps: steps.collect(), has_unsampled, sampling, filter }
    }

    pub(crate) fn without(&self, step: usize) -> Self {
        let mut steps = self.steps.clone();
        steps.remove(step);
        Self { steps, ..*self }
    }
}

fn op(random: &mut Random) -> Op {
    let slot = random.below(SLOTS);
    match random.below(40) {
        0..=7 => Op::New { slot, site: random.below(SPAN_SITES), parent: parent(random) },
        8..=13 => Op::Enter { slot },
        14..=18 => Op::Exit { slot },
        19..=22 => Op::Event { site: random.below(EVENT_SITES), parent: parent(random) },
        23 => Op::Clone { from: slot, to: random.below(SLOTS) },
        24 | 25 => Op::Drop { slot },
        26 => Op::Record { slot, site: random.below(RECORD_SITES) },
        27 => Op::FollowsFrom { slot, follows: random.below(SLOTS) },
        28 => Op::Attach { sampled: random.below(4) > 0 },
        29 => Op::Detach,
        30 => Op::NativeChild { slot },
        31 => Op::SetParent { slot, sampled: random.below(4) > 0 },
        32 => Op::SetAttribute { slot },
        33 => Op::Task { slot, task: random.below(TASKS) },
        34..=36 => Op::Poll { task: random.below(TASKS) },
        37 => Op::Deep { is_unsampled: random.below(4) > 0 },
        38 => Op::Leave { rest: random.below(3), seed: random.next() },
        _ => match random.below(3) {
            0 => Op::SetStatus { slot },
            1 => Op::AddLink { slot },
            _ => Op::AddEvent { slot },
        },
    }
}

fn sampled(op: Op) -> Op {
    match op {
        Op::New { slot, site: UNSAMPLED_SITE, parent } => Op::New { slot, site: 0, parent },
        Op::Attach { .. } => Op::Attach { sampled: true },
        Op::SetParent { slot, .. } => Op::SetParent { slot, sampled: true },
        Op::Deep { .. } => Op::Deep { is_unsampled: false },
        op => op,
    }
}

fn parent(random: &mut Random) -> Parent {
    match random.below(8) {
        0 => Parent::Root,
        1 | 2 => Parent::Of(random.below(SLOTS)),
        _ => Parent::Contextual,
    }
}

/// splitmix64: small, and the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("it is below a usize")
    }
}

pub(crate) const THREADS: usize = 3;
pub(crate) const SLOTS: usize = 5;
pub(crate) const TASKS: usize = 2;
pub(crate) const DEEP: usize = 20;
pub(crate) const SPAN_SITES: usize = 8;
pub(crate) const UNSAMPLED_SITE: usize = 6;
pub(crate) const EVENT_SITES: usize = 7;
pub(crate) const RECORD_SITES: usize = 4;
