//! Rows that are samples by themselves: BLOBs and texts for readers as members, all other columns as JSON.

use std::collections::HashMap;

use arrow::{
    array::{Array, ArrayRef, AsArray, LargeBinaryArray, LargeBinaryBuilder, RecordBatch, StringArray},
    compute::cast,
    datatypes::{DataType, SchemaRef},
};
use bytes::Bytes;

use super::{
    super::{
        json::{self, JsonColumns},
        samples::texts,
    },
    name,
    sample::{Member, Sample},
};
use crate::{
    error::{Error, ErrorKind, Result},
    media,
    quote::identifier,
};

/// The column with the keys of samples, as readers call it.
const KEY: &str = "__key__";
/// Columns of text that readers decode by the ending.
const TEXTS: [&str; 2] = ["txt", "json"];
/// Columns of whole numbers that they decode.
const NUMBERS: [&str; 1] = ["cls"];
/// The length up to which a column can name a member.
const MAX_FIELD: usize = 100;

/// Which columns are members.
#[derive(Debug)]
pub struct Plain {
    schema: SchemaRef,
    key: Option<usize>,
    /// Columns that are members, with the beginning of their fields.
    members: Vec<(usize, String, Content)>,
    /// Columns that are in the JSON.
    rest: Vec<usize>,
    /// The field of the JSON.
    json: &'static str,
    /// The key of the last row.
    last: Option<String>,
}

/// What a member holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Bytes,
    Text,
    Number,
}

// === impl Plain ===

impl Plain {
    /// The layout of rows with these columns.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that no member can have.
    pub fn of(schema: &SchemaRef) -> Result<Self> {
        let (mut key, mut members, mut rest) = (None, Vec::new(), Vec::new());
        for (at, field) in schema.fields().iter().enumerate() {
            if field.name() == KEY && matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8) {
                key = Some(at);
            }
            match Content::of(field.name(), field.data_type()) {
                Some(content) => members.push((at, member_name(field.name())?, content)),
                None => rest.push(at),
            }
        }
        let json = if members.iter().any(|(_, name, _)| name == "json") { "row.json" } else { "json" };
        let names = || members.iter().map(|(_, name, _)| name.as_str()).chain([json]);
        for (at, name) in names().enumerate() {
            // What follows the name is told by the bytes.
            let is_same =
                |other: &str| other.strip_prefix(name).is_some_and(|end| end.is_empty() || end.starts_with('.'));
            if let Some((_, other)) = names().enumerate().find(|(place, other)| *place != at && is_same(other)) {
                return Err(Error::invalid(format!(
                    "the columns \"{name}\" and \"{other}\" could become one member of a sample: rename one"
                )));
            }
        }
        Ok(Self { schema: SchemaRef::clone(schema), key, members, rest, json, last: None })
    }

    /// Writes each row as a sample. `before` rows are in front of them.
    ///
    /// # Errors
    /// `InvalidArgument` for a key that is NULL, or that of the row before; errors of `add`.
    pub fn write(
        &mut self,
        batch: &RecordBatch,
        before: u64,
        add: &mut dyn FnMut(Member<'_>) -> Result<()>,
    ) -> Result<()> {
        let options = json::options();
        let mut json = JsonColumns::of(batch, &options)?;
        let contents = self.members.iter().map(|(at, _, content)| content.of_column(batch.column(*at)));
        let contents: Vec<_> = contents.collect::<Result<_>>()?;
        let keys = self.key.map(|at| texts(batch.column(at))).transpose()?;
        for row in 0..batch.num_rows() {
            let key = self.next_key(keys.as_ref(), row, before + row as u64)?;
            let mut is_written = false;
            for ((_, start, content), values) in self.members.iter().zip(&contents) {
                if values.is_valid(row) {
                    let field = content.field(start, values.value(row));
                    add(Member { name: format!("{key}.{field}"), content: values.value(row) })?;
                    is_written = true;
                }
            }
            if !is_written || !self.rest.is_empty() {
                let mut text = Vec::new();
                json.object(&self.rest, row, &mut text);
                add(Member { name: format!("{key}.{}", self.json), content: &text })?;
            }
        }
        Ok(())
    }

    fn next_key(&mut self, keys: Option<&StringArray>, row: usize, number: u64) -> Result<String> {
        let Some(keys) = keys else { return Ok(format!("{number:09}")) };
        if keys.is_null(row) {
            return Err(Error::invalid(format!("row {number} has no {KEY}: each sample needs one")));
        }
        let key = name::key(keys.value(row), true);
        if self.last.as_ref() == Some(&key) {
            return Err(Error::invalid(format!("two rows that follow each other have the {KEY} \"{key}\"")));
        }
        self.last = Some(key.clone());
        Ok(key)
    }

    /// The rows of samples that were written like this.
    ///
    /// # Errors
    /// `DataLoss` for a sample that was not.
    pub fn read(&self, samples: &[Sample]) -> Result<RecordBatch> {
        let damaged = |cause: &dyn std::fmt::Display| {
            Error::new(ErrorKind::DataLoss, "a sample is not what was written").with_source(cause.to_string())
        };
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.schema.fields().len()];
        for (at, start, content) in &self.members {
            let values = samples.iter().map(|sample| member(&sample.fields, start));
            let data_type = self.schema.field(*at).data_type();
            columns[*at] = Some(content.to_column(values, data_type).map_err(|err| damaged(&err))?);
        }
        if !self.rest.is_empty() {
            let mut objects = Vec::new();
            for sample in samples {
                objects.extend_from_slice(sample.fields.get(self.json).ok_or_else(|| damaged(&"it has no JSON"))?);
            }
            let read = json::decode(json::part(&self.schema, &self.rest), &objects, samples.len());
            let read = read.map_err(|err| damaged(&err))?;
            for (at, column) in self.rest.iter().zip(read.columns()) {
                columns[*at] = Some(ArrayRef::clone(column));
            }
        }
        json::assemble(&self.schema, columns.into_iter().flatten().collect())
    }
}

