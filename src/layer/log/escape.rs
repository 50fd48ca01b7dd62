//! Keeps what comes from outside inside its line.

use std::fmt::{self, Write};

/// Writes control characters (a terminal's escape, a line feed) as `\u{1b}`, `\n`.
///
/// A value that a stranger sent can then neither forge a line nor drive the terminal.
pub(super) struct Escaped<'a>(pub(super) &'a mut dyn Write);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut clean = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| is_unsafe(*c)) {
            self.0.write_str(&text[clean..at])?;
            write!(self.0, "{}", c.escape_default())?;
            clean = at + c.len_utf8();
        }
        self.0.write_str(&text[clean..])
    }
}

/// Control characters, and those that reorder or break a line without being controls.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn escapes(text: &str, expected: &str) {
        let mut out = String::new();
        Escaped(&mut out).write_str(text).unwrap();
        assert_eq!(out, expected);
    }

    #[test]
    fn control_characters_lose_their_power() {
        escapes("plain é 日本", "plain é 日本");
        escapes("\x1b[31mred", "\\u{1b}[31mred");
        escapes("a\r\nb\tc", "a\\r\\nb\\tc");
        escapes("\u{9b}31m", "\\u{9b}31m");
        escapes("\u{202e}gpj.exe", "\\u{202e}gpj.exe");
        escapes("", "");
    }
}
