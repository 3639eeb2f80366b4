//! Rows in groups, whose bounds depend on the rows alone and not on the batches in which they arrive: the same rows make
//! the same files.

use arrow::{
    array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch},
    compute::concat_batches,
    datatypes::DataType,
};

use crate::error::{Error, Result};

/// When a group is complete.
#[derive(Clone, Copy, Debug)]
pub struct GroupLimits {
    /// It has this many bytes …
    pub bytes: u64,
    /// … or this many rows.
    pub rows: usize,
}

/// Rows that are written together.
#[derive(Debug, Default)]
pub struct Group {
    /// Slices of the batches that arrived.
    pub batches: Vec<RecordBatch>,
    /// Their number of rows.
    pub rows: usize,
    /// The size of their values.
    pub bytes: u64,
}

/// Divides batches into groups.
#[derive(Debug)]
pub struct Groups {
    limits: GroupLimits,
    /// The column whose equal values, one after the other, stay in one group.
    together: Option<usize>,
    open: Group,
}

// === impl Group ===

impl Group {
    /// The first rows, however they are divided, at most `rows`.
    ///
    /// # Errors
    /// Internal if the batches do not belong together.
    pub fn head(&self, rows: usize) -> Result<Option<RecordBatch>> {
        let mut missing = rows;
        let mut head = Vec::new();
        for batch in &self.batches {
            let taken = batch.slice(0, missing.min(batch.num_rows()));
            missing -= taken.num_rows();
            head.push(taken);
        }
        let Some(first) = head.first() else { return Ok(None) };
        let head = concat_batches(&first.schema(), &head);
        head.map(Some).map_err(|err| Error::internal("put batches together").with_source(err))
    }
}

// === impl Groups ===

impl Groups {
    /// No rows yet. Rows that follow each other with one value in the column `together` stay in one group, which exceeds
    /// the limits for them.
    pub fn new(limits: GroupLimits, together: Option<usize>) -> Self {
        Self { limits, together, open: Group::default() }
    }

    /// Adds rows, and gives the groups that are complete with them.
    pub fn push(&mut self, mut batch: RecordBatch) -> Vec<Group> {
        let mut complete = Vec::new();
        while batch.num_rows() > 0 {
            let rows = if self.is_full() { self.rows_that_belong(&batch) } else { self.rows_of(&batch) };
            if rows == 0 {
                complete.push(std::mem::take(&mut self.open));
                continue;
            }
            let taken = batch.slice(0, rows);
            self.open.bytes += bytes_of(&taken);
            self.open.rows += rows;
            self.open.batches.push(taken);
            batch = batch.slice(rows, batch.num_rows() - rows);
            if self.together.is_none() && self.is_full() {
                complete.push(std::mem::take(&mut self.open));
            }
        }
        complete
    }

    /// The rest; `None` if there is none.
    pub fn finish(self) -> Option<Group> {
        (self.open.rows > 0).then_some(self.open)
    }

    /// The size of the rows that no group was given with.
    pub fn open_bytes(&self) -> u64 {
        self.open.bytes
    }

    fn is_full(&self) -> bool {
        self.open.rows > 0 && (self.open.bytes >= self.limits.bytes || self.open.rows >= self.limits.rows)
    }

    /// How many rows of `batch` have the value of the last row of the open group, and so stay with it.
    fn rows_that_belong(&self, batch: &RecordBatch) -> usize {
        let (Some(column), Some(last)) = (self.together, self.open.batches.last()) else { return 0 };
        let last = last.column(column).slice(last.num_rows() - 1, 1);
        let values = batch.column(column);
        let is_same = |row: &usize| *values.slice(*row, 1) == *last;
        (0..batch.num_rows()).take_while(is_same).count()
    }

    /// How many rows of `batch` belong to the open group: up to the first with which it is complete.
    fn rows_of(&self, batch: &RecordBatch) -> usize {
        let most = batch.num_rows().min(self.limits.rows - self.open.rows);
        let room = self.limits.bytes.saturating_sub(self.open.bytes);
        let fills = |rows: usize| bytes_of(&batch.slice(0, rows)) >= room;
        if !fills(most) {
            return most;
        }
        let (mut low, mut high) = (1, most);
        while low < high {
            let middle = low.midpoint(high);
            if fills(middle) { high = middle } else { low = middle + 1 }
        }
        high
    }
}

/// The size of the values of a batch: the sum of those of its rows, however it is divided.
fn bytes_of(batch: &RecordBatch) -> u64 {
    batch.columns().iter().map(values_of).sum()
}

