//! Appends DuckDB's vectors to Arrow buffers.
//!
//! DuckDB's own conversion creates Arrow arrays of 2,048 rows, which have to be concatenated again; this took half of
//! the time of a large result. This one writes the values of many chunks into the buffers of one batch. It supports the
//! types whose vectors are plain arrays; a result with any other column uses DuckDB's conversion (batcher.rs).

use std::{mem::MaybeUninit, ops::Range, ptr, slice};

use arrow::{
    array::{ArrayData, ArrayRef, BooleanBufferBuilder, RecordBatch, RecordBatchOptions, make_array},
    buffer::{MutableBuffer, NullBuffer},
    datatypes::{DataType, SchemaRef},
};
use duckdb::ffi;
use merganser_planner::Vector;

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
    /// Empty until the first NULL.
    validity: BooleanBufferBuilder,
    nulls: usize,
    rows: usize,
    /// The size of the texts that are appended next.
    text_bytes: usize,
}

/// How the values of a vector are converted to those of an Arrow array.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// The same bytes, this many per value.
    Same(usize),
    /// Integers of this many bytes, widened to 16: decimals.
    Widened(usize),
    /// One byte per value, one bit in Arrow.
    Boolean,
    /// Strings and blobs.
    Bytes,
}

/// Rows of a vector.
struct Values<'a> {
    vector: &'a Vector,
    rows: Range<usize>,
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
const INLINED: usize = 12;

// === impl BatchBuilder ===

impl BatchBuilder {
    /// A builder for columns of these forms.
    pub(super) fn new(schema: &SchemaRef, forms: &[Form]) -> Self {
        let columns = forms.iter().copied().map(Column::new).collect();
        Self { schema: SchemaRef::clone(schema), columns, rows: 0 }
    }

    /// The number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The size of its buffers in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }

    /// The bytes of text in these rows, which are appended next.
    ///
    /// # Safety
    /// As [`append`](Self::append).
    pub(super) unsafe fn measure(&mut self, vectors: &[Vector], rows: &Range<usize>) -> usize {
        let columns = self.columns.iter_mut().zip(vectors);
        // SAFETY: by the caller.
        columns.map(|(column, vector)| unsafe { column.measure(&Values::new(vector, rows)) }).sum()
    }

    /// Appends rows that were measured.
    ///
    /// # Errors
    /// Unsupported for more text than 32-bit offsets can address.
    ///
    /// # Safety
    /// The vectors are those of the columns that the builder was created for, and have these rows.
    pub(super) unsafe fn append(&mut self, vectors: &[Vector], rows: &Range<usize>) -> Result<()> {
        for (column, vector) in self.columns.iter_mut().zip(vectors) {
            // SAFETY: by the caller.
            unsafe { column.append(&Values::new(vector, rows))? };
        }
        self.rows += rows.len();
        Ok(())
    }

    /// The batch. The builder is reset, with the same capacity.
    ///
    /// # Errors
    /// Internal if the columns do not match the schema.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        let fields = self.schema.fields().iter();
        let arrays = self.columns.iter_mut().zip(fields).map(|(column, field)| column.finish(field.data_type()));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), arrays.collect(), &options)
            .map_err(|err| Error::internal("build rows").with_source(err))
    }
}

// === impl Form ===

impl Form {
    /// `None` if the type is not supported.
    pub(super) fn of(kind: &LogicalType, arrow: &DataType) -> Option<Self> {
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

// === impl Values ===

impl<'a> Values<'a> {
    fn new(vector: &'a Vector, rows: &Range<usize>) -> Self {
        Self { vector, rows: rows.clone() }
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    /// The index of the value of each row.
    ///
    /// # Safety
    /// The vector has these rows.
    unsafe fn indexes(&self) -> impl Iterator<Item = usize> + use<'_> {
        let selection = self.vector.selection;
        // SAFETY: by the caller.
        self.rows
            .clone()
            .map(move |row| if selection.is_null() { row } else { unsafe { *selection.add(row) as usize } })
    }

    /// The values, if they are in the order of the rows.
    ///
    /// # Safety
    /// The vector has these rows, whose values are a `T`.
    unsafe fn plain<T>(&self) -> Option<&'a [T]> {
        // SAFETY: by the caller; DuckDB aligns its vectors.
        self.vector.selection.is_null().then(|| unsafe {
            slice::from_raw_parts(self.vector.data.cast::<T>().add(self.rows.start), self.rows.len())
        })
    }

    /// The value of each row.
    ///
    /// # Safety
    /// As [`plain`](Self::plain).
    unsafe fn selected<T: Copy>(&self) -> impl Iterator<Item = T> + use<'_, T> {
        let data = self.vector.data.cast::<T>();
        // SAFETY: by the caller.
        unsafe { self.indexes().map(move |index| *data.add(index)) }
    }

    /// Whether the value at an index is not NULL.
    ///
    /// # Safety
    /// There is a value.
    unsafe fn is_valid(&self, index: usize) -> bool {
        let mask = self.vector.validity;
        // SAFETY: by the caller: the mask has a bit for each value, in whole words.
        mask.is_null() || unsafe { *mask.add(index / 64) } >> (index % 64) & 1 == 1
    }

