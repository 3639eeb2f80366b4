//! Ogg: the sample rate in the first packet of a stream, and the position at which its last page ends.

use super::bytes::array;
use crate::error::{Error, Result};

/// The position of a page on which no packet ends.
const NO_POSITION: u64 = u64::MAX;

/// What the positions of Opus count, whatever the sample rate of the source was.
const OPUS_SAMPLE_RATE: u32 = 48_000;

/// A part of a stream.
#[derive(Clone, Copy, Debug)]
struct Page<'a> {
    /// Whether it is the first one of its stream.
    is_first: bool,
    /// The number of samples that end here, from the start of the stream on.
    position: u64,
    stream: u32,
    body: &'a [u8],
}

/// A stream of sound.
#[derive(Clone, Copy, Debug)]
struct Stream {
    id: u32,
    sample_rate: u32,
    /// Samples at the start that are not played.
    n_skipped: u64,
    end: u64,
}

/// The duration in seconds; `None` if no stream has a known codec. Files that were joined end to end play one after the
/// other; of streams that begin together the first one of sound counts.
pub(super) fn duration_s(bytes: &[u8]) -> Result<Option<f64>> {
    let mut rest = bytes;
    let mut played_s = 0.0;
    let mut stream = None::<Stream>;
    let mut n_pages = 0_u64;
    while let Some(page) = next_page(&mut rest) {
        n_pages += 1;
        if page.is_first && stream.is_none_or(|stream| stream.end > 0) {
            if let Some(next) = Stream::begin(page) {
                played_s += stream.replace(next).map_or(0.0, Stream::seconds);
            }
        } else if let Some(stream) = stream.as_mut().filter(|stream| stream.id == page.stream)
            && page.position != NO_POSITION
        {
            stream.end = page.position;
        }
    }
    if n_pages == 0 {
        return Err(Error::invalid("the file is truncated or corrupt: it has no whole page"));
    }
    if stream.is_some_and(|stream| stream.sample_rate == 0) {
        return Err(Error::invalid("the file is corrupt: its sample rate is 0"));
    }
    Ok(stream.map(|stream| played_s + stream.seconds()))
}

/// The next whole page; what lies before it is skipped.
fn next_page<'a>(rest: &mut &'a [u8]) -> Option<Page<'a>> {
    loop {
        let start = rest.windows(5).position(|window| window == b"OggS\0")?;
        *rest = rest.get(start..)?;
        let n_segments = usize::from(*rest.get(26)?);
        let body_start = 27 + n_segments;
        let length: usize = rest.get(27..body_start)?.iter().map(|segment| usize::from(*segment)).sum();
        let Some(body) = rest.get(body_start..body_start + length) else {
            // The last page was cut off, or these letters began no page.
            *rest = rest.get(5..)?;
            continue;
        };
        let page = Page {
            is_first: rest.get(5)? & 0x2 != 0,
            position: array(rest, 6).map(u64::from_le_bytes)?,
            stream: array(rest, 14).map(u32::from_le_bytes)?,
            body,
        };
        *rest = rest.get(body_start + length..)?;
        return Some(page);
    }
}

// === impl Stream ===

impl Stream {
    /// A stream whose first packet is of a known codec.
    fn begin(page: Page<'_>) -> Option<Self> {
        let body = page.body;
        let (sample_rate, n_skipped) = if body.starts_with(b"\x01vorbis") {
            (u32::from_le_bytes(array(body, 12)?), 0)
        } else if body.starts_with(b"OpusHead") {
            (OPUS_SAMPLE_RATE, u16::from_le_bytes(array(body, 10)?))
        } else if body.starts_with(b"Speex   ") {
            (u32::from_le_bytes(array(body, 36)?), 0)
        } else if body.starts_with(b"\x7FFLAC") {
            // Behind 13 bytes of its own, the packet is the start of a FLAC file.
            (u32::from_be_bytes(array(body, 13 + 14)?) >> 12, 0)
        } else {
            return None;
        };
        Some(Self { id: page.stream, sample_rate, n_skipped: u64::from(n_skipped), end: 0 })
    }

    #[expect(clippy::cast_precision_loss, reason = "2^52 samples are thousands of years")]
    fn seconds(self) -> f64 {
        self.end.saturating_sub(self.n_skipped) as f64 / f64::from(self.sample_rate.max(1))
    }
}
