//! Appends DuckDB's vectors to Arrow buffers.
//!
//! DuckDB's own conversion creates Arrow arrays of 2,048 rows, which have to be concatenated again; this took half of
//! the time of a large result. This one writes the values of many chunks into the buffers of one batch. It supports the
//! types whose vectors are plain arrays; a result with any other column uses DuckDB's conversion.

use std::{ptr, slice};

use arrow::{
    array::{ArrayData, ArrayRef, BooleanBufferBuilder, RecordBatch, RecordBatchOptions, make_array},
    buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer},
    datatypes::{DataType, SchemaRef},
};
use duckdb::ffi;

use super::value::LogicalType;
use crate::error::{Error, Result};

/// A batch under construction.
pub(super) struct BatchBuilder {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
}

struct Column {
    form: Form,
    /// Values of a fixed width, or the bytes of strings.
    values: MutableBuffer,
    /// The end offsets of strings; empty for other forms.
    offsets: MutableBuffer,
    booleans: BooleanBufferBuilder,
    validity: BooleanBufferBuilder,
    nulls: usize,
}

/// How the values of a vector are converted to those of an Arrow array.
#[derive(Clone, Copy)]
enum Form {
    /// The same bytes, this many per value.
    Same(usize),
    /// Integers of this many bytes, widened to 16: decimals.
    Widened(usize),
    /// One byte per value, one bit in Arrow.
    Boolean,
    /// Strings and blobs.
    Bytes,
}

/// DuckDB's string: up to 12 bytes inline, longer ones behind a pointer.
#[repr(C)]
#[derive(Clone, Copy)]
struct Text {
    len: u32,
    prefix: [u8; 4],
    rest: TextRest,
}

#[repr(C)]
#[derive(Clone, Copy)]
union TextRest {
    inlined: [u8; 8],
    pointer: *const u8,
}

/// The maximum length of an inline string.
const INLINED: u32 = 12;

// === impl BatchBuilder ===

impl BatchBuilder {
    /// A builder for columns of these DuckDB types; `None` if a type is not supported.
    pub(super) fn new(schema: &SchemaRef, types: &[LogicalType]) -> Option<Self> {
        let forms = schema.fields().iter().zip(types).map(|(field, kind)| Form::of(kind, field.data_type()));
        let columns: Option<Vec<_>> = forms.map(|form| form.map(Column::new)).collect();
        Some(Self { schema: SchemaRef::clone(schema), columns: columns?, rows: 0 })
    }

    /// The number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The size of its buffers in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }

    /// Appends the rows of a chunk.
    ///
    /// # Errors
    /// Unsupported for more text than 32-bit offsets can address.
    ///
    /// # Safety
    /// The chunk is alive, flat, and has columns of the types that the builder was created for.
    pub(super) unsafe fn append(&mut self, chunk: ffi::duckdb_data_chunk) -> Result<()> {
        // SAFETY: the chunk is alive; its vectors hold `rows` values of the column's type.
        unsafe {
            let rows = usize::try_from(ffi::duckdb_data_chunk_get_size(chunk)).unwrap_or(0);
            for (index, column) in (0..).zip(&mut self.columns) {
                column.append(ffi::duckdb_data_chunk_get_vector(chunk, index), rows)?;
            }
            self.rows += rows;
        }
        Ok(())
    }

    /// The batch. The builder is reset, with the same capacity.
    ///
    /// # Errors
    /// Internal if the columns do not match the schema.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        let fields = self.schema.fields().iter();
        let arrays = self.columns.iter_mut().zip(fields).map(|(column, field)| column.finish(field.data_type(), rows));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), arrays.collect(), &options)
            .map_err(|err| Error::internal("build rows").with_source(err))
    }
}

// === impl Form ===