    /// # Safety
    /// The vector has these rows.
    unsafe fn nulls(&self) -> usize {
        if self.vector.validity.is_null() {
            return 0;
        }
        // SAFETY: by the caller.
        unsafe { self.indexes().filter(|index| !self.is_valid(*index)).count() }
    }

    /// The texts that are not NULL; `None` for those that are.
    ///
    /// # Safety
    /// The vector has these rows, whose values are texts.
    unsafe fn texts(&self) -> impl Iterator<Item = Option<&'a Text>> + use<'_, 'a> {
        let data = self.vector.data.cast::<Text>();
        // SAFETY: by the caller.
        unsafe { self.indexes().map(move |index| self.is_valid(index).then(|| &*data.add(index))) }
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
            rows: 0,
            text_bytes: 0,
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
        (self.nulls, self.rows) = (0, 0);
    }

    fn bytes(&self) -> usize {
        self.values.len() + self.offsets.len() + self.booleans.len() / 8 + self.validity.len() / 8
    }

    unsafe fn measure(&mut self, values: &Values<'_>) -> usize {
        if !matches!(self.form, Form::Bytes) {
            return 0;
        }
        // SAFETY: by the caller.
        self.text_bytes = unsafe { values.texts().flatten().map(|text| text.len as usize).sum() };
        self.text_bytes
    }

    unsafe fn append(&mut self, values: &Values<'_>) -> Result<()> {
        // SAFETY: by the caller: values of the form's type.
        unsafe {
            self.append_validity(values);
            match self.form {
                Form::Same(1) => self.append_values::<u8, u8>(values),
                Form::Same(2) => self.append_values::<u16, u16>(values),
                Form::Same(4) => self.append_values::<u32, u32>(values),
                Form::Same(8) => self.append_values::<u64, u64>(values),
                Form::Same(_) => self.append_values::<i128, i128>(values),
                Form::Widened(2) => self.append_values::<i16, i128>(values),
                Form::Widened(4) => self.append_values::<i32, i128>(values),
                Form::Widened(_) => self.append_values::<i64, i128>(values),
                Form::Boolean => values.selected::<u8>().for_each(|value| self.booleans.append(value != 0)),
                Form::Bytes => self.append_texts(values)?,
            }
        }
        self.rows += values.len();
        Ok(())
    }

    unsafe fn append_validity(&mut self, values: &Values<'_>) {
        // SAFETY: by the caller.
        let nulls = unsafe { values.nulls() };
        if nulls == 0 && self.nulls == 0 {
            return;
        }
        if self.nulls == 0 {
            self.validity.append_n(self.rows, true);
        }
        self.nulls += nulls;
        if nulls == 0 {
            self.validity.append_n(values.len(), true);
            return;
        }
        // SAFETY: by the caller.
        unsafe { values.indexes().for_each(|index| self.validity.append(values.is_valid(index))) };
    }

    /// Appends values of type `T` as `U`.
    unsafe fn append_values<T: Copy + Into<U>, U: Copy>(&mut self, values: &Values<'_>) {
        let bytes = values.len() * size_of::<U>();
        self.values.reserve(bytes);
        let end = self.values.len();
        // SAFETY: by the caller; there is room, which a buffer of values of one width keeps aligned for them.
        unsafe {
            let room = self.values.as_mut_ptr().add(end).cast::<MaybeUninit<U>>();
            let room = slice::from_raw_parts_mut(room, values.len());
            match values.plain::<T>() {
                Some(plain) => room.iter_mut().zip(plain).for_each(|(to, value)| _ = to.write((*value).into())),
                None => room.iter_mut().zip(values.selected::<T>()).for_each(|(to, value)| _ = to.write(value.into())),
            }
            self.values.set_len(end + bytes);
        }
    }

    unsafe fn append_texts(&mut self, values: &Values<'_>) -> Result<()> {
        let mut end = self.values.len();
        if i32::try_from(end + self.text_bytes).is_err() {
            return Err(Error::unsupported("a batch holds at most 2 GiB of text in a column; set smaller batches"));
        }
        self.values.reserve(self.text_bytes + INLINED);
        self.offsets.reserve(values.len() * size_of::<i32>());
        let to = self.values.as_mut_ptr();
        // SAFETY: by the caller; there is room for all texts and offsets, and for the bytes behind the last text that
        // come with an inline one.
        unsafe {
            for text in values.texts() {
                if let Some(text) = text {
                    let len = text.len as usize;
                    if len <= INLINED {
                        ptr::copy_nonoverlapping(ptr::from_ref(text).cast::<u8>().add(4), to.add(end), INLINED);
                    } else {
                        ptr::copy_nonoverlapping(text.rest.pointer, to.add(end), len);
                    }
                    end += len;
                }
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_possible_wrap,
                    reason = "checked above for the last one"
                )]
                self.offsets.push_unchecked(end as i32);
            }
            self.values.set_len(end);
        }
        Ok(())
    }

    fn finish(&mut self, kind: &DataType) -> ArrayRef {
        let (nulls, rows) = (self.nulls, self.rows);
        let nulls = (nulls > 0).then(|| NullBuffer::new(self.validity.finish()));
        let values = std::mem::replace(&mut self.values, MutableBuffer::new(0));
        let offsets = std::mem::replace(&mut self.offsets, MutableBuffer::new(0));
        // A little more, so that the next batch seldom has to be moved.
        self.begin(values.len() + values.len() / 8, rows + rows / 8);
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
