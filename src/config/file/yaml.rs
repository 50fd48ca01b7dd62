//! YAML into a tree that knows its lines, within bounds.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

/// A node and the line that it starts on, counted from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the file's order, each key once.
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) node: Node,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Without quotes and without a tag: what it looks like is what it is.
    pub(super) is_plain: bool,
    /// Some of it is from the environment, so it may be a secret.
    pub(super) is_substituted: bool,
}

/// What a plain scalar looks like (YAML 1.2.2, "Core Schema").
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Type {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String,
}

/// What is wrong, and on which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) line: usize,
    pub(super) what: String,
}

/// The one document that `text` holds; nothing if it is empty.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Problem> {
    if text.len() > MOST_BYTES {
        return Err(Problem::new(1, format!("the file has more than {MOST_BYTES} bytes")));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut composer = Composer {
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        left: Size { nodes: MOST_NODES, bytes: MOST_TEXT },
    };
    let mut document = None;
    loop {
        match composer.next()? {
            (Event::StreamEnd, _) => return Ok(document),
            (Event::DocumentStart(_), line) if document.is_some() => {
                return Err(Problem::new(line, "there is a second document"));
            }
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd, _) => {}
            (event, line) => document = Some(composer.node(event, line, 0)?),
        }
    }
}

/// The events are pulled, since the parser's own loader recurses without a bound.
struct Composer<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    /// What there is room for, what aliases repeat included.
    left: Size,
}

/// What a node takes, with all that is below it.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    /// Of scalars and keys.
    bytes: usize,
}

