//! `merganser export` and `exports`.

use clap::Args;

use super::{
    call::Call,
    failure::Failure,
    output,
    snapshot::named,
    table::{cell, print_table},
    words::words,
};
use crate::{
    actions,
    proto::{ExportRequest, ExportsRequest, exports_result},
};

/// Write the rows of a table or query at one snapshot as files
///
/// The files go to exports/SCHEMA/NAME/DATE/TIME in the server's storage, with .export.json, which describes them.
#[derive(Debug, Args)]
pub struct Export {
    /// The table or view, as schema.name
    #[arg(required_unless_present = "query")]
    table: Option<String>,
    /// Instead of a table: a query. Its order is that of the rows
    #[arg(long, value_name = "SQL", conflicts_with = "table")]
    query: Option<String>,
    /// The format of the files
    #[arg(long, value_parser = words("ExportRequest.Format"), default_value = "parquet")]
    format: i32,
    /// The snapshot to read: a version, a tag or a timestamp [default: the newest]
    #[arg(long, value_name = "SNAPSHOT", allow_hyphen_values = true)]
    at: Option<String>,
    /// The size at which another file is begun, for parquet, arrow and webdataset [default: 500000000]
    #[arg(long, value_name = "BYTES")]
    shard_bytes: Option<u64>,
    /// The compression of the files
    #[arg(long, value_parser = words("ExportRequest.Compression"), default_value = "format_default")]
    compression: i32,
    /// The name of the export, as schema.name [default: that of the table; query.result]
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// For interleaved samples: fetch the bytes that source_ref names, and what to do with rows whose bytes are missing
    #[arg(long, value_parser = words("ExportRequest.Materialize"), default_value = "as_is")]
    materialize: i32,
    /// For lance_frames: the column with the videos [default: video, video_uri or clip_uri]
    #[arg(long, value_name = "COLUMN")]
    video_column: Option<String>,
    /// For lance_frames: the quality of WebP, from 0 to 100 [default: 65]
    #[arg(long)]
    quality: Option<u32>,
    /// For lance_frames: the length to which the longer side of frames is reduced [default: as it is]
    #[arg(long, value_name = "PIXELS")]
    resize: Option<u32>,
    /// For lance_frames: leave out videos that cannot be decoded
    #[arg(long)]
    skip_corrupt: bool,
    /// Not for csv and json: read the files back and compare them with the rows, before the export becomes the latest
    #[arg(long)]
    verify: bool,
    /// Return the first call's result if the key was already used
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    call: Call,
}

/// List the exports, newest first
#[derive(Debug, Args)]
pub struct Exports {
    /// Only those with this name, as schema.name
    name: Option<String>,
    /// All exports, not only the latest of each name
    #[arg(long, short)]
    all: bool,
    /// The files of each export
    #[arg(long)]
    files: bool,
    #[command(flatten)]
    call: Call,
}

// === impl Export ===

impl Export {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let request = ExportRequest {
            table: self.table,
            query: self.query,
            format: self.format,
            at: named(self.at),
            shard_bytes: self.shard_bytes,
            compression: self.compression,
            destination: self.destination,
            verify: self.verify,
            materialize: self.materialize,
            video_column: self.video_column,
            quality: self.quality,
            resize: self.resize,
            skip_corrupt: self.skip_corrupt,
            idempotency_key: self.idempotency_key,
            cancel_on_disconnect: false,
        };
        let Some(result) = self.call.run::<actions::Export>(request).await? else { return Ok(()) };
        let files = result.files.into_iter();
        let files = files.map(|file| [file.path, file.rows.to_string(), file.bytes.to_string(), file.sha256]);
        print_table(["file", "rows", "bytes", "sha256"], files)?;
        let (rows, snapshot, path) = (result.rows, result.snapshot_id, result.path);
        let verified = if result.verified { ", read back and equal" } else { "" };
        let skipped = if result.skipped > 0 { format!(", without {} videos", result.skipped) } else { String::new() };
        output::print(format_args!("{rows} rows of snapshot {snapshot} in {path}{skipped}{verified}"))?;
        Ok(())
    }
}

// === impl Exports ===

impl Exports {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let request = ExportsRequest { name: self.name, all: self.all };
        let Some(result) = self.call.run::<actions::Exports>(request).await? else { return Ok(()) };
        if self.files {
            print_table(["name", "export", "file", "rows", "bytes", "sha256"], result.exports.iter().flat_map(files))?;
        } else {
            let columns = ["name", "export", "state", "latest", "format", "snapshot", "rows", "bytes", "uri"];
            print_table(columns, result.exports.into_iter().map(row))?;
        }
        Ok(())
    }
}

fn row(export: exports_result::Export) -> [String; 9] {
    let state = if export.complete { "complete" } else { "incomplete" };
    [
        export.name,
        export.export,
        state.to_owned(),
        export.latest.to_string(),
        cell(export.format),
        cell(export.snapshot_id),
        cell(export.rows),
        export.bytes.to_string(),
        export.uri,
    ]
}

fn files(export: &exports_result::Export) -> impl Iterator<Item = [String; 6]> {
    export.files.iter().map(|file| {
        let (rows, bytes) = (file.rows.to_string(), file.bytes.to_string());
        [export.name.clone(), export.export.clone(), file.path.clone(), rows, bytes, file.sha256.clone()]
    })
}
