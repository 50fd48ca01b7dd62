//! Enumerations in variables: case does not matter, and a value that is not known is reported
//! (specification, "Enum").

use super::parse::{Problems, Shown, quoted};

/// A value of a known set, perhaps behind a feature.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    const ALL: &[Self];

    /// As it is written in the variable.
    fn name(self) -> &'static str;

    /// Why there is none of this name, where more can be said than that it is not known.
    fn why_not(_name: &str) -> Option<&'static str> {
        None
    }

    /// The feature that it needs, if that is off.
    fn missing_feature(self) -> Option<&'static str> {
        None
    }
}

pub(crate) fn choice<C: Choice>(text: &str, problems: &mut Problems) -> Option<C> {
    match named(text).and_then(available) {
        Ok(choice) => Some(choice),
        Err(problem) => problems.useless(problem),
    }
}

/// Several, each once, in order; or `none`. What is not known in it is left out.
pub(crate) fn choices<C: Choice>(text: &str, problems: &mut Problems) -> Option<Vec<C>> {
    let mut chosen: Vec<C> = Vec::new();
    let mut none = false;
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        if part.eq_ignore_ascii_case(NONE) {
            none = true;
            continue;
        }
        match named(part).and_then(available) {
            Ok(choice) if chosen.contains(&choice) => {}
            Ok(choice) => chosen.push(choice),
            Err(problem) => problems.but(problem, "it is left out"),
        }
    }
    if none && !chosen.is_empty() {
        problems.but("none beside others", "none is left out");
    }
    if chosen.is_empty() && !none {
        return None;
    }
    Some(chosen)
}

/// # Errors
///
/// When it needs a feature that is off.
pub(crate) fn available<C: Choice>(choice: C) -> Result<C, String> {
    match choice.missing_feature() {
        None => Ok(choice),
        Some(feature) => Err(format!("{} needs the feature {feature}", choice.name())),
    }
}

/// # Errors
///
/// When there is none of this name.
pub(crate) fn named<C: Choice>(text: &str) -> Result<C, String> {
    let found = C::ALL.iter().copied().find(|choice| choice.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        if let Some(why) = C::why_not(text) {
            return format!("{} {why}", quoted(text));
        }
        let names: Vec<_> = C::ALL.iter().map(|choice| choice.name()).collect();
        format!("{} is not one of {}", quoted(text), names.join(", "))
    })
}

impl<C: Choice> Shown for C {
    fn shown(&self) -> String {
        self.name().to_owned()
    }
}

impl<C: Choice> Shown for Vec<C> {
    fn shown(&self) -> String {
        if self.is_empty() {
            return NONE.to_owned();
        }
        self.iter().map(|choice| choice.name()).collect::<Vec<_>>().join(",")
    }
}

const NONE: &str = "none";
