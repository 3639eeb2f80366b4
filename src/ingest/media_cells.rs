//! The media in a column of a Parquet file, one row at a time.
//!
//! DuckDB reads the blobs of a whole row group at once, which may be gigabytes. Here, memory is at most that of one page of
//! the file, and of one row.

use std::{fs::File, path::Path};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::DataType,
};
use bytes::Bytes;
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
};

use crate::error::{Error, Result};

/// A place for a medium.
#[derive(Debug)]
pub(super) struct Cell {
    /// The number of its row in the file, from 0 on.
    pub row: usize,
    /// Its number in a list, from 1 on. 0 if the column has no lists, and for a list without elements.
    pub number: usize,
    /// The bytes.
    pub bytes: Option<Bytes>,
    /// The path that belongs to them.
    pub path: Option<String>,
}

/// What was read of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    /// The number of rows.
    pub rows: u64,
    /// Whether the file has the column.
    pub has_column: bool,
}

/// Passes the media of `column` in the first `max_rows` rows of the file to `each`.
///
/// # Errors
/// `InvalidArgument` for a file that cannot be read; errors of `each`.
pub(super) fn read(file: &Path, column: &str, max_rows: u64, each: &mut dyn FnMut(Cell) -> Result<()>) -> Result<Read> {
    // The types of Parquet, not those that a writer had in mind.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(File::open(file)?, options);
    let builder = builder.map_err(|err| unreadable(&err))?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default().min(max_rows);
    let schema = builder.parquet_schema();
    let names: Vec<_> = schema.root_schema().get_fields().iter().map(|field| field.name()).collect();
    let Some(root) = place_of(column, &names) else {
        return Ok(Read { rows, has_column: false });
    };
    let mask = ProjectionMask::roots(schema, [root]);
    let limit = usize::try_from(rows).unwrap_or(usize::MAX);
    let reader = builder.with_projection(mask).with_limit(limit).with_batch_size(1).build();
    read_rows(reader.map_err(|err| unreadable(&err))?, each)?;
    Ok(Read { rows, has_column: true })
}

/// DuckDB takes a column of another file that differs in case for the same.
fn place_of(column: &str, names: &[&str]) -> Option<usize> {
    let same = names.iter().position(|name| *name == column);
    same.or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(column)))
}

fn read_rows(reader: ParquetRecordBatchReader, each: &mut dyn FnMut(Cell) -> Result<()>) -> Result<()> {
    for (row, batch) in reader.enumerate() {
        let value = only_column(&batch.map_err(|err| unreadable(&err))?)?;
        match value.data_type() {
            DataType::List(_) => read_list(row, value.as_list::<i32>().iter().next().flatten(), each)?,
            _ => read_medium(row, 0, &value, 0, each)?,
        }
    }
    Ok(())
}

fn only_column(batch: &RecordBatch) -> Result<ArrayRef> {
    let column = batch.columns().first().filter(|column| column.len() == 1);
    column.cloned().ok_or_else(|| Error::internal("a row of media has another shape"))
}

fn read_list(row: usize, list: Option<ArrayRef>, each: &mut dyn FnMut(Cell) -> Result<()>) -> Result<()> {
    match list {
        None => Ok(()),
        Some(list) if list.is_empty() => each(Cell { row, number: 0, bytes: None, path: None }),
        Some(list) => (0..list.len()).try_for_each(|index| read_medium(row, index + 1, &list, index, each)),
    }
}

/// Passes on the medium at `index` of `media`, which are bytes, or records of bytes and path.
fn read_medium(
    row: usize,
    number: usize,
    media: &ArrayRef,
    index: usize,
    each: &mut dyn FnMut(Cell) -> Result<()>,
) -> Result<()> {
    let one = media.slice(index, 1);
    let (bytes, path) = match one.as_struct_opt() {
        None => (Some(&one), None),
        Some(record) if record.is_null(0) => (None, None),
        Some(record) => (record.column_by_name("bytes"), record.column_by_name("path")),
    };
    let bytes = bytes.map(|bytes| converted(bytes, &DataType::Binary)).transpose()?;
    let path = path.map(|path| converted(path, &DataType::Utf8)).transpose()?;
    each(Cell {
        row,
        number,
        bytes: bytes.and_then(|bytes| bytes.as_binary::<i32>().iter().next().flatten().map(Bytes::copy_from_slice)),
        path: path.and_then(|path| path.as_string::<i32>().iter().next().flatten().map(str::to_owned)),
    })
}

fn converted(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    cast(array, data_type).map_err(|err| Error::invalid(format!("read media: {err}")))
}

fn unreadable(err: &dyn std::error::Error) -> Error {
    Error::invalid(format!("read media: {err}"))
}
