//! WebM and Matroska: the elements `Info` and `Tracks`.
//!
//! An element is an identifier, a length and a body. The segment and its clusters may have an unknown length. They are
//! entered, not skipped: where they end does not matter, because what is asked for has identifiers of its own.

use super::{bytes::array, described::MediaFacts};
use crate::error::{Error, Result};
use crate::media::kind;

const EBML: u32 = 0x1A45_DFA3;
const DOC_TYPE: u32 = 0x4282;
const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1F43_B675;
const INFO: u32 = 0x1549_A966;
const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
const DURATION: u32 = 0x4489;
const TRACKS: u32 = 0x1654_AE6B;
const TRACK_ENTRY: u32 = 0xAE;
const TRACK_TYPE: u32 = 0x83;
const VIDEO: u32 = 0xE0;
const PIXEL_WIDTH: u32 = 0xB0;
const PIXEL_HEIGHT: u32 = 0xBA;

const VIDEO_TYPE: u64 = 1;
const AUDIO_TYPE: u64 = 2;

/// Nanoseconds of a tick where the file does not say.
const DEFAULT_SCALE: u64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
struct Element<'a> {
    id: u32,
    /// To the end of the parent if the length is unknown.
    body: &'a [u8],
}

/// The elements in the body of another one.
#[derive(Clone, Copy, Debug)]
struct Children<'a> {
    rest: &'a [u8],
}

/// What `Tracks` says.
#[derive(Clone, Copy, Debug, Default)]
struct Tracks {
    has_video: bool,
    has_audio: bool,
    /// Of the first video track.
    width: Option<u32>,
    height: Option<u32>,
}

/// The facts of a file. Those without video are sound.
pub(super) fn facts(bytes: &[u8]) -> Result<MediaFacts> {
    let mut elements = Children { rest: bytes };
    let head = elements.find(EBML)?.ok_or_else(|| missing("EBML"))?;
    let is_webm = head.child(DOC_TYPE)?.is_some_and(|doc_type| doc_type.body.starts_with(b"webm"));
    let segment = elements.find(SEGMENT)?.ok_or_else(|| missing("Segment"))?;
    let (mut info, mut tracks) = (None, None);
    let mut elements = Children { rest: segment.body };
    while info.is_none() || tracks.is_none() {
        let Some(element) = elements.next_element()? else { break };
        match element.id {
            INFO => info = Some(element),
            TRACKS => tracks = Some(Tracks::read(element)?),
            _ => {}
        }
    }
    let tracks = tracks.ok_or_else(|| missing("Tracks"))?;
    let duration_s = info.map(duration_s).transpose()?.flatten();
    let kind = match (is_webm, tracks.has_audio && !tracks.has_video) {
        (true, false) => kind::WEBM,
        (true, true) => kind::WEBA,
        (false, false) => kind::MKV,
        (false, true) => kind::MKA,
    };
    Ok(MediaFacts { kind: Some(kind), width: tracks.width, height: tracks.height, duration_s })
}

/// In seconds; `None` if the writer did not know it.
fn duration_s(info: Element<'_>) -> Result<Option<f64>> {
    let scale = info.child(TIMESTAMP_SCALE)?.and_then(Element::unsigned).unwrap_or(DEFAULT_SCALE);
    let ticks = info.child(DURATION)?.and_then(Element::float);
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a tick, about a million")]
    let seconds = ticks.map(|ticks| ticks * scale as f64 / 1e9);
    Ok(seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0))
}

fn missing(name: &str) -> Error {
    Error::invalid(format!("the file is truncated or corrupt: it has no {name} element"))
}

/// The bytes of a number of variable length, at most `N`, and how many of them there are. The leading zeros of the
/// first byte tell the length.
fn variable<const N: usize>(bytes: &[u8]) -> Option<([u8; 8], usize)> {
    let length = bytes.first()?.leading_zeros() as usize + 1;
    let mut number = [0; 8];
    number.get_mut(8_usize.checked_sub(length)?..)?.copy_from_slice(bytes.get(..length)?);
    (length <= N).then_some((number, length))
}

// === impl Tracks ===

impl Tracks {
    fn read(element: Element<'_>) -> Result<Self> {
        let mut tracks = Self::default();
        let mut entries = Children { rest: element.body };
        while let Some(entry) = entries.find(TRACK_ENTRY)? {
            match entry.child(TRACK_TYPE)?.and_then(Element::unsigned) {
                Some(VIDEO_TYPE) if !tracks.has_video => {
                    tracks.has_video = true;
                    if let Some(video) = entry.child(VIDEO)? {
                        tracks.width = video.pixels(PIXEL_WIDTH)?;
                        tracks.height = video.pixels(PIXEL_HEIGHT)?;
                    }
                }
                Some(AUDIO_TYPE) => tracks.has_audio = true,
                _ => {}
            }
        }
        Ok(tracks)
    }
}

// === impl Element ===

impl Element<'_> {
    /// The first child with `id`.
    fn child(self, id: u32) -> Result<Option<Self>> {
        Children { rest: self.body }.find(id)
    }

    /// A side of a picture, which is not 0.
    fn pixels(self, id: u32) -> Result<Option<u32>> {
        let value = self.child(id)?.and_then(Element::unsigned);
        Ok(value.and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0))
    }

    fn unsigned(self) -> Option<u64> {
        let mut value = [0; 8];
        value.get_mut(8_usize.checked_sub(self.body.len())?..)?.copy_from_slice(self.body);
        Some(u64::from_be_bytes(value))
    }

    fn float(self) -> Option<f64> {
        match self.body.len() {
            4 => array(self.body, 0).map(|bytes| f64::from(f32::from_be_bytes(bytes))),
            8 => array(self.body, 0).map(f64::from_be_bytes),
            _ => None,
        }
    }
}

// === impl Children ===

impl<'a> Children<'a> {
    /// The next element with `id`.
    fn find(&mut self, id: u32) -> Result<Option<Element<'a>>> {
        while let Some(element) = self.next_element()? {
            if element.id == id {
                return Ok(Some(element));
            }
        }
        Ok(None)
    }

    /// The next element; `None` at the end.
    fn next_element(&mut self) -> Result<Option<Element<'a>>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let corrupt = || Error::invalid("the file is truncated or corrupt: an element ends outside of it");
        let element = self.parse().ok_or_else(corrupt)?;
        Ok(Some(element))
    }

    fn parse(&mut self) -> Option<Element<'a>> {
        let (id, id_length) = variable::<4>(self.rest)?;
        let after_id = self.rest.get(id_length..)?;
        let (length, length_length) = variable::<8>(after_id)?;
        let body = after_id.get(length_length..)?;
        let id = u32::try_from(u64::from_be_bytes(id)).ok()?;
        // The bit that marks the length of the number does not count; all others set are the unknown length.
        let largest = (1_u64 << (7 * length_length)) - 1;
        let length = u64::from_be_bytes(length) & largest;
        if length == largest {
            self.rest = body;
            return [SEGMENT, CLUSTER].contains(&id).then_some(Element { id, body });
        }
        let (body, rest) = body.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(Element { id, body })
    }
}
