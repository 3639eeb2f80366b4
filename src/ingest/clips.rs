//! The tables of clips: one row a clip, one a fragment, and one a box of a tracked object.
//!
//! A fragment begins with a frame that decodes without those before it; the first `init_length` bytes of the clip followed
//! by `byte_length` bytes from `byte_offset` on are a playable MP4 file of it. Frames count from 0 and `end_frame` is
//! inclusive; times are seconds from the first frame on, and `end_time` is when the next fragment begins.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    frames::{Annotation, Statistics},
    load::{self, Extra, Loaded, Mode},
    work::Work,
};
use crate::{
    error::{Error, Result},
    lake::commit::Transaction,
    media::video::{Clip, Fragment},
    quote::literal,
};

/// The column of the clips, in the paths of assets.
pub(super) const CLIP: &str = "clip";
/// The key of all tables, with what else identifies their rows.
const CLIP_URI: &str = "clip_uri";

/// A table: the end of its name, the columns of its spooled file, and what identifies a row beside the clip.
#[derive(Debug)]
struct Table {
    suffix: &'static str,
    columns: &'static str,
    key: Option<&'static str>,
}

const CLIPS: Table = Table {
    suffix: "clips",
    columns: "{clip_uri: 'VARCHAR', file: 'VARCHAR', split: 'VARCHAR', codec: 'VARCHAR', width: 'BIGINT', height: 'BIGINT', \
              duration: 'DOUBLE', frame_rate: 'DOUBLE', n_frames: 'BIGINT', hidden_frames: 'BIGINT', has_audio: 'BOOLEAN', \
              n_fragments: 'BIGINT', init_length: 'BIGINT', byte_length: 'BIGINT'}",
    key: None,
};

const FRAGMENTS: Table = Table {
    suffix: "fragments",
    columns: "{clip_uri: 'VARCHAR', fragment_id: 'BIGINT', start_frame: 'BIGINT', end_frame: 'BIGINT', start_time: 'DOUBLE', \
              end_time: 'DOUBLE', byte_offset: 'BIGINT', byte_length: 'BIGINT', init_length: 'BIGINT', n_frames: 'BIGINT', \
              codec: 'VARCHAR', sha256: 'VARCHAR', n_objects: 'BIGINT', n_tracks: 'BIGINT', classes: 'MAP(VARCHAR, BIGINT)'}",
    key: Some("fragment_id"),
};

const TRACKS: Table = Table {
    suffix: "tracks",
    columns: "{clip_uri: 'VARCHAR', fragment_id: 'BIGINT', frame: 'BIGINT', track_id: 'BIGINT', \
              bbox: 'STRUCT(x DOUBLE, y DOUBLE, w DOUBLE, h DOUBLE)', category_id: 'BIGINT', category: 'VARCHAR', \
              score: 'DOUBLE', counted: 'BOOLEAN', truncation: 'BIGINT', occlusion: 'BIGINT', visibility: 'DOUBLE', \
              source_frame: 'BIGINT', source_line: 'BIGINT'}",
    key: Some("source_line"),
};

/// A clip, and what is known about it.
#[derive(Debug)]
pub struct Described<'a> {
    /// Where it is stored.
    pub uri: &'a str,
    /// The file or folder of the source that it was made from.
    pub source: &'a str,
    /// Its split.
    pub split: Option<&'a str>,
    /// What is in it.
    pub clip: &'a Clip,
    /// What each fragment shows; `None` for a clip without annotations.
    pub statistics: Option<&'a [Statistics]>,
}

/// The rows of the tables, in temporary files.
#[derive(Debug)]
pub struct Rows {
    clips: Spool,
    fragments: Spool,
    tracks: Option<Spool>,
}

// === impl Rows ===

