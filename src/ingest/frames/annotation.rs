//! The lines of an annotation file.
//!
//! ```text
//! VisDrone       frame, target, left, top, width, height, score, category, truncation, occlusion
//! MOT16 and on   frame, track, left, top, width, height, confidence, class, visibility
//! MOT15          frame, track, left, top, width, height, confidence, x, y, z
//! ```
//!
//! A comma at the end of a line is allowed, and so are spaces around values and empty lines. Boxes of MOT15 have no class:
//! they are pedestrians. With ten values, of which the last is -1, the eighth is a class if it is a number from 1 on.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use super::convention::{DEFAULT_CLASS, Layout};
use crate::error::{Error, Result};

/// The longest line that is read.
const MAX_LINE_BYTES: u64 = 4096;

/// A box in a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// The line in its file, from 1.
    pub line: u64,
    /// The number of the frame, as the file writes it.
    pub frame: u64,
    /// The object, which is followed from frame to frame; of ignored regions, 0 or -1.
    pub track_id: i64,
    /// The left edge, the upper edge, the width and the height in pixels.
    pub bbox: [f64; 4],
    /// The score of VisDrone, or the confidence.
    pub score: f64,
    /// The category.
    pub category_id: i64,
    /// Its name.
    pub category: String,
    /// Whether the box reaches beyond the frame: 0 or 1; of results, -1.
    pub truncation: Option<i64>,
    /// How much of the object is hidden: 0 nothing, 1 a part, 2 most of it; of results, -1.
    pub occlusion: Option<i64>,
    /// Which part of the object is visible, from 0 to 1.
    pub visibility: Option<f64>,
    /// Whether it counts.
    pub counted: bool,
}

/// Reads the boxes of `file`, in its order.
///
/// # Errors
/// `InvalidArgument`, with the line, for values that are missing, surplus, or no numbers; errors of `next`, with the line.
pub fn read(file: &Path, layout: Layout, mut next: impl FnMut(Annotation) -> Result<()>) -> Result<()> {
    let mut reader = BufReader::new(File::open(file)?);
    let mut bytes = Vec::new();
    for line in 1_u64.. {
        bytes.clear();
        let read = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes)? as u64;
        if read == 0 {
            break;
        }
        let at = |err: Error| err.context(format_args!("line {line}"));
        if read == MAX_LINE_BYTES && bytes.last() != Some(&b'\n') {
            return Err(at(Error::invalid("it is longer than 4 KiB: this is no annotation file")));
        }
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").filter(|_| line == 1).unwrap_or(&bytes);
        let text = std::str::from_utf8(bytes).map_err(|_| at(Error::invalid("it is not UTF-8")))?.trim();
        if !text.is_empty() {
            parse(text, line, layout).and_then(&mut next).map_err(at)?;
        }
    }
    Ok(())
}

fn parse(text: &str, line: u64, layout: Layout) -> Result<Annotation> {
    let values: Vec<_> = text.strip_suffix(',').unwrap_or(text).split(',').map(str::trim).collect();
    match (layout, values.as_slice()) {
        (Layout::VisDrone, [frame, track, x, y, w, h, score, category, truncation, occlusion]) => {
            let mut read = annotation(layout, line, [frame, track, x, y, w, h, score], integer("category", category)?)?;
            read.truncation = Some(integer("truncation", truncation)?);
            read.occlusion = Some(integer("occlusion", occlusion)?);
            Ok(read)
        }
        (Layout::Mot, [frame, track, x, y, w, h, score, class, visibility]) => {
            let mut read = annotation(layout, line, [frame, track, x, y, w, h, score], class_of(class)?)?;
            read.visibility = Some(number("visibility", visibility)?).filter(|visibility| *visibility >= 0.0);
            Ok(read)
        }
        (Layout::Mot, [frame, track, x, y, w, h, score, rest @ .., last]) if rest.len() == 2 => {
            let [first, second] = [number("value 8", rest[0])?, number("value 9", rest[1])?];
            let is_class = number("value 10", last)? < 0.0 && first >= 1.0 && first.fract() == 0.0;
            let class = if is_class { class_of(rest[0])? } else { DEFAULT_CLASS };
            let mut read = annotation(layout, line, [frame, track, x, y, w, h, score], class)?;
            read.visibility = Some(second).filter(|visibility| is_class && (0.0..=1.0).contains(visibility));
            Ok(read)
        }
        (Layout::VisDrone, values) => Err(Error::invalid(format!("it has {} values, not 10", values.len()))),
        (Layout::Mot, values) => Err(Error::invalid(format!("it has {} values, not 9 or 10", values.len()))),
    }
}