impl<'a> Composer<'a> {
    fn next(&mut self) -> Result<(Event<'a>, usize), Problem> {
        match self.events.next() {
            Some(Ok((event, span))) => Ok((event, line_of(span))),
            Some(Err(error)) => Err(error.into()),
            None => Ok((Event::StreamEnd, 1)),
        }
    }

    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node, Problem> {
        if depth > MOST_DEPTH {
            return Err(Problem::new(line, format!("it is nested more than {MOST_DEPTH} deep")));
        }
        self.spend(Size { nodes: 1, bytes: 0 }, line)?;
        let (anchor, content) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && untagged(tag.as_deref(), line)?;
                let text = text.into_owned();
                self.spend(Size { nodes: 0, bytes: text.len() }, line)?;
                (anchor, Content::Scalar(Scalar { text, is_plain, is_substituted: false }))
            }
            Event::SequenceStart(anchor, _) => (anchor, Content::List(self.list(depth)?)),
            Event::MappingStart(anchor, _) => (anchor, Content::Map(self.map(depth)?)),
            Event::Alias(anchor) => return self.repeated(anchor, line),
            _ => return Err(Problem::new(line, "it ends too early")),
        };
        let node = Node { line, content };
        if anchor != 0 {
            // the copy takes room too: anchors within anchors are copied again and again
            self.spend(Size { nodes: 0, ..node.size() }, line)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Problem> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(nodes),
                (event, line) => nodes.push(self.node(event, line, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut keys = HashSet::new();
        let mut merged = Vec::new();
        loop {
            let (key, line) = match self.next()? {
                (Event::MappingEnd, _) => break,
                (Event::Scalar(key, ..), line) => (key.into_owned(), line),
                (_, line) => return Err(Problem::new(line, "a key is not a scalar")),
            };
            self.spend(Size { nodes: 0, bytes: key.len() }, line)?;
            let (event, start) = self.next()?;
            let node = self.node(event, start, depth + 1)?;
            if key == MERGE {
                merged.extend(to_merge(node)?);
            } else if !keys.insert(key.clone()) {
                return Err(Problem::new(line, format!("the key {key:?} is there twice")));
            } else {
                entries.push(Entry { key, line, node });
            }
        }
        for entry in merged {
            if keys.insert(entry.key.clone()) {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    fn repeated(&mut self, anchor: usize, line: usize) -> Result<Node, Problem> {
        let node = self.anchors.get(&anchor).cloned();
        let node = node.ok_or_else(|| Problem::new(line, "an alias refers to itself"))?;
        self.spend(node.size(), line)?;
        Ok(node)
    }

    fn spend(&mut self, size: Size, line: usize) -> Result<(), Problem> {
        let less = |left: usize, taken, most: usize, what| {
            let left = left.checked_sub(taken);
            left.ok_or_else(|| Problem::new(line, format!("it has more than {most} {what}")))
        };
        self.left = Size {
            nodes: less(self.left.nodes, size.nodes, MOST_NODES, "nodes")?,
            bytes: less(
                self.left.bytes,
                size.bytes,
                MOST_TEXT,
                "bytes where aliases are expanded",
            )?,
        };
        Ok(())
    }
}

impl Node {
    fn size(&self) -> Size {
        let own = Size { nodes: 1, bytes: 0 };
        match &self.content {
            Content::Scalar(scalar) => Size { bytes: scalar.text.len(), ..own },
            Content::List(nodes) => nodes.iter().fold(own, |all, node| all + node.size()),
            Content::Map(entries) => entries.iter().fold(own, |all, entry| {
                let key = Size { nodes: 0, bytes: entry.key.len() };
                all + key + entry.node.size()
            }),
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(scalar) if scalar.resolved() == Type::Null)
    }
}

impl std::ops::Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { nodes: self.nodes + other.nodes, bytes: self.bytes + other.bytes }
    }
}

impl Scalar {
    pub(super) fn resolved(&self) -> Type {
        if self.is_plain { resolved(&self.text) } else { Type::String }
    }
}

impl Problem {
    pub(super) fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

impl From<ScanError> for Problem {
    fn from(error: ScanError) -> Self {
        Self::new(error.marker().line().max(1), format!("it is not YAML: {}", error.info()))
    }
}

/// The entries of a map, or of several, the first of which comes first.
fn to_merge(node: Node) -> Result<Vec<Entry>, Problem> {
    let line = node.line;
    match node.content {
        Content::Map(entries) => Ok(entries),
        Content::List(nodes) => {
            let mut all: Vec<Entry> = Vec::new();
            for node in nodes {
                all.extend(to_merge(node)?);
            }
            Ok(all)
        }
        Content::Scalar(_) => Err(Problem::new(line, format!("{MERGE} needs a map"))),
    }
}

/// Whether there is no tag but for the core schema's own, of which `!!str` is not plain.
fn untagged(tag: Option<&Tag>, line: usize) -> Result<bool, Problem> {
    let Some(tag) = tag else { return Ok(true) };
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        (CORE, "str") | ("", "!") => Ok(false),
        (CORE, "null" | "bool" | "int" | "float") => Ok(true),
        _ => Err(Problem::new(line, "a tag that is not of the core schema")),
    }
}

fn resolved(text: &str) -> Type {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Type::Null,
        "true" | "True" | "TRUE" => return Type::Bool(true),
        "false" | "False" | "FALSE" => return Type::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Type::Float(f64::NAN),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        let infinity = f64::INFINITY;
        return Type::Float(if text.starts_with('-') { -infinity } else { infinity });
    }
    integer(text)
        .map(Type::Int)
        .or_else(|| float(text, digits).map(Type::Float))
        .unwrap_or(Type::String)
}

fn integer(text: &str) -> Option<i64> {
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let are_digits = digits.chars().all(|c| c.is_digit(radix));
            return i64::from_str_radix(digits, radix).ok().filter(|_| are_digits);
        }
    }
    text.parse().ok()
}

/// Rust reads more than the core schema has (`inf`, `nan`, `infinity`), all of it with letters.
fn float(text: &str, digits: &str) -> Option<f64> {
    let starts = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let ends = digits.ends_with(|c: char| c.is_ascii_digit() || c == '.');
    text.parse().ok().filter(|_| starts && ends)
}

fn line_of(span: Span) -> usize {
    span.start.line()
}

const CORE: &str = "tag:yaml.org,2002:";
/// Of YAML 1.1, and in the specification's own examples.
const MERGE: &str = "<<";
pub(super) const MOST_BYTES: usize = 1 << 20;
const MOST_NODES: usize = 100_000;
pub(super) const MOST_TEXT: usize = 16 << 20;
const MOST_DEPTH: usize = 64;
