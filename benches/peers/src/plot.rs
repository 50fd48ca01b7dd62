//! Plain bars, as SVG.

use std::fmt::Write as _;

use crate::work::CASES;
use crate::{Cost, Delivered};

/// Instructions of a root span and of a child, one group a stack.
pub(crate) fn costs(costs: &[Cost]) -> String {
    let bars = costs.iter().flat_map(|cost| {
        [0, 1].map(|case| Bar {
            label: if case == 0 { cost.stack.name } else { "" },
            note: CASES[case].name,
            value: cost.by_case[case],
            text: format!("{:.0}", cost.by_case[case]),
            ours: cost.stack.name.starts_with("otel-setup"),
        })
    });
    draw(
        "Instructions a span costs the thread that makes it",
        "root and child, 2 attributes, OTLP over HTTP",
        bars.collect(),
    )
}

pub(crate) fn delivered(delivered: &[Delivered]) -> String {
    let bars = delivered.iter().flat_map(|one| {
        [0, 1].map(|burst| Bar {
            label: if burst == 0 { one.stack.name } else { "" },
            note: ["of 16,000", "of 200,000"][burst],
            value: one.shares[burst],
            text: format!("{:.1} %", one.shares[burst] * 100.0),
            ours: one.stack.name == "otel-setup",
        })
    });
    draw(
        "Spans that arrive",
        "of 16,000 and of 200,000 that two threads make at full speed, at each one's defaults",
        bars.collect(),
    )
}

struct Bar<'a> {
    label: &'a str,
    note: &'a str,
    value: f64,
    text: String,
    ours: bool,
}

fn draw(title: &str, below: &str, bars: Vec<Bar<'_>>) -> String {
    let most = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let height = TOP + bars.len() * ROW + 12;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"600\" fill=\"#1a1a1a\">{title}</text>\n\
         <text x=\"16\" y=\"45\" fill=\"#666666\">{below}</text>\n"
    );
    for (row, bar) in bars.iter().enumerate() {
        let y = TOP + row * ROW;
        let width = (bar.value / most * f64::from(BARS)).max(1.0);
        let colour = if bar.ours { "#0b7a75" } else { "#b9c0c7" };
        let weight = if bar.ours { "600" } else { "400" };
        let middle = y + ROW / 2 + 2;
        let _ = writeln!(
            svg,
            "<text x=\"{LABELS}\" y=\"{middle}\" text-anchor=\"end\" font-weight=\"{weight}\" \
             fill=\"#1a1a1a\">{}</text>\n\
             <rect x=\"{}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\" fill=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{middle}\" fill=\"#444444\">{} {}</text>",
            bar.label,
            LABELS + 10,
            y + 2,
            ROW - 5,
            f64::from(LABELS) + 16.0 + width,
            bar.text,
            bar.note,
        );
    }
    svg.push_str("</svg>\n");
    svg
}

const WIDTH: u32 = 860;
const TOP: usize = 62;
const ROW: usize = 22;
const LABELS: u32 = 260;
const BARS: u32 = 440;
