//! Video clips: fragmented MP4 files as assets, a table of the clips, and an index of their fragments.
//!
//! A fragment begins with a frame that decodes without those before it; the first `init_length` bytes of the clip followed
//! by `byte_length` bytes from `byte_offset` on are a playable MP4 file of it. Frames count from 0 and `end_frame` is
//! inclusive; times are seconds from the first frame on, and `end_time` is when the next fragment begins.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    assets::Assets,
    load::{self, Extra, Loaded, Mode},
    source::Files,
    work::Work,
};
use crate::{
    error::{Context, Error, Result},
    lake::commit::Transaction,
    media::video::{self, Clip, Fragment},
    quote::literal,
};

/// The column of the clips, in the paths of assets and as the key of both tables.
const CLIP: &str = "clip";
const CLIP_URI: &str = "clip_uri";
const FRAGMENT_ID: &str = "fragment_id";

/// A table, its columns, and how they are computed from those of the spooled file.
struct Table {
    suffix: &'static str,
    columns: &'static str,
}

const CLIPS: Table = Table {
    suffix: "clips",
    columns: "{clip_uri: 'VARCHAR', file: 'VARCHAR', codec: 'VARCHAR', width: 'BIGINT', height: 'BIGINT', duration: 'DOUBLE', \
              frame_rate: 'DOUBLE', n_frames: 'BIGINT', hidden_frames: 'BIGINT', has_audio: 'BOOLEAN', n_fragments: 'BIGINT', \
              init_length: 'BIGINT', byte_length: 'BIGINT'}",
};

const FRAGMENTS: Table = Table {
    suffix: "fragments",
    columns: "{clip_uri: 'VARCHAR', fragment_id: 'BIGINT', start_frame: 'BIGINT', end_frame: 'BIGINT', start_time: 'DOUBLE', \
              end_time: 'DOUBLE', byte_offset: 'BIGINT', byte_length: 'BIGINT', init_length: 'BIGINT', n_frames: 'BIGINT', \
              codec: 'VARCHAR', sha256: 'VARCHAR', n_objects: 'BIGINT', n_tracks: 'BIGINT', classes: 'MAP(VARCHAR, BIGINT)'}",
};

/// Fragments the clips and loads their tables.
///
/// # Errors
/// `InvalidArgument`, with the file, for a clip that cannot be fragmented.
pub async fn load(work: &Work<'_>, files: &Files, assets: &Assets) -> Result<Loaded> {
    work.progress.phase("fragment clips", "clips", Some(files.data.len() as u64));
    let mut rows = Rows::create(work.spool)?;
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
        rows.write(&uri, name, &clip)?;
        work.progress.advance(1);
    }
    load_tables(work, rows.finish()?).await
}

fn fragment(source: &Path, target: &Path) -> Result<Clip> {
    let mut output = BufWriter::new(File::create(target)?);
    let clip = video::fragment(&mut BufReader::new(File::open(source)?), &mut output)?;
    output.flush()?;
    Ok(clip)
}

async fn load_tables(work: &Work<'_>, spooled: [(Table, PathBuf); 2]) -> Result<Loaded> {
    work.progress.phase("load tables", "tables", Some(spooled.len() as u64));
    let (mode, prefix, landing) = (work.request.mode.clone(), work.table.clone(), work.landing.time().to_owned());
    let progress = work.progress.clone();
    let load = move |transaction: &mut Transaction<'_>| {
        let mut tables = Vec::new();
        for (table, file) in &spooled {
            let name = prefix.with_suffix(table.suffix);
            let loaded =
                load::load(transaction, &name, &query(file, table), &table.mode(&mode), Extra::landing(&landing));
            tables.push(loaded.map_err(|err| err.context(format_args!("load {name}")))?);
            progress.advance(1);
        }
        Ok(tables)
    };
    work.commit(load).await
}

fn query(file: &Path, table: &Table) -> String {
    let (file, columns) = (literal(&file.display().to_string()), table.columns);
    format!("FROM read_json({file}, format = 'newline_delimited', columns = {columns})")
}

// === impl Table ===

impl Table {
    /// The mode for the table: a clip has one row, but several fragments.
    fn mode(&self, mode: &Mode) -> Mode {
        match mode {
            Mode::Merge { key } if key == &[CLIP_URI] && self.suffix == FRAGMENTS.suffix => {
                Mode::Merge { key: vec![CLIP_URI.to_owned(), FRAGMENT_ID.to_owned()] }
            }
            mode => mode.clone(),
        }
    }
}

/// The rows of both tables, in temporary files.
struct Rows {
    clips: (PathBuf, BufWriter<File>),
    fragments: (PathBuf, BufWriter<File>),
}

// === impl Rows ===

impl Rows {
    fn create(folder: &Path) -> Result<Self> {
        let create = |name: &str| {
            let path = folder.join(name);
            File::create(&path).map(|file| (path, BufWriter::new(file)))
        };
        Ok(Self { clips: create("clips.ndjson")?, fragments: create("fragments.ndjson")? })
    }

    fn write(&mut self, uri: &str, file: &str, clip: &Clip) -> Result<()> {
        let row = json!({
            "clip_uri": uri, "file": file, "codec": clip.codec, "width": clip.width, "height": clip.height,
            "duration": clip.duration_s, "frame_rate": clip.frame_rate, "n_frames": clip.n_frames,
            "hidden_frames": clip.hidden_frames, "has_audio": clip.has_audio, "n_fragments": clip.fragments.len(),
            "init_length": clip.init_length, "byte_length": clip.byte_length,
        });
        writeln!(self.clips.1, "{row}")?;
        for (id, fragment) in clip.fragments.iter().enumerate() {
            let Fragment { start_frame, end_frame, start_time, end_time, byte_offset, byte_length, n_frames, .. } =
                fragment;
            let row = json!({
                "clip_uri": uri, "fragment_id": id, "start_frame": start_frame, "end_frame": end_frame,
                "start_time": start_time, "end_time": end_time, "byte_offset": byte_offset, "byte_length": byte_length,
                "init_length": clip.init_length, "n_frames": n_frames, "codec": clip.codec, "sha256": fragment.digest(),
            });
            writeln!(self.fragments.1, "{row}")?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<[(Table, PathBuf); 2]> {
        self.clips.1.flush()?;
        self.fragments.1.flush()?;
        Ok([(CLIPS, self.clips.0), (FRAGMENTS, self.fragments.0)])
    }
}
