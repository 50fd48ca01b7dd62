//! What the reader's terminal can show.

use std::io::IsTerminal as _;

use super::text::Charset;
use crate::config::Resolver;

/// How pictures are to look; what is not set follows the terminal.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Look {
    pub(super) width: Option<usize>,
    pub(super) colour: Option<bool>,
    pub(super) charset: Option<Charset>,
}

/// A sheet to draw on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    pub(crate) width: usize,
    pub(crate) colour: bool,
    pub(crate) charset: Charset,
}

impl Look {
    /// Fills what the code has left open from the environment.
    pub(super) fn or_environment(self, r: &Resolver<'_>) -> Self {
        let columns = || r.of_terminal("COLUMNS")?.parse().ok().filter(|n| *n > 0);
        let no_color = r.code.no_color.or_else(|| r.of_terminal("NO_COLOR").map(|_| true));
        let colour = no_color.map(|no_color| !no_color).or_else(|| r.is_dumb().then_some(false));
        Self {
            width: self.width.or_else(columns),
            colour: self.colour.or(colour),
            charset: self.charset.or_else(|| charset(r)),
        }
    }

    /// The page for the next picture: a terminal can change its width while the program runs.
    pub(super) fn page(self, is_stdout: bool) -> Page {
        let terminal = is_stdout && std::io::stdout().is_terminal();
        let width = self.width.or_else(|| terminal.then(terminal_width).flatten());
        Page {
            width: width.unwrap_or(USUAL_WIDTH).clamp(LEAST_WIDTH, MOST_WIDTH),
            colour: self.colour.unwrap_or(terminal),
            charset: self.charset.unwrap_or(Charset::Unicode),
        }
    }
}

/// The first of the locale's variables that is set decides, as POSIX has it. With none of them set
/// nothing is demanded.
fn charset(r: &Resolver<'_>) -> Option<Charset> {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"];
    let locale = names.into_iter().find_map(|name| r.of_terminal(name))?.to_ascii_lowercase();
    let is_unicode = locale.contains("utf-8") || locale.contains("utf8");
    Some(if is_unicode { Charset::Unicode } else { Charset::Ascii })
}

#[cfg(unix)]
fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

#[cfg(not(unix))]
fn terminal_width() -> Option<usize> {
    None
}

const USUAL_WIDTH: usize = 80;
/// Below it nothing can be drawn side by side.
const LEAST_WIDTH: usize = 40;
/// Beyond it lines are hard to follow.
const MOST_WIDTH: usize = 400;
