//! From a tree to types: what is missing, wrong, or not known is reported with its line.

use super::yaml::{Content, Entry, Node, Scalar, Type};
use crate::config::parse::quoted;

/// Collects what is wrong while a file is read to its end.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) file: String,
    /// The file is of a later minor version than ours, and may have keys that we cannot know.
    pub(super) is_newer: bool,
    errors: Vec<(usize, String)>,
    warnings: Vec<Warning>,
}

/// Something in the file that has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Warning {
    line: usize,
    /// File and line.
    pub(super) place: String,
    pub(super) what: String,
    /// It is there for others, and no mistake.
    pub(super) is_for_others: bool,
}

/// A map whose entries are taken one by one; what is left at the end is not known.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) path: String,
    pub(super) line: usize,
    entries: Vec<Entry>,
    asked: Vec<&'static str>,
}

/// A value and where it is.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) path: String,
    /// Of its key, if it has one.
    pub(super) line: usize,
    pub(super) node: Node,
}

impl Reader {
    pub(super) fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), is_newer: false, errors: Vec::new(), warnings: Vec::new() }
    }

    pub(super) fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.file)
    }

    pub(super) fn wrong(&mut self, line: usize, path: &str, what: impl AsRef<str>) {
        let separator = if path.is_empty() { "" } else { ": " };
        let place = self.place(line);
        self.errors.push((line, format!("{place}: {path}{separator}{}", what.as_ref())));
    }

    pub(super) fn is_right(&self) -> bool {
        self.errors.is_empty()
    }

    /// The errors and the warnings, in the file's order.
    pub(super) fn into_found(mut self) -> (Vec<String>, Vec<Warning>) {
        self.errors.sort_by_key(|error| error.0);
        self.warnings.sort_by_key(|warning| warning.line);
        (self.errors.into_iter().map(|error| error.1).collect(), self.warnings)
    }

    pub(super) fn ignore(&mut self, line: usize, path: &str, what: impl AsRef<str>) {
        self.warn(line, path, what.as_ref(), false);
    }

    /// What conforms to the schema, and is for programs of another kind.
    pub(super) fn for_others(&mut self, field: &Field, what: &str) {
        self.warn(field.line, &field.path, what, true);
    }

    fn warn(&mut self, line: usize, path: &str, what: &str, is_for_others: bool) {
        let (place, what) = (self.place(line), format!("{path} {what}"));
        self.warnings.push(Warning { line, place, what, is_for_others });
    }

    /// A map; null is an empty one.
    pub(super) fn map(&mut self, field: Field) -> Option<Fields> {
        let Field { path, line, node } = field;
        let entries = match node.content {
            Content::Map(entries) => entries,
            _ if node.is_null() => Vec::new(),
            _ => {
                self.wrong(line, &path, "it is not a map");
                return None;
            }
        };
        Some(Fields { path, line, entries, asked: Vec::new() })
    }

    /// A map with one entry, which names what is configured, and its value.
    pub(super) fn only(&mut self, field: Field) -> Option<(String, Field)> {
        let fields = self.map(field)?;
        let Ok([entry]) = <[Entry; 1]>::try_from(fields.entries) else {
            self.wrong(fields.line, &fields.path, "it needs exactly one entry");
            return None;
        };
        let path = format!("{}.{}", fields.path, entry.key);
        Some((entry.key, Field { path, line: entry.line, node: entry.node }))
    }

    /// A list with something in it; nothing if it is null.
    pub(super) fn list(&mut self, field: Field) -> Vec<Field> {
        let Field { path, line, node } = field;
        if node.is_null() {
            return Vec::new();
        }
        let Content::List(nodes) = node.content else {
            self.wrong(line, &path, "it is not a list");
            return Vec::new();
        };
        if nodes.is_empty() {
            self.wrong(line, &path, "it is empty");
        }
        let item = |(at, node): (usize, Node)| Field {
            path: format!("{path}[{at}]"),
            line: node.line,
            node,
        };
        nodes.into_iter().enumerate().map(item).collect()
    }

    /// A list of strings.
    pub(super) fn strings(&mut self, field: Field) -> Vec<String> {
        self.list(field).into_iter().filter_map(|field| self.string(&field)).collect()
    }

    /// Any scalar but null, as it is written: a number needs no quotes to be a string.
    pub(super) fn string(&mut self, field: &Field) -> Option<String> {
        match &field.node.content {
            Content::Scalar(scalar) if scalar.resolved() != Type::Null => Some(scalar.text.clone()),
            Content::Scalar(_) => None,
            _ => {
                self.wrong(field.line, &field.path, "it is not a string");
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, field: &Field) -> Option<bool> {
        self.scalar(field, "true or false", |resolved| match resolved {
            Type::Bool(value) => Some(value),
            _ => None,
        })
    }

    /// An integer that is not less than `least`.
    pub(super) fn integer(&mut self, field: &Field, least: u64) -> Option<u64> {
        let wanted = format!("an integer from {least} on");
        self.scalar(field, &wanted, |resolved| match resolved {
            Type::Int(value) => u64::try_from(value).ok().filter(|value| *value >= least),
            _ => None,
        })
    }

    /// A share of the whole.
    pub(super) fn ratio(&mut self, field: &Field) -> Option<f64> {
        self.scalar(field, "a number from 0 to 1", |resolved| {
            number(resolved).filter(|value| (0.0..=1.0).contains(value))
        })
    }

    /// One of several words; case does not matter.
    pub(super) fn word<T: Copy>(&mut self, field: &Field, words: &[(&str, T)]) -> Option<T> {
        let text = self.string(field)?;
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        if found.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let what = format!("{} is not one of {}", field.shown(), words.join(", "));
            self.wrong(field.line, &field.path, what);
        }
        found.map(|(_, value)| *value)
    }

    /// What the type of a scalar must be; null is nothing.
    fn scalar<T>(
        &mut self,
        field: &Field,
        wanted: &str,
        read: impl Fn(Type) -> Option<T>,
    ) -> Option<T> {
        let found = match &field.node.content {
            Content::Scalar(scalar) => match scalar.resolved() {
                Type::Null => return None,
                resolved => read(resolved),
            },
            _ => None,
        };
        if found.is_none() {
            let what = format!("{} is not {wanted}", field.shown());
            self.wrong(field.line, &field.path, what);
        }
        found
    }

    /// Something that this crate has no part for.
    pub(super) fn unsupported(&mut self, field: &Field, why: &str) {
        self.ignore(field.line, &field.path, why);
    }

    /// Whatever has not been taken is a mistake, or new.
    pub(super) fn finish(&mut self, fields: Fields) {
        let Fields { path, entries, asked, .. } = fields;
        for Entry { key, line, .. } in entries {
            let path = join(&path, &key);
            if self.is_newer || key.contains('/') {
                self.ignore(line, &path, "is not known, and has no effect");
            } else if asked.is_empty() {
                self.wrong(line, &path, "the key is not known: there are no settings");
            } else {
                self.wrong(line, &path, format!("the key is not one of {}", asked.join(", ")));
            }
        }
    }

    /// As [`finish`](Self::finish), where the schema lets others add keys.
    pub(super) fn finish_open(&mut self, fields: Fields) {
        for Entry { key, line, .. } in fields.entries {
            self.ignore(line, &join(&fields.path, &key), "is not known, and has no effect");
        }
    }

    /// What has no settings.
    pub(super) fn empty(&mut self, field: Field) {
        if let Some(fields) = self.map(field) {
            self.finish(fields);
        }
    }
}

