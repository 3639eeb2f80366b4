use std::{io::Cursor, path::Path};

use image::{DynamicImage, GrayImage, ImageFormat as Codec, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;
use crate::error::ErrorKind;

/// A picture with detail everywhere, so that no part of the file is trivial.
fn drawn(width: u32, height: u32) -> DynamicImage {
    let channel = |value: u32| u8::try_from(value % 256).unwrap();
    RgbImage::from_fn(width, height, |x, y| Rgb([channel(x * 7), channel(y * 5), channel(x * y)])).into()
}

fn encode(image: &DynamicImage, codec: Codec) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, codec).unwrap();
    bytes.into_inner()
}

/// A file of `../shared/data`, which is not part of the repository.
fn sample(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        println!("skipped: {} is absent", path.display());
    }
    bytes
}

/// Positions spread over `0..end` by a linear congruential generator: random enough, and the same in every run.
fn positions(count: usize, end: usize) -> Vec<usize> {
    let mut state = 0x2545_F491_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % end
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[track_caller]
fn check(bytes: &[u8], format: ImageFormat, width: u32, height: u32) {
    assert_eq!(probe(bytes).unwrap(), ImageFacts { format, width, height });
}

#[track_caller]
fn check_refused(bytes: &[u8], cause: &str) {
    let err = probe(bytes).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidArgument);
    assert_eq!(err.message(), format!("read image: {cause}"));
}

#[track_caller]
fn check_refused_somehow(bytes: &[u8]) {
    let err = probe(bytes).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidArgument);
    assert!(err.message().starts_with("read image: the "), "{err}");
}

