use super::*;

#[test]
fn kinds_are_told_by_their_first_bytes() {
    let cases: &[(&[u8], Option<&str>)] = &[
        (b"\xFF\xD8\xFF\xE0", Some("jpg")),
        (b"\x89PNG\r\n\x1A\n", Some("png")),
        (b"GIF87a", Some("gif")),
        (b"GIF89a", Some("gif")),
        (b"RIFF\0\0\0\0WEBPVP8L", Some("webp")),
        (b"RIFF\0\0\0\0WAVEfmt ", Some("wav")),
        (b"RF64\xFF\xFF\xFF\xFFWAVEds64", Some("wav")),
        (b"RIFF\0\0\0\0AVI LIST", None),
        (b"BM\x86\0\0\0\0\0\0\0\x3E\0\0\0", Some("bmp")),
        (b"BMW is a make of cars", None),
        (b"II*\0\x08\0\0\0", Some("tiff")),
        (b"MM\0*\0\0\0\x08", Some("tiff")),
        (b"II+\0\x08\0\0\0", Some("tiff")),
        (b"\0\0\0\x20ftypisom", Some("mp4")),
        (b"\0\0\0\x18ftypmp42", Some("mp4")),
        (b"\0\0\0\x18ftypM4V ", Some("m4v")),
        (b"\0\0\0\x14ftypqt  ", Some("mov")),
        (b"\0\0\0\x08wide\0\0\x12\x34mdat", Some("mov")),
        (b"\0\0\x12\x34moov\0\0\0\x6Cmvhd", Some("mov")),
        (b"the mdat and the moov", None),
        (b"\0\0\0\x18ftyp3gp4", Some("3gp")),
        (b"\0\0\0\x18ftypM4A ", Some("m4a")),
        (b"\0\0\0\x18ftypM4B ", Some("m4a")),
        (b"\0\0\0\x18ftypavif", Some("avif")),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avifmiaf", Some("avif")),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", Some("heif")),
        (b"\0\0\0\x18ftypheic", Some("heic")),
        (b"\0\0\0\x18ftypcrx ", None),
        (b"\0\0\0\x14ftypjp2 ", None),
        (
            b"\x1A\x45\xDF\xA3\x9F\x42\x86\x81\x01\x42\xF7\x81\x01\x42\xF2\x81\x04\x42\xF3\x81\x08\x42\x82\x84webm",
            Some("webm"),
        ),
        (b"\x1A\x45\xDF\xA3\xA3\x42\x86\x81\x01", Some("mkv")),
        (b"ID3\x04", Some("mp3")),
        (b"\xFF\xFB\x90\x64", Some("mp3")),
        (b"\xFF\xF1\x50\x80", None),
        (b"fLaC\0", Some("flac")),
        (b"OggS\0", Some("ogg")),
        (b"", None),
        (b"RIFF", None),
        (b"plain text", None),
    ];
    for (bytes, extension) in cases {
        assert_eq!(sniff(bytes).map(|kind| kind.extension), *extension, "{}", bytes.escape_ascii());
    }
}