impl Field {
    /// What is wrong with the value, in words that quote it; where it is from a variable, in others.
    pub(super) fn problem(&self, quoting: String, silent: &str) -> String {
        if self.is_substituted() { format!("{} {silent}", self.shown()) } else { quoting }
    }

    pub(super) fn is_substituted(&self) -> bool {
        matches!(&self.node.content, Content::Scalar(scalar) if scalar.is_substituted)
    }

    /// As it is written in the file, and nothing of what a variable holds.
    pub(super) fn shown(&self) -> String {
        match &self.node.content {
            Content::Scalar(Scalar { is_substituted: true, .. }) => {
                "the variable's value".to_owned()
            }
            Content::Scalar(scalar) => quoted(&scalar.text),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a map".to_owned(),
        }
    }
}

impl Fields {
    /// A value that is there, be it null.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Field> {
        self.asked.push(key);
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        let Entry { line, node, .. } = self.entries.remove(at);
        Some(Field { path: join(&self.path, key), line, node })
    }

    /// As [`take`](Self::take), under its name while it was in development, too.
    pub(super) fn take_developing(
        &mut self,
        key: &'static str,
        old: &'static str,
    ) -> Option<Field> {
        self.take(key).or_else(|| self.take(old))
    }

    /// Reports a value that must be there.
    pub(super) fn required(&mut self, key: &'static str, reader: &mut Reader) -> Option<Field> {
        let Some(field) = self.take(key) else {
            reader.wrong(self.line, &self.path, format!("{key} is missing"));
            return None;
        };
        if field.node.is_null() {
            reader.wrong(field.line, &field.path, "it has no value");
            return None;
        }
        Some(field)
    }
}

pub(super) fn number(resolved: Type) -> Option<f64> {
    match resolved {
        #[expect(clippy::cast_precision_loss, reason = "a number near enough")]
        Type::Int(value) => Some(value as f64),
        Type::Float(value) => Some(value),
        _ => None,
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
