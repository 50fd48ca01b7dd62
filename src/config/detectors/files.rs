//! Files below a root that tests choose.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

pub(super) struct Files {
    root: PathBuf,
}

impl Files {
    pub(super) fn below(root: PathBuf) -> Self {
        Self { root }
    }

    /// The text of a file, no more than a mebibyte of it; nothing if it cannot be read.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let file = File::open(self.root.join(path)).ok()?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The one line of a file.
    pub(super) fn line(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        plain(text.lines().next()?.trim().to_owned())
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }
}

/// What names and versions look like: something, on one line, and no longer than anybody would make
/// them. What others have written need not.
pub(super) fn plain(text: String) -> Option<String> {
    let is_plain = !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
    is_plain.then_some(text)
}

const MOST: u64 = 1 << 20;
const LONGEST: usize = 1024;
