//! The columns of interleaved samples.

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, LargeBinaryArray, RecordBatch, StringArray},
    compute::cast,
    datatypes::{DataType, Int64Type, Schema},
};

use crate::error::{Error, Result};

/// The id of the sample that a row belongs to.
pub const SAMPLE: &str = "sample_id";
/// The place of a row in its sample, from 0; -1 for metadata.
pub const POSITION: &str = "position";
/// What a row is: `text`, `image`, `metadata`, or something else.
pub const MODALITY: &str = "modality";
/// The text of a row.
pub const TEXT: &str = "text_content";
/// The bytes of a row.
pub const BYTES: &str = "binary_content";
/// Where the bytes are that a row does not have itself, as JSON.
pub const REFERENCE: &str = "source_ref";
/// Why a row has no bytes although its reference names some.
pub const ERROR: &str = "materialize_error";
/// The media type of the bytes.
const CONTENT_TYPE: &str = "content_type";

/// The columns that have a meaning.
pub const RESERVED: [&str; 9] =
    [SAMPLE, POSITION, MODALITY, CONTENT_TYPE, TEXT, BYTES, REFERENCE, ERROR, "metadata_json"];

/// The places of the columns.
#[derive(Clone, Debug)]
pub struct SampleColumns {
    /// Of `sample_id`.
    pub sample: usize,
    position: usize,
    modality: usize,
    content_type: Option<usize>,
    text: Option<usize>,
    /// Of `binary_content`.
    pub bytes: Option<usize>,
    /// Of `source_ref`.
    pub reference: Option<usize>,
    /// Of `materialize_error`.
    pub error: Option<usize>,
    /// Of those that are not reserved.
    pub user: Vec<usize>,
}

/// The values of rows of samples.
#[derive(Debug)]
pub struct SampleRows {
    /// `sample_id`.
    pub sample: StringArray,
    /// `position`.
    pub position: Int64Array,
    /// `modality`.
    pub modality: StringArray,
    /// `content_type`, all NULL if there is no such column.
    pub content_type: StringArray,
    /// `text_content`, likewise.
    pub text: StringArray,
    /// `binary_content`, likewise.
    pub bytes: LargeBinaryArray,
}

// === impl SampleColumns ===

impl SampleColumns {
    /// The columns of `schema`; `None` if the rows are no samples.
    ///
    /// # Errors
    /// `InvalidArgument` for a column of another type.
    pub fn of(schema: &Schema) -> Result<Option<Self>> {
        let find = |name: &str| schema.fields().iter().position(|field| field.name() == name);
        let (Some(sample), Some(position), Some(modality)) = (find(SAMPLE), find(POSITION), find(MODALITY)) else {
            return Ok(None);
        };
        for name in RESERVED {
            if let Some(at) = find(name) {
                check_type(name, schema.field(at).data_type())?;
            }
        }
        let is_user = |at: &usize| !RESERVED.contains(&schema.field(*at).name().as_str());
        Ok(Some(Self {
            sample,
            position,
            modality,
            content_type: find(CONTENT_TYPE),
            text: find(TEXT),
            bytes: find(BYTES),
            reference: find(REFERENCE),
            error: find(ERROR),
            user: (0..schema.fields().len()).filter(is_user).collect(),
        }))
    }

    /// The values of these columns.
    ///
    /// # Errors
    /// `InvalidArgument` for NULL where there must be a value.
    pub fn rows(&self, batch: &RecordBatch) -> Result<SampleRows> {
        let text = |at: usize| texts(batch.column(at));
        let optional = |at: Option<usize>| at.map_or_else(|| Ok(StringArray::new_null(batch.num_rows())), text);
        let bytes = match self.bytes {
            Some(at) => convert(batch.column(at), &DataType::LargeBinary)?.as_binary().clone(),
            None => LargeBinaryArray::new_null(batch.num_rows()),
        };
        let rows = SampleRows {
            sample: text(self.sample)?,
            position: convert(batch.column(self.position), &DataType::Int64)?.as_primitive::<Int64Type>().clone(),
            modality: text(self.modality)?,
            content_type: optional(self.content_type)?,
            text: optional(self.text)?,
            bytes,
        };
        let named: [(&str, &dyn Array); 3] =
            [(SAMPLE, &rows.sample), (POSITION, &rows.position), (MODALITY, &rows.modality)];
        match named.iter().find(|(_, column)| column.null_count() > 0) {
            Some((name, _)) => Err(Error::invalid(format!("{name} is NULL in a row of a sample"))),
            None => Ok(rows),
        }
    }
}

/// A column as text.
///
/// # Errors
/// Internal for one of another type.
pub fn texts(column: &ArrayRef) -> Result<StringArray> {
    Ok(convert(column, &DataType::Utf8)?.as_string().clone())
}

fn convert(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    cast(column, to).map_err(|err| Error::internal("convert a column of samples").with_source(err))
}

fn check_type(name: &str, found: &DataType) -> Result<()> {
    use DataType::{Binary, LargeBinary, LargeUtf8, Utf8};
    let (fits, expected) = match name {
        POSITION => (found.is_integer() && *found != DataType::UInt64, "INTEGER"),
        BYTES => (matches!(found, Binary | LargeBinary), "BLOB"),
        _ => (matches!(found, Utf8 | LargeUtf8), "VARCHAR"),
    };
    if fits {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the rows are interleaved samples, because they have the columns {SAMPLE}, {POSITION} and {MODALITY}; their column \
         {name} must be {expected}: export a query with {name}::{expected} AS {name}, or with other names"
    )))
}
