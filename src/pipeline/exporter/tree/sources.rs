//! The pipelines that share a picture, and what each has handed over.

use crate::pipeline::export::Settled;

/// By number, in the order in which they were opened.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<Source>);

#[derive(Debug, Default)]
struct Source {
    /// What has become of the spans that were held.
    settled: Settled,
    /// How often it has handed over all that it had.
    handed_over: u64,
    closed: bool,
}

impl Sources {
    pub(super) fn open(&mut self) -> usize {
        self.0.push(Source::default());
        self.0.len() - 1
    }

    pub(super) fn settled(&mut self, source: usize) -> &mut Settled {
        &mut self.0[source].settled
    }

    /// What had ended in it a little before is here: by two of these, what had ended at the first.
    pub(super) fn hand_over(&mut self, source: usize) {
        self.0[source].handed_over += 1;
    }

    /// All that has ended in it is here.
    pub(super) fn hand_over_all(&mut self, source: usize) {
        self.0[source].handed_over += 2;
    }

    pub(super) fn close(&mut self, source: usize) {
        self.0[source].closed = true;
    }

    /// Whether spans of a trace may come in more than one way.
    pub(super) fn are_several(&self) -> bool {
        self.0.iter().filter(|source| !source.closed).count() > 1
    }

    /// How often each has handed over.
    pub(super) fn counts(&self) -> Vec<u64> {
        self.0.iter().map(|source| source.handed_over).collect()
    }

    /// Whether all but one have handed over what they had at the time of `counts`.
    pub(super) fn others_have_handed_over(&self, but: usize, counts: &[u64]) -> bool {
        let others = self.0.iter().zip(counts).enumerate().filter(|(source, _)| *source != but);
        let mut done = others.map(|(_, (s, before))| s.closed || s.handed_over >= before + 2);
        done.all(|done| done)
    }
}