fn values_of(array: &ArrayRef) -> u64 {
    match array.data_type() {
        DataType::Null => 0,
        // As if each took a byte.
        DataType::Boolean => array.len() as u64,
        DataType::Utf8 => between(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => between(array.as_string::<i64>().value_offsets()),
        DataType::Binary => between(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => between(array.as_binary::<i64>().value_offsets()),
        DataType::List(_) => of_items(array.as_list::<i32>().value_offsets(), array.as_list::<i32>().values()),
        DataType::LargeList(_) => of_items(array.as_list::<i64>().value_offsets(), array.as_list::<i64>().values()),
        DataType::Map(..) => {
            let map = array.as_map();
            of_items(map.value_offsets(), &(std::sync::Arc::new(map.entries().clone()) as ArrayRef))
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(values_of).sum(),
        DataType::FixedSizeList(_, length) => {
            let list = array.as_fixed_size_list();
            let length = usize::try_from(*length).unwrap_or_default();
            values_of(&list.values().slice(list.offset() * length, list.len() * length))
        }
        kind => array.len() as u64 * kind.primitive_width().unwrap_or(16) as u64,
    }
}

/// The size of texts, and of the numbers that say where they begin.
fn between<O: OffsetSizeTrait>(offsets: &[O]) -> u64 {
    let (first, last) = (offsets.first(), offsets.last());
    let values = first.zip(last).map_or(0, |(first, last)| last.as_usize() - first.as_usize());
    (values + (offsets.len().saturating_sub(1)) * size_of::<O>()) as u64
}

fn of_items<O: OffsetSizeTrait>(offsets: &[O], items: &ArrayRef) -> u64 {
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return 0 };
    let (first, last) = (first.as_usize(), last.as_usize());
    values_of(&items.slice(first, last - first)) + ((offsets.len() - 1) * size_of::<O>()) as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{Int64Array, ListArray, StringArray},
        datatypes::Int32Type,
    };

    use super::*;

    fn rows(count: usize) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::try_from(count).unwrap()));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|row| "x".repeat(row % 97))));
        let lists = (0..count).map(|row| Some((0..i32::try_from(row % 5).unwrap()).map(Some)));
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists));
        RecordBatch::try_from_iter([("n", numbers), ("t", texts), ("l", lists)]).unwrap()
    }

    fn sizes(limits: GroupLimits, all: &RecordBatch, step: usize) -> Vec<(usize, u64)> {
        let mut groups = Groups::new(limits, None);
        let mut sizes = Vec::new();
        for start in (0..all.num_rows()).step_by(step) {
            let batch = all.slice(start, step.min(all.num_rows() - start));
            sizes.extend(groups.push(batch).iter().map(|group| (group.rows, group.bytes)));
        }
        sizes.extend(groups.finish().map(|group| (group.rows, group.bytes)));
        sizes
    }

    #[test]
    fn bounds_depend_on_the_rows_alone() {
        let all = rows(5_000);
        for limits in [GroupLimits { bytes: 10_000, rows: 1_000 }, GroupLimits { bytes: 1 << 30, rows: 300 }] {
            let expected = sizes(limits, &all, 5_000);
            assert!(expected.len() > 10);
            assert_eq!(expected.iter().map(|(rows, _)| rows).sum::<usize>(), 5_000);
            for step in [1, 7, 2_048] {
                assert_eq!(sizes(limits, &all, step), expected, "{step}");
            }
        }
    }

    #[test]
    fn rows_with_one_value_stay_in_one_group() {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 1, 2, 3, 3, 3, 3, 4]));
        let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        for step in 1..=9 {
            let mut groups = Groups::new(GroupLimits { bytes: 1 << 20, rows: 2 }, Some(0));
            let mut sizes = Vec::new();
            for start in (0..9).step_by(step) {
                let part = batch.slice(start, step.min(9 - start));
                sizes.extend(groups.push(part).iter().map(|group| group.rows));
            }
            sizes.extend(groups.finish().map(|group| group.rows));
            assert_eq!(sizes, [3, 5, 1], "{step}");
        }
    }

    #[test]
    fn a_large_row_is_a_group() {
        let large: ArrayRef = Arc::new(StringArray::from_iter_values(["x".repeat(100), "y".repeat(100)]));
        let batch = RecordBatch::try_from_iter([("t", large)]).unwrap();
        assert_eq!(sizes(GroupLimits { bytes: 50, rows: 10 }, &batch, 2), [(1, 104), (1, 104)]);
    }
}
