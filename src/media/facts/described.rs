//! The facts about a media file.

use crate::media::{
    kind::{self, MediaKind},
    video::Description,
};

/// What is known about a media file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MediaFacts {
    /// The type of the file. `None` if it is not known; then nothing else is known either.
    pub kind: Option<MediaKind>,
    /// The width of a picture, or of the frames of a video, in pixels. It is that of the stored pixels: an Exif
    /// orientation or the rotation of a video is not applied. The one of AVIF and HEIC is, because it is part of the
    /// image there.
    pub width: Option<u32>,
    /// The height of a picture or of the frames of a video.
    pub height: Option<u32>,
    /// How long a video or sound plays, in seconds; of several tracks, the longest one. `None` for images, animated or
    /// not.
    pub duration_s: Option<f64>,
}

// === impl MediaFacts ===

impl MediaFacts {
    pub(super) fn of(kind: MediaKind) -> Self {
        Self { kind: Some(kind), ..Self::default() }
    }

    pub(super) fn of_picture(kind: MediaKind, size: Option<(u32, u32)>) -> Self {
        let (width, height) = size.unzip();
        Self { width, height, ..Self::of(kind) }
    }

    pub(super) fn of_sound(kind: MediaKind, duration_s: Option<f64>) -> Self {
        Self { duration_s, ..Self::of(kind) }
    }

    /// The brand of audio files is that of sound although some of them have a track of pictures; the other brands say
    /// nothing.
    pub(super) fn of_movie(kind: MediaKind, movie: &Description) -> Self {
        let is_sound = kind == kind::M4A || movie.has_audio && !movie.has_video;
        if is_sound {
            return Self::of_sound(kind::M4A, movie.duration_s);
        }
        Self { width: movie.width, height: movie.height, duration_s: movie.duration_s, ..Self::of(kind) }
    }
}
