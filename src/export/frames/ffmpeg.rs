//! Videos as WebP images, by the program ffmpeg.

use std::{ffi::OsString, io, path::Path, process::Stdio};

use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    process::Command,
};

use super::super::request::FrameSettings;
use crate::{
    error::{Context, Error, Result},
    media,
};

/// The demuxers that may read a video: none of them opens other files or addresses.
const FORMATS: &str = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,gif,h264,hevc,ivf,av1";
/// The number of pixels up to which a frame is decoded: 16,384 × 8,192.
const MAX_PIXELS: &str = "134217728";
/// The largest image that is taken.
const MAX_FRAME_BYTES: u64 = 256 << 20;
/// How much of what ffmpeg says is passed on.
const MAX_SAID_BYTES: usize = 500;
/// A mark that each frame gets, without which no time of it is printed.
const MARK: &str = "merganser";

/// The frames of a video as WebP images, one after the other in a file that has no name.
#[derive(Debug)]
pub struct Frames {
    /// The images.
    pub file: File,
    /// The size of each, in bytes.
    pub sizes: Vec<usize>,
    /// When each is shown, in microseconds; `None` if the video does not say so.
    pub times: Vec<Option<i64>>,
    /// The width of all, in pixels.
    pub width: u32,
    /// The height of all, in pixels.
    pub height: u32,
}

/// What ffmpeg wrote to its standard error.
#[derive(Default)]
struct Said {
    times: Vec<Option<i64>>,
    text: String,
}

/// Decodes all frames of the file `video`, with temporary files in `staging`. Returns why there are none for a video that
/// cannot be decoded to its end.
///
/// # Errors
/// `FailedPrecondition` if there is no ffmpeg, or if it cannot write WebP; errors of the disk.
pub async fn decode(video: &Path, settings: &FrameSettings, staging: &Path) -> Result<Result<Frames, String>> {
    let mut running = command(video, settings).spawn().map_err(|err| match err.kind() {
        io::ErrorKind::NotFound => {
            Error::precondition("lance_frames needs the program ffmpeg on the server's machine: install it there")
        }
        _ => Error::from(err).context("start ffmpeg"),
    })?;
    let (Some(output), Some(errors)) = (running.stdout.take(), running.stderr.take()) else {
        return Err(Error::internal("ffmpeg has no pipes"));
    };
    let file = File::from_std(tempfile::tempfile_in(staging)?);
    let (images, said) = tokio::join!(Images::read(output, file), Said::read(errors));
    // An error here is the disk's, and not the video's.
    let (images, said) = (images?, said?);
    let status = running.wait().await?;
    if said.text.contains("Unknown encoder") {
        return Err(Error::precondition("lance_frames needs an ffmpeg with libwebp on the server's machine"));
    }
    if !status.success() {
        return Ok(Err(if said.text.is_empty() { format!("ffmpeg ended with {status}") } else { said.text }));
    }
    Ok(images.and_then(|images| images.with_times(said.times)))
}

