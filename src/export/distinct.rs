//! Whether a dictionary is worth its time: building one of values that are nearly all different takes a third of the time
//! of an export, and makes files larger.

use std::collections::HashSet;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::DataType,
};

/// The number of values that are looked at.
pub const SAMPLE: usize = 1024;

/// Whether most of the first values of a column are different. Values in lists and structs are not looked at.
pub fn is_mostly(column: &ArrayRef) -> bool {
    let sample = column.slice(0, column.len().min(SAMPLE));
    let distinct = match sample.data_type() {
        DataType::Utf8 => count(sample.as_string::<i32>().iter()),
        DataType::LargeUtf8 => count(sample.as_string::<i64>().iter()),
        DataType::Binary => count(sample.as_binary::<i32>().iter()),
        DataType::LargeBinary => count(sample.as_binary::<i64>().iter()),
        kind => match kind.primitive_width() {
            Some(width) => {
                let data = sample.to_data();
                let values = &data.buffers()[0].as_slice()[data.offset() * width..];
                count(values.chunks_exact(width).take(sample.len()).map(Some))
            }
            None => 0,
        },
    };
    distinct * 2 > sample.len()
}

fn count<T: std::hash::Hash + Eq>(values: impl Iterator<Item = Option<T>>) -> usize {
    values.flatten().collect::<HashSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn ids_are_and_categories_are_not() {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..5000));
        assert!(is_mostly(&ids) && is_mostly(&ids.slice(3000, 100)));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..5000).map(|number| number % 7)));
        assert!(!is_mostly(&numbers));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..5000).map(|number| number.to_string())));
        assert!(is_mostly(&texts));
        let nothing: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; 100]));
        assert!(!is_mostly(&nothing) && !is_mostly(&nothing.slice(0, 0)));
    }
}
