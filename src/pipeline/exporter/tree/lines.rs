//! A forest as lines, from top to bottom, each with the guides that lead to it.

use super::forest::{Forest, NodeKind};
use super::span::{Span, Weight};
use super::text::{Charset, columns};

/// One line of the picture. What is in it is drawn later, when the columns are known.
#[derive(Debug)]
pub(crate) struct Line {
    /// What leads from the parents to this line.
    pub(crate) guides: String,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// A node, and whether it is at the top.
    Node { node: usize, is_root: bool },
    /// Attributes and the like of a node.
    Details(usize),
    /// The words of a span's error status.
    Complaint(usize),
    /// The event of a span.
    Event { span: usize, event: usize },
    /// Events that are not shown.
    MoreEvents(usize),
}

/// How much of each span is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Detail {
    /// Events of a span, those that matter most.
    pub(crate) events: usize,
    /// The least that an event has to weigh.
    pub(crate) weight: Weight,
    /// Columns for guides.
    pub(crate) indent: usize,
    pub(crate) charset: Charset,
}

/// A node that is to be drawn.
struct Next {
    node: usize,
    /// None for a root, which nothing leads to; whether it is the last of its siblings.
    is_last: Option<bool>,
    /// For each ancestor but the root, whether siblings of it follow.
    above: Vec<bool>,
}

enum Item {
    Node(Next),
    Line(Line),
}

/// No recursion: traces may be deeper than the stack.
pub(crate) fn lines(forest: &Forest<'_>, detail: Detail) -> Vec<Line> {
    let mut lines = Vec::new();
    let root = |node: &usize| Item::Node(Next { node: *node, is_last: None, above: Vec::new() });
    let mut stack: Vec<_> = forest.roots.iter().rev().map(root).collect();
    while let Some(item) = stack.pop() {
        match item {
            Item::Line(line) => lines.push(line),
            Item::Node(next) => {
                let inner = next.inner();
                lines.extend(head(forest, &next, &inner, detail));
                stack.extend(below(forest, next.node, &inner, detail).into_iter().rev());
            }
        }
    }
    lines
}

/// The lines of a node itself.
fn head(forest: &Forest<'_>, next: &Next, inner: &[bool], detail: Detail) -> Vec<Line> {
    let Next { node, is_last, above } = next;
    let mut guides = detail.guides(above);
    guides.push_str(match is_last {
        None => "",
        Some(true) => detail.charset.pick("└╴", "`-"),
        Some(false) => detail.charset.pick("├╴", "|-"),
    });
    let content = Content::Node { node: *node, is_root: is_last.is_none() };
    let mut lines = vec![Line { guides, content }];
    let leads_on = !forest.nodes[*node].children.is_empty();
    let guides = detail.guides_below(inner) + detail.stem(leads_on);
    if let NodeKind::Span(span) = forest.nodes[*node].kind
        && forest.spans[span].complaint().is_some()
    {
        lines.push(Line { guides: guides.clone(), content: Content::Complaint(span) });
    }
    lines.push(Line { guides, content: Content::Details(*node) });
    lines
}

/// Children and events of a node, in order of time.
fn below(forest: &Forest<'_>, node: usize, above: &[bool], detail: Detail) -> Vec<Item> {
    let children = &forest.nodes[node].children;
    let mut items = Vec::new();
    for (i, child) in children.iter().enumerate() {
        let is_rest = matches!(forest.nodes[*child].kind, NodeKind::Rest { .. });
        let at = if is_rest { u64::MAX } else { forest.extent(*child).0 };
        let is_last = Some(i + 1 == children.len());
        items.push((at, Item::Node(Next { node: *child, is_last, above: above.to_vec() })));
    }
    if let NodeKind::Span(span) = forest.nodes[node].kind {
        let last = items.last().map(|(at, _)| *at);
        for (at, content) in events(&forest.spans[span], span, detail) {
            let leads_on = last.is_some_and(|last| at < last);
            let guides = detail.guides_below(above) + detail.stem(leads_on);
            items.push((at, Item::Line(Line { guides, content })));
        }
    }
    items.sort_by_key(|(at, _)| *at);
    items.into_iter().map(|(_, item)| item).collect()
}

/// The events that are shown, in order of time.
fn events(span: &Span, of: usize, detail: Detail) -> Vec<(u64, Content)> {
    let mut shown: Vec<_> = (0..span.events.len()).collect();
    shown.retain(|i| span.events[*i].weight() >= detail.weight);
    shown.sort_by_key(|i| std::cmp::Reverse(span.events[*i].weight()));
    shown.truncate(detail.events);
    let hidden = span.events.len() - shown.len();
    shown.sort_by_key(|i| span.events[*i].at);
    let mut events: Vec<_> = shown
        .into_iter()
        .map(|event| (span.events[event].at, Content::Event { span: of, event }))
        .collect();
    if hidden > 0 {
        events.push((span.end.max(1) - 1, Content::MoreEvents(hidden)));
    }
    events
}

impl Next {
    /// What leads to whatever is below the node.
    fn inner(&self) -> Vec<bool> {
        let mut inner = self.above.clone();
        inner.extend(self.is_last.map(|is_last| !is_last));
        inner
    }
}

impl Detail {
    /// What leads to a node.
    fn guides(self, above: &[bool]) -> String {
        self.guides_with(above, |mark| mark)
    }

    /// What leads to a line below a node.
    fn guides_below(self, above: &[bool]) -> String {
        self.guides_with(above, |_| String::new())
    }

    /// Two columns a level. Where that is too deep, the levels next to the root are a mark that says
    /// how many they are.
    fn guides_with(self, above: &[bool], mark: impl FnOnce(String) -> String) -> String {
        let levels = (self.indent / 2).max(2);
        let (mut guides, mut nearest) = (String::new(), above);
        if above.len() > levels {
            let sign = self.charset.pick("⋯", "..");
            let digits = above.len().ilog10() as usize + 1;
            let columns = (columns(sign) + digits + 1).next_multiple_of(2);
            nearest = &above[above.len() - levels.saturating_sub(columns / 2)..];
            let hidden = above.len() - nearest.len();
            guides = format!("{:columns$}", mark(format!("{sign}{hidden}")));
        }
        for leads_on in nearest {
            guides.push_str(self.stem(*leads_on));
        }
        guides
    }

    fn stem(self, leads_on: bool) -> &'static str {
        if leads_on { self.charset.pick("│ ", "| ") } else { "  " }
    }
}
