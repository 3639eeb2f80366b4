//! Parses model files; the grammar is in the module's documentation.
//!
//! 1. A head starts a section.
//! 2. The `--` lines directly below it are its header: checks and description.
//! 3. Everything else up to the next head is its SELECT.

use super::{
    Check, LAYERS, Model, Origin,
    nearest::{hint, nearest},
};
use crate::error::{Error, Result};

/// The keys before a colon.
const KEYS: [&str; 4] = ["model", "source", OPTIONAL, "check"];
/// The key of a source that need not be in the lake.
const OPTIONAL: &str = "optional source";

/// A section while its lines are parsed.
struct Section {
    model: Model,
    is_model: bool,
    in_header: bool,
    /// The check that the next line may continue, with its line.
    open_check: Option<(String, usize)>,
    body: String,
}

/// The models and sources of `text`, which is from `file`, in their order; empty without a head.
///
/// # Errors
/// `InvalidArgument` with file and line.
pub fn parse(file: &str, text: &str) -> Result<Vec<Model>> {
    if !text.lines().any(|line| head(line).is_some()) {
        return Ok(Vec::new());
    }
    let mut models = Vec::new();
    let mut open: Option<Section> = None;
    for (line, number) in text.lines().zip(1..) {
        let fault = |text: String| Error::invalid(format!("{file}:{number}: {text}"));
        if let Some((key, name)) = head(line) {
            let finished = open.replace(Section::start(key, name, file, number).map_err(fault)?);
            models.extend(finished.map(Section::finish).transpose()?);
            continue;
        }
        match &mut open {
            Some(section) => section.take(line, number)?,
            None => check_preamble(line).map_err(fault)?,
        }
    }
    models.extend(open.map(Section::finish).transpose()?);
    Ok(models)
}

/// The key and the name after it, if `line` is a head.
fn head(line: &str) -> Option<(&str, &str)> {
    let (key, name) = line.trim_start().strip_prefix("--")?.split_once(':')?;
    matches!(key.trim(), "model" | "source" | OPTIONAL).then(|| (key.trim(), name.trim()))
}

/// Before the first head, only comments are allowed, and none that looks like a head.
fn check_preamble(line: &str) -> Result<(), String> {
    let line = line.trim();
    match line.strip_prefix("--") {
        Some(comment) if comment.trim_start().starts_with("check:") => Err("a check before the first head".into()),
        Some(comment) => check_key(comment),
        None if line.is_empty() => Ok(()),
        None => Err("SQL before the first \"-- model: layer.table\" belongs to no model".into()),
    }
}

/// A mistyped key would silently turn a check into a description.
fn check_key(comment: &str) -> Result<(), String> {
    let Some((key, _)) = comment.split_once(':') else { return Ok(()) };
    let key = key.trim();
    match nearest(key, KEYS) {
        Some(meant) if meant != key => Err(format!("unknown key \"{key}:\"; did you mean \"{meant}:\"")),
        _ => Ok(()),
    }
}

/// Layer and table of `name`.
fn split_name(name: &str) -> Result<(String, String), String> {
    let (layer, table) =
        name.split_once('.').ok_or_else(|| format!("\"{name}\" is not a name of the form layer.table"))?;
    if !LAYERS.contains(&layer) {
        return Err(format!("no layer \"{layer}\"{}; there are {}", hint(layer, LAYERS), LAYERS.join(", ")));
    }
    let is_plain = table.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !is_plain || !table.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') {
        return Err(format!("\"{table}\" is not a valid table name: use lower-case letters, digits and underscores"));
    }
    Ok((layer.to_owned(), table.to_owned()))
}

// === impl Section ===

impl Section {
    fn start(key: &str, name: &str, file: &str, line: usize) -> Result<Self, String> {
        let (layer, table) = split_name(name)?;
        let origin = Origin { file: file.to_owned(), line };
        let is_optional = key == OPTIONAL;
        let (description, checks) = (String::new(), Vec::new());
        let model = Model { layer, table, description, query: None, is_optional, checks, origin };
        Ok(Self { model, is_model: key == "model", in_header: true, open_check: None, body: String::new() })
    }

    fn fault(&self, line: usize, text: &str) -> Error {
        Error::invalid(format!("{}:{line}: {text}", self.model.origin.file))
    }

    fn take(&mut self, line: &str, number: usize) -> Result<()> {
        let comment = line.trim_start().strip_prefix("--");
        match comment {
            Some(comment) if self.in_header => self.take_header(comment, number),
            Some(comment) if comment.trim_start().starts_with("check:") => {
                let text = "a check after the header: put checks directly below the head, without blank lines";
                Err(self.fault(number, text))
            }
            Some(_) | None => {
                self.close_check()?;
                self.in_header = false;
                self.body.push_str(line);
                self.body.push('\n');
                Ok(())
            }
        }
    }

    fn take_header(&mut self, comment: &str, number: usize) -> Result<()> {
        if comment.starts_with("  ")
            && let Some((check, _)) = &mut self.open_check
        {
            check.push('\n');
            check.push_str(comment.trim());
            return Ok(());
        }
        self.close_check()?;
        if let Some(check) = comment.trim_start().strip_prefix("check:") {
            self.open_check = Some((check.to_owned(), number));
            return Ok(());
        }
        check_key(comment).map_err(|text| self.fault(number, &text))?;
        if !self.model.description.is_empty() {
            self.model.description.push('\n');
        }
        self.model.description.push_str(comment.trim());
        Ok(())
    }

    fn close_check(&mut self) -> Result<()> {
        if let Some((text, line)) = self.open_check.take() {
            let check = Check::parse(&text, line).map_err(|text| self.fault(line, &text))?;
            self.model.checks.push(check);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Model> {
        self.close_check()?;
        let is_empty = self.body.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with("--"));
        let (name, line) = (self.model.name(), self.model.origin.line);
        match (self.is_model, is_empty) {
            (true, true) => Err(self.fault(line, &format!("model {name} has no SELECT"))),
            (false, false) => Err(self.fault(
                line,
                &format!("source {name} has a statement: a source has checks only, a \"-- model:\" has a SELECT"),
            )),
            (false, true) => Ok(self.model),
            (true, false) => {
                self.model.query = Some(self.body.trim().to_owned());
                Ok(self.model)
            }
        }
    }
}
