use std::io::Cursor;
use std::num::NonZeroU32;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::error::ErrorKind;
use crate::media::boxes::build;

/// A generated file. Frames are 100 ticks of 1/1000 s, audio packets 50 of 1/500 s.
#[derive(Clone)]
struct Source {
    /// Size, composition offset, and whether it is a sync sample.
    frames: Vec<(u32, i32, bool)>,
    /// The number of samples of each chunk; a chunk of audio follows each chunk of video.
    frames_per_chunk: u32,
    audio: bool,
    moov_first: bool,
    long_offsets: bool,
    media_time: Option<i32>,
    entry: [u8; 4],
}

/// Two groups of pictures of four frames with reordering: shown 0 2 1 3.
fn source() -> Source {
    let group = [(9, 100, true), (5, 200, false), (3, 0, false), (4, 100, false)];
    Source {
        frames: [group, group].concat(),
        frames_per_chunk: 3,
        audio: false,
        moov_first: true,
        long_offsets: false,
        media_time: Some(100),
        entry: *b"avc1",
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn table(kind: [u8; 4], n_entries: usize, fields: &[u32]) -> Vec<u8> {
    build(kind, &[&words(&[0, u32::try_from(n_entries).unwrap()]), &words(fields)])
}

fn video_entry(kind: [u8; 4]) -> Vec<u8> {
    let configuration: &[u8] = &[1, 0x64, 0, 0x1E, 0xFF, 0xE0, 0];
    let configuration = match &kind {
        b"hvc1" => build(*b"hvcC", &[&[1, 0x22, 0x20, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93, 0xF0]]),
        _ => build(*b"avcC", &[configuration]),
    };
    build(kind, &[&[0; 24], &[0, 64, 0, 48], &[0; 50], &configuration])
}

fn trak(id: u32, handler: [u8; 4], timescale: u32, edit: Option<i32>, stbl: &[&[u8]]) -> Vec<u8> {
    let tkhd = build(*b"tkhd", &[&words(&[1, 0, 0, id, 0, 9999]), &[0; 60]]);
    let mdhd = build(*b"mdhd", &[&words(&[0, 0, 0, timescale, 9999, 0])]);
    let hdlr = build(*b"hdlr", &[&[0; 8], &handler, &[0; 13]]);
    let edts = edit
        .map_or_else(Vec::new, |time| build(*b"edts", &[&table(*b"elst", 1, &[0, time.cast_unsigned(), 0x1_0000])]));
    let minf = build(*b"minf", &[&build(*b"vmhd", &[&[0; 12]]), &build(*b"stbl", stbl)]);
    build(*b"trak", &[&tkhd, &edts, &build(*b"mdia", &[&mdhd, &hdlr, &minf])])
}

impl Source {
    fn bytes(&self) -> Vec<u8> {
        let ftyp = build(*b"ftyp", &[b"isom", &[0; 4], b"isom"]);
        // The length of moov does not depend on the offsets.
        let moov_length = self.moov(0).0.len();
        let data_start = ftyp.len() + 8 + if self.moov_first { moov_length } else { 0 };
        let (moov, data) = self.moov(u32::try_from(data_start).unwrap());
        let mdat = build(*b"mdat", &[&data]);
        if self.moov_first { [ftyp, moov, mdat].concat() } else { [ftyp, mdat, moov].concat() }
    }

    #[expect(clippy::similar_names, reason = "the boxes of MP4 have similar names")]
    fn moov(&self, data_start: u32) -> (Vec<u8>, Vec<u8>) {
        let (mut data, mut chunks, mut audio_chunks) = (Vec::new(), Vec::new(), Vec::new());
        for (index, frames) in self.frames.chunks(self.frames_per_chunk as usize).enumerate() {
            chunks.push(data_start + u32::try_from(data.len()).unwrap());
            for (size, ..) in frames {
                data.extend(std::iter::repeat_n(b'A' + u8::try_from(index).unwrap(), *size as usize));
            }
            audio_chunks.push(data_start + u32::try_from(data.len()).unwrap());
            let n_bytes = if self.audio { 2 * frames.len() } else { 0 };
            data.extend(std::iter::repeat_n(b'a' + u8::try_from(index).unwrap(), n_bytes));
        }
        let count = self.frames.len();
        let n_frames = u32::try_from(count).unwrap();
        let stsd = |entry: &[u8]| build(*b"stsd", &[&words(&[0, 1]), entry]);
        let stsc = table(*b"stsc", 1, &[1, self.frames_per_chunk, 1]);
        let offsets = |chunks: &[u32]| {
            if self.long_offsets {
                let long: Vec<u32> = chunks.iter().flat_map(|chunk| [0, *chunk]).collect();
                return table(*b"co64", chunks.len(), &long);
            }
            table(*b"stco", chunks.len(), chunks)
        };
        let sizes: Vec<u32> = self.frames.iter().map(|(size, ..)| *size).collect();
        let stsz = build(*b"stsz", &[&words(&[0, 0, n_frames]), &words(&sizes)]);
        let numbered = (1..).zip(&self.frames);
        let sync: Vec<u32> = numbered.filter(|(_, frame)| frame.2).map(|(number, _)| number).collect();
        let stss = if sync.len() == count { Vec::new() } else { table(*b"stss", sync.len(), &sync) };
        let ctts: Vec<u32> = self.frames.iter().flat_map(|frame| [1, frame.1.cast_unsigned()]).collect();
        let ctts = table(*b"ctts", count, &ctts);
        let stts = table(*b"stts", 1, &[n_frames, 100]);
        let entry = stsd(&video_entry(self.entry));
        let mut traks =
            trak(7, *b"vide", 1000, self.media_time, &[&entry, &stts, &ctts, &stss, &stsc, &offsets(&chunks), &stsz]);
        if self.audio {
            let entry = stsd(&build(*b"mp4a", &[&[0; 28]]));
            let stts = table(*b"stts", 1, &[n_frames, 50]);
            let stsz = build(*b"stsz", &[&words(&[0, 2, n_frames])]);
            traks.extend(trak(8, *b"soun", 500, None, &[&entry, &stts, &stsc, &offsets(&audio_chunks), &stsz]));
        }
        let mvhd = build(*b"mvhd", &[&words(&[0, 0, 0, 600, 9999]), &[0; 80]]);
        (build(*b"moov", &[&mvhd, &traks]), data)
    }
}

fn run(bytes: &[u8]) -> Result<(Clip, Vec<u8>)> {
    let mut output = Vec::new();
    let clip = fragment(&mut Cursor::new(bytes), &mut output)?;
    Ok((clip, output))
}

#[track_caller]
fn check_fails(bytes: &[u8], text: &str) {
    let err = run(bytes).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidArgument, "{err}");
    assert!(err.message().starts_with("fragment video: ") && err.message().contains(text), "{err}");
}

/// Replaces the bytes from `skip` bytes after the first occurrence of `marker` on.
fn patch(source: &Source, marker: &[u8], skip: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = source.bytes();
    let at = bytes.windows(marker.len()).position(|window| window == marker).unwrap() + skip;
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

/// The sample data of a fragment.
fn data_of(output: &[u8], fragment: &Fragment) -> String {
    let start = usize::try_from(fragment.byte_offset).unwrap();
    let bytes = &output[start..start + usize::try_from(fragment.byte_length).unwrap()];
    let mdat = bytes.windows(4).position(|window| window == b"mdat").unwrap() + 4;
    String::from_utf8(bytes[mdat..].to_vec()).unwrap()
}

fn ranges(clip: &Clip) -> Vec<(u64, u64, f64, f64)> {
    let range = |part: &Fragment| (part.start_frame, part.end_frame, part.start_time, part.end_time);
    clip.fragments.iter().map(range).collect()
}

#[test]
fn a_fragment_is_a_group_of_pictures() {
    let (clip, output) = run(&source().bytes()).unwrap();
    assert_eq!(ranges(&clip), [(0, 3, 0.0, 0.4), (4, 7, 0.4, 0.8)]);
    assert_eq!((clip.codec.as_str(), clip.width, clip.height), ("avc1.64001e", 64, 48));
    assert_eq!((clip.n_frames, clip.hidden_frames, clip.has_audio), (8, 0, false));
    assert!((clip.frame_rate - 10.0).abs() < 1e-9, "{}", clip.frame_rate);
    assert_eq!(clip.byte_length, output.len() as u64);
    assert_eq!(data_of(&output, &clip.fragments[0]), "AAAAAAAAAAAAAAAAABBBB");
    assert_eq!(data_of(&output, &clip.fragments[1]), "BBBBBBBBBBBBBBCCCCCCC");
}

#[test]
fn the_layout_of_the_source_does_not_matter() {
    let expected = run(&source().bytes()).unwrap().0;
    for (moov_first, long_offsets, frames_per_chunk) in [(false, false, 3), (true, true, 1), (false, true, 8)] {
        let clip = run(&Source { frames_per_chunk, moov_first, long_offsets, ..source() }.bytes()).unwrap().0;
        assert_eq!(ranges(&clip), ranges(&expected));
    }
}

#[test]
fn the_output_is_reproduced_byte_for_byte() {
    for audio in [false, true] {
        let (clip, output) = run(&Source { audio, ..source() }.bytes()).unwrap();
        let (again, output_again) = run(&output).unwrap();
        assert_eq!(again, clip);
        assert!(output_again == output);
        assert_eq!(index(&mut Cursor::new(&output)).unwrap(), clip);
    }
}

#[test]
fn audio_is_in_the_fragment_of_its_time() {
    let source = Source { audio: true, ..source() };
    let (clip, output) = run(&source.bytes()).unwrap();
    assert!(clip.has_audio);
    // Packets and frames are equally long, and the video begins at 0 by its edit list.
    assert_eq!(data_of(&output, &clip.fragments[0]), "AAAAAAAAAAAAAAAAABBBBaaaaaabb");
    assert_eq!(data_of(&output, &clip.fragments[1]), "BBBBBBBBBBBBBBCCCCCCCbbbbcccc");
    // Without the edit list the video begins at 0.1 s, and the first audio packet is played before it.
    let (clip, output) = run(&Source { media_time: None, ..source }.bytes()).unwrap();
    assert_eq!(data_of(&output, &clip.fragments[0]), "AAAAAAAAAAAAAAAAABBBBaaaaaabbbb");
    assert_eq!(ranges(&clip), [(0, 3, 0.0, 0.4), (4, 7, 0.4, 0.8)]);
}

#[test]
fn hidden_frames_are_counted() {
    let clip = run(&Source { media_time: Some(300), ..source() }.bytes()).unwrap().0;
    assert_eq!((clip.hidden_frames, clip.n_frames), (2, 8));
    assert_eq!(ranges(&clip), [(0, 3, 0.0, 0.4), (4, 7, 0.4, 0.8)]);
}

#[test]
fn negative_composition_offsets_do_not_change_the_times() {
    let mut source = source();
    for frame in &mut source.frames {
        frame.1 -= 100;
    }
    let (clip, output) = run(&Source { media_time: None, ..source }.bytes()).unwrap();
    assert_eq!(ranges(&clip), [(0, 3, 0.0, 0.4), (4, 7, 0.4, 0.8)]);
    assert_eq!(run(&output).unwrap().0, clip);
}

#[test]
fn an_open_group_of_pictures_does_not_begin_a_fragment() {
    let mut source = source();
    // A frame after the second sync sample is shown before it.
    source.frames[4].1 = 300;
    source.frames[5].1 = 0;
    let clip = run(&source.bytes()).unwrap().0;
    assert_eq!(ranges(&clip), [(0, 7, 0.0, 0.8)]);
}

#[test]
fn sync_frames_only_are_grouped_by_the_second() {
    let clip = run(&Source { frames: vec![(2, 0, true); 25], ..source() }.bytes()).unwrap().0;
    assert_eq!(ranges(&clip), [(0, 9, 0.0, 1.0), (10, 19, 1.0, 2.0), (20, 24, 2.0, 2.5)]);
}

#[test]
fn h265_has_its_profile_in_the_codec() {
    let clip = run(&Source { entry: *b"hvc1", ..source() }.bytes()).unwrap().0;
    assert_eq!(clip.codec, "hvc1.2.4.H93.90");
}

#[test]
fn jpegs_are_stored_as_they_are() {
    let jpeg = |value: u8| {
        let mut bytes = Vec::new();
        let image = image::RgbImage::from_pixel(16, 8, image::Rgb([value; 3]));
        image::codecs::jpeg::JpegEncoder::new(&mut bytes).encode_image(&image).unwrap();
        bytes
    };
    let options = FrameOptions {
        frame_rate: (NonZeroU32::new(25).unwrap(), NonZeroU32::MIN),
        frames_per_fragment: NonZeroU32::new(2).unwrap(),
    };
    let frames: Vec<Vec<u8>> = (0..5).map(|value| jpeg(value * 50)).collect();
    let mut output = Vec::new();
    let clip = of_jpegs(frames.iter().cloned().map(Ok), options, &mut output).unwrap();
    assert_eq!(ranges(&clip), [(0, 1, 0.0, 0.08), (2, 3, 0.08, 0.16), (4, 4, 0.16, 0.2)]);
    assert_eq!((clip.codec.as_str(), clip.width, clip.height), ("mjpeg", 16, 8));
    for frame in &frames {
        assert!(output.windows(frame.len()).any(|window| window == frame));
    }
    assert_eq!(index(&mut Cursor::new(&output)).unwrap(), clip);
    assert!(run(&output).unwrap() == (clip, output));

    let fails = |frames: Vec<Result<Vec<u8>>>, text: &str| {
        let message = of_jpegs(frames, options, &mut Vec::new()).unwrap_err().message().to_owned();
        assert!(message.contains(text), "{message}");
    };
    fails(vec![], "there are none");
    fails(vec![Ok(b"GIF89a".to_vec())], "write frame 0: the file is not a valid JPEG");
    fails(vec![Ok(jpeg(1)), Ok(vec![])], "write frame 1: the file is not a valid JPEG");
    fails(vec![Ok(jpeg(1)), Err(Error::not_found("no frame 2"))], "no frame 2");
    fails(vec![Err(Error::not_found("no frame 1"))], "no frame 1");
}

#[test]
fn an_index_needs_independent_fragments() {
    let err = index(&mut Cursor::new(source().bytes())).unwrap_err();
    assert_eq!(err.message(), "index video: the file has no fragments");
}

#[test]
fn files_that_are_not_movies_are_refused() {
    check_fails(b"", "the file is empty");
    check_fails(b"\0\0", "it has no \"moov\" box");
    check_fails(b"RIFF....WAVE", "the \"....\" box has 1380533830 bytes, but only 12 are left");
    check_fails(&build(*b"ftyp", &[b"isom"]), "it has no \"moov\" box");
    check_fails(&build(*b"moof", &[]), "a \"moof\" box comes before the \"moov\" box");
    check_fails(&[0, 0, 0, 3, 0, 0, 0, 0], "impossible length 3");
    check_fails(&[0, 0, 0, 1, 0, 0, 0, 0], "too short");
    check_fails(&[&[0, 0, 0, 1, 0, 0, 0, 0][..], &[0xFF; 8]].concat(), "has 18446744073709551615 bytes");
    check_fails(&build(*b"moov", &[]), "the \"moov\" box has no \"mvhd\" box");
}

#[test]
fn damaged_movies_are_refused() {
    let check = |marker: &[u8; 4], skip: usize, with: &[u8], text: &str| {
        check_fails(&patch(&source(), marker, skip, with), text);
    };
    check(b"stbl", 0, b"xxxx", "the \"minf\" box has no \"stbl\" box");
    check(b"vide", 0, b"text", "the file has no video track");
    check(b"vide", 0, b"soun", "the file has no video track");
    check(b"avc1", 0, b"encv", "the video is encrypted");
    check(b"avcC", 0, b"xxxx", "the sample entry \"avc1\" has no \"avcC\" box");
    check(b"avc1", 28, &[0; 2], "no width or height");
    check(b"mdhd", 16, &[0; 4], "a timescale is 0");
    check(b"stts", 8, &[0xFF; 4], "the \"stts\" box claims 4294967295 entries, but has 1");
    check(b"stts", 12, &[0, 0, 0, 2], "the \"stts\" box covers fewer samples");
    check(b"ctts", 12, &[0, 0, 0, 0], "the \"ctts\" box covers fewer samples");
    check(b"stsz", 0, b"stz2", "compact sample sizes");
    check(b"stsz", 8, &[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF], "the \"stts\" box covers fewer samples");
    check(b"stsz", 8, &[0, 0, 0, 1, 0, 0, 0, 0], "the video track has no frames");
    check(b"stsz", 12, &[0xFF; 4], "the \"stsz\" box claims 4294967295 entries, but has 8");
    check(b"stsz", 16, &[0xFF; 4], "ends outside of its");
    check(b"stsz", 16, &[0; 4], "a frame has no bytes");
    check(b"stsc", 16, &[0; 4], "the chunks (stsc and stco) hold 0 samples, but stsz 8");
    check(b"stsc", 8, &[0; 4], "the \"stsc\" box is empty");
    check(b"stsc", 20, &[0; 4], "no sample description 0");
    check(b"stco", 8, &[0, 0, 0, 1], "hold 3 samples, but stsz 8");
    check(b"stco", 12, &[0xFF; 4], "ends outside of its");
    check(b"stss", 8, &[0; 4], "no frame of the video is a sync sample");
    check(b"stss", 12, &[0, 0, 0, 2], "the first frame is no sync sample");
    check(b"stss", 12, &[0; 4], "stss names sample 0 of 8");
    check(b"stss", 12, &[0, 0, 0, 9], "stss names sample 9 of 8");
}

#[test]
fn samples_may_not_overlap() {
    // Tables of a few bytes could make a file of terabytes otherwise.
    let mut bytes =
        patch(&Source { frames: vec![(60, 0, true); 9], frames_per_chunk: 1, ..source() }, b"stco", 0, b"stco");
    let at = bytes.windows(4).position(|window| window == b"stco").unwrap() + 12;
    let first = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    for chunk in 0..9 {
        bytes[at + 4 * chunk..][..4].copy_from_slice(&first);
    }
    assert!(run(&bytes).is_ok());
    let sizes = bytes.windows(4).position(|window| window == b"stsz").unwrap() + 16;
    for frame in 0..9 {
        bytes[sizes + 4 * frame..][..4].copy_from_slice(&[0, 0, 1, 0x80]);
    }
    check_fails(&bytes, "they overlap");
}

#[test]
fn runs_of_impossible_length_are_refused() {
    let (_, output) = run(&Source { audio: true, ..source() }.bytes()).unwrap();
    let at = output.windows(4).position(|window| window == b"trun").unwrap();
    let check = |skip: usize, with: &[u8], text: &str| {
        let mut bytes = output.clone();
        bytes[at + skip..][..with.len()].copy_from_slice(with);
        check_fails(&bytes, text);
    };
    check(8, &[0xFF; 4], "a \"trun\" box claims 4294967295 samples, but is shorter");
    check(12, &[0x80, 0, 0, 0], "a data offset outside of the file");
    check(12, &[0x7F, 0, 0, 0], "ends outside of its");
    // No fields for each sample, and a default size of 0.
    check(4, &[1, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF], "more samples than the file has bytes");
    check(28, &[0; 4], "a frame has no bytes");
    let tfdt = output.windows(4).position(|window| window == b"tfdt").unwrap();
    let mut bytes = output.clone();
    bytes[tfdt + 8..tfdt + 16].fill(0xFF);
    check_fails(&bytes, "a decode time is impossibly large");
    bytes[tfdt + 8..tfdt + 16].copy_from_slice(&[0, 0, 0, 0, 0, 1, 0, 0]);
    check_fails(&bytes, "the decode times go backwards");
}

/// Whatever happens, it is an error of the input, and an accepted file is one that can be read again.
#[track_caller]
fn check_survives(bytes: &[u8]) {
    match run(bytes) {
        Ok((clip, output)) => assert_eq!(run(&output).unwrap().0.fragments, clip.fragments),
        Err(err) => assert_eq!(err.kind(), ErrorKind::InvalidArgument, "{err}"),
    }
}

#[test]
fn truncated_files_are_refused() {
    let plain = Source { audio: true, ..source() }.bytes();
    let fragmented = run(&plain).unwrap().1;
    for bytes in [plain, fragmented] {
        for length in 0..bytes.len() {
            check_survives(&bytes[..length]);
        }
    }
}

#[test]
fn changed_bytes_do_no_harm() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let plain = Source { audio: true, ..source() }.bytes();
    let fragmented = run(&plain).unwrap().1;
    for bytes in [plain, fragmented] {
        for _ in 0..3000 {
            let mut bytes = bytes.clone();
            for _ in 0..=random.next_u32() % 4 {
                let at = random.next_u32() as usize % bytes.len();
                let [byte, is_extreme, ..] = random.next_u32().to_le_bytes();
                bytes[at] = if is_extreme < 128 { byte } else { byte | 0x80 };
            }
            check_survives(&bytes);
        }
    }
}