/// The chunk `kind` of a PNG with its checksum.
fn png_chunk(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let covered = [&kind[..], content].concat();
    let mut crc = u32::MAX;
    for byte in &covered {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    let length = u32::try_from(content.len()).unwrap();
    [&length.to_be_bytes()[..], &covered, &(!crc).to_be_bytes()].concat()
}

/// A PNG of a size, and with what is said to be its pixels.
fn png(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    [PNG_START.to_vec(), png_chunk(*b"IHDR", &header), png_chunk(*b"IDAT", pixels), png_chunk(*b"IEND", b"")].concat()
}

#[test]
fn drawn_pictures_are_measured() {
    for (width, height) in [(1, 1), (1, 300), (37, 19), (640, 425)] {
        let image = drawn(width, height);
        check(&encode(&image, Codec::Jpeg), ImageFormat::Jpeg, width, height);
        check(&encode(&image, Codec::Png), ImageFormat::Png, width, height);
    }
    let grey = DynamicImage::from(GrayImage::from_pixel(9, 8, image::Luma([77])));
    check(&encode(&grey, Codec::Jpeg), ImageFormat::Jpeg, 9, 8);
    check(&encode(&grey, Codec::Png), ImageFormat::Png, 9, 8);
    let transparent = DynamicImage::from(RgbaImage::from_pixel(5, 6, Rgba([1, 2, 3, 4])));
    check(&encode(&transparent, Codec::Png), ImageFormat::Png, 5, 6);
    check(&encode(&transparent.into_rgba16().into(), Codec::Png), ImageFormat::Png, 5, 6);
}

#[test]
fn real_pictures_are_measured() {
    let files = [
        ("media/test_image_rgb.jpg", ImageFormat::Jpeg, 640, 480),
        ("media/test_image_rgba.png", ImageFormat::Png, 200, 200),
        ("coco/000000000785.jpg", ImageFormat::Jpeg, 640, 425),
    ];
    for (name, format, width, height) in files {
        let Some(bytes) = sample(name) else { return };
        check(&bytes, format, width, height);
    }
}

#[test]
fn every_truncation_is_refused() {
    let drawn = drawn(320, 200);
    let mut files = vec![encode(&drawn, Codec::Jpeg), encode(&drawn, Codec::Png)];
    files.extend(sample("media/test_image_rgb.jpg"));
    files.extend(sample("media/test_image_rgba.png"));
    files.extend(sample("coco/000000000785.jpg"));
    for bytes in files {
        for end in positions(20, bytes.len()) {
            check_refused_somehow(&bytes[..end]);
        }
        for lost in 1..16 {
            check_refused_somehow(&bytes[..bytes.len() - lost]);
        }
    }
}

#[test]
fn every_prefix_of_small_files_is_refused() {
    let drawn = drawn(16, 16);
    for bytes in [encode(&drawn, Codec::Jpeg), encode(&drawn, Codec::Png)] {
        for end in 0..bytes.len() {
            check_refused_somehow(&bytes[..end]);
        }
    }
}

#[test]
fn truncation_behind_an_exif_preview_is_refused() {
    let (picture, preview) = (encode(&drawn(64, 64), Codec::Jpeg), encode(&drawn(8, 8), Codec::Jpeg));
    let length = u16::try_from(preview.len() + 2).unwrap().to_be_bytes();
    let mut bytes = [&picture[..2], b"\xFF\xE1", &length, &preview, &picture[2..]].concat();
    check(&bytes, ImageFormat::Jpeg, 64, 64);
    bytes.truncate(bytes.len() - 2);
    check_refused(&bytes, "the JPEG file is truncated or corrupt: it has no end-of-image marker");
}

#[test]
fn bytes_behind_the_end_do_not_matter() {
    let drawn = drawn(40, 30);
    for (codec, format) in [(Codec::Jpeg, ImageFormat::Jpeg), (Codec::Png, ImageFormat::Png)] {
        let bytes = [encode(&drawn, codec), b"\0\0 a film clip".to_vec()].concat();
        check(&bytes, format, 40, 30);
    }
}

#[test]
fn other_files_are_named() {
    check_refused(b"", "the file is empty");
    check_refused(b"hello, world", "the file is neither JPEG nor PNG");
    check_refused(b"\xFF\xD8", "the file is neither JPEG nor PNG");
    check_refused(b"GIF89a\x01\0\x01\0", "the file is image/gif, but only JPEG and PNG are supported");
    check_refused(b"RIFF\x10\0\0\0WEBPVP8 ", "the file is image/webp, but only JPEG and PNG are supported");
}

#[test]
fn flipped_header_bytes_never_pass_as_the_same_picture() {
    let drawn = drawn(48, 32);
    let png = encode(&drawn, Codec::Png);
    // Signature, IHDR with its checksum, and the length of the next chunk.
    for at in 0..PNG_START.len() + 25 + 4 {
        let mut bytes = png.clone();
        bytes[at] ^= 0xFF;
        check_refused_somehow(&bytes);
    }
    let jpeg = encode(&drawn, Codec::Jpeg);
    for at in 0..JPEG_START.len() {
        let mut bytes = jpeg.clone();
        bytes[at] ^= 0xFF;
        check_refused_somehow(&bytes);
    }
    let frame = jpeg.windows(2).position(|pair| pair == b"\xFF\xC0").unwrap();
    for at in [frame, frame + 1, frame + 4, frame + 9] {
        let mut bytes = jpeg.clone();
        bytes[at] ^= 0xFF;
        check_refused_somehow(&bytes);
    }
}

#[test]
fn damage_anywhere_is_an_error_or_a_picture_but_never_a_panic() {
    let drawn = drawn(24, 24);
    for bytes in [encode(&drawn, Codec::Jpeg), encode(&drawn, Codec::Png)] {
        for at in 0..bytes.len() {
            for mask in [0x01, 0x80, 0xFF] {
                let mut damaged = bytes.clone();
                damaged[at] ^= mask;
                if let Err(err) = probe(&damaged) {
                    assert_eq!(err.kind(), ErrorKind::InvalidArgument, "byte {at}");
                }
            }
        }
    }
}

#[test]
fn damaged_pixels_of_a_png_are_refused() {
    let mut bytes = encode(&drawn(48, 32), Codec::Png);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    check_refused_somehow(&bytes);
}

#[test]
fn random_bytes_within_a_scan_are_found() {
    let mut files = vec![encode(&drawn(320, 200), Codec::Jpeg)];
    files.extend(sample("coco/000000000785.jpg"));
    for whole in files {
        let scan = whole.windows(2).position(|pair| pair == b"\xFF\xDA").unwrap() + 14;
        let starts = positions(50, whole.len() - scan - 1026);
        let passed = starts.into_iter().filter(|start| {
            let mut damaged = whole.clone();
            let noise = positions(1024, 256).into_iter().map(|byte| u8::try_from(byte).unwrap());
            damaged.splice(scan + start..scan + start + 1024, noise);
            probe(&damaged).is_ok()
        });
        assert_eq!(passed.count(), 0);
    }
}

#[test]
fn markers_that_cannot_be_there_are_named() {
    let jpeg = encode(&drawn(16, 16), Codec::Jpeg);
    let end = jpeg.len() - 2;
    let with = |marker: &[u8]| [&jpeg[..end], marker, &jpeg[end..]].concat();
    let refused = |marker: &[u8], cause: &str| {
        check_refused(&with(marker), &format!("the JPEG file is truncated or corrupt: {cause}"));
    };
    refused(b"\xFF\xD8", "another image begins before the end of this one");
    refused(b"\xFF\x02", "it has the unknown marker FF02");
    refused(b"\xFF\xE1\xFF\xFF", "it has no end-of-image marker");
    refused(b"\xFF\xE1\x00\x01", "it has a segment without a length");
    for harmless in [&b"\xFF\xD0"[..], b"\xFF\x00", b"\xFF\xFF\xFF", b"\0\0", b"\xFF\xFE\x00\x04hi"] {
        check(&with(harmless), ImageFormat::Jpeg, 16, 16);
    }
}

#[test]
fn any_size_is_taken_but_none() {
    check(&png(2_000_000, 1, b"x"), ImageFormat::Png, 2_000_000, 1);
    let refused = |bytes: &[u8], cause: &str| {
        check_refused(bytes, &format!("the PNG file is truncated or corrupt: {cause}"));
    };
    refused(&png(0, 5, b"x"), "its size is 0 x 5 px");
    refused(&png(5, 5, b""), "it has no pixels");

    let mut jpeg = encode(&drawn(16, 16), Codec::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == b"\xFF\xC0").unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xFF; 4]);
    check(&jpeg, ImageFormat::Jpeg, 65_535, 65_535);
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0; 4]);
    check_refused_somehow(&jpeg);
}

#[test]
fn formats_know_their_names() {
    assert_eq!((ImageFormat::Jpeg.extension(), ImageFormat::Jpeg.media_type()), ("jpg", "image/jpeg"));
    assert_eq!((ImageFormat::Png.extension(), ImageFormat::Png.media_type()), ("png", "image/png"));
}
