//! `export` and `exports`: write rows as files, and list what was written.

use std::ops::RangeInclusive;

use super::{
    action::{self, Action, Call, JobContext},
    events::Events,
};
use crate::{
    error::{Error, Result},
    export::{self, Compression, Exported, ExportedFile, Format, Found, FrameSettings, Materialize, Request, Rows},
    lake::table::TableRef,
    proto::{
        ExportRequest, ExportResult, ExportsRequest, ExportsResult, export_request, export_result, exports_result,
    },
};

/// The name of the export of a query.
const QUERY: &str = "query.result";
/// The quality of WebP that is not chosen.
const DEFAULT_QUALITY: u32 = 65;
/// The lengths to which frames are reduced; WebP ends at 16,383.
const SIDES: RangeInclusive<u32> = 1..=16_383;

/// The action that exports.
#[derive(Debug)]
pub struct Export(Request);

/// The action that lists.
#[derive(Debug)]
pub struct Exports {
    name: Option<TableRef>,
    all: bool,
}

// === impl Export ===

impl Action for Export {
    const NAME: &'static str = "export";
    const WRITES: bool = true;
    type Request = ExportRequest;
    type Response = ExportResult;

    fn validate(request: ExportRequest) -> Result<Self> {
        let rows = rows("an export", request.table.as_deref(), request.query.as_deref())?;
        let name = request.destination.as_deref().or(request.table.as_deref()).unwrap_or(QUERY);
        let request = Request {
            rows,
            format: format(request.format()),
            compression: compression(request.compression()),
            shard_bytes: request.shard_bytes,
            name: check_name(name)?,
            materialize: materialize(request.materialize()),
            frames: frames(&request)?,
            verify: request.verify,
            at: action::snapshot("at", request.at)?,
        };
        request.check()?;
        Ok(Self(request))
    }

    fn run(mut self, call: Call<'_, Self>) -> Result<Events> {
        check_rows(&call, &mut self.0.rows)?;
        call.job(|job| self.export(job))
    }
}

impl Export {
    async fn export(self, job: JobContext) -> Result<ExportResult> {
        let verified = self.0.verify;
        let exported = job.services.exporter.run(&self.0, &job.author, &job.progress).await?;
        Ok(result(exported, verified))
    }
}

/// The rows that a request for `what` names.
pub(super) fn rows(what: &str, table: Option<&str>, query: Option<&str>) -> Result<Rows> {
    match (table, query) {
        (Some(table), None) => TableRef::parse(table).map(Rows::Table),
        (None, Some(query)) => Ok(Rows::Query(query.to_owned())),
        _ => Err(Error::invalid(format!("{what} needs either \"table\" or \"query\""))),
    }
}

/// Checks that the caller may run a query, and takes what can be put into other statements of it.
pub(super) fn check_rows<A: Action>(call: &Call<'_, A>, rows: &mut Rows) -> Result<()> {
    if let Rows::Query(query) = rows {
        *query = call.services().guard.check_query(query).map_err(|err| err.context("read \"query\""))?;
    }
    Ok(())
}

fn format(format: export_request::Format) -> Format {
    match format {
        export_request::Format::Parquet => Format::Parquet,
        export_request::Format::Csv => Format::Csv,
        export_request::Format::Json => Format::Json,
        export_request::Format::Arrow => Format::Arrow,
        export_request::Format::Webdataset => Format::Webdataset,
        export_request::Format::Lance => Format::Lance,
        export_request::Format::LanceFrames => Format::LanceFrames,
    }
}