impl Form {
    fn of(kind: &LogicalType, arrow: &DataType) -> Option<Self> {
        use DataType::{
            Binary, Boolean, Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Time64, Timestamp, UInt8,
            UInt16, UInt32, UInt64, Utf8,
        };
        // SAFETY: the type is alive.
        let id = unsafe { ffi::duckdb_get_type_id(kind.as_ptr()) };
        Some(match (id, arrow) {
            (ffi::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN, Boolean) => Self::Boolean,
            (ffi::DUCKDB_TYPE_DUCKDB_TYPE_TINYINT, Int8) | (ffi::DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT, UInt8) => {
                Self::Same(1)
            }
            (ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT, Int16) | (ffi::DUCKDB_TYPE_DUCKDB_TYPE_USMALLINT, UInt16) => {
                Self::Same(2)
            }
            (ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER, Int32)
            | (ffi::DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER, UInt32)
            | (ffi::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT, Float32)
            | (ffi::DUCKDB_TYPE_DUCKDB_TYPE_DATE, Date32) => Self::Same(4),
            (ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT, Int64)
            | (ffi::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT, UInt64)
            | (ffi::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE, Float64)
            | (ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIME, Time64(_))
            | (
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP
                | ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_S
                | ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_MS
                | ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_NS
                | ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ,
                Timestamp(..),
            ) => Self::Same(8),
            (ffi::DUCKDB_TYPE_DUCKDB_TYPE_DECIMAL, Decimal128(..)) => {
                // SAFETY: a live decimal type.
                match unsafe { ffi::duckdb_decimal_internal_type(kind.as_ptr()) } {
                    ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => Self::Widened(2),
                    ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => Self::Widened(4),
                    ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => Self::Widened(8),
                    ffi::DUCKDB_TYPE_DUCKDB_TYPE_HUGEINT => Self::Same(16),
                    _ => return None,
                }
            }
            (ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR, Utf8) | (ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB, Binary) => Self::Bytes,
            _ => return None,
        })
    }
}

// === impl Column ===

impl Column {
    fn new(form: Form) -> Self {
        let mut column = Self {
            form,
            values: MutableBuffer::new(0),
            offsets: MutableBuffer::new(0),
            booleans: BooleanBufferBuilder::new(0),
            validity: BooleanBufferBuilder::new(0),
            nulls: 0,
        };
        column.begin(0, 0);
        column
    }

    /// Resets it with room for `bytes` of values and `rows` offsets.
    fn begin(&mut self, bytes: usize, rows: usize) {
        self.values = MutableBuffer::new(bytes);
        if matches!(self.form, Form::Bytes) {
            self.offsets = MutableBuffer::new((rows + 1) * size_of::<i32>());
            self.offsets.push(0_i32);
        }
        self.nulls = 0;
    }

    fn bytes(&self) -> usize {
        self.values.len() + self.offsets.len() + self.booleans.len() / 8 + self.validity.len() / 8
    }

    unsafe fn append(&mut self, vector: ffi::duckdb_vector, rows: usize) -> Result<()> {
        // SAFETY: by the caller: a flat vector of `rows` values of the form's type.
        unsafe {
            let data = ffi::duckdb_vector_get_data(vector).cast_const();
            let validity = ffi::duckdb_vector_get_validity(vector).cast_const();
            self.append_validity(validity, rows);
            match self.form {
                Form::Same(width) => {
                    self.values.extend_from_slice(slice::from_raw_parts(data.cast::<u8>(), rows * width));
                }
                Form::Widened(2) => self.widen(slice::from_raw_parts(data.cast::<i16>(), rows)),
                Form::Widened(4) => self.widen(slice::from_raw_parts(data.cast::<i32>(), rows)),
                Form::Widened(_) => self.widen(slice::from_raw_parts(data.cast::<i64>(), rows)),
                Form::Boolean => {
                    // The byte of a NULL value is arbitrary.
                    for value in slice::from_raw_parts(data.cast::<u8>(), rows) {
                        self.booleans.append(*value != 0);
                    }
                }
                Form::Bytes => self.append_texts(slice::from_raw_parts(data.cast::<Text>(), rows), validity)?,
            }
        }
        Ok(())
    }

