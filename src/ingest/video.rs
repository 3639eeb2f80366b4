//! Video clips: fragmented MP4 files as assets, and the tables of [`clips`](super::clips).

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write},
    path::Path,
};

use super::{
    assets::Assets,
    clips::{CLIP, Described, Rows},
    load::Loaded,
    name::split_in,
    source::Files,
    work::Work,
};
use crate::{
    error::{Context, Error, Result},
    media::video::{self, Clip},
};

/// Fragments the clips and loads their tables.
///
/// # Errors
/// `InvalidArgument`, with the file, for a clip that cannot be fragmented.
pub async fn load(work: &Work<'_>, files: &Files, assets: &Assets) -> Result<Loaded> {
    work.progress.phase("fragment clips", "clips", Some(files.data.len() as u64));
    let mut rows = Rows::create(work.spool, false)?;
    for file in &files.data {
        work.progress.check()?;
        let name = &file.name;
        let (source, target) = (file.path()?.to_owned(), work.spool.join("clip.mp4"));
        let clip = {
            let target = target.clone();
            tokio::task::spawn_blocking(move || fragment(&source, &target)).await
        };
        let clip = clip.unwrap_or_else(|_| Err(Error::invalid("fragment video: the reader gave up")));
        let clip = clip.context(|| format!("read \"{name}\""))?;
        let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let uri = assets.put_file(CLIP, &format!("{stem}.mp4"), &target).await?;
        let folder = Path::new(name).parent().unwrap_or(Path::new("")).to_string_lossy();
        let split = file.split.as_deref().or(work.request.split.as_deref()).or_else(|| split_in(&folder));
        rows.clip(&Described { uri: &uri, source: name, split, clip: &clip, statistics: None })?;
        work.progress.advance(1);
    }
    rows.load(work).await
}

/// Writes the clip `source` to `target` as fragmented MP4. Blocks.
///
/// # Errors
/// `InvalidArgument` for a clip that cannot be fragmented; errors of the disk.
pub(super) fn fragment(source: &Path, target: &Path) -> Result<Clip> {
    let mut output = BufWriter::new(File::create(target)?);
    let clip = video::fragment(&mut BufReader::new(File::open(source)?), &mut output)?;
    output.flush()?;
    Ok(clip)
}