/// How videos become rows of frames, for the format that has them.
fn frames(request: &ExportRequest) -> Result<Option<FrameSettings>> {
    let ExportRequest { video_column, quality, resize, skip_corrupt, .. } = request;
    if format(request.format()) != Format::LanceFrames {
        let named = video_column.is_some() || quality.is_some() || resize.is_some() || *skip_corrupt;
        return if named {
            Err(Error::invalid(
                "\"video_column\", \"quality\", \"resize\" and \"skip_corrupt\" are for the format lance_frames",
            ))
        } else {
            Ok(None)
        };
    }
    let quality = u8::try_from(quality.unwrap_or(DEFAULT_QUALITY)).ok().filter(|quality| *quality <= 100);
    let quality = quality.ok_or_else(|| Error::invalid("\"quality\" is from 0 to 100"))?;
    if resize.is_some_and(|side| !SIDES.contains(&side)) {
        return Err(Error::invalid(format!("\"resize\" is from {} to {} pixels", SIDES.start(), SIDES.end())));
    }
    let (video_column, skip_corrupt) = (video_column.clone(), *skip_corrupt);
    Ok(Some(FrameSettings { video_column, quality, resize: *resize, skip_corrupt }))
}

fn materialize(policy: export_request::Materialize) -> Option<Materialize> {
    match policy {
        export_request::Materialize::AsIs => None,
        export_request::Materialize::Error => Some(Materialize::Error),
        export_request::Materialize::Warn => Some(Materialize::Warn),
        export_request::Materialize::DropRow => Some(Materialize::DropRow),
        export_request::Materialize::DropSample => Some(Materialize::DropSample),
    }
}

fn compression(compression: export_request::Compression) -> Compression {
    match compression {
        export_request::Compression::FormatDefault => Compression::FormatDefault,
        export_request::Compression::None => Compression::None,
        export_request::Compression::Snappy => Compression::Snappy,
        export_request::Compression::Gzip => Compression::Gzip,
        export_request::Compression::Zstd => Compression::Zstd,
        export_request::Compression::Lz4 => Compression::Lz4,
    }
}

/// The name of an export, which is a path.
pub(super) fn check_name(text: &str) -> Result<TableRef> {
    let name = TableRef::parse(text)?;
    let fits = |part: &str| part.len() <= 100 && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if fits(&name.schema) && fits(&name.name) {
        return Ok(name);
    }
    let rule = "letters, digits, _ and -, at most 100 bytes for each part: set \"destination\"";
    Err(Error::invalid(format!("\"{text}\" cannot be the name of an export: use schema.name of {rule}")))
}

fn result(exported: Exported, verified: bool) -> ExportResult {
    ExportResult {
        snapshot_id: exported.snapshot_id.0,
        path: exported.uri,
        manifest: exported.manifest,
        files: exported.files.into_iter().map(file).collect(),
        rows: exported.rows,
        bytes: exported.bytes,
        sha256: exported.sha256,
        verified,
        skipped: exported.skipped,
    }
}

fn file(file: ExportedFile) -> export_result::File {
    export_result::File { path: file.path, rows: file.rows, bytes: file.bytes, sha256: file.sha256 }
}

// === impl Exports ===

impl Action for Exports {
    const NAME: &'static str = "exports";
    const WRITES: bool = false;
    type Request = ExportsRequest;
    type Response = ExportsResult;

    fn validate(request: ExportsRequest) -> Result<Self> {
        Ok(Self { name: request.name.as_deref().map(check_name).transpose()?, all: request.all })
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        call.job(|job| self.list(job))
    }
}

impl Exports {
    async fn list(self, job: JobContext) -> Result<ExportsResult> {
        let found = export::list(job.services.exporter.storage(), self.name.as_ref(), self.all);
        let found = job.progress.unless_cancelled(found).await?;
        Ok(ExportsResult { exports: found.into_iter().map(listed).collect() })
    }
}

fn listed(found: Found) -> exports_result::Export {
    let Found { name, time, uri, record, latest, bytes } = found;
    let mut listed = exports_result::Export {
        name,
        export: time,
        uri,
        complete: record.is_some(),
        latest,
        bytes,
        ..exports_result::Export::default()
    };
    if let Some(record) = record {
        (listed.format, listed.table) = (Some(record.format), record.table);
        (listed.snapshot_id, listed.rows) = (Some(record.snapshot_id.0), Some(record.rows));
        listed.files = record.files.into_iter().map(file).collect();
    }
    listed
}
