//! What was found wrong with the settings, and which were set for nothing.

use std::collections::HashSet;

use crate::error::{Error, Kind};

/// Everything that was found, said once the voice stands.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: Vec<Finding>,
    /// The same, to tell fast what is there: a file can have a hundred thousand things wrong in it.
    known: HashSet<Finding>,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Finding {
    /// The variable, or what the code set.
    pub(crate) name: String,
    /// Quotes the value unless it may be secret.
    pub(crate) why: String,
    pub(crate) weight: Weight,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Weight {
    /// Nothing is wrong: another setting comes first. Only the explanation tells.
    Noted,
    /// A warning, whatever is asked for: the machine is to blame and not the settings.
    Told,
    /// A warning, or an error under `strict`.
    Ignored,
    /// Set in code, and so an error always.
    Refused,
}

impl Findings {
    /// A variable that cannot be used. `problem` quotes the value unless it may be secret.
    pub(crate) fn ignored(&mut self, name: &str, problem: &str, instead: &str) {
        self.push(name, format!("{problem}; {instead}"), Weight::Ignored);
    }

    /// As [`ignored`](Self::ignored), in words that say what is done as well.
    #[cfg(feature = "config-file")]
    pub(crate) fn warned(&mut self, name: &str, why: impl Into<String>) {
        self.push(name, why.into(), Weight::Ignored);
    }

    /// A variable that is set and has no effect, for which nobody is to blame.
    pub(crate) fn noted(&mut self, name: &str, why: impl Into<String>) {
        self.push(name, why.into(), Weight::Noted);
    }

    /// What goes wrong around us, with settings that are right.
    pub(crate) fn told(&mut self, name: &str, why: impl Into<String>) {
        self.push(name, why.into(), Weight::Told);
    }

    /// A setting of the code's that cannot be used.
    pub(crate) fn refused(&mut self, name: &str, problem: impl Into<String>) {
        self.push(name, problem.into(), Weight::Refused);
    }

    /// An error of the settings joins the others; any other is returned.
    pub(crate) fn refused_with(&mut self, error: Error) -> Result<(), Error> {
        for problem in error.into_problems()? {
            self.refused("", problem);
        }
        Ok(())
    }

    /// Each finding once, whichever of the exporters found it first.
    fn push(&mut self, name: &str, why: String, weight: Weight) {
        let finding = Finding { name: name.to_owned(), why, weight };
        if self.known.insert(finding.clone()) {
            self.found.push(finding);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.found.iter()
    }

    /// The warnings, as they are said: what is no error.
    pub(crate) fn warnings(&self, strict: bool) -> impl Iterator<Item = String> {
        let is_warning = move |finding: &&Finding| match finding.weight {
            Weight::Told => true,
            Weight::Ignored => !strict,
            Weight::Noted | Weight::Refused => false,
        };
        self.found.iter().filter(is_warning).map(Finding::line)
    }

    /// Everything that is an error, as one: what the code set, and under `strict` what variables
    /// say too.
    pub(crate) fn error(&self, strict: bool) -> Option<Error> {
        let problems: Vec<_> = self
            .found
            .iter()
            .filter(|finding| match finding.weight {
                Weight::Noted | Weight::Told => false,
                Weight::Ignored => strict,
                Weight::Refused => true,
            })
            .map(Finding::line)
            .collect();
        (!problems.is_empty()).then(|| Error::new(Kind::Config(problems)))
    }
}

impl Finding {
    fn line(&self) -> String {
        if self.name.is_empty() {
            return self.why.clone();
        }
        format!("{}: {}", self.name, self.why)
    }
}
