//! `ingest`: reads a source into the lake.

use std::sync::Arc;

use super::{Actions, Events, events};
use crate::{
    context::Principal,
    error::{Error, Result},
    ingest::{Mode, Outcome, Request, Source, check_dataset},
    lake::table::TableRef,
    proto::{IngestRequest, IngestResult, ingest_request, ingest_result, to_any},
};

/// Starts the job.
pub fn call(actions: &Actions, principal: &Principal, request: IngestRequest) -> Result<Events> {
    let cancel_on_disconnect = request.cancel_on_disconnect;
    let key = request.idempotency_key.clone();
    let request = validate(request).map_err(|err| err.context("call ingest"))?;
    let (ingester, author) = (Arc::clone(&actions.ingester), principal.clone());
    let job = actions.jobs.start("ingest", principal, key, move |progress| async move {
        let outcome = ingester.run(&request, &author, &progress).await?;
        Ok(to_any("IngestResult", &result(outcome)))
    })?;
    Ok(events::follow(job, cancel_on_disconnect))
}

fn validate(request: IngestRequest) -> Result<Request> {
    let source = Source::parse(&request.source)?;
    check_dataset(&request.dataset)?;
    if request.config.is_some() {
        return Err(Error::invalid("\"config\" belongs to sources of a hub; leave it out for files"));
    }
    let merges = request.mode() == ingest_request::Mode::Merge;
    if !merges && !request.key.is_empty() {
        return Err(Error::invalid("\"key\" belongs to mode merge; set \"mode\": \"merge\" or leave it out"));
    }
    if merges && request.key.is_empty() {
        return Err(Error::invalid("mode merge needs \"key\": the columns that identify a row"));
    }
    let table = match &request.table {
        Some(table) => TableRef::parse(table)?,
        None => TableRef { schema: "raw".to_owned(), name: request.dataset.clone() },
    };
    let mode = match request.mode() {
        ingest_request::Mode::Append => Mode::Append,
        ingest_request::Mode::Replace => Mode::Replace,
        ingest_request::Mode::Merge => Mode::Merge { key: request.key.clone() },
    };
    Ok(Request {
        source,
        extract_media: request.media() == ingest_request::Media::Extract,
        dataset: request.dataset,
        table,
        split: request.split,
        mode,
        max_rows: request.max_rows,
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
        tables,
    }
}
