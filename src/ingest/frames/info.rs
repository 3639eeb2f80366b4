//! `seqinfo.ini`, which describes a sequence of MOTChallenge.

use std::{fs, path::Path};

use crate::error::{Context, Error, Result};

/// The largest file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// The frame rate that the file states; `None` if it states none.
///
/// # Errors
/// `InvalidArgument` for a rate that is no number above 0.
pub fn frame_rate(file: &Path) -> Result<Option<f64>> {
    let doing = || format!("read \"{}\"", file.file_name().unwrap_or_default().display());
    if fs::metadata(file)?.len() > MAX_BYTES {
        return Err(Error::invalid("the file is larger than 1 MiB").context(doing()));
    }
    let bytes = fs::read(file)?;
    let text = String::from_utf8_lossy(&bytes);
    let values = text.lines().filter_map(|line| line.split_once('='));
    let Some((_, value)) = values.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("frameRate")) else {
        return Ok(None);
    };
    let rate = value.trim().parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    let rate = rate.ok_or_else(|| Error::invalid(format!("frameRate is \"{}\", not a number above 0", value.trim())));
    rate.map(Some).context(doing)
}
