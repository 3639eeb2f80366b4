//! The samples of `testdata` have the sizes and durations that other programs tell; see the README there.

use std::path::Path;

use super::*;
use crate::error::ErrorKind;

/// Durations are compared to a tick of the coarsest time base, a thousandth of a second.
const TOLERANCE_S: f64 = 0.001;

macro_rules! samples {
    ($($name:literal: $extension:literal, $size:expr, $duration_s:expr;)*) => {
        &[$(Sample {
            name: $name,
            bytes: include_bytes!(concat!("../testdata/", $name)),
            extension: $extension,
            size: $size,
            duration_s: $duration_s,
        }),*]
    };
}

struct Sample {
    name: &'static str,
    bytes: &'static [u8],
    extension: &'static str,
    size: Option<(u32, u32)>,
    duration_s: Option<f64>,
}

const SAMPLES: &[Sample] = samples! {
    "picture.gif": "gif", Some((23, 17)), None;
    "lossy.webp": "webp", Some((23, 17)), None;
    "lossless.webp": "webp", Some((23, 17)), None;
    "animated.webp": "webp", Some((23, 17)), None;
    "picture.bmp": "bmp", Some((23, 17)), None;
    "little.tiff": "tiff", Some((23, 17)), None;
    "big.tiff": "tiff", Some((23, 17)), None;
    "picture.avif": "avif", Some((23, 17)), None;
    "odd.heic": "heic", Some((23, 17)), None;
    "turned.heic": "heic", Some((48, 64)), None;
    "pcm.wav": "wav", None, Some(0.025);
    "mulaw.wav": "wav", None, Some(0.025);
    "adpcm.wav": "wav", None, Some(0.05);
    "piped.wav": "wav", None, Some(0.025);
    "rf64.wav": "wav", None, Some(0.025);
    "tone.flac": "flac", None, Some(0.05);
    "cbr.mp3": "mp3", None, Some(0.5);
    "xing.mp3": "mp3", None, Some(0.5);
    "vbr.mp3": "mp3", None, Some(1.152);
    "vorbis.ogg": "ogg", None, Some(0.5);
    "flac.ogg": "ogg", None, Some(0.1);
    "tone.opus": "opus", None, Some(0.5);
    "tone.m4a": "m4a", None, Some(0.5);
    "sound.mp4": "m4a", None, Some(0.628);
    "both.mp4": "mp4", Some((32, 24)), Some(1.3);
    "fragments.mp4": "mp4", Some((32, 24)), Some(1.0);
    "hybrid.mp4": "mp4", Some((32, 24)), Some(1.0);
    "clip.mov": "mov", Some((32, 24)), Some(1.0);
    "clip.webm": "webm", Some((32, 24)), Some(1.0);
    "live.webm": "webm", Some((32, 24)), None;
    "sound.webm": "weba", None, Some(0.208);
    "both.mkv": "mkv", Some((32, 24)), Some(1.308);
};

#[track_caller]
fn check(name: &str, bytes: &[u8], extension: &str, size: Option<(u32, u32)>, duration_s: Option<f64>) {
    let facts = facts(bytes).unwrap();
    assert_eq!(facts.kind.map(|kind| kind.extension), Some(extension), "{name}");
    assert_eq!(facts.width.zip(facts.height), size, "{name}");
    let is_near = match (facts.duration_s, duration_s) {
        (Some(found), Some(expected)) => (found - expected).abs() <= TOLERANCE_S,
        (found, expected) => found == expected,
    };
    assert!(is_near, "{name}: {:?} is not {duration_s:?}", facts.duration_s);
}

#[track_caller]
fn check_refused(bytes: &[u8], message: &str) {
    let err = facts(bytes).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidArgument);
    assert_eq!(err.message(), message);
}

fn sample(name: &str) -> &'static [u8] {
    SAMPLES.iter().find(|sample| sample.name == name).unwrap().bytes
}

