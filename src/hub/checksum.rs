//! Hashes of files.

use std::{fmt::Write, fs::File, io, path::Path};

use sha2::Digest;

/// The bytes of the hash that `hash` makes of what it has and the file at `path`.
pub(super) async fn of<D>(path: &Path, mut hash: D) -> io::Result<Vec<u8>>
where
    D: Digest + io::Write + Send + 'static,
{
    let path = path.to_owned();
    let hashed = tokio::task::spawn_blocking(move || {
        io::copy(&mut File::open(path)?, &mut hash)?;
        Ok(hash.finalize().to_vec())
    });
    hashed.await.map_err(io::Error::other)?
}

/// Hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
