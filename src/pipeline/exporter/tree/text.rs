//! What comes from outside, made fit for a terminal: escaped, measured, cut.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

/// Which characters the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    Unicode,
    Ascii,
}

impl Charset {
    /// A glyph of ours, or what stands in for it.
    pub(super) fn pick<'a>(self, unicode: &'a str, ascii: &'a str) -> &'a str {
        match self {
            Self::Unicode => unicode,
            Self::Ascii => ascii,
        }
    }

    /// Text in which nothing drives the terminal, reorders or hides: that is escaped as `\u{1b}`.
    pub(crate) fn clean(self, text: &str) -> String {
        // as most texts are
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut marks = 0;
        for c in text.chars() {
            marks = if c.width() == Some(0) { marks + 1 } else { 0 };
            if is_unsafe(c) || marks > MOST_MARKS || (self == Self::Ascii && !c.is_ascii()) {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        out
    }

    /// No more than `width` columns of a clean text, the last of them an ellipsis if it is cut.
    pub(super) fn cut(self, text: &str, width: usize) -> String {
        if columns(text) <= width {
            return text.to_owned();
        }
        let ellipsis = self.pick("…", "~");
        if width == 0 {
            return String::new();
        }
        let mut out = String::new();
        let mut used = 0;
        for c in text.chars() {
            let wide = c.width().unwrap_or(0);
            if used + wide > width - 1 {
                break;
            }
            used += wide;
            out.push(c);
        }
        out.push_str(ellipsis);
        out
    }

    /// `850ns`, `412µs`, `1.32ms`, `31.0s`, `2m05s`, `3h07m`: at most six columns below 100 hours.
    pub(crate) fn duration(self, nanos: u64) -> String {
        let micro = self.pick("µs", "us");
        match nanos {
            0..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => three_digits(nanos, 1_000, micro),
            1_000_000..1_000_000_000 => three_digits(nanos, 1_000_000, "ms"),
            1_000_000_000..60_000_000_000 => three_digits(nanos, 1_000_000_000, "s"),
            _ => {
                let seconds = nanos / 1_000_000_000;
                match seconds {
                    0..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
                    _ => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
                }
            }
        }
    }
}

/// Columns that a clean text takes.
pub(super) fn columns(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// `12,345`
pub(crate) fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 span`, `12,345 spans`
pub(crate) fn counted(n: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// `20:43:07.123Z`
pub(super) fn time_of_day(nanos: u64) -> String {
    let millis = nanos / 1_000_000 % 86_400_000;
    let (seconds, millis) = (millis / 1_000, millis % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
}

fn three_digits(n: u64, unit: u64, name: &str) -> String {
    let (whole, mut out) = (n / unit, String::new());
    let written = match whole {
        0..10 => write!(out, "{whole}.{:02}{name}", n % unit * 100 / unit),
        10..100 => write!(out, "{whole}.{}{name}", n % unit * 10 / unit),
        _ => write!(out, "{whole}{name}"),
    };
    debug_assert!(written.is_ok(), "a string takes everything");
    out
}

/// Control characters, and those that reorder, hide or break a line without being controls.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Marks on one letter; more of them climb into the lines above.
const MOST_MARKS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn cleans(text: &str, expected: &str) {
        assert_eq!(Charset::Unicode.clean(text), expected);
    }

    #[test]
    fn what_drives_or_deceives_a_terminal_is_escaped() {
        cleans("plain é 日本 🦀", "plain é 日本 🦀");
        cleans("\x1b[2Jred\r\n\t", "\\u{1b}[2Jred\\r\\n\\t");
        cleans("\u{9b}31m", "\\u{9b}31m");
        cleans("\u{202e}gpj.exe", "\\u{202e}gpj.exe");
        cleans("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}");
        cleans("e\u{301}", "e\u{301}");
        assert!(columns(&Charset::Unicode.clean(&format!("z{}", "\u{336}".repeat(50)))) > 50);
        assert_eq!(Charset::Ascii.clean("é\n"), "\\u{e9}\\n");
    }

    #[test]
    fn wide_characters_are_cut_by_columns() {
        assert_eq!(columns("日本語"), 6);
        assert_eq!(Charset::Unicode.cut("日本語", 6), "日本語");
        assert_eq!(Charset::Unicode.cut("日本語", 5), "日本…");
        assert_eq!(Charset::Unicode.cut("日本語", 4), "日…");
        assert_eq!(Charset::Ascii.cut("abcdef", 3), "ab~");
        assert_eq!(Charset::Ascii.cut("abcdef", 0), "");
    }

    #[test]
    fn durations_are_short() {
        let texts: Vec<_> =
            [0, 999, 1_000, 12_345, 412_000, 1_320_000, 999_999_999, 60_000_000_000]
                .map(|nanos| Charset::Unicode.duration(nanos))
                .into();
        assert_eq!(
            texts,
            ["0ns", "999ns", "1.00µs", "12.3µs", "412µs", "1.32ms", "999ms", "1m00s"]
        );
        assert_eq!(Charset::Ascii.duration(4_000), "4.00us");
        assert_eq!(Charset::Ascii.duration(11_220_000_000_000), "3h07m");
    }

    #[test]
    fn counts_and_clock_times() {
        assert_eq!(counted(1, "span"), "1 span");
        assert_eq!(counted(12_345, "span"), "12,345 spans");
        assert_eq!(time_of_day(86_400_000_000_000 + 3_661_007_000_000), "01:01:01.007Z");
    }
}
