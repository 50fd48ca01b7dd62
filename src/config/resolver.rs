//! The one precedence: code, then environment, then file, then default; and who had the last word.

use super::env::{Env, Held};
use super::explain::{Effective, Explanation, Source, Sourced};
use super::findings::Findings;
use super::parse::{Problem, Problems, Shown};
use super::variables::{CONFIG_FILE, Owner, Row, TRACES_SAMPLER, TRACES_SAMPLER_ARG, Variable};
use super::{Settings, variables};

/// Settles one setting after the other, and remembers what it did.
#[derive(Debug)]
pub(crate) struct Resolver<'a> {
    pub(crate) code: &'a Settings,
    /// Of a configuration file: while there is one, the specification's other variables count for
    /// nothing (specification, "Declarative configuration").
    pub(crate) file: Option<&'a Settings>,
    env: &'a Env,
    pub(crate) findings: Findings,
    settled: Vec<Effective>,
}

/// What the code and the file say of one setting.
#[derive(Debug, Clone)]
pub(crate) struct Said<T> {
    pub(crate) code: Option<T>,
    pub(crate) file: Option<T>,
}

impl<T> Said<T> {
    pub(crate) fn in_code(code: Option<T>) -> Self {
        Self { code, file: None }
    }
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(code: &'a Settings, file: Option<&'a Settings>, env: &'a Env) -> Self {
        Self { code, file, env, findings: Findings::default(), settled: Vec::new() }
    }

    /// A variable whose row is behind a feature that is off.
    #[cfg(not(any(feature = "otlp-http", feature = "otlp-grpc")))]
    pub(crate) fn is_held(&self, name: &str) -> bool {
        self.file.is_none() && self.env.held(name) != Held::Nothing
    }

