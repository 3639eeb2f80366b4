//! What is known about a media file: kind, size in pixels, duration.
//!
//! JPEG and PNG images are checked to their end, by [`image::probe`]. Of all other files only what describes them is
//! read. Samples and pixels are not decoded. [`facts`] refuses a file whose first bytes name a format
//!
//! * if its description is missing, cut off or impossible: no size or sample rate could be read from it,
//! * if bytes are missing by its own account, in formats that programs do not read then: WebP, AVIF, HEIC, MP4, Matroska.
//!
//! Sound that was cut off (WAV, FLAC, MP3, Ogg) plays to where it ends; of WAV, MP3 and Ogg the duration is that of
//! what is there, and of FLAC what the header says. What is not known is `None`: the duration of a recording whose
//! writer never learned it (live WebM, piped FLAC), everything about files of an unknown kind.
//!
//! Time and memory are at most in proportion to the length of the file, whatever it claims.
//!
//! | file | formats | read by |
//! |---|---|---|
//! | `picture` | GIF, WebP, TIFF; BMP | `imagesize`; `image` |
//! | `heif` | AVIF, HEIC | this module |
//! | `wav`, `flac`, `mp3`, `ogg` | sound | this module |
//! | `matroska` | WebM, Matroska | this module |

mod bytes;
mod described;
mod flac;
mod heif;
mod matroska;
mod mp3;
mod ogg;
mod picture;
mod wav;

use std::io::Cursor;

pub use self::described::MediaFacts;
use super::image;
use super::kind::{self, MediaClass};
use super::video;
use crate::error::{Context, Result};

/// Describes a media file by its content.
///
/// # Errors
///
/// `InvalidArgument` with `read image: …`, `describe video: …` or `read <media type>: …` for files that are certainly
/// broken (see the module); the caller adds the file name.
pub fn facts(bytes: &[u8]) -> Result<MediaFacts> {
    let Some(kind) = kind::sniff(bytes) else { return Ok(MediaFacts::default()) };
    let doing = || format!("read {}", kind.media_type);
    Ok(match kind {
        kind::JPEG | kind::PNG => {
            let image = image::probe(bytes)?;
            MediaFacts::of_picture(kind, Some((image.width, image.height)))
        }
        kind::WAV => MediaFacts::of_sound(kind, wav::duration_s(bytes).context(doing)?),
        kind::FLAC => MediaFacts::of_sound(kind, flac::duration_s(bytes).context(doing)?),
        kind::OGG | kind::OPUS => MediaFacts::of_sound(kind, ogg::duration_s(bytes).context(doing)?),
        kind::MP3 => of_mp3(bytes).context(doing)?,
        kind::WEBM | kind::MKV => matroska::facts(bytes).context(doing)?,
        kind::OGV => MediaFacts::of(kind),
        _ if kind.class == MediaClass::Image => {
            MediaFacts::of_picture(kind, picture::size(bytes, kind).context(doing)?)
        }
        _ => MediaFacts::of_movie(kind, &video::describe(&mut Cursor::new(bytes))?),
    })
}

/// ID3 tags precede FLAC too, and two bytes that begin a frame of MP3 begin many other things.
fn of_mp3(bytes: &[u8]) -> Result<MediaFacts> {
    let bytes = mp3::without_tags(bytes)?;
    if kind::sniff(bytes) == Some(kind::FLAC) {
        return Ok(MediaFacts::of_sound(kind::FLAC, flac::duration_s(bytes)?));
    }
    let facts = mp3::duration_s(bytes).map(|duration_s| MediaFacts::of_sound(kind::MP3, Some(duration_s)));
    Ok(facts.unwrap_or_default())
}

#[cfg(test)]
mod tests;