fn command(video: &Path, settings: &FrameSettings) -> Command {
    let scale = settings.resize.map(|side| {
        format!("scale='min({side},iw)':'min({side},ih)':force_original_aspect_ratio=decrease:flags=bicubic,")
    });
    // WebP has one conversion to RGB, and videos have several.
    let filter = format!(
        "{}format=bgra,settb=AVTB,metadata=add:key={MARK}:value=1,metadata=print:key={MARK}:file='pipe\\:2':direct=1",
        scale.unwrap_or_default()
    );
    // It is called by its name alone, because where it lies concerns nobody who reads an error.
    let mut input = OsString::from("file:");
    input.push(video.file_name().unwrap_or_default());
    let mut command = Command::new("ffmpeg");
    command
        .current_dir(video.parent().unwrap_or(video))
        .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-xerror"])
        .args(["-protocol_whitelist", "file", "-format_whitelist", FORMATS, "-max_pixels", MAX_PIXELS])
        .args(["-threads", "1", "-i"])
        .arg(input)
        .args(["-map", "0:v:0", "-fps_mode", "passthrough", "-vf", &filter, "-threads", "1"])
        .args(["-c:v", "libwebp", "-quality", &settings.quality.to_string(), "-f", "image2pipe", "pipe:1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Images that arrived.
struct Images {
    file: File,
    sizes: Vec<usize>,
    width: u32,
    height: u32,
}

// === impl Images ===

impl Images {
    /// Copies images to `file`, or tells why the output is not images.
    async fn read(output: impl AsyncRead + Unpin, file: File) -> Result<Result<Self, String>> {
        let mut output = BufReader::new(output);
        let mut images = Self { file, sizes: Vec::new(), width: 0, height: 0 };
        let mut image = Vec::new();
        loop {
            match next_image(&mut output, &mut image).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(err) => return Ok(Err(format!("ffmpeg wrote no images: {err}"))),
            }
            if images.sizes.is_empty() {
                let size = media::facts::facts(&image).ok().map(|facts| (facts.width, facts.height));
                let Some((Some(width), Some(height))) = size else { return Ok(Err("an image has no size".to_owned())) };
                (images.width, images.height) = (width, height);
            }
            images.file.write_all(&image).await.context(|| "write frames to the staging folder")?;
            images.sizes.push(image.len());
        }
        images.file.flush().await.context(|| "write frames to the staging folder")?;
        Ok(Ok(images))
    }

    fn with_times(self, mut times: Vec<Option<i64>>) -> Result<Frames, String> {
        let Self { file, sizes, width, height } = self;
        if sizes.is_empty() {
            return Err("it has no frames".to_owned());
        }
        times.resize(sizes.len(), None);
        Ok(Frames { file, sizes, times, width, height })
    }
}

/// Reads the next image into `image`; `false` at the end.
async fn next_image(output: &mut (impl AsyncBufReadExt + Unpin), image: &mut Vec<u8>) -> io::Result<bool> {
    if output.fill_buf().await?.is_empty() {
        return Ok(false);
    }
    // RIFF, and the size of what follows it, padded to an even number.
    let mut head = [0; 8];
    output.read_exact(&mut head).await?;
    let [b'R', b'I', b'F', b'F', size @ ..] = head else { return Err(io::ErrorKind::InvalidData.into()) };
    let size = u64::from(u32::from_le_bytes(size)).next_multiple_of(2);
    if size > MAX_FRAME_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    image.clear();
    image.extend_from_slice(&head);
    if output.take(size).read_to_end(image).await? as u64 == size {
        Ok(true)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

// === impl Said ===

impl Said {
    /// Reads the times of frames, and what else is said.
    async fn read(errors: impl AsyncRead + Unpin) -> io::Result<Self> {
        let (mut errors, mut line, mut said) = (BufReader::new(errors), Vec::new(), Self::default());
        while errors.read_until(b'\n', &mut line).await? > 0 {
            said.add(String::from_utf8_lossy(&line).trim());
            line.clear();
        }
        Ok(said)
    }

    fn add(&mut self, line: &str) {
        if let Some((frame, time)) = time_of(line) {
            // Frames come in their order.
            self.times.resize(frame, None);
            self.times.push(time);
        } else if !line.starts_with(MARK) && !line.is_empty() && self.text.len() < MAX_SAID_BYTES {
            let separator = if self.text.is_empty() { "" } else { "; " };
            self.text.push_str(separator);
            self.text.extend(line.chars().take(MAX_SAID_BYTES));
        }
    }
}

/// The number and the time of a frame, from a line such as `frame:2    pts:80000   pts_time:0.08`.
fn time_of(line: &str) -> Option<(usize, Option<i64>)> {
    let (frame, rest) = line.strip_prefix("frame:")?.split_once(' ')?;
    let time = rest.trim_start().strip_prefix("pts:")?.split_whitespace().next()?;
    Some((frame.parse().ok()?, time.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(time_of("frame:2    pts:80000   pts_time:0.08"), Some((2, Some(80_000))));
        assert_eq!(time_of("frame:12   pts:NOPTS   pts_time:NOPTS"), Some((12, None)));
        assert_eq!(time_of("[h264 @ 0x1] frame:1 pts:2"), None);
        let mut said = Said::default();
        for line in ["frame:0    pts:-40000  pts_time:-0.04", "merganser=1", "frame:2 pts:0 pts_time:0", "a", "", "b"] {
            said.add(line);
        }
        assert_eq!((said.times, said.text.as_str()), (vec![Some(-40_000), None, Some(0)], "a; b"));
    }
}
