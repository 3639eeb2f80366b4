//! Interleaved samples as members: `KEY.json` with texts and the columns of each row, and the bytes of rows as
//! `KEY.<position>.<ending>`.
//!
//! ```text
//! {"sample_id": …, <columns of the row of metadata>,
//!  "texts": [text or null for each position], "images": [field or null for each position],
//!  "_row_extra": {"text": […], "image": […], "metadata": {…}},    the further columns of what these lists name
//!  "_rows": [{"position": …, "modality": …, …}]}                  all rows in their order, with what is nowhere above
//! ```
//!
//! `images` has the fields under which readers find the bytes: `sample[images[position]]`.

use std::collections::{BTreeMap, HashSet};

use arrow::{
    array::{Array, LargeBinaryArray, LargeBinaryBuilder, RecordBatch},
    compute::cast,
    datatypes::SchemaRef,
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    super::{
        json::{self, JsonColumns, end, text},
        samples::{BYTES, MODALITY, POSITION, RESERVED, SAMPLE, SampleColumns, SampleRows, TEXT},
    },
    name,
    sample::{Member, Sample},
};
use crate::{
    error::{Error, ErrorKind, Result},
    media,
};

/// The highest position of a sample with one row, and how much higher it may be for each row: the lists have an item for
/// each position.
const MAX_POSITION: i64 = 10_000;
const POSITIONS_OF_A_ROW: i64 = 100;
/// The names in the JSON that are not those of columns.
const OWN: [&str; 5] = [SAMPLE, "texts", "images", "_row_extra", "_rows"];

/// The columns of the samples, and how they are written.
#[derive(Debug)]
pub struct Interleaved {
    columns: SampleColumns,
    schema: SchemaRef,
    /// The columns of a row that are written as they are.
    plain: Vec<usize>,
    text: Option<usize>,
}

/// A sample within a batch.
#[derive(Debug)]
struct Rows<'a> {
    of: &'a SampleRows,
    range: std::ops::Range<usize>,
    /// The first row of a text, of an image, at each position.
    texts: BTreeMap<i64, usize>,
    images: BTreeMap<i64, usize>,
    metadata: Option<usize>,
    /// The field of the bytes of each row.
    fields: Vec<Option<String>>,
}

/// What is read of the JSON of a sample.
#[derive(Debug, Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    sample_id: &'a RawValue,
    #[serde(borrow)]
    texts: Vec<&'a RawValue>,
    #[serde(borrow, rename = "_row_extra")]
    extra: Option<ReadExtra<'a>>,
    #[serde(borrow, rename = "_rows")]
    rows: Vec<Object<'a>>,
}

type Object<'a> = BTreeMap<String, &'a RawValue>;

#[derive(Debug, Deserialize)]
struct ReadExtra<'a> {
    #[serde(borrow)]
    text: Vec<Option<Object<'a>>>,
    #[serde(borrow)]
    image: Vec<Option<Object<'a>>>,
    #[serde(borrow)]
    metadata: Object<'a>,
}

// === impl Interleaved ===

impl Interleaved {
    /// The layout of rows with these columns; `None` if they are no samples.
    ///
    /// # Errors
    /// `InvalidArgument` for a column of another type.
    pub fn of(schema: &SchemaRef) -> Result<Option<Self>> {
        let Some(columns) = SampleColumns::of(schema)? else { return Ok(None) };
        let find = |name: &str| schema.fields().iter().position(|field| field.name() == name);
        let apart = [SAMPLE, TEXT, BYTES];
        let plain = RESERVED.iter().filter(|name| !apart.contains(name)).filter_map(|name| find(name)).collect();
        Ok(Some(Self { columns, schema: SchemaRef::clone(schema), plain, text: find(TEXT) }))
    }

    /// The column with the ids.
    pub fn sample_column(&self) -> usize {
        self.columns.sample
    }

