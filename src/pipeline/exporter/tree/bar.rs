//! Bars on the time axis that all spans of a trace share.
//!
//! A cell has two halves, so a bar is exact to half a column at both ends. It is heavy where the
//! span itself is at work, and light where it waits for its children.

use super::text::Charset;

/// From the first start to the last end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// What is drawn in each half of a column.
#[derive(Debug)]
pub(super) struct Bar {
    axis: Axis,
    /// Nanoseconds in which something was active, and those of them in which it was the span itself.
    halves: Vec<Half>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Half {
    active: u64,
    own: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    None,
    Light,
    Heavy,
}

impl Axis {
    pub(super) fn length(self) -> u64 {
        self.end - self.start
    }

    /// The column in which a moment lies.
    pub(super) fn column(self, at: u64, columns: usize) -> usize {
        self.part(at, columns).min(columns.saturating_sub(1))
    }

    fn part(self, at: u64, parts: usize) -> usize {
        let passed = u128::from(at.clamp(self.start, self.end) - self.start);
        let part = passed * parts as u128 / u128::from(self.length().max(1));
        usize::try_from(part).unwrap_or(parts)
    }

    /// The moment at which a part begins.
    fn moment(self, part: usize, parts: usize) -> u64 {
        let passed = u128::from(self.length()) * part as u128 / parts as u128;
        self.start + u64::try_from(passed).unwrap_or(0)
    }
}

impl Bar {
    pub(super) fn new(axis: Axis, columns: usize) -> Self {
        Self { axis, halves: vec![Half::default(); columns * 2] }
    }

    /// A span, or one of several that share the row, with the times of its children: sorted, and
    /// not overlapping.
    pub(super) fn add(&mut self, start: u64, end: u64, children: &[(u64, u64)]) {
        self.draw(start, end, |half, nanos| {
            half.active += nanos;
            half.own += nanos;
        });
        for &(start, end) in children {
            self.draw(start, end, |half, nanos| half.own = half.own.saturating_sub(nanos));
        }
    }

    fn draw(&mut self, start: u64, end: u64, mut ink: impl FnMut(&mut Half, u64)) {
        let (axis, parts) = (self.axis, self.halves.len());
        if parts == 0 {
            return;
        }
        let first = axis.part(start, parts).min(parts - 1);
        let last = axis.part(end, parts).min(parts - 1);
        for part in first..=last {
            let from = axis.moment(part, parts).max(start);
            let until = axis.moment(part + 1, parts).min(end);
            let nanos = until.saturating_sub(from);
            // even what took no time is somewhere, but a bar does not reach into where it just ends
            ink(&mut self.halves[part], if first == last { nanos.max(1) } else { nanos });
        }
    }

    /// The cells without what would be blank at the end.
    pub(super) fn cells(&self, charset: Charset) -> Vec<char> {
        let mut cells: Vec<_> = self
            .halves
            .chunks(2)
            .map(|halves| cell(halves[0].ink(), halves[1].ink(), charset))
            .collect();
        while cells.last() == Some(&' ') {
            cells.pop();
        }
        cells
    }
}

impl Half {
    fn ink(self) -> Ink {
        match self {
            Self { active: 0, .. } => Ink::None,
            Self { active, own } if own >= active.div_ceil(2) => Ink::Heavy,
            _ => Ink::Light,
        }
    }
}

fn cell(left: Ink, right: Ink, charset: Charset) -> char {
    use Ink::{Heavy, Light, None};
    match (charset, left, right) {
        (_, None, None) => ' ',
        (Charset::Ascii, Heavy, _) | (Charset::Ascii, _, Heavy) => '=',
        (Charset::Ascii, ..) => '-',
        (_, Light, None) => '╴',
        (_, Heavy, None) => '╸',
        (_, None, Light) => '╶',
        (_, None, Heavy) => '╺',
        (_, Light, Light) => '─',
        (_, Heavy, Heavy) => '━',
        (_, Light, Heavy) => '╼',
        (_, Heavy, Light) => '╾',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From, to, and the times of the children.
    type Drawn<'a> = (u64, u64, &'a [(u64, u64)]);

    #[track_caller]
    fn draws(spans: &[Drawn<'_>], expected: &str) {
        let mut bar = Bar::new(Axis { start: 100, end: 200 }, 10);
        for (start, end, children) in spans {
            bar.add(*start, *end, children);
        }
        assert_eq!(bar.cells(Charset::Unicode).into_iter().collect::<String>(), expected);
    }

    #[test]
    fn bars_are_exact_to_half_a_column() {
        draws(&[(100, 200, &[])], "━━━━━━━━━━");
        draws(&[(100, 150, &[])], "━━━━━");
        draws(&[(105, 145, &[])], "╺━━━╸");
        draws(&[(150, 150, &[])], "     ╸");
        draws(&[(200, 200, &[])], "         ╺");
    }

    #[test]
    fn a_bar_is_light_where_children_work() {
        draws(&[(100, 200, &[(120, 180)])], "━━──────━━");
        draws(&[(100, 200, &[(125, 175)])], "━━╾────╼━━");
        draws(&[(100, 120, &[]), (150, 170, &[(150, 170)])], "━━   ──");
    }

    #[test]
    fn an_axis_of_no_length_is_drawn() {
        let mut bar = Bar::new(Axis { start: 5, end: 5 }, 4);
        bar.add(5, 5, &[]);
        assert_eq!(bar.cells(Charset::Ascii), ['=']);
    }
}
