//! `publish`: publishes rows as a data set of the Hugging Face Hub.

use std::collections::BTreeMap;

use super::{
    action::{self, Action, Call, JobContext},
    events::Events,
    export::{check_rows, rows},
};
use crate::{
    error::{Error, Result},
    export::{DEFAULT_SHARD_BYTES, check_shard_bytes},
    proto::{PublishRequest, PublishResult, publish_request, publish_result},
    publish::{Media, MediaKind, Publication, Request},
};

/// The action.
#[derive(Debug)]
pub struct Publish(Request);

// === impl Publish ===

impl Action for Publish {
    const NAME: &'static str = "publish";
    const WRITES: bool = true;
    type Request = PublishRequest;
    type Response = PublishResult;

    fn validate(request: PublishRequest) -> Result<Self> {
        let rows = rows("a publication", request.table.as_deref(), request.query.as_deref())?;
        let shard_bytes = request.shard_bytes.unwrap_or(DEFAULT_SHARD_BYTES);
        check_shard_bytes(shard_bytes)?;
        let media = match request.media() {
            publish_request::Media::Embed => Media::Embed,
            publish_request::Media::Uri => Media::Uri,
            publish_request::Media::Upload => Media::Upload,
        };
        let request = Request {
            rows,
            repo: request.repo,
            branch: request.branch.unwrap_or_else(|| "main".to_owned()),
            split_column: request.split_column,
            private: request.private,
            media,
            media_columns: media_columns(request.media_columns)?,
            class_labels: class_labels(request.class_labels),
            message: request.message.filter(|message| !message.trim().is_empty()),
            shard_bytes,
            dry_run: request.dry_run,
            at: action::snapshot("at", request.at)?,
        };
        request.check()?;
        Ok(Self(request))
    }

    fn run(mut self, call: Call<'_, Self>) -> Result<Events> {
        check_rows(&call, &mut self.0.rows)?;
        call.job(|job| self.publish(job))
    }
}

impl Publish {
    async fn publish(self, job: JobContext) -> Result<PublishResult> {
        let publication = job.services.publisher.run(&self.0, &job.author, &job.progress).await?;
        Ok(result(publication, self.0.dry_run))
    }
}

fn media_columns(columns: BTreeMap<String, String>) -> Result<BTreeMap<String, MediaKind>> {
    let kind = |(column, kind): (String, String)| {
        let known = MediaKind::named(&kind)
            .ok_or_else(|| Error::invalid(format!("\"media_columns\": \"{kind}\" is neither image, audio nor video")));
        Ok((column, known?))
    };
    columns.into_iter().map(kind).collect()
}

fn class_labels(labels: BTreeMap<String, String>) -> BTreeMap<String, Vec<String>> {
    let names =
        |names: String| names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    labels.into_iter().map(|(column, all)| (column, names(all))).collect()
}

fn result(publication: Publication, dry_run: bool) -> PublishResult {
    let files = publication.added.into_iter();
    PublishResult {
        commit: publication.commit,
        url: publication.url,
        snapshot_id: publication.snapshot_id.0,
        files: files.map(|(path, bytes)| publish_result::File { path, bytes }).collect(),
        removed: publication.removed,
        rows: publication.rows,
        unchanged: publication.unchanged,
        dry_run,
        media_files: publication.media.files,
        media_bytes: publication.media.bytes,
        media_removed: publication.media.removed,
    }
}
