//! Colours, by the sixteen that every terminal has: its own theme decides what they look like.

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Strong,
    Faint,
    Failed,
    StrongFailed,
    Warned,
    Good,
    /// One of several services.
    Service(usize),
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Failed => "31",
            Self::StrongFailed => "1;31",
            Self::Warned => "33",
            Self::Good => "32",
            Self::Service(n) => ["36", "35", "34", "32"][n % 4],
        }
    }
}

/// A line that is being written.
#[derive(Debug)]
pub(super) struct Ink<'a> {
    pub(super) out: &'a mut String,
    pub(super) colour: bool,
}

impl Ink<'_> {
    pub(super) fn put(&mut self, style: Style, text: &str) {
        let code = style.code();
        if !self.colour || code.is_empty() || text.is_empty() {
            return self.out.push_str(text);
        }
        for part in ["\x1b[", code, "m", text, "\x1b[0m"] {
            self.out.push_str(part);
        }
    }

    pub(super) fn blanks(&mut self, n: usize) {
        let mut left = n;
        while left > 0 {
            let some = left.min(BLANKS.len());
            self.out.push_str(&BLANKS[..some]);
            left -= some;
        }
    }

    /// Ends the line, without blanks before its end.
    pub(super) fn end_line(&mut self) {
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.out.push('\n');
    }
}

const BLANKS: &str = "                                                                ";