    pub(crate) fn env(&self) -> &'a Env {
        self.env
    }

    /// A variable of the reader's terminal, which is nobody's setting; empty is unset.
    pub(crate) fn of_terminal(&self, name: &str) -> Option<String> {
        match self.env.held(name) {
            Held::Text(text) => Some(text),
            Held::Nothing | Held::NotUtf8 => None,
        }
    }

    /// A terminal that shows escape sequences as they are.
    pub(crate) fn is_dumb(&self) -> bool {
        self.of_terminal("TERM").is_some_and(|term| term == "dumb")
    }

    /// One setting of the code and of the file.
    pub(crate) fn said<T>(&self, of: impl Fn(&Settings) -> Option<T>) -> Said<T> {
        Said { code: of(self.code), file: self.file.and_then(of) }
    }

    /// The effective value. Of the variables the first comes first; the setting goes by its name.
    pub(crate) fn setting<T: Shown>(
        &mut self,
        said: Said<T>,
        variables: &[&'static Variable<T>],
        default: T,
    ) -> Sourced<T> {
        let shown = default.shown();
        self.optional(said, variables, &shown)
            .unwrap_or(Sourced { value: default, source: Source::Default })
    }

    /// The effective value, or nothing, which `unset` is the word for.
    pub(crate) fn optional<T: Shown>(
        &mut self,
        said: Said<T>,
        variables: &[&'static Variable<T>],
        unset: &str,
    ) -> Option<Sourced<T>> {
        self.read(said, variables, |_, value| Ok(value), unset)
    }

    /// As [`optional`](Self::optional), where other settings have a say in what a variable means.
    pub(crate) fn read<T, U: Shown>(
        &mut self,
        said: Said<U>,
        variables: &[&'static Variable<T>],
        read: impl Fn(&Row, T) -> Result<U, String>,
        unset: &str,
    ) -> Option<Sourced<U>> {
        let mut problems = Vec::new();
        let chosen = if let Some(value) = said.code {
            self.note_set(variables, "what the code says comes first");
            Some(Sourced { value, source: Source::Code })
        } else {
            let file = said.file.map(|value| Sourced { value, source: Source::File });
            self.first_of(variables, read, &mut problems).or(file)
        };
        let (shown, source) = chosen.as_ref().map_or_else(
            || (unset.to_owned(), Source::Default),
            |chosen| (chosen.value.shown(), chosen.source),
        );
        for (name, Problem { what, instead }) in problems {
            let instead = instead.unwrap_or_else(|| format!("{shown} is used"));
            self.findings.ignored(name, &what, &instead);
        }
        if let Some(first) = variables.first() {
            self.settle(&first.row, shown, source);
        }
        chosen
    }

    /// A variable beside the precedence: its values are put together with those of others.
    pub(crate) fn variable<T>(&mut self, variable: &'static Variable<T>) -> Option<T> {
        let mut problems = Vec::new();
        let found = self.first_of(&[variable], |_, value| Ok(value), &mut problems);
        for (name, Problem { what, instead }) in problems {
            let instead = instead.as_deref().unwrap_or("it counts as unset");
            self.findings.ignored(name, &what, instead);
        }
        found.map(|found| found.value)
    }

    /// The first of the variables that has a value of use.
    fn first_of<T, U>(
        &mut self,
        variables: &[&'static Variable<T>],
        read: impl Fn(&Row, T) -> Result<U, String>,
        problems: &mut Vec<(&'static str, Problem)>,
    ) -> Option<Sourced<U>> {
        for (at, variable) in variables.iter().enumerate() {
            let name = variable.row.name;
            let mut found = Problems::default();
            let value = match self.held(&variable.row) {
                Held::Nothing => None,
                Held::NotUtf8 => found.useless(NOT_UTF8),
                Held::Text(text) => (variable.parse)(&text, &mut found).and_then(|value| {
                    read(&variable.row, value).map_or_else(|what| found.useless(what), Some)
                }),
            };
            problems.extend(found.into_iter().map(|problem| (name, problem)));
            if let Some(value) = value {
                self.note_set(&variables[at + 1..], &format!("{name} comes first"));
                return Some(Sourced { value, source: Source::Variable(name) });
            }
        }
        None
    }

    /// What a variable holds, and nothing where a configuration file is in its place.
    fn held(&mut self, row: &Row) -> Held {
        let held = self.env.held(row.name);
        if held != Held::Nothing && self.file.is_some() && row.owner == Owner::Specification {
            self.findings.noted(row.name, "a configuration file comes in place of it");
            return Held::Nothing;
        }
        held
    }

    /// Whether a variable says anything that counts.
    #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
    pub(crate) fn is_set(&mut self, row: &Row) -> bool {
        matches!(self.held(row), Held::Text(_))
    }

    /// A variable that would have had a say, and cannot be read.
    #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
    pub(crate) fn find_unreadable(&mut self, row: &Row) {
        if self.held(row) == Held::NotUtf8 {
            self.findings.ignored(row.name, NOT_UTF8, "it counts as unset");
        }
    }

    fn note_set<T>(&mut self, variables: &[&'static Variable<T>], why: &str) {
        for variable in variables {
            self.note_if_set(&variable.row, why);
        }
    }

    /// A variable that is set has no effect.
    pub(crate) fn note_if_set(&mut self, row: &Row, why: &str) {
        if self.env.held(row.name) != Held::Nothing {
            self.findings.noted(row.name, why);
        }
    }

    /// Remembers an effective setting. One name may come several times: each exporter has its own.
    pub(crate) fn settle(&mut self, row: &Row, value: impl Into<String>, source: Source) {
        self.settled.push(Effective { setting: row.name, value: value.into(), source });
    }

    /// Something that only code can make, in words.
    pub(crate) fn settle_in_code(&mut self, row: &Row, value: impl Into<String>) {
        self.note_if_set(row, "what the code says comes first");
        self.settle(row, value, Source::Code);
    }

    /// Whoever is really the source of what has just been settled as a default.
    pub(crate) fn resettle(&mut self, row: &Row, source: Source) {
        if let Some(settled) = self.settled.iter_mut().rfind(|s| s.setting == row.name) {
            settled.source = source;
        }
    }

    /// What has just been settled is used in part; whoever said so stays its source.
    pub(crate) fn adjust(&mut self, row: &Row, value: &str, why: String) {
        self.show(row, value);
        self.findings.noted(row.name, why);
    }

    /// As it is used, whatever was said.
    pub(crate) fn show(&mut self, row: &Row, value: &str) {
        if let Some(settled) = self.settled.iter_mut().rfind(|s| s.setting == row.name) {
            value.clone_into(&mut settled.value);
        }
    }

    /// A value that turned out to be of no use after all, what is in its place, and in words.
    pub(crate) fn replace(&mut self, row: &Row, problem: &str, value: &str, instead: &str) {
        let mut name = row.name.to_owned();
        let file = self.settled.iter().find(|s| s.setting == CONFIG_FILE.row.name);
        let file = file.map(|file| file.value.clone());
        if let Some(settled) = self.settled.iter_mut().rfind(|s| s.setting == row.name) {
            match (settled.source, file) {
                (Source::Variable(variable), _) => variable.clone_into(&mut name),
                (Source::File, Some(file)) => name = file,
                _ => {}
            }
            value.clone_into(&mut settled.value);
            settled.source = Source::Default;
        }
        self.findings.ignored(&name, problem, instead);
    }

    /// Variables that are set, and that no part of this crate honours.
    pub(crate) fn find_unsupported(&mut self) {
        for row in variables::all() {
            match row.owner {
                Owner::Elsewhere(whose) => {
                    let why = format!("it is of {whose}, and this crate makes traces");
                    self.note_if_set(row, &why);
                }
                Owner::Unsupported(why) if self.held(row) != Held::Nothing => {
                    self.findings.ignored(row.name, why, "it has no effect");
                }
                _ => {}
            }
        }
    }

    /// Variables that are ours to honour, are set, and that nothing in effect comes from. To be
    /// called when everything is settled.
    pub(crate) fn find_unused(&mut self) {
        let honoured = |row: &&Row| matches!(row.owner, Owner::Specification | Owner::Ours);
        for row in variables::all().filter(honoured) {
            let is_used = self.settled.iter().any(|s| s.source == Source::Variable(row.name));
            let is_known = self.findings.iter().any(|finding| finding.name == row.name);
            if is_used || is_known || row.name == CONFIG_FILE.row.name {
                continue;
            }
            // what is hidden by a configuration file is found on the way
            if self.held(row) == Held::Nothing {
                continue;
            }
            match self.settled.iter().rfind(|s| s.setting == TRACES_SAMPLER.row.name) {
                Some(sampler)
                    if row.name == TRACES_SAMPLER_ARG.row.name
                        && sampler.source != Source::Code =>
                {
                    let problem = format!("{} takes no argument", sampler.value);
                    self.findings.ignored(row.name, &problem, "it has no effect");
                }
                _ => self.findings.noted(row.name, "nothing that is in effect comes from it"),
            }
        }
    }

    pub(crate) fn explanation(&self) -> Explanation {
        Explanation::new(self.settled.clone(), &self.findings)
    }
}

const NOT_UTF8: &str = "a value that is not UTF-8";
