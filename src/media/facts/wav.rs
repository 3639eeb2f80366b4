//! WAV: the chunks `fmt `, `fact` and `data` of a RIFF file, and `ds64` of the 64-bit variant.

use super::bytes::array;
use crate::error::{Error, Result};

/// Formats whose frames have all the same number of bytes: PCM, floating point, A-law, mu-law, and the extensible
/// format, of which nearly all files are PCM.
const FIXED_FRAMES: [u16; 5] = [0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE];

/// The length of the data in the header of a 64-bit file, where the true one is in `ds64`; and what writers put there
/// that cannot seek back.
const UNKNOWN_LENGTH: u32 = u32::MAX;

/// What the chunk `fmt ` says.
#[derive(Clone, Copy, Debug)]
struct Format {
    tag: u16,
    /// Frames a second.
    sample_rate: u32,
    bytes_per_second: u32,
    bytes_per_frame: u16,
}

/// The duration in seconds.
pub(super) fn duration_s(bytes: &[u8]) -> Result<Option<f64>> {
    let missing =
        |chunk| move || Error::invalid(format!("the file is truncated or corrupt: it has no \"{chunk}\" chunk"));
    let (mut format, mut n_frames, mut long_length) = (None, None, None);
    let mut at = 12;
    while let (Some(name), Some(length)) = (array(bytes, at), array(bytes, at + 4).map(u32::from_le_bytes)) {
        let start = at + 8;
        match &name {
            b"fmt " => format = Format::read(bytes, start),
            b"fact" => n_frames = array(bytes, start).map(u32::from_le_bytes).filter(|count| *count > 0),
            b"ds64" => long_length = array(bytes, start + 8).map(u64::from_le_bytes),
            b"data" => {
                let format = format.ok_or_else(missing("fmt "))?;
                let rest = bytes.len() - start;
                let n_bytes = data_length(length, long_length, rest as u64);
                return format.seconds(n_bytes, n_frames).map(Some);
            }
            _ => {}
        }
        // Chunks begin at even places.
        at = start + length as usize + length as usize % 2;
    }
    Err(missing("data")())
}

/// A recorder that was stopped leaves the length 0. A file that was cut off plays to its end.
fn data_length(length: u32, long_length: Option<u64>, rest: u64) -> u64 {
    match (length, long_length) {
        (UNKNOWN_LENGTH, Some(length)) => length.min(rest),
        (0, _) => rest,
        (length, _) => u64::from(length).min(rest),
    }
}

// === impl Format ===

impl Format {
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        Some(Self {
            tag: u16::from_le_bytes(array(bytes, at)?),
            sample_rate: u32::from_le_bytes(array(bytes, at + 4)?),
            bytes_per_second: u32::from_le_bytes(array(bytes, at + 8)?),
            bytes_per_frame: u16::from_le_bytes(array(bytes, at + 12)?),
        })
    }

    /// The duration of `n_bytes` of data. `n_frames` is what the chunk `fact` says, which only compressed formats need.
    #[expect(clippy::cast_precision_loss, reason = "files have less than 2^52 bytes")]
    fn seconds(self, n_bytes: u64, n_frames: Option<u32>) -> Result<f64> {
        let n_bytes = n_bytes as f64;
        let is_fixed = FIXED_FRAMES.contains(&self.tag) && self.bytes_per_frame > 0;
        let (count, rate) = match n_frames {
            _ if is_fixed => ((n_bytes / f64::from(self.bytes_per_frame)).floor(), self.sample_rate),
            Some(n_frames) => (f64::from(n_frames), self.sample_rate),
            None => (n_bytes, self.bytes_per_second),
        };
        if rate == 0 {
            return Err(Error::invalid("the file is corrupt: its sample rate is 0"));
        }
        Ok(count / f64::from(rate))
    }
}
