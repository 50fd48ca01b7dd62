//! The lines above the first span.

use std::collections::HashSet;

use super::columns::NUMBER;
use super::forest::Forest;
use super::paint::Picture;
use super::span::Span;
use super::style::{Ink, Style};
use super::text::{columns, counted, time_of_day};

/// Whose trace it is, how long it took, and its id, by which log lines are found.
pub(super) fn header(picture: &Picture<'_>, ink: &mut Ink<'_>) {
    let (subject, page, axis) = (picture.subject, picture.page, picture.axis);
    let dot = page.charset.pick(" · ", " - ");
    let services: Vec<_> = picture.services.iter().take(MOST_SERVICES).copied().collect();
    let more = if picture.services.len() > MOST_SERVICES { ", …" } else { "" };
    let service = page.charset.clean(&(services.join(", ") + more));
    let errors = subject.spans.iter().filter(|span| span.is_error()).count();
    let mut parts = vec![(Style::Plain, page.charset.duration(axis.length()))];
    if let Some(start) = subject.continues {
        let after = page.charset.duration(axis.start.saturating_sub(start));
        parts.insert(0, (Style::Warned, format!("continued, +{after}")));
    }
    parts.push((Style::Plain, counted(subject.spans.len(), "span")));
    if errors > 0 {
        parts.push((Style::Failed, counted(errors, "error")));
    }
    let id = subject.id.to_string();
    let room = page.width.saturating_sub(columns(&id) + 2);
    let width = |parts: &[(Style, String)]| -> usize {
        parts.iter().map(|(_, text)| columns(text) + columns(dot)).sum()
    };
    let rest = width(&parts);
    let service = page.charset.cut(&service, page.width.saturating_sub(rest).max(8));
    let clock = time_of_day(axis.start);
    if columns(&service) + rest + columns(dot) + columns(&clock) <= room {
        parts.push((Style::Faint, clock));
    }
    ink.put(Style::Strong, &service);
    for (style, text) in &parts {
        ink.put(Style::Faint, dot);
        ink.put(*style, text);
    }
    let used = columns(&service) + width(&parts);
    if used > room {
        ink.end_line();
    } else {
        ink.blanks(page.width - used - columns(&id));
    }
    ink.put(Style::Faint, &id);
    ink.end_line();
}

/// What the columns are, and the times at the axis' ends and in between.
pub(super) fn axis_line(picture: &Picture<'_>, ink: &mut Ink<'_>) {
    let (charset, width) = (picture.page.charset, picture.columns.bar);
    let mut line = String::new();
    let mut put = |at: usize, text: &str| {
        let used = columns(&line);
        // the first always has room
        if at >= used {
            line.extend(std::iter::repeat_n(' ', at - used));
            line.push_str(text);
        }
    };
    put(0, "0");
    let length = picture.axis.length();
    let end = charset.duration(length);
    let ticks = if width >= 60 { 4 } else { 2 };
    for tick in 1..ticks {
        let text = charset.duration(length / ticks * tick);
        #[expect(clippy::cast_possible_truncation, reason = "at most four ticks")]
        let at = width * tick as usize / ticks as usize;
        if at + columns(&text) + 2 <= width.saturating_sub(columns(&end)) && at > 2 {
            put(at, &text);
        }
    }
    put(width.saturating_sub(columns(&end)), &end);
    let gap = picture.columns.name + 2 + NUMBER - "took".len();
    ink.blanks(gap);
    ink.put(Style::Faint, "took");
    ink.blanks(2 + NUMBER - "self".len());
    ink.put(Style::Faint, "self");
    ink.blanks(2);
    ink.put(Style::Faint, &line);
    ink.end_line();
}

/// The services of a trace: those of the roots, then the others in order of their first spans.
pub(super) fn services<'a>(forest: &Forest<'a>) -> Vec<&'a str> {
    let (mut services, mut seen) = (Vec::new(), HashSet::new());
    let mut add = |span: &'a Span| {
        if seen.insert(&*span.service) {
            services.push(&*span.service);
        }
    };
    let spans = forest.spans;
    forest.roots.iter().flat_map(|root| forest.members(*root)).for_each(|i| add(&spans[*i]));
    // most traces are of one service
    if spans.iter().any(|span| span.service != spans[0].service) {
        let mut by_start: Vec<_> = spans.iter().collect();
        by_start.sort_by_key(|span| span.start);
        by_start.into_iter().for_each(add);
    } else {
        spans.first().into_iter().for_each(add);
    }
    services
}

const MOST_SERVICES: usize = 3;
