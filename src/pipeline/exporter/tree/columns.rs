//! How the width of a page is shared between names, bars and attributes.

use super::label::Label;
use super::lines::{Content, Line};
use super::paint::Picture;
use super::terminal::Page;
use super::text::columns;

/// Widths.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Columns {
    pub(super) name: usize,
    pub(super) bar: usize,
    /// Attributes right of the bar, where there is room.
    pub(super) details: Option<usize>,
}

impl Columns {
    pub(super) fn of(picture: &Picture<'_>, lines: &[Line]) -> Self {
        let (mut name, mut deepest) = (0, 0);
        for line in lines {
            if let Content::Node { node, is_root } = line.content
                && !picture.members(node).is_empty()
            {
                let guides = columns(&line.guides);
                deepest = deepest.max(guides);
                name = name.max(guides + Label::of(picture, node, is_root).width());
            }
        }
        let page = picture.page;
        let several_services = picture.services.len() > 1;
        let room = page.width - FIXED;
        let usual = if several_services { room / 2 } else { room * 9 / 20 };
        // guides alone are no name
        let deep = (deepest + least_label(several_services)).min(most(page));
        let name = name.clamp(LEAST_NAME, usual.max(deep).max(LEAST_NAME));
        let room = room.saturating_sub(name);
        if page.width < WIDE {
            return Self { name, bar: room, details: None };
        }
        let bar = (room * 2 / 5).max(LEAST_BAR);
        Self { name, bar, details: Some(room.saturating_sub(bar + 2)) }
    }
}

/// What the guides of a row may take, so that its name has room beside them.
pub(super) fn of_guides(page: Page, several_services: bool) -> usize {
    let elbow = 2;
    most(page).saturating_sub(elbow + least_label(several_services)).min(page.width / 3)
}

/// What names may take in a deep trace.
fn most(page: Page) -> usize {
    (page.width - FIXED) * 3 / 5
}

fn least_label(several_services: bool) -> usize {
    LEAST_NAME + if several_services { LEAST_SERVICE } else { 0 }
}

/// A duration.
pub(super) const NUMBER: usize = 6;
/// Two durations and the gaps before, between and behind.
const FIXED: usize = 2 * NUMBER + 6;
/// A longer name is not cut to less.
pub(super) const LEAST_NAME: usize = 12;
/// A blank, and the name of a service in brackets.
const LEAST_SERVICE: usize = 9;
const LEAST_BAR: usize = 10;
/// From here on attributes have a column.
const WIDE: usize = 120;
