//! MP3: the frames are counted. Tables of contents (Xing, VBRI) would tell their number too, but not all files have
//! one, and a file that was cut does not hold what its table says.

use super::bytes::array;
use crate::error::{Error, Result};

/// How far the first frame is searched behind the tags.
const SEARCH_BYTES: usize = 64 << 10;

/// Thousands of bits a second, of version 1 and of the versions 2 and 2.5.
const BIT_RATES: [[u32; 14]; 2] = [
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// Samples a second of version 1; half of them in version 2, a quarter in version 2.5.
const SAMPLE_RATES: [u32; 3] = [44_100, 48_000, 32_000];

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    /// In bytes.
    length: usize,
    n_samples: u32,
    sample_rate: u32,
    /// Where the samples follow the header and what belongs to it.
    data_start: usize,
}

/// What follows the ID3v2 tags.
pub(super) fn without_tags(bytes: &[u8]) -> Result<&[u8]> {
    let mut rest = bytes;
    while let [b'I', b'D', b'3', _, _, flags, length @ ..] = rest
        && let Some(length) = length.first_chunk::<4>()
    {
        let length = length.iter().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7F));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        rest = rest
            .get(10 + length + footer..)
            .ok_or_else(|| Error::invalid("the file is truncated within its ID3 tag"))?;
    }
    Ok(rest)
}

/// The duration in seconds of what is not silence of the encoder; `None` if there are no frames.
pub(super) fn duration_s(bytes: &[u8]) -> Option<f64> {
    let (mut at, first) = (0..SEARCH_BYTES.min(bytes.len())).find_map(|at| Some((at, Frame::first(bytes, at)?)))?;
    let padding = padding(bytes, at, first);
    let mut n_frames = 0_u64;
    while at < bytes.len() {
        let frame = Frame::read(bytes, at).filter(|frame| frame.continues(first) && at + frame.length <= bytes.len());
        n_frames += u64::from(frame.is_some());
        at += frame.map_or(1, |frame| frame.length);
    }
    // The table is in a frame of its own, which is not played.
    let n_samples = n_frames.saturating_sub(u64::from(padding.is_some())) * u64::from(first.n_samples);
    #[expect(clippy::cast_precision_loss, reason = "files have less than 2^52 samples")]
    Some(n_samples.saturating_sub(padding.unwrap_or_default()) as f64 / f64::from(first.sample_rate))
}

/// The number of samples that the encoder added at the start and the end, by the table in the `first` frame; 0 if the
/// table does not say, `None` if there is none.
fn padding(bytes: &[u8], at: usize, first: Frame) -> Option<u64> {
    if array(bytes, at + 36) == Some(*b"VBRI") {
        return Some(0);
    }
    let at = at + first.data_start;
    let flags = match &array(bytes, at)? {
        b"Xing" | b"Info" => array(bytes, at + 4).map_or(0, u32::from_be_bytes),
        _ => return None,
    };
    let fields = [(0x1, 4), (0x2, 4), (0x4, 100), (0x8, 4)];
    let encoder = at + 8 + fields.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, length)| length).sum::<usize>();
    let is_known = array(bytes, encoder).is_some_and(|name: [u8; 4]| [*b"LAME", *b"Lavf", *b"Lavc"].contains(&name));
    let packed =
        array(bytes, encoder + 21).filter(|_| is_known).map_or(0, |[a, b, c]| u32::from_be_bytes([0, a, b, c]));
    Some(u64::from(packed >> 12) + u64::from(packed & 0xFFF))
}

// === impl Frame ===

impl Frame {
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let [0xFF, second, third, fourth] = array(bytes, at)? else { return None };
        // Eleven bits of sync, and the layer.
        if second & 0xE6 != 0xE2 {
            return None;
        }
        let (version, divisor) = match second >> 3 & 0b11 {
            0b00 => (1, 4),
            0b10 => (1, 2),
            0b11 => (0, 1),
            _ => return None,
        };
        let bit_rate = BIT_RATES.get(version)?.get(usize::from(third >> 4).checked_sub(1)?)?;
        let sample_rate = SAMPLE_RATES.get(usize::from(third >> 2 & 0b11))? / divisor;
        let n_samples = if version == 0 { 1152 } else { 576 };
        let length = n_samples / 8 * bit_rate * 1000 / sample_rate + u32::from(third >> 1 & 1);
        let is_mono = fourth >> 6 == 0b11;
        let data_start = match (version, is_mono) {
            (0, false) => 4 + 32,
            (0, true) | (_, false) => 4 + 17,
            (_, true) => 4 + 9,
        };
        Some(Self { length: length as usize, n_samples, sample_rate, data_start })
    }

    /// A frame that another one follows, or the end of the file.
    fn first(bytes: &[u8], at: usize) -> Option<Self> {
        let frame = Self::read(bytes, at)?;
        let next = at + frame.length;
        (next == bytes.len() || Self::read(bytes, next)?.continues(frame)).then_some(frame)
    }

    fn continues(self, first: Self) -> bool {
        (self.n_samples, self.sample_rate) == (first.n_samples, first.sample_rate)
    }
}