impl Rows {
    /// Rows in new files in `folder`, `with_tracks` or without a table of them.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn create(folder: &Path, with_tracks: bool) -> Result<Self> {
        let tracks = with_tracks.then(|| Spool::create(folder, TRACKS)).transpose()?;
        Ok(Self { clips: Spool::create(folder, CLIPS)?, fragments: Spool::create(folder, FRAGMENTS)?, tracks })
    }

    /// Adds a clip and its fragments.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn clip(&mut self, described: &Described<'_>) -> Result<()> {
        let Described { uri, source, split, clip, statistics } = described;
        self.clips.write(&json!({
            "clip_uri": uri, "file": source, "split": split, "codec": clip.codec, "width": clip.width,
            "height": clip.height, "duration": clip.duration_s, "frame_rate": clip.frame_rate,
            "n_frames": clip.n_frames, "hidden_frames": clip.hidden_frames, "has_audio": clip.has_audio,
            "n_fragments": clip.fragments.len(), "init_length": clip.init_length, "byte_length": clip.byte_length,
        }))?;
        for (id, fragment) in clip.fragments.iter().enumerate() {
            let Fragment { start_frame, end_frame, start_time, end_time, byte_offset, byte_length, n_frames, .. } =
                fragment;
            let statistics = statistics.and_then(|statistics| statistics.get(id));
            self.fragments.write(&json!({
                "clip_uri": uri, "fragment_id": id, "start_frame": start_frame, "end_frame": end_frame,
                "start_time": start_time, "end_time": end_time, "byte_offset": byte_offset, "byte_length": byte_length,
                "init_length": clip.init_length, "n_frames": n_frames, "codec": clip.codec, "sha256": fragment.digest(),
                "n_objects": statistics.map(|statistics| statistics.n_objects),
                "n_tracks": statistics.map(|statistics| statistics.tracks.len()),
                "classes": statistics.map(|statistics| &statistics.classes),
            }))?;
        }
        Ok(())
    }

    /// Adds a box in `frame` of the clip, from 0, and in the fragment `fragment_id`.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn track(&mut self, uri: &str, fragment_id: usize, frame: u64, found: &Annotation) -> Result<()> {
        let Some(tracks) = &mut self.tracks else { return Err(Error::internal("these clips have no tracks")) };
        let [x, y, w, h] = found.bbox;
        tracks.write(&json!({
            "clip_uri": uri, "fragment_id": fragment_id, "frame": frame, "track_id": found.track_id,
            "bbox": {"x": x, "y": y, "w": w, "h": h}, "category_id": found.category_id, "category": found.category,
            "score": found.score, "counted": found.counted, "truncation": found.truncation,
            "occlusion": found.occlusion, "visibility": found.visibility, "source_frame": found.frame,
            "source_line": found.line,
        }))
    }

    /// Loads the rows into the tables.
    ///
    /// # Errors
    /// Cancelled; errors of the lake.
    pub async fn load(self, work: &Work<'_>) -> Result<Loaded> {
        let spools = [Some(self.clips), Some(self.fragments), self.tracks];
        let spools = spools.into_iter().flatten().map(Spool::finish).collect::<Result<Vec<_>>>()?;
        work.progress.phase("load tables", "tables", Some(spools.len() as u64));
        let (mode, prefix, landing) = (work.request.mode.clone(), work.table.clone(), work.landing.time().to_owned());
        let progress = work.progress.clone();
        let load = move |transaction: &mut Transaction<'_>| {
            let mut tables = Vec::new();
            for (table, file) in &spools {
                let name = prefix.with_suffix(table.suffix);
                let query = table.query(file);
                let loaded = load::load(transaction, &name, &query, &table.mode(&mode), Extra::landing(&landing));
                tables.push(loaded.map_err(|err| err.context(format_args!("load {name}")))?);
                progress.advance(1);
            }
            Ok(tables)
        };
        work.commit(load).await
    }
}

// === impl Table ===

impl Table {
    /// The rows of its spooled file.
    fn query(&self, file: &Path) -> String {
        let (file, columns) = (literal(&file.display().to_string()), self.columns);
        format!("FROM read_json({file}, format = 'newline_delimited', columns = {columns})")
    }

    /// The mode for the table: a clip has one row, but several fragments and boxes.
    fn mode(&self, mode: &Mode) -> Mode {
        match (mode, self.key) {
            (Mode::Merge { key, when_matched }, Some(own)) if key == &[CLIP_URI] => {
                Mode::Merge { key: vec![CLIP_URI.to_owned(), own.to_owned()], when_matched: *when_matched }
            }
            _ => mode.clone(),
        }
    }
}

/// The rows of a table as newline-delimited JSON.
#[derive(Debug)]
struct Spool {
    table: Table,
    path: PathBuf,
    file: BufWriter<File>,
}

// === impl Spool ===

impl Spool {
    fn create(folder: &Path, table: Table) -> Result<Self> {
        let path = folder.join(format!("{}.ndjson", table.suffix));
        Ok(Self { file: BufWriter::new(File::create(&path)?), table, path })
    }

    fn write(&mut self, row: &Value) -> Result<()> {
        Ok(writeln!(self.file, "{row}")?)
    }

    fn finish(mut self) -> Result<(Table, PathBuf)> {
        self.file.flush()?;
        Ok((self.table, self.path))
    }
}