    /// DuckDB's mask has Arrow's layout: one bit per row, lowest first, set for valid values.
    unsafe fn append_validity(&mut self, validity: *const u64, rows: usize) {
        if validity.is_null() {
            self.validity.append_n(rows, true);
            return;
        }
        // SAFETY: by the caller: the mask has a bit for each row, in whole words.
        let bits = unsafe { slice::from_raw_parts(validity.cast::<u8>(), rows.div_ceil(64) * 8) };
        let before = self.validity.len();
        self.validity.append_packed_range(0..rows, bits);
        let valid = BooleanBuffer::new(Buffer::from(bits), 0, rows).count_set_bits();
        debug_assert_eq!(self.validity.len(), before + rows, "one bit a row");
        self.nulls += rows - valid;
    }

    fn widen<T: Copy + Into<i128>>(&mut self, values: &[T]) {
        self.values.reserve(size_of_val(values) / size_of::<T>() * size_of::<i128>());
        self.values.extend(values.iter().map(|value| -> i128 { (*value).into() }));
    }

    /// # Safety
    /// Every row whose mask bit is set (all rows if there is no mask) contains a string.
    unsafe fn append_texts(&mut self, texts: &[Text], validity: *const u64) -> Result<()> {
        // SAFETY: by the caller.
        let is_valid = |row: usize| validity.is_null() || unsafe { *validity.add(row / 64) } >> (row % 64) & 1 == 1;
        let len_at = |(row, text): (usize, &Text)| if is_valid(row) { text.len as usize } else { 0 };
        let total: usize = texts.iter().enumerate().map(len_at).sum();
        let mut end = self.values.len();
        if i32::try_from(end + total).is_err() {
            return Err(Error::unsupported("2,048 rows hold more than 2 GiB of text; read fewer columns at once"));
        }
        self.values.reserve(total);
        self.offsets.reserve(texts.len() * size_of::<i32>());
        for (row, text) in texts.iter().enumerate() {
            if is_valid(row) {
                let len = text.len as usize;
                // SAFETY: a string of `len` bytes, inline or behind the pointer; there is room for all of them, and
                // offsets were reserved.
                unsafe {
                    let from = if text.len <= INLINED { text.prefix.as_ptr() } else { text.rest.pointer };
                    ptr::copy_nonoverlapping(from, self.values.as_mut_ptr().add(end), len);
                    end += len;
                }
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_possible_wrap,
                reason = "checked above for the last one"
            )]
            let offset = end as i32;
            self.offsets.push(offset);
        }
        // SAFETY: `end` bytes were written, and there is room for them.
        unsafe { self.values.set_len(end) };
        Ok(())
    }

    fn finish(&mut self, kind: &DataType, rows: usize) -> ArrayRef {
        let nulls = std::mem::take(&mut self.nulls);
        let validity = self.validity.finish();
        let nulls = (nulls > 0).then(|| NullBuffer::new(validity));
        let values = std::mem::replace(&mut self.values, MutableBuffer::new(0));
        let offsets = std::mem::replace(&mut self.offsets, MutableBuffer::new(0));
        self.begin(values.len(), rows);
        let builder = ArrayData::builder(kind.clone()).len(rows).nulls(nulls);
        let builder = match self.form {
            Form::Boolean => builder.add_buffer(self.booleans.finish().into_inner()),
            Form::Same(_) | Form::Widened(_) => builder.add_buffer(values.into()),
            Form::Bytes => builder.add_buffer(offsets.into()).add_buffer(values.into()),
        };
        // SAFETY: each form writes the buffers of its Arrow type for `rows` rows, and DuckDB's strings are UTF-8.
        make_array(unsafe { builder.build_unchecked() })
    }
}

const _: () = assert!(size_of::<Text>() == 16, "DuckDB's string_t");
