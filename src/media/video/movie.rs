//! The movie that a file holds: its video track, its audio track, and where its fragments are.

use std::io::{Read, Seek, SeekFrom};

use super::codec::{self, Picture};
use super::samples::{self, Budget};
use super::track::{self, Track};
use crate::error::{Error, Result};
use crate::media::boxes::{self, Atom, Header};

/// The maximum length of a `moov` or `moof` box.
const MAX_INDEX_BYTES: u64 = 256 << 20;

/// The maximum number of boxes on the top level of a file.
const MAX_BOXES: u32 = 4_000_000;

/// What a file holds.
#[derive(Debug)]
pub(super) struct Movie {
    /// Whether the file is QuickTime (brand `qt  `, or no brand at all), whose sample entries differ a little.
    pub(super) quicktime: bool,
    /// The `mvhd` box; the duration is 0.
    pub(super) mvhd: Vec<u8>,
    /// Ticks a second in edit lists.
    pub(super) timescale: u32,
    pub(super) picture: Picture,
    /// The video track; [`read`] sees to it that there is a frame.
    pub(super) video: Track,
    /// The audio track, if there is one with samples.
    pub(super) audio: Option<Track>,
    /// The `moof` boxes of the file.
    pub(super) fragments: Vec<Place>,
}

/// The place of a fragment in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The first byte of the `moof` box.
    pub(super) start: u64,
    /// The end of the `mdat` box if that follows directly, and of the `moof` box otherwise.
    pub(super) end: u64,
    /// The index of its first frame in decode order.
    pub(super) first_frame: usize,
}

