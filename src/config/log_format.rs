//! How log lines look.

use super::parse::{Problems, Shown, quoted};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// A JSON object a line.
    #[cfg(feature = "log-json")]
    Json,
    /// No log lines: traces only.
    Off,
}

pub(super) fn parse(text: &str, problems: &mut Problems) -> Option<LogFormat> {
    match text.to_ascii_lowercase().as_str() {
        "text" => Some(LogFormat::Text),
        "off" | "none" => Some(LogFormat::Off),
        #[cfg(feature = "log-json")]
        "json" => Some(LogFormat::Json),
        #[cfg(not(feature = "log-json"))]
        "json" => problems.useless("json needs the feature log-json"),
        _ => problems.useless(format!("{} is not one of text, json, off", quoted(text))),
    }
}

impl Shown for LogFormat {
    fn shown(&self) -> String {
        let name = match self {
            Self::Text => "text",
            #[cfg(feature = "log-json")]
            Self::Json => "json",
            Self::Off => "off",
        };
        name.to_owned()
    }
}
