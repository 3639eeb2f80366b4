//! The kind of a media file, told from its first bytes.

/// The type of a file, detected from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaKind {
    /// Image, video or audio.
    pub class: MediaClass,
    /// The usual file extension without the dot, for assets without a file name.
    pub extension: &'static str,
    /// The media type (MIME type).
    pub media_type: &'static str,
}

/// The class of a media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaClass {
    /// Images.
    Image,
    /// Videos.
    Video,
    /// Audio.
    Audio,
}

pub(super) const JPEG_START: &[u8] = b"\xFF\xD8\xFF";
pub(super) const PNG_START: &[u8] = b"\x89PNG\r\n\x1A\n";
const EBML_START: &[u8] = b"\x1A\x45\xDF\xA3";

pub(super) const JPEG: MediaKind = image("jpg", "image/jpeg");
pub(super) const PNG: MediaKind = image("png", "image/png");
pub(super) const GIF: MediaKind = image("gif", "image/gif");
pub(super) const WEBP: MediaKind = image("webp", "image/webp");
pub(super) const BMP: MediaKind = image("bmp", "image/bmp");
pub(super) const TIFF: MediaKind = image("tiff", "image/tiff");
pub(super) const AVIF: MediaKind = image("avif", "image/avif");
pub(super) const HEIC: MediaKind = image("heic", "image/heic");
pub(super) const HEIF: MediaKind = image("heif", "image/heif");
pub(super) const MP4: MediaKind = video("mp4", "video/mp4");
pub(super) const M4V: MediaKind = video("m4v", "video/x-m4v");
pub(super) const MOV: MediaKind = video("mov", "video/quicktime");
pub(super) const GPP: MediaKind = video("3gp", "video/3gpp");
pub(super) const WEBM: MediaKind = video("webm", "video/webm");
pub(super) const MKV: MediaKind = video("mkv", "video/matroska");
pub(super) const OGV: MediaKind = video("ogv", "video/ogg");
pub(super) const M4A: MediaKind = audio("m4a", "audio/mp4");
pub(super) const WEBA: MediaKind = audio("weba", "audio/webm");
pub(super) const MKA: MediaKind = audio("mka", "audio/matroska");
pub(super) const MP3: MediaKind = audio("mp3", "audio/mpeg");
pub(super) const WAV: MediaKind = audio("wav", "audio/wav");
pub(super) const FLAC: MediaKind = audio("flac", "audio/flac");
pub(super) const OGG: MediaKind = audio("ogg", "audio/ogg");
pub(super) const OPUS: MediaKind = audio("opus", "audio/ogg");

/// Signatures: the start of the file, the offset of a second signature, that signature, and the type; the first match
/// counts. The brands after `ftyp` are listed, because the name says little: images, books and protected files are
/// `ftyp` files too.
const MAGIC: &[(&[u8], usize, &[u8], MediaKind)] = &[
    (JPEG_START, 0, b"", JPEG),
    (PNG_START, 0, b"", PNG),
    (b"GIF87a", 0, b"", GIF),
    (b"GIF89a", 0, b"", GIF),
    (b"RIFF", 8, b"WEBP", WEBP),
    (b"RIFF", 8, b"WAVE", WAV),
    (b"RF64", 8, b"WAVE", WAV),
    // The reserved fields are 0; two letters alone begin texts too.
    (b"BM", 6, b"\0\0\0\0", BMP),
    (b"II*\0", 0, b"", TIFF),
    (b"MM\0*", 0, b"", TIFF),
    (b"II+\0", 0, b"", TIFF),
    (b"MM\0+", 0, b"", TIFF),
    (b"", 4, b"ftypavif", AVIF),
    (b"", 4, b"ftypavis", AVIF),
    (b"", 4, b"ftypmif1\0\0\0\0avif", AVIF),
    (b"", 4, b"ftypmif1\0\0\0\0mif1avif", AVIF),
    (b"", 4, b"ftypheic", HEIC),
    (b"", 4, b"ftypheix", HEIC),
    (b"", 4, b"ftypheim", HEIC),
    (b"", 4, b"ftypheis", HEIC),
    (b"", 4, b"ftyphevc", HEIC),
    (b"", 4, b"ftyphevx", HEIC),
    (b"", 4, b"ftypmif1", HEIF),
    (b"", 4, b"ftypmsf1", HEIF),
    (b"", 4, b"ftypM4A", M4A),
    (b"", 4, b"ftypM4B", M4A),
    (b"", 4, b"ftypM4V", M4V),
    (b"", 4, b"ftypqt  ", MOV),
    (b"", 4, b"ftyp3g", GPP),
    (b"", 4, b"ftypiso", MP4),
    (b"", 4, b"ftypmp4", MP4),
    (b"", 4, b"ftypavc1", MP4),
    (b"", 4, b"ftypdash", MP4),
    (b"", 4, b"ftypcmf", MP4),
    (b"", 4, b"ftypMSNV", MP4),
    (b"", 4, b"ftypXAVC", MP4),
    // QuickTime before it had brands.
    (b"\0", 4, b"moov", MOV),
    (b"\0", 4, b"mdat", MOV),
    (b"\0\0\0\x08", 4, b"wide", MOV),
    // The document type follows other fields, which are nearly always the same ones, behind a length of 1 or 8 bytes.
    (EBML_START, 24, b"webm", WEBM),
    (EBML_START, 31, b"webm", WEBM),
    (EBML_START, 0, b"", MKV),
    (b"ID3", 0, b"", MP3),
    (b"\xFF\xFB", 0, b"", MP3),
    (b"\xFF\xFA", 0, b"", MP3),
    (b"\xFF\xF3", 0, b"", MP3),
    (b"\xFF\xF2", 0, b"", MP3),
    (b"\xFF\xE3", 0, b"", MP3),
    (b"\xFF\xE2", 0, b"", MP3),
    (b"fLaC", 0, b"", FLAC),
    (b"OggS", 28, b"OpusHead", OPUS),
    (b"OggS", 28, b"\x80theora", OGV),
    (b"OggS", 0, b"", OGG),
];

/// Detects the type of a file from its first bytes, without validating the rest. Whether MP4, Matroska or WebM holds
/// video or only audio is not to be seen there; `facts` tells.
#[must_use]
pub fn sniff(bytes: &[u8]) -> Option<MediaKind> {
    let matches = |start: &[u8], at: usize, mark: &[u8]| {
        bytes.starts_with(start) && bytes.get(at..).is_some_and(|rest| rest.starts_with(mark))
    };
    MAGIC.iter().find(|(start, at, mark, _)| matches(start, *at, mark)).map(|(.., kind)| *kind)
}

/// The usual file extension, without the dot, of a media type.
#[must_use]
pub fn extension_of(media_type: &str) -> Option<&'static str> {
    MAGIC.iter().map(|(.., kind)| kind).find(|kind| kind.media_type == media_type).map(|kind| kind.extension)
}

const fn image(extension: &'static str, media_type: &'static str) -> MediaKind {
    MediaKind { class: MediaClass::Image, extension, media_type }
}

const fn video(extension: &'static str, media_type: &'static str) -> MediaKind {
    MediaKind { class: MediaClass::Video, extension, media_type }
}

const fn audio(extension: &'static str, media_type: &'static str) -> MediaKind {
    MediaKind { class: MediaClass::Audio, extension, media_type }
}

#[cfg(test)]
mod tests;