/// Reads the boxes of a file, but no samples.
pub(super) fn read(input: &mut (impl Read + Seek)) -> Result<Movie> {
    let length = input.seek(SeekFrom::End(0))?;
    let mut budget = Budget::new(length);
    let mut movie = None;
    let mut quicktime = true;
    each_box(input, |input, header, position| {
        match (&header.kind, &mut movie) {
            (b"ftyp", _) => quicktime = is_quicktime(&load(input, position, header)?)?,
            (b"moov", None) => movie = Some(Movie::of_moov(&load(input, position, header)?, &mut budget)?),
            (b"moof", Some(movie)) => movie.add_moof(&load(input, position, header)?, position, &mut budget)?,
            (b"moof", None) => return Err(Error::invalid("a \"moof\" box comes before the \"moov\" box")),
            (b"mdat", Some(movie)) => {
                if let Some(fragment) = movie.fragments.last_mut().filter(|fragment| fragment.end == position) {
                    fragment.end += header.length;
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    let mut movie = movie.ok_or_else(no_moov)?;
    movie.quicktime = quicktime;
    movie.finish()?;
    Ok(movie)
}

/// Calls `visit` with each box on the top level of a file and its position. Less than eight bytes at the end are
/// ignored.
pub(super) fn each_box<R: Read + Seek>(
    input: &mut R,
    mut visit: impl FnMut(&mut R, Header, u64) -> Result<()>,
) -> Result<()> {
    let length = input.seek(SeekFrom::End(0))?;
    if length == 0 {
        return Err(Error::invalid("the file is empty"));
    }
    let mut position = 0;
    let mut n_boxes = 0;
    while length - position >= 8 {
        let header = header_at(input, position, length)?;
        visit(input, header, position)?;
        position += header.length;
        n_boxes += 1;
        if n_boxes > MAX_BOXES {
            return Err(Error::invalid(format!("the file has more than {MAX_BOXES} boxes")));
        }
    }
    Ok(())
}

/// The `trak` boxes of video and of audio: of several ones the first that is enabled, or else the first. Audio must be
/// `wanted`.
pub(super) fn chosen_tracks<'a>(
    moov: Atom<'a>,
    wanted: impl Fn(Atom<'a>) -> Result<bool>,
) -> Result<(Option<Atom<'a>>, Option<Atom<'a>>)> {
    let (mut video, mut audio) = (None::<(Atom<'_>, bool)>, None::<(Atom<'_>, bool)>);
    for child in moov.children() {
        let trak = child?;
        if trak.kind != *b"trak" {
            continue;
        }
        let role = track::role(trak)?;
        let chosen = match &role.handler {
            b"vide" => &mut video,
            b"soun" if wanted(trak)? => &mut audio,
            _ => continue,
        };
        if chosen.is_none_or(|(_, enabled)| role.enabled && !enabled) {
            *chosen = Some((trak, role.enabled));
        }
    }
    Ok((video.map(|(trak, _)| trak), audio.map(|(trak, _)| trak)))
}

/// The failure of a file that holds no movie.
pub(super) fn no_moov() -> Error {
    Error::invalid("the file is truncated, or not MP4 or QuickTime: it has no \"moov\" box")
}

fn is_quicktime(ftyp: &[u8]) -> Result<bool> {
    Ok(Atom::parse(ftyp)?.body.as_chunks::<4>().0.contains(b"qt  "))
}

fn header_at(input: &mut (impl Read + Seek), position: u64, length: u64) -> Result<Header> {
    let mut start = [0; 16];
    let available = usize::try_from(length - position).unwrap_or(usize::MAX).min(start.len());
    let start = start.get_mut(..available).unwrap_or_default();
    input.seek(SeekFrom::Start(position))?;
    input.read_exact(start)?;
    boxes::header(start, length - position)
}

/// Reads a whole box whose length was checked against that of the file.
pub(super) fn load(input: &mut (impl Read + Seek), position: u64, header: Header) -> Result<Vec<u8>> {
    if header.length > MAX_INDEX_BYTES {
        let message = format!("the {} box has more than {MAX_INDEX_BYTES} bytes", boxes::name(header.kind));
        return Err(Error::invalid(message));
    }
    let mut bytes = vec![0; usize::try_from(header.length).unwrap_or_default()];
    input.seek(SeekFrom::Start(position))?;
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

// === impl Movie ===

impl Movie {
    fn of_moov(bytes: &[u8], budget: &mut Budget) -> Result<Self> {
        let moov = Atom::parse(bytes)?;
        let mvhd = moov.child(*b"mvhd")?;
        let is_carried = |trak| Ok(codec::is_packet_audio(track::sample_descriptions(trak)?));
        let (video, audio) = chosen_tracks(moov, is_carried)?;
        let video = video.ok_or_else(|| Error::invalid("the file has no video track"))?;
        Ok(Self {
            quicktime: false,
            mvhd: track::without_duration(mvhd, 4)?,
            timescale: track::timescale(mvhd)?,
            picture: Picture::default(),
            video: Track::read(moov, video, budget)?,
            audio: audio.map(|trak| Track::read(moov, trak, budget)).transpose()?,
            fragments: Vec::new(),
        })
    }

    fn add_moof(&mut self, bytes: &[u8], start: u64, budget: &mut Budget) -> Result<()> {
        let end = start + bytes.len() as u64;
        self.fragments.push(Place { start, end, first_frame: self.video.samples.len() });
        // Without a base of its own, the data of a track follows that of the track before it.
        let mut implicit_base = Some(start);
        for child in Atom::parse(bytes)?.children() {
            let traf = child?;
            if traf.kind != *b"traf" {
                continue;
            }
            let mut fields = traf.child(*b"tfhd")?.fields();
            fields.skip(4)?;
            let id = fields.u32()?;
            let tracks = std::iter::once(&mut self.video).chain(&mut self.audio);
            implicit_base = match tracks.into_iter().find(|track| track.id == id) {
                Some(track) => Some(track.extend(traf, start, implicit_base, budget)?),
                None => None,
            };
        }
        Ok(())
    }

    /// Checks and completes what depends on all samples.
    fn finish(&mut self) -> Result<()> {
        if self.video.samples.is_empty() {
            return Err(Error::invalid("the video track has no frames"));
        }
        if self.video.samples.iter().any(|sample| sample.size == 0) {
            return Err(Error::invalid("a frame has no bytes"));
        }
        self.picture = codec::picture(Atom::parse(&self.video.stsd)?, self.video.description)?;
        samples::settle(&mut self.video.samples)?;
        self.audio.take_if(|audio| audio.samples.is_empty() || audio.id == self.video.id);
        self.audio.as_mut().map_or(Ok(()), |audio| samples::settle(&mut audio.samples))
    }
}
