//! `${ENV}` in scalars (configuration data model, "Environment variable substitution").

use super::yaml::{Content, MOST_TEXT, Node, Problem, Scalar};
use crate::config::env::Env;

/// Substitutes in every scalar below the node; keys are left alone.
pub(super) fn substitute(node: &mut Node, env: &Env, problems: &mut Vec<Problem>) {
    Substitution { env, left: MOST_TEXT }.below(node, problems);
}

struct Substitution<'a> {
    env: &'a Env,
    /// Bytes that there is room for: a short reference to a long value may be there often.
    left: usize,
}

impl Substitution<'_> {
    fn below(&mut self, node: &mut Node, problems: &mut Vec<Problem>) {
        match &mut node.content {
            Content::Scalar(scalar) => {
                if let Err(what) = self.in_scalar(scalar) {
                    problems.push(Problem::new(node.line, what));
                }
            }
            Content::List(nodes) => {
                for node in nodes {
                    self.below(node, problems);
                }
            }
            Content::Map(entries) => {
                for entry in entries {
                    self.below(&mut entry.node, problems);
                }
            }
        }
    }

    fn in_scalar(&mut self, scalar: &mut Scalar) -> Result<(), String> {
        if !scalar.text.contains('$') {
            return Ok(());
        }
        let mut out = String::with_capacity(scalar.text.len());
        // what follows an escape is looked at by itself, so that no reference spans one
        for (at, part) in scalar.text.split(ESCAPE).enumerate() {
            if at > 0 {
                out.push('$');
            }
            scalar.is_substituted |= self.references(part, &mut out)?;
        }
        scalar.text = out;
        Ok(())
    }

    /// Whether there was one. What a variable holds is never looked at again.
    fn references(&mut self, mut text: &str, out: &mut String) -> Result<bool, String> {
        let mut is_substituted = false;
        while let Some(start) = text.find(START) {
            let after = &text[start + START.len()..];
            let Some(end) = after.find('}') else { break };
            out.push_str(&text[..start]);
            let inside = &after[..end];
            if inside.chars().all(is_printable_or_space) {
                let value = value(inside, self.env)?;
                self.left = self.left.checked_sub(value.len()).ok_or_else(|| {
                    format!("the variables in the file hold more than {MOST_TEXT} bytes")
                })?;
                out.push_str(&value);
                is_substituted = true;
            } else {
                out.push_str(&text[start..=start + START.len() + end]);
            }
            text = &after[end + 1..];
        }
        out.push_str(text);
        Ok(is_substituted)
    }
}

fn value(inside: &str, env: &Env) -> Result<String, String> {
    let reference = inside.strip_prefix("env:").unwrap_or(inside);
    let end = reference.find(|c: char| !is_of_name(c)).unwrap_or(reference.len());
    let (name, rest) = reference.split_at(end);
    let default = rest.strip_prefix(":-");
    let is_name = name.starts_with(|c: char| is_of_name(c) && !c.is_ascii_digit());
    if !is_name || (default.is_none() && !rest.is_empty()) {
        return Err(format!(
            "{:?} is not a reference to a variable, as ${{NAME}}, ${{env:NAME}} and \
             ${{NAME:-default}} are; a dollar sign is written $$",
            format!("${{{inside}}}")
        ));
    }
    let held = env.raw(name).filter(|held| !held.is_empty());
    match held.map(std::ffi::OsString::into_string) {
        Some(Ok(held)) => Ok(held),
        Some(Err(_)) => Err(format!("the variable {name} holds a value that is not UTF-8")),
        None => Ok(default.unwrap_or_default().to_owned()),
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// `VCHAR-WSP-NO-RBRACE`, and what is beyond ASCII.
fn is_printable_or_space(c: char) -> bool {
    !c.is_control() || c == '\t'
}

const ESCAPE: &str = "$$";
const START: &str = "${";
