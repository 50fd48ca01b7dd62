//! Captured spans, and who belongs to whom.

use std::collections::HashMap;

use opentelemetry_sdk::trace::SpanData;

#[derive(Debug)]
pub(super) struct Family {
    pub(super) spans: Vec<SpanData>,
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
}

impl Family {
    pub(super) fn new(spans: Vec<SpanData>) -> Self {
        let index: HashMap<_, _> =
            spans.iter().enumerate().map(|(i, span)| (span.span_context.span_id(), i)).collect();
        let parents: Vec<_> =
            spans.iter().map(|span| index.get(&span.parent_span_id).copied()).collect();
        let mut children = vec![Vec::new(); spans.len()];
        for (child, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(child);
            }
        }
        Self { spans, parents, children }
    }

    pub(super) fn indices(&self) -> std::ops::Range<usize> {
        0..self.spans.len()
    }

    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = usize> {
        self.indices().filter(move |span| self.spans[*span].name == name)
    }

    pub(super) fn parent(&self, span: usize) -> Option<&SpanData> {
        self.parents[span].map(|parent| &self.spans[parent])
    }

    pub(super) fn children(&self, span: usize) -> &[usize] {
        &self.children[span]
    }

    /// Spans whose parent was not captured, or that have none.
    pub(super) fn tops(&self) -> impl Iterator<Item = usize> {
        self.indices().filter(|span| self.parents[*span].is_none())
    }

    /// The name of a span that was captured, by its id.
    pub(super) fn name_of(&self, id: opentelemetry::trace::SpanId) -> Option<&str> {
        let found = self.spans.iter().find(|span| span.span_context.span_id() == id);
        found.map(|span| &*span.name)
    }
}