/// The sample `name` with the bytes from `skip` bytes after the first occurrence of `marker` on replaced.
fn patched(name: &str, marker: &[u8], skip: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = sample(name).to_vec();
    let at = bytes.windows(marker.len()).position(|window| window == marker).unwrap() + skip;
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

fn jpeg() -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    ::image::RgbImage::new(20, 10).write_to(&mut bytes, ::image::ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

#[test]
fn samples_are_described() {
    for sample in SAMPLES {
        check(sample.name, sample.bytes, sample.extension, sample.size, sample.duration_s);
    }
}

#[test]
fn real_files_are_described() {
    let files = [
        ("media/test_image_rgb.jpg", "jpg", Some((640, 480)), None),
        ("media/test_image_rgba.png", "png", Some((200, 200)), None),
        ("media/test_audio_16000.mp3", "mp3", None, Some(2.556)),
        ("video/car-detection.mp4", "mp4", Some((768, 432)), Some(30.16)),
        ("video/bottle-detection.mp4", "mp4", Some((640, 360)), Some(39.855)),
    ];
    for (name, extension, size, duration_s) in files {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
        let Ok(bytes) = std::fs::read(&path) else {
            println!("skipped: {} is absent", path.display());
            continue;
        };
        check(name, &bytes, extension, size, duration_s);
    }
}

#[test]
fn jpegs_are_decoded_whole() {
    let bytes = jpeg();
    check("a JPEG", &bytes, "jpg", Some((20, 10)), None);
    let cause = "read image: the JPEG file is truncated or corrupt: it has no end-of-image marker";
    check_refused(&bytes[..bytes.len() - 2], cause);
}

#[test]
fn files_of_unknown_kind_have_no_facts() {
    let id3 = b"ID3\x04\0\0\0\0\0\x02\0\0\xFF\xF1\x50\x80 AAC";
    let unknown: [&[u8]; 5] = [b"", b"plain text", b"RIFF\x04\0\0\0AVI ", b"\xFF\xFB\x90\x64 two bytes of MP3", id3];
    for bytes in unknown {
        assert_eq!(facts(bytes).unwrap(), MediaFacts::default());
    }
}

#[test]
fn headers_that_were_cut_off_are_refused() {
    let no_size = "the file is truncated or corrupt: no width and height in its header";
    check_refused(b"GIF89a\x01", &format!("read image/gif: {no_size}"));
    check_refused(&sample("picture.bmp")[..20], &format!("read image/bmp: {no_size}"));
    check_refused(&sample("little.tiff")[..30], &format!("read image/tiff: {no_size}"));
    check_refused(
        &sample("lossy.webp")[..60],
        "read image/webp: the file is truncated: 62 bytes should follow its first 8, but 52 do",
    );
    let left = "the file is truncated or corrupt: the \"mdat\" box has 47 bytes, but only 37 are left";
    let heic = sample("odd.heic");
    check_refused(&heic[..heic.len() - 10], &format!("read image/heic: {left}"));
    check_refused(
        &sample("pcm.wav")[..43],
        "read audio/wav: the file is truncated or corrupt: it has no \"data\" chunk",
    );
    check_refused(&sample("tone.flac")[..30], "read audio/flac: the file is truncated within its metadata");
    check_refused(b"fLaC", "read audio/flac: the file is truncated or corrupt: it has no STREAMINFO block");
    check_refused(
        &sample("vorbis.ogg")[..50],
        "read audio/ogg: the file is truncated or corrupt: it has no whole page",
    );
    check_refused(&sample("xing.mp3")[..40], "read audio/mpeg: the file is truncated within its ID3 tag");
    check_refused(
        &sample("clip.mov")[..28],
        "describe video: the file is truncated, or not MP4 or QuickTime: it has no \"moov\" box",
    );
    check_refused(
        &sample("clip.webm")[..90],
        "read video/webm: the file is truncated or corrupt: an element ends outside of it",
    );
    check_refused(
        &sample("live.webm")[..48],
        "read video/webm: the file is truncated or corrupt: it has no Tracks element",
    );
}

#[test]
fn pictures_without_pixels_are_refused() {
    check_refused(
        b"GIF89a\0\0\x01\0\0\0\0",
        "read image/gif: the file is truncated or corrupt: no width and height in its header",
    );
}

#[test]
fn the_other_byte_order_of_tiff_is_read() {
    let entry = |tag: u8, value: u8| [1, tag, 0, 3, 0, 0, 0, 1, 0, value, 0, 0];
    let bytes = [&b"MM\0*\0\0\0\x08\0\x02"[..], &entry(0, 90), &entry(1, 40), &[0; 4]].concat();
    check("big-endian", &bytes, "tiff", Some((90, 40)), None);
}

#[test]
fn bitmaps_may_be_stored_from_the_top() {
    let height = (-17_i32).to_le_bytes();
    check("top-down", &patched("picture.bmp", b"\x28\0\0\0\x17", 8, &height), "bmp", Some((23, 17)), None);
}

#[test]
fn sound_plays_to_where_it_was_cut_off() {
    let (wav, mp3, ogg) = (sample("pcm.wav"), sample("cbr.mp3"), sample("tone.opus"));
    check("WAV", &wav[..44 + 200], "wav", None, Some(100.0 / 8000.0));
    check("WAV of an aborted recording", &patched("pcm.wav", b"data", 4, &[0; 4]), "wav", None, Some(0.025));
    // Two frames less, of 72 bytes and 576 samples.
    check("MP3", &mp3[..mp3.len() - 100], "mp3", None, Some(0.5 - 2.0 * 576.0 / 8000.0));
    assert!(facts(&ogg[..ogg.len() - 10]).unwrap().duration_s.unwrap() < 0.5);
    assert_eq!(facts(&mp3[..3]).unwrap(), MediaFacts::default());
}

#[test]
fn durations_that_the_writer_did_not_know_are_not_guessed() {
    // Total samples 0, behind 20 bits of sample rate and 8 of channels and depth.
    check("FLAC", &patched("tone.flac", b"fLaC", 21, &[0xF0, 0, 0, 0, 0]), "flac", None, None);
    check("WebM", &patched("clip.webm", b"\x44\x89\x88", 3, &f64::NAN.to_be_bytes()), "webm", Some((32, 24)), None);
}

#[test]
fn tags_may_precede_flac() {
    let bytes = [b"ID3\x04\0\0\0\0\0\x03tag", sample("tone.flac")].concat();
    check("FLAC behind ID3", &bytes, "flac", None, Some(0.05));
}

#[test]
fn joined_ogg_files_play_one_after_the_other() {
    let bytes = [sample("tone.opus"), sample("vorbis.ogg")].concat();
    check("Opus and Vorbis", &bytes, "opus", None, Some(1.0));
}

#[test]
fn sample_rates_of_0_are_refused() {
    let message = "the file is corrupt: its sample rate is 0";
    check_refused(&patched("pcm.wav", b"fmt ", 12, &[0; 4]), &format!("read audio/wav: {message}"));
    check_refused(&patched("tone.flac", b"fLaC", 18, &[0, 0, 0x0F]), &format!("read audio/flac: {message}"));
    check_refused(&patched("vorbis.ogg", b"vorbis", 11, &[0; 4]), &format!("read audio/ogg: {message}"));
}

#[test]
fn movies_need_no_codec_that_is_known() {
    let encrypted = patched("both.mp4", b"mp4v", 0, b"encv");
    check("encrypted", &encrypted, "mp4", Some((32, 24)), Some(1.3));
    check("no sample is read", &patched("both.mp4", b"stsz", 0, b"stz2"), "mp4", Some((32, 24)), Some(1.3));
    check("without a duration", &patched("clip.mov", b"tkhd", 24, &[0xFF; 4]), "mov", Some((32, 24)), Some(1.0));
}

/// Whatever happens, it is an error of the input, and quick.
fn survives(bytes: &[u8]) {
    match facts(bytes) {
        Ok(facts) => assert!(facts.duration_s.is_none_or(|duration_s| duration_s.is_finite() && duration_s >= 0.0)),
        Err(err) => assert_eq!(err.kind(), ErrorKind::InvalidArgument, "{err}"),
    }
}

/// Where headers lie, at both ends of a file: every byte. Between them, some.
fn places(bytes: &[u8]) -> impl Iterator<Item = usize> + use<> {
    const NEAR: usize = 1024;
    let length = bytes.len();
    (0..length).filter(move |at| *at < NEAR || at + NEAR >= length || at % 16 == 0)
}

#[test]
fn prefixes_of_every_sample_do_no_harm() {
    for sample in SAMPLES {
        for end in places(sample.bytes) {
            survives(&sample.bytes[..end]);
        }
    }
}

#[test]
fn damage_does_no_harm() {
    for sample in SAMPLES {
        let mut bytes = sample.bytes.to_vec();
        for at in places(sample.bytes) {
            for mask in [0x01, 0x10, 0x80, 0xFF] {
                bytes[at] ^= mask;
                survives(&bytes);
                bytes[at] ^= mask;
            }
        }
    }
}

#[test]
fn numbers_of_the_largest_values_do_no_harm() {
    for sample in SAMPLES {
        for at in places(sample.bytes) {
            for (value, length) in [(0xFF, 4), (0xFF, 8), (0x00, 4), (0x00, 8), (0x7F, 4)] {
                let mut bytes = sample.bytes.to_vec();
                let end = (at + length).min(bytes.len());
                bytes[at..end].fill(value);
                survives(&bytes);
            }
        }
    }
}

#[test]
fn long_files_of_nothing_but_signatures_are_quick() {
    let starts: [&[u8]; 6] = [
        b"OggS\0",
        b"\xFF\xFB\x90\x64",
        b"RIFF\0\0\0\0WAVE",
        b"\x1A\x45\xDF\xA3\x80",
        b"\0\0\0\x08wide",
        b"ID3\x04\0\0\0\0\0\0",
    ];
    for start in starts {
        survives(&start.repeat((4 << 20) / start.len()));
        survives(&[start, &vec![0; 4 << 20]].concat());
    }
    let tracks = b"\x1A\x45\xDF\xA3\x80\x18\x53\x80\x67\xFF\x16\x54\xAE\x6B\x08\x00\x40\x00\x00";
    for entry in [b"\xAE\xFF", b"\xAE\x80"] {
        survives(&[&tracks[..], &entry.repeat(2 << 20)].concat());
    }
}
