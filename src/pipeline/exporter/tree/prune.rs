//! Which nodes of a large trace are shown: a screenful or three, what failed and what took long
//! before the rest.

use std::collections::BinaryHeap;

use super::forest::{Forest, Node, NodeKind};

/// What is below a node, itself included.
#[derive(Debug, Clone, Copy, Default)]
struct Below {
    spans: usize,
    errors: usize,
}

/// Leaves no more than `most` nodes, and a note at each node that has lost children.
pub(super) fn prune(forest: &mut Forest<'_>, most: usize) {
    if forest.nodes.len() <= most {
        return;
    }
    let below = sums(forest);
    let shown = choose(forest, most, &below);
    for node in 0..forest.nodes.len() {
        if shown[node] {
            let children = std::mem::take(&mut forest.nodes[node].children);
            forest.nodes[node].children = keep(forest, children, &shown, &below);
        }
    }
    let roots = std::mem::take(&mut forest.roots);
    forest.roots = keep(forest, roots, &shown, &below);
}

fn sums(forest: &Forest<'_>) -> Vec<Below> {
    let mut below = vec![Below::default(); forest.nodes.len()];
    for &node in order(forest).iter().rev() {
        let members = forest.members(node);
        let mut sum = Below {
            spans: members.len(),
            errors: members.iter().filter(|i| forest.spans[**i].is_error()).count(),
        };
        for child in &forest.nodes[node].children {
            sum.spans += below[*child].spans;
            sum.errors += below[*child].errors;
        }
        below[node] = sum;
    }
    below
}

/// Every node, parents first.
fn order(forest: &Forest<'_>) -> Vec<usize> {
    let mut order = forest.roots.clone();
    let mut next = 0;
    while next < order.len() {
        order.extend(&forest.nodes[order[next]].children);
        next += 1;
    }
    order
}

/// A node is shown only if its parent is.
fn choose(forest: &Forest<'_>, most: usize, below: &[Below]) -> Vec<bool> {
    let rank = |node: usize| {
        let (start, end) = forest.extent(node);
        (below[node].errors > 0, end - start, std::cmp::Reverse(node))
    };
    let mut shown = vec![false; forest.nodes.len()];
    let mut candidates: BinaryHeap<_> = forest.roots.iter().map(|root| rank(*root)).collect();
    for _ in 0..most {
        let Some((_, _, std::cmp::Reverse(node))) = candidates.pop() else { break };
        shown[node] = true;
        candidates.extend(forest.nodes[node].children.iter().map(|child| rank(*child)));
    }
    shown
}

fn keep(
    forest: &mut Forest<'_>,
    siblings: Vec<usize>,
    shown: &[bool],
    below: &[Below],
) -> Vec<usize> {
    let (mut kept, hidden): (Vec<_>, Vec<_>) = siblings.into_iter().partition(|node| shown[*node]);
    if !hidden.is_empty() {
        let spans = hidden.iter().map(|node| below[*node].spans).sum();
        let errors = hidden.iter().map(|node| below[*node].errors).sum();
        kept.push(forest.nodes.len());
        forest.nodes.push(Node { kind: NodeKind::Rest { spans, errors }, children: Vec::new() });
    }
    kept
}
