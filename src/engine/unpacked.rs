//! How large the rows of a client become once their encodings are unpacked.
//!
//! A dictionary, a run or a list view can refer to one large value any number of times. A small message would then need
//! more memory than the machine has.

use arrow::{
    array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RunArray},
    datatypes::{DataType, Int16Type, Int32Type, Int64Type, RunEndIndexType},
};

/// At least as many bytes as the encoded parts of `array` take once [`accept`](super::accept) has unpacked them.
pub fn bytes(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::Dictionary(..) => of_dictionary(array),
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => of_runs(array.as_run::<Int16Type>()),
            DataType::Int32 => of_runs(array.as_run::<Int32Type>()),
            _ => of_runs(array.as_run::<Int64Type>()),
        },
        DataType::ListView(_) => of_list_view::<i32>(array),
        DataType::LargeListView(_) => of_list_view::<i64>(array),
        DataType::List(_) => bytes(array.as_list::<i32>().values()),
        DataType::LargeList(_) => bytes(array.as_list::<i64>().values()),
        DataType::FixedSizeList(..) => bytes(array.as_fixed_size_list().values()),
        DataType::Struct(_) => sum(array.as_struct().columns().iter().map(bytes)),
        DataType::Map(..) => sum(array.as_map().entries().columns().iter().map(bytes)),
        _ => 0,
    }
}

fn of_dictionary(array: &ArrayRef) -> usize {
    let dictionary = array.as_any_dictionary();
    let (values, keys) = (dictionary.values(), dictionary.keys());
    if values.is_empty() {
        return 0;
    }
    let rows = dictionary.normalized_keys().into_iter().enumerate().filter(|(row, _)| keys.is_valid(*row));
    sum(rows.map(|(_, key)| value_bytes(values, key)))
}

/// As if all runs had the largest of the values.
fn of_runs<R: RunEndIndexType>(array: &RunArray<R>) -> usize {
    if array.is_empty() {
        return 0;
    }
    let runs = array.get_start_physical_index()..=array.get_end_physical_index();
    let largest = runs.map(|run| value_bytes(array.values(), run)).max();
    largest.unwrap_or_default().saturating_mul(array.len())
}

fn of_list_view<O: OffsetSizeTrait>(array: &ArrayRef) -> usize {
    let lists = array.as_list_view::<O>();
    let rows = (0..lists.len()).filter(|row| lists.is_valid(*row));
    sum(rows.map(|row| memory(&lists.value(row))))
}

fn value_bytes(values: &ArrayRef, index: usize) -> usize {
    match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value(index).len(),
        DataType::LargeUtf8 => values.as_string::<i64>().value(index).len(),
        kind => kind.primitive_width().unwrap_or_else(|| memory(&values.slice(index, 1))),
    }
}

fn memory(array: &ArrayRef) -> usize {
    let views = match array.data_type() {
        DataType::Utf8View => array.as_string_view().total_bytes_len(),
        DataType::BinaryView => array.as_binary_view().total_bytes_len(),
        _ => bytes(array),
    };
    array.to_data().get_slice_memory_size().unwrap_or(usize::MAX).saturating_add(views)
}

fn sum(sizes: impl Iterator<Item = usize>) -> usize {
    sizes.fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{DictionaryArray, Int8Array, Int32Array, LargeStringArray, ListViewArray},
        buffer::ScalarBuffer,
        datatypes::{Field, Int8Type},
    };

    use super::*;

    const LARGE: usize = 1000;

    fn text() -> ArrayRef {
        Arc::new(LargeStringArray::from(vec!["x".repeat(LARGE).as_str(), ""]))
    }

    #[test]
    fn a_dictionary_counts_the_values_that_its_rows_refer_to() {
        let keys = Int8Array::from(vec![Some(0), Some(1), None, Some(0)]);
        let dictionary: ArrayRef = Arc::new(DictionaryArray::<Int8Type>::new(keys, text()));
        assert_eq!(bytes(&dictionary), 2 * LARGE);
        assert_eq!(bytes(&dictionary.slice(1, 2)), 0);
    }

    #[test]
    fn runs_count_their_largest_value_for_each_row() {
        let runs: ArrayRef =
            Arc::new(RunArray::<Int32Type>::try_new(&Int32Array::from(vec![50, 80]), &text()).unwrap());
        assert_eq!(bytes(&runs), 80 * LARGE);
        assert_eq!(bytes(&runs.slice(60, 10)), 0);
    }

    #[test]
    fn list_views_count_each_list() {
        let field = Arc::new(Field::new("item", DataType::LargeUtf8, true));
        let (offsets, sizes) = (ScalarBuffer::from(vec![0; 10]), ScalarBuffer::from(vec![1; 10]));
        let views: ArrayRef = Arc::new(ListViewArray::new(field, offsets, sizes, text(), None));
        assert!(bytes(&views) >= 10 * LARGE);
    }

    #[test]
    fn plain_columns_need_nothing_more() {
        assert_eq!(bytes(&text()), 0);
    }
}
