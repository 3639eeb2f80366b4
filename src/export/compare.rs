//! Rows of two sides, compared in their order: value by value, and byte by byte.

use std::fmt;

use arrow::{
    array::{Array, ArrayRef, RecordBatch},
    compute::cast,
    datatypes::{DataType, Field, Schema},
    util::display::{ArrayFormatter, FormatOptions},
};

use super::{
    decode::{self, Broken, Decoded},
    source::Source,
};
use crate::{
    error::{Error, Result},
    jobs::Progress,
};

/// The maximum number of characters of a value that is shown.
const SHOWN: usize = 100;

/// A value that is not the same on both sides, or a row that one of them lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The number of the row, from 0; `None` if the columns themselves differ.
    pub row: Option<u64>,
    /// The column; `None` if the whole row is absent.
    pub column: Option<String>,
    /// What the left side has; `None` for NULL, or if it has no such row or column.
    pub left: Option<String>,
    /// What the right side has.
    pub right: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.row.map(|row| format!("row {row}: ")).unwrap_or_default();
        let column = self.column.as_ref().map(|column| format!("{column}: ")).unwrap_or_default();
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
        write!(f, "{row}{column}{} and {}", value(&self.left), value(&self.right))
    }
}

/// The outcome of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The number of rows that were compared.
    pub rows: u64,
    /// The number of images that were decoded.
    pub images: u64,
    /// The first differences.
    pub differences: Vec<Difference>,
}

/// What a comparison looks for.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// It ends with this many differences.
    pub most: usize,
    /// Whether images are decoded, and on how many threads.
    pub decode: Option<usize>,
}

/// Compares all rows, until enough differences were found.
///
/// # Errors
/// Cancelled; `DataLoss` for a file that is not what was written; errors of the sides.
pub async fn compare(left: &mut Source, right: &mut Source, depth: Depth, progress: &Progress) -> Result<Comparison> {
    let most = depth.most;
    let mut comparison = Comparison { rows: 0, images: 0, differences: of_columns(left.schema(), right.schema()) };
    comparison.differences.truncate(most);
    if comparison.differences.is_empty() {
        compare_rows(&mut comparison, left, right, depth, progress).await?;
    }
    if !comparison.differences.is_empty() {
        // They may be those of a damaged file, which is an error.
        progress.unless_cancelled(async { left.settle().await.and(right.settle().await) }).await?;
    }
    Ok(comparison)
}

/// Adds the rows of both sides, and their differences.
async fn compare_rows(
    comparison: &mut Comparison,
    left: &mut Source,
    right: &mut Source,
    depth: Depth,
    progress: &Progress,
) -> Result<()> {
    let Depth { most, decode } = depth;
    let (mut ours, mut theirs) = (None, None);
    while comparison.differences.len() < most {
        let next = async { Ok((refill(left, ours.take()).await?, refill(right, theirs.take()).await?)) };
        let (one, two) = match progress.unless_cancelled(next).await? {
            (Some(one), Some(two)) => (one, two),
            (None, None) => break,
            (one, _) => {
                comparison.differences.push(comparison.missing(one.is_some()));
                break;
            }
        };
        let rows = one.num_rows().min(two.num_rows());
        let (start, room) = (comparison.rows, most - comparison.differences.len());
        let pair = (one.slice(0, rows), two.slice(0, rows));
        let found = tokio::task::spawn_blocking(move || {
            let mut differences = of_rows(&pair.0, &pair.1, start, room)?;
            let decoded = decode.map_or_else(|| Ok(Decoded::default()), |threads| decode::decode(&pair.0, threads))?;
            differences.extend(decoded.broken.into_iter().map(|broken| undecodable(broken, start)));
            Ok::<_, Error>((first_of(differences, room), decoded.images))
        });
        let (differences, images) = found.await.map_err(|err| Error::internal("compare rows").with_source(err))??;
        comparison.differences.extend(differences);
        comparison.images += images;
        comparison.rows += rows as u64;
        progress.advance(rows as u64);
        (ours, theirs) = (rest(&one, rows), rest(&two, rows));
    }
    Ok(())
}

// === impl Comparison ===

impl Comparison {
    /// A row after those that were compared, which only one side has.
    fn missing(&self, is_left: bool) -> Difference {
        let (has, lacks) = (Some("there are more rows".to_owned()), Some("there are no more rows".to_owned()));
        let (left, right) = if is_left { (has, lacks) } else { (lacks, has) };
        Difference { row: Some(self.rows), column: None, left, right }
    }
}

async fn refill(source: &mut Source, batch: Option<RecordBatch>) -> Result<Option<RecordBatch>> {
    let mut batch = batch;
    while batch.as_ref().is_none_or(|batch| batch.num_rows() == 0) {
        batch = source.next().await.transpose()?;
        if batch.is_none() {
            return Ok(None);
        }
    }
    Ok(batch)
}

fn rest(batch: &RecordBatch, taken: usize) -> Option<RecordBatch> {
    let left = batch.num_rows() - taken;
    (left > 0).then(|| batch.slice(taken, left))
}

