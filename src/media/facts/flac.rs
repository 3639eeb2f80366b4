//! FLAC: the block STREAMINFO.

use super::bytes::array;
use crate::error::{Error, Result};

/// The duration in seconds; `None` if the encoder did not know it.
pub(super) fn duration_s(bytes: &[u8]) -> Result<Option<f64>> {
    check_metadata(bytes)?;
    // Marker, block header, block and frame sizes. Then 20 bits sample rate, 8 bits channels and depth, 36 bits
    // samples.
    let packed = array(bytes, 4 + 4 + 10).map(u64::from_be_bytes).unwrap_or_default();
    let (sample_rate, n_samples) = (packed >> 44, packed & 0xF_FFFF_FFFF);
    if sample_rate == 0 {
        return Err(Error::invalid("the file is corrupt: its sample rate is 0"));
    }
    #[expect(clippy::cast_precision_loss, reason = "fields of 36 and 20 bits")]
    Ok((n_samples > 0).then(|| n_samples as f64 / sample_rate as f64))
}

/// The metadata begin with STREAMINFO, which has 34 bytes, and end before the file does.
fn check_metadata(bytes: &[u8]) -> Result<()> {
    if array(bytes, 4).map(|[kind, l0, l1, l2]: [u8; 4]| [kind & 0x7F, l0, l1, l2]) != Some([0, 0, 0, 34]) {
        return Err(Error::invalid("the file is truncated or corrupt: it has no STREAMINFO block"));
    }
    let mut at = 4;
    while let Some([kind, l0, l1, l2]) = array(bytes, at) {
        at += 4 + u32::from_be_bytes([0, l0, l1, l2]) as usize;
        if kind & 0x80 != 0 && at <= bytes.len() {
            return Ok(());
        }
    }
    Err(Error::invalid("the file is truncated within its metadata"))
}