    /// Writes whole samples, each of rows that follow each other.
    ///
    /// # Errors
    /// `InvalidArgument` for rows that cannot be a sample; errors of `add`.
    pub fn write(&self, batch: &RecordBatch, add: &mut dyn FnMut(Member<'_>) -> Result<()>) -> Result<()> {
        let (rows, options) = (self.columns.rows(batch)?, json::options());
        let mut json = JsonColumns::of(batch, &options)?;
        let mut start = 0;
        while start < batch.num_rows() {
            let id = rows.sample.value(start);
            let same = (start..batch.num_rows()).take_while(|row| rows.sample.value(*row) == id).count();
            let sample = Rows::of(&rows, start..start + same)?;
            let (key, mut text) = (name::key(id, false), Vec::new());
            self.describe(&sample, &mut json, &mut text);
            add(Member { name: format!("{key}.json"), content: &text })?;
            for (row, field) in sample.fields.iter().enumerate() {
                if let Some(field) = field {
                    add(Member { name: format!("{key}.{field}"), content: rows.bytes.value(start + row) })?;
                }
            }
            start += same;
        }
        Ok(())
    }

    /// The JSON of a sample.
    fn describe(&self, sample: &Rows<'_>, json: &mut JsonColumns<'_>, out: &mut Vec<u8>) {
        let is_free = |at: &usize| !OWN.contains(&self.schema.field(*at).name().as_str());
        out.extend_from_slice(b"{\"sample_id\":");
        json.value(self.columns.sample, sample.range.start, out);
        out.push(b',');
        if let Some(row) = sample.metadata {
            let free: Vec<_> = self.columns.user.iter().copied().filter(is_free).collect();
            json.fields(&free, row, out);
        }
        let positions = sample.positions();
        out.extend_from_slice(b"\"texts\":[");
        for position in 0..positions {
            json::optional_text(sample.text_at(position).map(|row| sample.of.text.value(row)), out);
            out.push(b',');
        }
        end(b']', out);
        out.extend_from_slice(b",\"images\":[");
        for position in 0..positions {
            json::optional_text(sample.image_at(position).and_then(|row| sample.field(row)), out);
            out.push(b',');
        }
        end(b']', out);
        out.push(b',');
        self.describe_extra(sample, json, out);
        out.extend_from_slice(b"\"_rows\":[");
        for row in sample.range.clone() {
            self.describe_row(sample, row, json, out);
            out.push(b',');
        }
        end(b']', out);
        out.push(b'}');
    }

    /// The further columns of the rows that the lists name: nothing if there are none.
    fn describe_extra(&self, sample: &Rows<'_>, json: &mut JsonColumns<'_>, out: &mut Vec<u8>) {
        if self.columns.user.is_empty() {
            return;
        }
        out.extend_from_slice(b"\"_row_extra\":{\"text\":");
        self.describe_list(sample, json, |position| sample.text_at(position), out);
        out.extend_from_slice(b",\"image\":");
        self.describe_list(sample, json, |position| sample.image_at(position), out);
        out.push(b',');
        out.extend_from_slice(b"\"metadata\":");
        match sample.metadata {
            Some(row) => json.object(&self.columns.user, row, out),
            None => out.extend_from_slice(b"{}"),
        }
        out.extend_from_slice(b"},");
    }

    fn describe_list(
        &self,
        sample: &Rows<'_>,
        json: &mut JsonColumns<'_>,
        row_at: impl Fn(i64) -> Option<usize>,
        out: &mut Vec<u8>,
    ) {
        out.push(b'[');
        for position in 0..sample.positions() {
            match row_at(position) {
                Some(row) => json.object(&self.columns.user, row, out),
                None => out.extend_from_slice(b"null"),
            }
            out.push(b',');
        }
        end(b']', out);
    }

    fn describe_row(&self, sample: &Rows<'_>, row: usize, json: &mut JsonColumns<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
        json.fields(&self.plain, row, out);
        if let Some(column) = self.text
            && sample.text_at(sample.of.position.value(row)) != Some(row)
        {
            json.fields(&[column], row, out);
        }
        if let Some(field) = sample.field(row) {
            out.extend_from_slice(b"\"member\":");
            text(field, out);
            out.push(b',');
        }
        if !sample.is_in_extra(row) {
            out.extend_from_slice(b"\"extra\":");
            json.object(&self.columns.user, row, out);
            out.push(b',');
        }
        end(b'}', out);
    }

    /// The rows of samples that were written like this.
    ///
    /// # Errors
    /// `DataLoss` for a sample that was not.
    pub fn read(&self, samples: &[Sample]) -> Result<RecordBatch> {
        let without_bytes: Vec<_> =
            (0..self.schema.fields().len()).filter(|at| Some(*at) != self.columns.bytes).collect();
        let mut bytes = LargeBinaryBuilder::new();
        let (mut objects, mut count) = (Vec::new(), 0);
        for sample in samples {
            let damaged = |cause: &dyn std::fmt::Display| {
                let text = format!("the sample \"{}\" is not what was written", sample.key);
                Error::new(ErrorKind::DataLoss, text).with_source(cause.to_string())
            };
            let text = sample.fields.get("json").ok_or_else(|| damaged(&"it has no JSON"))?;
            let read: Read<'_> = serde_json::from_slice(text).map_err(|err| damaged(&err))?;
            let mut texts = HashSet::new();
            for row in &read.rows {
                let member = self.read_row(&read, row, &mut texts, &mut objects).map_err(|err| damaged(&err))?;
                let content =
                    member.map(|field| sample.fields.get(&field).ok_or_else(|| damaged(&"a member is missing")));
                bytes.append_option(content.transpose()?.map(Bytes::as_ref));
            }
            count += read.rows.len();
        }
        let read = json::decode(json::part(&self.schema, &without_bytes), &objects, count).map_err(|err| {
            Error::new(ErrorKind::DataLoss, "a sample is not what was written").with_source(err.to_string())
        })?;
        self.assemble(&read, &bytes.finish())
    }

    /// Writes a row as one object with its columns. Returns the field of its bytes.
    fn read_row(
        &self,
        sample: &Read<'_>,
        row: &Object<'_>,
        texts: &mut HashSet<i64>,
        out: &mut Vec<u8>,
    ) -> Result<Option<String>, serde_json::Error> {
        let position: i64 = row.get(POSITION).map_or(Ok(0), |raw| serde_json::from_str(raw.get()))?;
        let modality: String = row.get(MODALITY).map_or(Ok(String::new()), |raw| serde_json::from_str(raw.get()))?;
        let at = usize::try_from(position).ok();
        let is_text = modality == "text" && texts.insert(position);
        out.push(b'{');
        put(SAMPLE, sample.sample_id.get(), out);
        for column in &self.plain {
            let name = self.schema.field(*column).name();
            put(name, row.get(name).map_or("null", |raw| raw.get()), out);
        }
        if self.text.is_some() {
            let listed = at.filter(|_| is_text).and_then(|at| sample.texts.get(at));
            put(TEXT, row.get(TEXT).or(listed).map_or("null", |raw| raw.get()), out);
        }
        let extra = match row.get("extra") {
            Some(raw) => Some(serde_json::from_str::<Object<'_>>(raw.get())?),
            None => None,
        };
        let listed = sample.extra.as_ref().and_then(|lists| match modality.as_str() {
            "text" => lists.text.get(at?)?.as_ref(),
            "image" => lists.image.get(at?)?.as_ref(),
            _ => Some(&lists.metadata),
        });
        for column in &self.columns.user {
            let name = self.schema.field(*column).name();
            put(name, extra.as_ref().or(listed).and_then(|extra| extra.get(name)).map_or("null", |raw| raw.get()), out);
        }
        end(b'}', out);
        row.get("member").map(|raw| serde_json::from_str(raw.get())).transpose()
    }

    /// The columns in their order, in their types.
    fn assemble(&self, read: &RecordBatch, bytes: &LargeBinaryArray) -> Result<RecordBatch> {
        let mut columns = read.columns().to_vec();
        if let Some(at) = self.columns.bytes {
            let bytes = cast(bytes, self.schema.field(at).data_type());
            columns.insert(at, bytes.map_err(|err| Error::internal("read bytes").with_source(err.to_string()))?);
        }
        json::assemble(&self.schema, columns)
    }
}

fn put(name: &str, raw: &str, out: &mut Vec<u8>) {
    text(name, out);
    out.push(b':');
    out.extend_from_slice(raw.as_bytes());
    out.push(b',');
}

// === impl Rows ===

impl<'a> Rows<'a> {
    fn of(rows: &'a SampleRows, range: std::ops::Range<usize>) -> Result<Self> {
        let mut sample = Self {
            of: rows,
            range: range.clone(),
            texts: BTreeMap::new(),
            images: BTreeMap::new(),
            metadata: None,
            fields: Vec::new(),
        };
        let mut taken = HashSet::new();
        let rows_of_it = i64::try_from(range.len()).unwrap_or(i64::MAX);
        let highest = MAX_POSITION.saturating_add(POSITIONS_OF_A_ROW.saturating_mul(rows_of_it));
        for row in range {
            let (position, modality) = (rows.position.value(row), rows.modality.value(row));
            if !(-1..=highest).contains(&position) {
                let id: String = rows.sample.value(row).chars().take(100).collect();
                return Err(Error::invalid(format!(
                    "the position {position} in sample \"{id}\": positions are -1 for metadata, and 0 to {highest} \
                     in a sample with so many rows"
                )));
            }
            match modality {
                "text" if position >= 0 => drop(sample.texts.entry(position).or_insert(row)),
                "image" if position >= 0 => drop(sample.images.entry(position).or_insert(row)),
                "metadata" if position < 0 && sample.metadata.is_none() => sample.metadata = Some(row),
                _ => {}
            }
            sample.fields.push(rows.bytes.is_valid(row).then(|| field(rows, row, &mut taken)));
        }
        Ok(sample)
    }

    /// The length of the lists.
    fn positions(&self) -> i64 {
        self.range.clone().map(|row| self.of.position.value(row) + 1).max().unwrap_or(0)
    }

    /// The row of the text at a position, if it has one.
    fn text_at(&self, position: i64) -> Option<usize> {
        self.texts.get(&position).copied().filter(|row| self.of.text.is_valid(*row))
    }

    /// The row of the image at a position, if it has bytes.
    fn image_at(&self, position: i64) -> Option<usize> {
        self.images
            .get(&position)
            .copied()
            .filter(|row| self.of.bytes.is_valid(*row) && !self.of.bytes.value(*row).is_empty())
    }

    fn field(&self, row: usize) -> Option<&str> {
        self.fields[row - self.range.start].as_deref()
    }

    fn is_in_extra(&self, row: usize) -> bool {
        let position = self.of.position.value(row);
        [self.text_at(position), self.image_at(position), self.metadata].contains(&Some(row))
    }
}

/// The field of the bytes of a row: none that is taken.
fn field(rows: &SampleRows, row: usize, taken: &mut HashSet<String>) -> String {
    let (position, ending) = (rows.position.value(row), ending(rows, row));
    let mut field = format!("{position}.{ending}");
    let mut number = 1;
    while !taken.insert(field.clone()) {
        field = format!("{position}_{number}.{ending}");
        number += 1;
    }
    field
}

/// The ending by the media type of a row, or else by its first bytes.
fn ending(rows: &SampleRows, row: usize) -> &'static str {
    let named = rows.content_type.is_valid(row).then(|| rows.content_type.value(row));
    let by_name = named.and_then(|name| media::kind::extension_of(&name.to_ascii_lowercase()));
    by_name.or_else(|| media::kind::sniff(rows.bytes.value(row)).map(|kind| kind.extension)).unwrap_or("bin")
}
