//! The table of variables: what each is called, means, is read by, and has for a default.
//!
//! It drives the parsing (the resolver reads no variable that is not a row here), the table in the
//! crate's documentation, which a test compares with it, and the explanation.

mod batch;
mod elsewhere;
mod general;
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
mod otlp;
mod ours;

use super::parse::Problems;

pub(crate) use batch::*;
pub(crate) use general::*;
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
pub(crate) use otlp::*;
pub(crate) use ours::*;

/// A variable whose values are of type `T`.
#[derive(Debug)]
pub(crate) struct Variable<T: 'static> {
    pub(crate) row: Row,
    /// The text without surrounding white space, never empty. Nothing: it is of no use, and counts
    /// as unset.
    pub(crate) parse: fn(&str, &mut Problems) -> Option<T>,
}

/// A variable as it is documented. The last three are Markdown.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(test), expect(dead_code, reason = "the documentation is written out by a test"))]
#[cfg_attr(test, allow(dead_code, reason = "some is read only by tests of all features"))]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) owner: Owner,
    /// The variable that it comes before: of this one signal against all, of spans against all.
    pub(crate) over: Option<&'static str>,
    /// The value may be secret, as a whole or in parts, and is never shown as it is.
    pub(crate) secret: bool,
    pub(crate) default: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) code: &'static str,
}

/// The types of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Integer,
    Duration,
    Timeout,
    String,
    Enum,
    /// Enumerated values, separated by commas.
    List,
    /// `key=value`, separated by commas.
    Pairs,
}

/// Who has named the variable, and whether it is for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Specification,
    /// This crate, or a convention beside OpenTelemetry.
    Ours,
    /// The specification, for something that this crate does not make: it is no mistake to set it.
    Elsewhere(&'static str),
    /// The specification, for traces: what it asks for is not to be had here, and why.
    Unsupported(&'static str),
}

/// Every row, in the order of the documentation.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    let groups = [
        general::ROWS,
        #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
        otlp::ROWS,
        batch::ROWS,
        ours::ROWS,
        elsewhere::ROWS,
    ];
    groups.into_iter().flatten().copied()
}

/// One `static` a variable, and `ROWS` of all of them.
macro_rules! variables {
    ($($name:ident: $type:ty = $variable:literal {
        parse: $parse:expr,
        kind: $kind:ident,
        $($field:ident: $value:expr,)*
    })*) => {
        $(pub(crate) static $name: Variable<$type> = Variable {
            row: Row {
                $($field: $value,)*
                ..Row::new($variable, Kind::$kind)
            },
            parse: $parse,
        };)*
        pub(super) static ROWS: &[&Row] = &[$(&$name.row),*];
    };
}
use variables;

impl Row {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            owner: Owner::Specification,
            over: None,
            secret: false,
            default: "",
            meaning: "",
            code: "",
        }
    }
}

#[cfg(all(test, feature = "otlp-http", feature = "file"))]
mod behaviour;
#[cfg(all(test, feature = "otlp-http", feature = "file"))]
mod conformance;
#[cfg(test)]
mod documentation;
#[cfg(all(test, feature = "otlp-http", feature = "file"))]
mod effects;
#[cfg(all(test, feature = "otlp-http", feature = "file"))]
mod properties;
