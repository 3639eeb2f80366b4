//! Images among the values of rows, decoded to see whether they can be.

use std::{io::Cursor, panic::catch_unwind, thread};

use arrow::{
    array::{ArrayRef, AsArray, LargeBinaryArray, RecordBatch},
    compute::cast,
    datatypes::DataType,
};
use image::{ImageFormat, ImageReader};

use crate::{
    error::{Error, Result},
    media::kind::sniff,
};

/// What was found in a batch.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The number of images that decode.
    pub images: u64,
    /// Those that do not.
    pub broken: Vec<Broken>,
}

/// An image that cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The place of its row in the batch.
    pub row: usize,
    /// Its column.
    pub column: String,
    /// The reason.
    pub reason: String,
}

/// A value that begins like an image.
type Found<'a> = (usize, &'a str, &'a [u8]);

/// Decodes all images of BLOB columns of a batch, on `threads` threads. Blocks.
///
/// # Errors
/// Internal only.
pub fn decode(batch: &RecordBatch, threads: usize) -> Result<Decoded> {
    let columns = blobs(batch)?;
    let mut found: Vec<Found<'_>> = Vec::new();
    for (name, values) in &columns {
        let images = values.iter().enumerate().filter_map(|(row, value)| Some((row, name.as_str(), value?)));
        found.extend(images.filter(|(_, _, bytes)| reader(bytes).is_some()));
    }
    let share = found.len().div_ceil(threads.max(1)).max(1);
    let failures = thread::scope(|scope| {
        let parts: Vec<_> = found.chunks(share).map(|part| scope.spawn(|| failures_of(part))).collect();
        let joined = parts.into_iter().map(|part| part.join().map_err(|_| Error::internal("a decoder panicked")));
        joined.collect::<Result<Vec<_>>>()
    });
    let failures: Vec<(Found<'_>, String)> = failures?.concat();
    let images = (found.len() - failures.len()) as u64;
    let broken = failures.into_iter();
    let broken = broken.map(|((row, column, _), reason)| Broken { row, column: column.to_owned(), reason });
    Ok(Decoded { images, broken: broken.collect() })
}

fn blobs(batch: &RecordBatch) -> Result<Vec<(String, LargeBinaryArray)>> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let blobs = columns.filter(|(field, _)| matches!(field.data_type(), DataType::Binary | DataType::LargeBinary));
    blobs.map(|(field, column)| Ok((field.name().clone(), large(column)?))).collect()
}

fn large(column: &ArrayRef) -> Result<LargeBinaryArray> {
    let column = cast(column, &DataType::LargeBinary).map_err(|err| Error::internal("read a BLOB").with_source(err))?;
    Ok(column.as_binary().clone())
}

fn failures_of<'a>(part: &[Found<'a>]) -> Vec<(Found<'a>, String)> {
    let failed = |found: &Found<'a>| {
        let outcome = catch_unwind(|| Some(reader(found.2)?.decode().err()?.to_string()));
        outcome.unwrap_or_else(|_| Some("the decoder panicked".to_owned())).map(|reason| (*found, reason))
    };
    part.iter().filter_map(failed).collect()
}

/// A decoder for bytes that begin like an image of a known format.
fn reader(bytes: &[u8]) -> Option<ImageReader<Cursor<&[u8]>>> {
    let format = ImageFormat::from_mime_type(sniff(bytes)?.media_type)?;
    format.reading_enabled().then(|| ImageReader::with_format(Cursor::new(bytes), format))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::BinaryArray;
    use image::RgbImage;

    use super::*;

    #[test]
    fn images_are_decoded_and_others_passed_over() {
        let image = |format| {
            let mut bytes = Cursor::new(Vec::new());
            RgbImage::new(20, 10).write_to(&mut bytes, format).unwrap();
            bytes.into_inner()
        };
        let (jpeg, png) = (image(ImageFormat::Jpeg), image(ImageFormat::Png));
        let cut = &png[..png.len() / 2];
        let column =
            BinaryArray::from(vec![Some(&jpeg[..]), None, Some(&png[..]), Some(b"BMW 320d"), Some(cut), Some(b"")]);
        let batch = RecordBatch::try_from_iter([("b", Arc::new(column) as ArrayRef)]).unwrap();
        for threads in [1, 3, 8] {
            let decoded = decode(&batch, threads).unwrap();
            assert_eq!(decoded.images, 2);
            let rows: Vec<_> = decoded.broken.iter().map(|broken| broken.row).collect();
            assert_eq!(rows, [4], "{threads}");
        }
    }
}