/// The values that both layouts have.
fn annotation(layout: Layout, line: u64, values: [&str; 7], category_id: i64) -> Result<Annotation> {
    let [frame, track, x, y, w, h, score] = values;
    let frame = u64::try_from(integer("frame", frame)?);
    let bbox = [number("left", x)?, number("top", y)?, number("width", w)?, number("height", h)?];
    let score = number("score", score)?;
    let has_size = bbox[2] > 0.0 && bbox[3] > 0.0;
    Ok(Annotation {
        line,
        frame: frame.map_err(|_| Error::invalid("the number of the frame is negative"))?,
        track_id: integer("track", track)?,
        bbox,
        score,
        category_id,
        category: layout.category(category_id),
        truncation: None,
        occlusion: None,
        visibility: None,
        counted: has_size && layout.counts(score, category_id),
    })
}

/// The class, or the default one for -1.
fn class_of(text: &str) -> Result<i64> {
    let class = integer("class", text)?;
    Ok(if class == -1 { DEFAULT_CLASS } else { class })
}

/// A whole number; some programs write `1.0`.
fn integer(name: &str, text: &str) -> Result<i64> {
    if let Ok(integer) = text.parse() {
        return Ok(integer);
    }
    let value = number(name, text)?;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and below 2^53")]
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        return Ok(value as i64);
    }
    Err(Error::invalid(format!("{name} is {text}, not a whole number")))
}

fn number(name: &str, text: &str) -> Result<f64> {
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
    value.ok_or_else(|| Error::invalid(format!("{name} is \"{}\", not a number", text.escape_debug())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(layout: Layout, text: &[u8]) -> Result<Vec<Annotation>> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), text)?;
        let mut found = Vec::new();
        read(file.path(), layout, |annotation| {
            found.push(annotation);
            Ok(())
        })?;
        Ok(found)
    }

    #[track_caller]
    fn refused(layout: Layout, text: &[u8], expected: &str) {
        let err = all(layout, text).unwrap_err();
        assert_eq!(err.to_string(), expected);
    }

    #[test]
    fn visdrone_lines() {
        let found = all(
            Layout::VisDrone,
            b"\xEF\xBB\xBF1,0,-5,6,70,8,1,4,0,2,\r\n\n 2 , 3,5,6,7,8,0,11,1,0\n3,3,5,6,0,8,1,4,0,0",
        )
        .unwrap();
        let first = Annotation {
            line: 1,
            frame: 1,
            track_id: 0,
            bbox: [-5.0, 6.0, 70.0, 8.0],
            score: 1.0,
            category_id: 4,
            category: "car".to_owned(),
            truncation: Some(0),
            occlusion: Some(2),
            visibility: None,
            counted: true,
        };
        assert_eq!(found[0], first);
        assert_eq!((found[1].line, found[1].counted), (3, false));
        assert_eq!((found[2].line, found[2].counted), (4, false));
    }

    #[test]
    fn mot_lines() {
        let text = b"1,2,794.2,47.5,71.2,174.8,1,3,0.8\n1,2,1,2,3,4,0,1,1\n1,-1,1,2,3,4,1,-1,-1\n1,2,1,2,3,4,1,-1,-1,-1\n1,2,1,2,3,4,1,7,0.5,-1\n1,2,1,2,3,4,1,-6.9,3.2,0\n1,2,1,2,3,4,1,7,0.5,0.25";
        let found = all(Layout::Mot, text).unwrap();
        let seen: Vec<_> = found.iter().map(|row| (row.category_id, row.visibility, row.counted)).collect();
        let expected = [
            (3, Some(0.8), true),
            (1, Some(1.0), false),
            (1, None, true),
            (1, None, true),
            (7, Some(0.5), true),
            (1, None, true),
            (1, None, true),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn broken_lines_are_named() {
        refused(Layout::VisDrone, b"1,2,3,4,5,6,7,8,9", "line 1: it has 9 values, not 10");
        refused(Layout::VisDrone, b"1,0,5,6,7,8,1,4,0,0,,", "line 1: it has 11 values, not 10");
        refused(Layout::Mot, b"1,2,3,4,5,6,1,1,1\n1,2,3", "line 2: it has 3 values, not 9 or 10");
        refused(Layout::Mot, b"1.5,2,3,4,5,6,1,1,1", "line 1: frame is 1.5, not a whole number");
        refused(Layout::Mot, b"-1,2,3,4,5,6,1,1,1", "line 1: the number of the frame is negative");
        refused(Layout::Mot, b"1,2,NaN,4,5,6,1,1,1", "line 1: left is \"NaN\", not a number");
        refused(Layout::Mot, b"1,2,,4,5,6,1,1,1", "line 1: left is \"\", not a number");
        refused(Layout::Mot, b"1,2,\xFF,4,5,6,1,1,1", "line 1: it is not UTF-8");
        refused(Layout::Mot, &[b'1'; 5000], "line 1: it is longer than 4 KiB: this is no annotation file");
    }
}