/// Columns that one side lacks, or that have another type or another place.
fn of_columns(left: &Schema, right: &Schema) -> Vec<Difference> {
    let describe = |field: &Field| format!("{} {}", field.name(), field.data_type());
    let count = left.fields().len().max(right.fields().len());
    let mut differences = Vec::new();
    for at in 0..count {
        let (ours, theirs) = (left.fields().get(at), right.fields().get(at));
        let same = ours.zip(theirs).is_some_and(|(ours, theirs)| {
            ours.name() == theirs.name() && is_same_type(ours.data_type(), theirs.data_type())
        });
        if !same {
            let column = ours.or(theirs).map(|field| field.name().clone());
            let (left, right) = (ours.map(|field| describe(field)), theirs.map(|field| describe(field)));
            differences.push(Difference { row: None, column, left, right });
        }
    }
    differences
}

/// Whether types are the same but for the names of items of lists and maps, and for what may be NULL.
fn is_same_type(a: &DataType, b: &DataType) -> bool {
    match (a, b) {
        (DataType::List(a), DataType::List(b)) => is_same_type(a.data_type(), b.data_type()),
        (DataType::Map(a, _), DataType::Map(b, _)) => match (a.data_type(), b.data_type()) {
            (DataType::Struct(a), DataType::Struct(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same_type(a.data_type(), b.data_type()))
            }
            _ => false,
        },
        (DataType::Struct(a), DataType::Struct(b)) => {
            let is_same = |(a, b): (&std::sync::Arc<Field>, &std::sync::Arc<Field>)| {
                a.name() == b.name() && is_same_type(a.data_type(), b.data_type())
            };
            a.len() == b.len() && a.iter().zip(b).all(is_same)
        }
        _ => a == b,
    }
}

/// The differences of batches with the same number of rows, at most `room`.
fn of_rows(left: &RecordBatch, right: &RecordBatch, start: u64, room: usize) -> Result<Vec<Difference>> {
    let failed = |err| Error::internal("compare rows").with_source(err);
    let mut differences = Vec::new();
    for (at, field) in left.schema_ref().fields().iter().enumerate() {
        let ours = left.column(at);
        // Of the same type but for names within it.
        let theirs = cast(right.column(at), ours.data_type()).map_err(failed)?;
        if **ours == *theirs {
            continue;
        }
        let unequal = (0..ours.len()).filter(|row| ours.slice(*row, 1) != theirs.slice(*row, 1)).take(room);
        for row in unequal {
            differences.push(Difference {
                row: Some(start + row as u64),
                column: Some(field.name().clone()),
                left: shown(ours, row).map_err(failed)?,
                right: shown(&theirs, row).map_err(failed)?,
            });
        }
    }
    Ok(first_of(differences, room))
}

fn undecodable(broken: Broken, start: u64) -> Difference {
    let Broken { row, column, reason } = broken;
    let text = Some(format!("an image that cannot be decoded: {reason}"));
    Difference { row: Some(start + row as u64), column: Some(column), left: text.clone(), right: text }
}

/// The first rows first, in whatever columns.
fn first_of(mut differences: Vec<Difference>, room: usize) -> Vec<Difference> {
    differences.sort_by_key(|difference| difference.row);
    differences.truncate(room);
    differences
}

/// A value as text; `None` for NULL.
fn shown(array: &ArrayRef, row: usize) -> Result<Option<String>, arrow::error::ArrowError> {
    if array.is_null(row) {
        return Ok(None);
    }
    let text = ArrayFormatter::try_new(array, &FormatOptions::default())?.value(row).try_to_string()?;
    let mut start: String = text.chars().take(SHOWN).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    Ok(Some(start))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, StringArray};

    use super::*;

    fn batch(numbers: &[Option<i64>], texts: &[&str]) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
        let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        RecordBatch::try_from_iter_with_nullable([("n", numbers, true), ("t", texts, true)]).unwrap()
    }

    #[test]
    fn differences_are_shown_by_row_and_column() {
        let one = batch(&[Some(1), None, Some(3)], &["a", "b", "c"]);
        let two = batch(&[Some(1), Some(2), Some(3)], &["a", "x", "c"]);
        assert_eq!(of_rows(&one, &one, 0, 5).unwrap(), []);
        let difference = |column: &str, left: Option<&str>, right: &str| Difference {
            row: Some(11),
            column: Some(column.into()),
            left: left.map(Into::into),
            right: Some(right.into()),
        };
        let both = [difference("n", None, "2"), difference("t", Some("b"), "x")];
        assert_eq!(of_rows(&one, &two, 10, 5).unwrap(), both);
        assert_eq!(of_rows(&one, &two, 10, 1).unwrap(), both[..1]);
    }

    #[test]
    fn nan_is_itself_and_zeros_have_signs() {
        let floats = |values: Vec<f64>| {
            let values: ArrayRef = Arc::new(Float64Array::from(values));
            RecordBatch::try_from_iter([("f", values)]).unwrap()
        };
        assert_eq!(of_rows(&floats(vec![f64::NAN]), &floats(vec![f64::NAN]), 0, 1).unwrap(), []);
        assert_eq!(of_rows(&floats(vec![0.0]), &floats(vec![-0.0]), 0, 1).unwrap().len(), 1);
    }
}
