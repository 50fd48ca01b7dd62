//! Who is under whom: the spans of a trace as nodes, repeated siblings folded into one.

use std::collections::HashMap;

use opentelemetry::trace::SpanId;

use super::span::Span;

/// The nodes of a trace. A node comes after its parent.
#[derive(Debug)]
pub(crate) struct Forest<'a> {
    pub(crate) spans: &'a [Span],
    pub(crate) nodes: Vec<Node>,
    /// In order of their starts.
    pub(crate) roots: Vec<usize>,
    /// For each span, when its children worked: sorted, not overlapping, within its own time.
    pub(crate) waits: Vec<Vec<(u64, u64)>>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    /// In order of their starts.
    pub(crate) children: Vec<usize>,
}

#[derive(Debug)]
pub(crate) enum NodeKind {
    Span(usize),
    /// Siblings of the same name, kind, service and outcome.
    Fold(Vec<usize>),
    /// Spans that are as alike, each the only child of the one before.
    Levels(Vec<usize>),
    /// A parent that is not among the spans.
    Absent {
        id: SpanId,
        is_remote: bool,
    },
    /// What is not shown of a node's children, and of theirs.
    Rest {
        spans: usize,
        errors: usize,
    },
}

impl<'a> Forest<'a> {
    /// Folds siblings only in a trace of more than `shown_whole` spans.
    pub(crate) fn grow(spans: &'a [Span], shown_whole: usize) -> Self {
        let (tops, children) = families(spans);
        let waits = children.iter().enumerate().map(|(i, c)| waits(spans, i, c)).collect();
        let mut forest = Self { spans, nodes: Vec::new(), roots: Vec::new(), waits };
        let folds = spans.len() > shown_whole;
        let mut unfinished = Vec::new();
        for (absent, members) in tops {
            let nodes = forest.siblings(members, folds, &mut unfinished);
            if let Some((id, is_remote)) = absent {
                let kind = NodeKind::Absent { id, is_remote };
                forest.roots.push(forest.nodes.len());
                forest.nodes.push(Node { kind, children: nodes });
            } else {
                forest.roots.extend(nodes);
            }
        }
        // no recursion: traces may be deeper than the stack
        while let Some(node) = unfinished.pop() {
            let members: Vec<usize> = match &forest.nodes[node].kind {
                NodeKind::Span(span) => children[*span].clone(),
                NodeKind::Fold(spans) => {
                    spans.iter().flat_map(|span| children[*span].iter().copied()).collect()
                }
                _ => continue,
            };
            forest.nodes[node].children = forest.siblings(members, folds, &mut unfinished);
        }
        let mut roots = std::mem::take(&mut forest.roots);
        roots.sort_by_key(|root| forest.extent(*root).0);
        forest.roots = roots;
        forest
    }

    /// Makes nodes of siblings.
    fn siblings(
        &mut self,
        mut members: Vec<usize>,
        folds: bool,
        unfinished: &mut Vec<usize>,
    ) -> Vec<usize> {
        members.sort_by_key(|i| (self.spans[*i].start, self.spans[*i].end));
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut of_key = HashMap::new();
        for member in members {
            let group = *of_key.entry(key(&self.spans[member])).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(member);
        }
        let mut kinds = Vec::new();
        for group in groups {
            if folds && group.len() > SHOWN_SINGLY {
                kinds.push(NodeKind::Fold(group));
            } else {
                kinds.extend(group.into_iter().map(NodeKind::Span));
            }
        }
        kinds.sort_by_key(|kind| kind.first().map(|span| self.spans[span].start));
        let first = self.nodes.len();
        self.nodes.extend(kinds.into_iter().map(|kind| Node { kind, children: Vec::new() }));
        let nodes: Vec<_> = (first..self.nodes.len()).collect();
        unfinished.extend(&nodes);
        nodes
    }

    /// The spans of a node itself.
    pub(crate) fn members(&self, node: usize) -> &[usize] {
        match &self.nodes[node].kind {
            NodeKind::Span(span) => std::slice::from_ref(span),
            NodeKind::Fold(spans) | NodeKind::Levels(spans) => spans,
            NodeKind::Absent { .. } | NodeKind::Rest { .. } => &[],
        }
    }

