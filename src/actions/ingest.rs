//! `ingest`: reads a source into the lake.

use std::num::NonZeroU32;

use super::{
    action::{Action, Call, JobContext},
    events::Events,
};
use crate::{
    error::{Error, Result},
    ingest::{
        Boxes, ClipOptions, Encoding, Mode, Options, Outcome, Request, Sign, Source, WhenMatched, check_dataset,
        encoding,
    },
    lake::table::TableRef,
    proto::{IngestRequest, IngestResult, ingest_request, ingest_result},
};

/// The action.
#[derive(Debug)]
pub struct Ingest(Request);

// === impl Ingest ===

impl Action for Ingest {
    const NAME: &'static str = "ingest";
    const WRITES: bool = true;
    type Request = IngestRequest;
    type Response = IngestResult;

    fn validate(request: IngestRequest) -> Result<Self> {
        let source = Source::parse(&request.source)?;
        let dataset = request.dataset.clone().map_or_else(|| source.dataset(), Ok)?;
        check_dataset(&dataset)?;
        if request.config.is_some() && !source.has_configs() {
            return Err(Error::invalid("\"config\" belongs to data sets of Hugging Face; leave it out"));
        }
        let table = request.table.as_deref().map(TableRef::parse).transpose()?;
        Ok(Self(Request {
            source,
            reader: reader(&request)?,
            extract_media: request.media() != ingest_request::Media::Keep,
            keep_urls: request.media() == ingest_request::Media::Link,
            media_columns: media_columns(&request)?,
            as_delivered: request.as_delivered,
            boxes: match request.boxes() {
                ingest_request::Boxes::Inferred => Boxes::Inferred,
                ingest_request::Boxes::Xywh => Boxes::Xywh,
                ingest_request::Boxes::Xyxy => Boxes::Xyxy,
            },
            mode: mode(&request)?,
            clips: clips(&request)?,
            dataset,
            table,
            config: request.config,
            split: request.split,
            max_rows: request.max_rows,
        }))
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        call.job(|job| self.ingest(job))
    }
}

impl Ingest {
    async fn ingest(self, job: JobContext) -> Result<IngestResult> {
        job.services.ingester.run(&self.0, &job.author, &job.progress).await.map(result)
    }
}

fn reader(request: &IngestRequest) -> Result<Options> {
    let options = Options {
        delimiter: Sign::parse("delimiter", request.delimiter.as_deref())?,
        quote: Sign::parse("quote", request.quote.as_deref())?,
        escape: Sign::parse("escape", request.escape.as_deref())?,
        comment: Sign::parse("comment", request.comment.as_deref())?,
        header: request.header,
        skip: request.skip,
        null_padding: request.null_padding,
        null_strings: request.null_strings.clone(),
        encoding: request.encoding.as_deref().map(encoding).transpose()?,
        types: request.types.clone(),
        all_text: request.all_text,
        rejects: request.rejects,
    };
    options.check()?;
    Ok(options)
}

fn mode(request: &IngestRequest) -> Result<Mode> {
    let when_matched = match request.when_matched() {
        ingest_request::WhenMatched::Update => WhenMatched::Update,
        ingest_request::WhenMatched::DoNothing => WhenMatched::DoNothing,
    };
    match request.mode() {
        ingest_request::Mode::Merge if request.key.is_empty() => {
            Err(Error::invalid("mode merge needs \"key\": the columns that identify a row"))
        }
        ingest_request::Mode::Merge => Ok(Mode::Merge { key: request.key.clone(), when_matched }),
        _ if !request.key.is_empty() => {
            Err(Error::invalid("\"key\" belongs to mode merge; set \"mode\": \"merge\" or leave it out"))
        }
        _ if when_matched != WhenMatched::Update => {
            Err(Error::invalid("\"when_matched\" belongs to mode merge; set \"mode\": \"merge\" or leave it out"))
        }
        ingest_request::Mode::Append => Ok(Mode::Append),
        ingest_request::Mode::Replace => Ok(Mode::Replace),
    }
}

fn media_columns(request: &IngestRequest) -> Result<Vec<String>> {
    if !request.media_columns.is_empty() && request.media() == ingest_request::Media::Keep {
        return Err(Error::invalid("\"media_columns\" are written as assets, which \"media\": \"keep\" forbids"));
    }
    Ok(request.media_columns.clone())
}

fn clips(request: &IngestRequest) -> Result<ClipOptions> {
    let frames = request.frames_per_fragment.map(|frames| {
        NonZeroU32::new(frames).ok_or_else(|| Error::invalid("\"frames_per_fragment\" is 0: a fragment has frames"))
    });
    Ok(ClipOptions {
        frame_rate: request.frame_rate,
        frames_per_fragment: frames.transpose()?,
        encoding: match request.encode() {
            ingest_request::Encode::Copy => Encoding::Copy,
            ingest_request::Encode::H264 => Encoding::H264,
        },
    })
}

fn result(outcome: Outcome) -> IngestResult {
    let tables: Vec<_> = outcome
        .tables
        .into_iter()
        .map(|table| ingest_result::Table {
            table: table.table,
            rows_read: table.rows_read,
            rows_added: table.rows_added,
        })
        .collect();
    IngestResult {
        snapshot_id: outcome.snapshot_id.0,
        landing: outcome.landing,
        files: outcome.files,
        rows_read: tables.iter().map(|table| table.rows_read).sum(),
        rows_added: tables.iter().map(|table| table.rows_added).sum(),
        bytes: outcome.bytes,
        assets: outcome.assets,
        downloaded: outcome.downloaded,
        unchanged: outcome.unchanged,
        tables,
    }
}