// === impl Content ===

impl Content {
    fn of(column: &str, data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Binary | DataType::LargeBinary => Some(Self::Bytes),
            DataType::Utf8 | DataType::LargeUtf8 if TEXTS.contains(&column) => Some(Self::Text),
            other if other.is_integer() && NUMBERS.contains(&column) => Some(Self::Number),
            _ => None,
        }
    }

    /// The contents of the members.
    fn of_column(self, column: &ArrayRef) -> Result<LargeBinaryArray> {
        let failed = |err: arrow::error::ArrowError| Error::internal("write samples").with_source(err.to_string());
        let text = if self == Self::Number {
            cast(column, &DataType::LargeUtf8).map_err(failed)?
        } else {
            ArrayRef::clone(column)
        };
        Ok(cast(&text, &DataType::LargeBinary).map_err(failed)?.as_binary().clone())
    }

    fn to_column<'a>(
        self,
        values: impl Iterator<Item = Option<&'a Bytes>>,
        data_type: &DataType,
    ) -> Result<ArrayRef, arrow::error::ArrowError> {
        let mut builder = LargeBinaryBuilder::new();
        values.for_each(|value| builder.append_option(value.map(Bytes::as_ref)));
        let bytes = builder.finish();
        match self {
            Self::Bytes => cast(&bytes, data_type),
            Self::Text | Self::Number => cast(&cast(&bytes, &DataType::LargeUtf8)?, data_type),
        }
    }

    /// The field of a member: with an ending by which readers decode it, if its first bytes tell one.
    fn field(self, start: &str, bytes: &[u8]) -> String {
        if self != Self::Bytes || name::has_ending(start) {
            return start.to_owned();
        }
        match media::kind::sniff(bytes) {
            Some(kind) => format!("{start}.{}", kind.extension),
            None => start.to_owned(),
        }
    }
}

/// The member of a column.
fn member<'a>(fields: &'a HashMap<String, Bytes>, start: &str) -> Option<&'a Bytes> {
    let is_it = |field: &str| field.strip_prefix(start).is_some_and(|end| end.is_empty() || end.starts_with('.'));
    fields.iter().find(|(field, _)| is_it(field)).map(|(_, bytes)| bytes)
}

/// The field that a column names: readers know those in lower case.
fn member_name(column: &str) -> Result<String> {
    let fits = |c: char| c != '/' && c != '\\' && !c.is_control();
    // Names of readers themselves begin with two underscores.
    let is_name = !column.is_empty() && !column.starts_with('.') && !column.starts_with("__");
    let is_name = is_name && column.chars().all(fits);
    if is_name && column.len() <= MAX_FIELD {
        return Ok(column.to_lowercase());
    }
    Err(Error::invalid(format!(
        "the column {} cannot name members of a tar file: rename it, to at most {MAX_FIELD} bytes without slashes, and not with __ in front",
        identifier(column)
    )))
}