    /// From the first start to the last end of a node, or of its children if it has no time itself.
    pub(crate) fn extent(&self, node: usize) -> (u64, u64) {
        let of = |spans: &[usize]| {
            let starts = spans.iter().map(|i| self.spans[*i].start).min();
            let ends = spans.iter().map(|i| self.spans[*i].end).max();
            starts.zip(ends)
        };
        let children = || {
            let all = self.nodes[node].children.iter().filter_map(|child| of(self.members(*child)));
            all.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
        };
        of(self.members(node)).or_else(children).unwrap_or_default()
    }

    /// What a span took itself, without its children.
    pub(crate) fn self_time(&self, span: usize) -> u64 {
        let waited: u64 = self.waits[span].iter().map(|(start, end)| end - start).sum();
        self.spans[span].duration().saturating_sub(waited)
    }
}

impl NodeKind {
    fn first(&self) -> Option<usize> {
        match self {
            Self::Span(span) => Some(*span),
            Self::Fold(spans) | Self::Levels(spans) => spans.first().copied(),
            Self::Absent { .. } | Self::Rest { .. } => None,
        }
    }
}

type Top = (Option<(SpanId, bool)>, Vec<usize>);

/// The spans without a parent here, grouped by the parent that is missing, and each span's children.
fn families(spans: &[Span]) -> (Vec<Top>, Vec<Vec<usize>>) {
    let index: HashMap<_, _> = spans.iter().enumerate().rev().map(|(i, s)| (s.id, i)).collect();
    let mut children = vec![Vec::new(); spans.len()];
    let mut tops: Vec<Top> = Vec::new();
    let mut of_absent = HashMap::new();
    let mut top = |absent: Option<(SpanId, bool)>, span| {
        let at = *of_absent.entry(absent.map(|(id, _)| id)).or_insert_with(|| {
            tops.push((absent, Vec::new()));
            tops.len() - 1
        });
        tops[at].1.push(span);
    };
    for (i, span) in spans.iter().enumerate() {
        match (span.parent, span.parent.and_then(|parent| index.get(&parent))) {
            (None, _) => top(None, i),
            (Some(id), None) => top(Some((id, span.parent_is_remote)), i),
            (Some(_), Some(parent)) => children[*parent].push(i),
        }
    }
    // ids that come back to themselves are nonsense, but their spans are shown
    let mut seen = vec![false; spans.len()];
    let mark = |from: Vec<usize>, seen: &mut Vec<bool>| {
        let mut stack = from;
        while let Some(span) = stack.pop() {
            if !std::mem::replace(&mut seen[span], true) {
                stack.extend(&children[span]);
            }
        }
    };
    mark(tops.iter().flat_map(|(_, members)| members.iter().copied()).collect(), &mut seen);
    let mut cut = Vec::new();
    for i in 0..spans.len() {
        if !seen[i] {
            cut.push(i);
            mark(vec![i], &mut seen);
        }
    }
    if !cut.is_empty() {
        for members in &mut children {
            members.retain(|child| !cut.contains(child));
        }
        tops.push((None, cut));
    }
    (tops, children)
}

/// When the children of a span worked.
fn waits(spans: &[Span], span: usize, children: &[usize]) -> Vec<(u64, u64)> {
    let (start, end) = (spans[span].start, spans[span].end);
    let clip = |i: &usize| (spans[*i].start.clamp(start, end), spans[*i].end.clamp(start, end));
    let mut times: Vec<_> = children.iter().map(clip).filter(|(from, to)| from < to).collect();
    times.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (from, to) in times {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

/// What is the same in spans that share a row.
pub(super) fn key(span: &Span) -> (&str, u8, &str, bool) {
    (&span.name, kind_rank(span), &span.service, span.is_error())
}

/// A kind as something that can be compared in a map.
fn kind_rank(span: &Span) -> u8 {
    use opentelemetry::trace::SpanKind;
    match span.kind {
        SpanKind::Internal => 0,
        SpanKind::Server => 1,
        SpanKind::Client => 2,
        SpanKind::Producer => 3,
        SpanKind::Consumer => 4,
    }
}

/// Of siblings of the same name no more than these are shown each for itself, in a large trace.
const SHOWN_SINGLY: usize = 3;
