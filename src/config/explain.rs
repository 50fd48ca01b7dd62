//! What is in effect, where it came from, and what was ignored and why.

use std::fmt::{self, Write as _};

use super::findings::{Findings, Weight};

/// Every effective setting with its source, and what was ignored and why
/// ([`Setup::explain`](crate::Setup::explain)).
///
/// It is a readable table by [`Display`](fmt::Display), and JSON by [`to_json`](Self::to_json).
/// Values are shown as a variable would hold them. Secrets are in neither: headers are there by
/// name alone, URLs without user, password and query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    settings: Vec<Effective>,
    ignored: Vec<Ignored>,
}

/// A setting in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effective {
    /// The variable that it goes by, whoever has set it. Resource attributes are one each, and so
    /// are settings that each exporter has for itself.
    pub setting: &'static str,
    /// As the variable would hold it.
    pub value: String,
    /// Who had the last word.
    pub source: Source,
}

/// Something that was set, and has no effect or not the one that was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// The variable, or what the code set.
    pub setting: String,
    /// Why, and what is used instead.
    pub why: String,
    /// Whether the value is wrong: a warning, or an error under
    /// [`Setup::strict`](crate::Setup::strict) and where the code set it. Otherwise something else
    /// just came first.
    pub is_wrong: bool,
}

/// Where an effective value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The program, through [`Setup`](crate::Setup).
    Code,
    /// The environment variable of this name.
    Variable(&'static str),
    /// The configuration file.
    File,
    /// The resource detector of this name.
    Detector(&'static str),
    /// Nobody has said anything.
    Default,
}

/// A value and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

impl Explanation {
    pub(super) fn new(settings: Vec<Effective>, findings: &Findings) -> Self {
        let ignored = findings.iter().map(|finding| Ignored {
            setting: finding.name.clone(),
            why: finding.why.clone(),
            is_wrong: matches!(finding.weight, Weight::Ignored | Weight::Refused),
        });
        Self { settings, ignored: ignored.collect() }
    }

    /// What is in effect.
    pub fn settings(&self) -> &[Effective] {
        &self.settings
    }

    /// What was set and has no effect.
    pub fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    /// As a JSON object with two arrays:
    ///
    /// `settings`, of `{"setting", "value", "source", "of"}`, where `source` is `code`, `variable`,
    /// `file`, `detector` or `default`, and `of` names the variable or the detector (or is `null`);
    /// and `ignored`, of `{"setting", "why", "is_wrong"}`.
    pub fn to_json(&self) -> String {
        let settings = self.settings.iter().map(|effective| {
            let (source, of) = effective.source.parts();
            let of = of.map_or_else(|| "null".to_owned(), json);
            let (setting, value) = (json(effective.setting), json(&effective.value));
            format!(r#"{{"setting":{setting},"value":{value},"source":"{source}","of":{of}}}"#)
        });
        let ignored = self.ignored.iter().map(|ignored| {
            let (setting, why) = (json(&ignored.setting), json(&ignored.why));
            format!(r#"{{"setting":{setting},"why":{why},"is_wrong":{}}}"#, ignored.is_wrong)
        });
        let (settings, ignored): (Vec<_>, Vec<_>) = (settings.collect(), ignored.collect());
        format!(r#"{{"settings":[{}],"ignored":[{}]}}"#, settings.join(","), ignored.join(","))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources: Vec<_> = self.settings.iter().map(|s| s.source.to_string()).collect();
        let names = widest(self.settings.iter().map(|s| s.setting));
        let origins = widest(sources.iter().map(String::as_str));
        for (effective, source) in self.settings.iter().zip(&sources) {
            let (setting, value) = (effective.setting, &effective.value);
            writeln!(f, "{setting:names$}  {source:origins$}  {value}")?;
        }
        if self.ignored.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nignored:")?;
        for ignored in &self.ignored {
            let mark = if ignored.is_wrong { "!" } else { " " };
            let (setting, why) = (&ignored.setting, &ignored.why);
            writeln!(f, "{mark} {setting}: {why}")?;
        }
        Ok(())
    }
}

impl Source {
    fn parts(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Code => ("code", None),
            Self::Variable(name) => ("variable", Some(name)),
            Self::File => ("file", None),
            Self::Detector(name) => ("detector", Some(name)),
            Self::Default => ("default", None),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (source, None) => f.write_str(source),
            (source, Some(of)) => write!(f, "{source} {of}"),
        }
    }
}

fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0)
}

/// A JSON string.
fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                // control characters are of the basic plane, so four digits hold them
                let written = write!(out, "\\u{:04x}", u32::from(c));
                written.expect("a String takes everything");
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
