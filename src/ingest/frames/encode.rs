//! Frames as H.264, by the program ffmpeg.

use std::{
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{
    error::{Error, Result},
    media::video::FrameOptions,
};

/// How much of what ffmpeg says is passed on.
const MAX_SAID_BYTES: u64 = 1024;

/// Encodes JPEG or PNG files of one size to the MP4 file `target`, in groups that begin with an IDR frame and have as many
/// frames as `options` says. A width or height that is odd gets another row of black pixels. Blocks.
///
/// # Errors
/// `FailedPrecondition` if there is no ffmpeg, or if it fails; errors of `frames`.
pub fn encode(frames: impl Iterator<Item = Result<Vec<u8>>>, options: FrameOptions, target: &Path) -> Result<()> {
    let mut frames = frames.peekable();
    let is_png = matches!(frames.peek(), Some(Ok(first)) if first.starts_with(b"\x89PNG"));
    let mut said = tempfile::tempfile()?;
    let mut running = Running::start(is_png, options, target, said.try_clone()?)?;
    let written = running.write(frames);
    let outcome = running.wait(written.is_ok())?;
    match written {
        // What ffmpeg did not take, it has a reason for.
        Err(err) if err.is_from_frames => return Err(err.error),
        Ok(()) if outcome => return Ok(()),
        _ => {}
    }
    let mut text = Vec::new();
    let end = said.seek(SeekFrom::End(0))?;
    said.seek(SeekFrom::Start(end.saturating_sub(MAX_SAID_BYTES)))?;
    said.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text).trim().replace(['\n', '\r'], "; ");
    let text = if text.is_empty() { "it does not say why" } else { &text };
    Err(Error::precondition(format!("ffmpeg failed: {text}")))
}

/// An ffmpeg process, which ends with this value.
struct Running(Child);

/// Why frames were not written.
struct Unwritten {
    error: Error,
    is_from_frames: bool,
}

// === impl Running ===

impl Running {
    fn start(is_png: bool, options: FrameOptions, target: &Path, said: File) -> Result<Self> {
        let (numerator, denominator) = options.frame_rate;
        let group = options.frames_per_fragment.to_string();
        let started = Command::new("ffmpeg")
            .args(["-hide_banner", "-loglevel", "error", "-y"])
            .args(["-f", if is_png { "png_pipe" } else { "jpeg_pipe" }])
            .args(["-framerate", &format!("{numerator}/{denominator}"), "-i", "pipe:0"])
            .args(["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-c:v", "libx264", "-pix_fmt", "yuv420p"])
            // Groups of equal size; frames that refer to no later one are stored in the order in which they are shown.
            .args(["-g", &group, "-keyint_min", &group, "-sc_threshold", "0", "-bf", "0", "-f", "mp4"])
            .arg(target)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn();
        started.map(Self).map_err(|err| match err.kind() {
            ErrorKind::NotFound => Error::precondition(
                "encoding needs the program ffmpeg on the server's machine: install it there, or leave out \"encode\"",
            ),
            _ => Error::from(err).context("start ffmpeg"),
        })
    }

    fn write(&mut self, frames: impl Iterator<Item = Result<Vec<u8>>>) -> Result<(), Unwritten> {
        // Dropped at the end, which tells ffmpeg that there are no more.
        let Some(mut input) = self.0.stdin.take() else { return Ok(()) };
        for frame in frames {
            let frame = frame.map_err(|error| Unwritten { error, is_from_frames: true })?;
            input.write_all(&frame).map_err(|err| Unwritten { error: err.into(), is_from_frames: false })?;
        }
        Ok(())
    }

    /// Waits until it ends, if it is to end by itself. Returns whether it succeeded.
    fn wait(mut self, is_complete: bool) -> Result<bool> {
        Ok(is_complete && self.0.wait()?.success())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
