//! A chain of spans of one name, each the only child of the one before, as a recursion makes it: its
//! first and last levels, and a row for those between.

use super::forest::{Forest, Node, NodeKind, key};
use super::span::{Span, Weight};

pub(super) fn fold_levels(forest: &mut Forest<'_>) {
    let mut seen = vec![false; forest.nodes.len()];
    // a node comes after its parent, so each chain is met at its top
    for top in 0..forest.nodes.len() {
        // most nodes are no chain
        if seen[top] || forest.nodes[top].children.len() != 1 {
            continue;
        }
        let chain = chain(forest, top);
        for node in &chain {
            seen[*node] = true;
        }
        if chain.len() <= SHOWN_SINGLY {
            continue;
        }
        let (hidden, rest) = chain[SHOWN_EACH_END..].split_at(chain.len() - 2 * SHOWN_EACH_END);
        let spans = hidden.iter().flat_map(|node| forest.members(*node)).copied().collect();
        let kind = NodeKind::Levels(spans);
        forest.nodes[hidden[0]] = Node { kind, children: vec![rest[0]] };
    }
}

/// The nodes from `top` downwards that differ in time alone.
fn chain(forest: &Forest<'_>, top: usize) -> Vec<usize> {
    let mut chain = vec![top];
    let Some(first) = quiet(forest, top) else { return chain };
    let mut last = top;
    while let [child] = forest.nodes[last].children[..]
        && let Some(span) = quiet(forest, child)
        && key(span) == key(first)
        && span.status == first.status
    {
        chain.push(child);
        last = child;
    }
    chain
}

/// A single span that has no events which must be seen.
fn quiet<'a>(forest: &Forest<'a>, node: usize) -> Option<&'a Span> {
    let NodeKind::Span(span) = forest.nodes[node].kind else { return None };
    let span = &forest.spans[span];
    span.events.iter().all(|event| event.weight() == Weight::Plain).then_some(span)
}

const SHOWN_SINGLY: usize = 10;
const SHOWN_EACH_END: usize = 3;
