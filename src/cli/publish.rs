//! `merganser publish`.

use clap::Args;

use super::{call::Call, failure::Failure, output, snapshot::named, table::print_table, words::words};
use crate::{
    actions,
    error::{Error, Result},
    proto::PublishRequest,
};

/// Publish the rows of a table or query as a data set of the Hugging Face Hub
///
/// The account of the server's HF_TOKEN must have the right to write. Publishing the same rows again changes nothing.
#[derive(Debug, Args)]
pub struct Publish {
    /// The data set, as OWNER/NAME. It is made if it does not exist
    repo: String,
    /// The table or view, as schema.name
    #[arg(long, required_unless_present = "query")]
    table: Option<String>,
    /// Instead of a table: a query. Its order is that of the rows
    #[arg(long, value_name = "SQL", conflicts_with = "table")]
    query: Option<String>,
    /// The snapshot to read: a version, a tag or a timestamp [default: the newest]
    #[arg(long, value_name = "SNAPSHOT", allow_hyphen_values = true)]
    at: Option<String>,
    /// The column with the name of the split of each row [default: all rows are the split train]
    #[arg(long, value_name = "COLUMN")]
    split_column: Option<String>,
    /// Make a private data set
    #[arg(long)]
    private: bool,
    /// How media are published
    #[arg(long, value_parser = words("PublishRequest.Media"), default_value = "embed")]
    media: i32,
    /// A column with URIs of media, or with lists of them, and what they are: image, audio or video; may be repeated [default:
    /// the columns that an ingest has made]
    #[arg(long = "media-column", value_name = "COLUMN=KIND", value_parser = pair)]
    media_columns: Vec<(String, String)>,
    /// A column with the numbers of classes or with their names, and the names of all classes; may be repeated
    #[arg(long = "class-label", value_name = "COLUMN=NAME,…", value_parser = pair)]
    class_labels: Vec<(String, String)>,
    /// The first line of the message of the commit
    #[arg(long, short)]
    message: Option<String>,
    /// The branch. It is made from main if it does not exist [default: main]
    #[arg(long)]
    branch: Option<String>,
    /// The size at which another file is begun [default: 500000000]
    #[arg(long, value_name = "BYTES")]
    shard_bytes: Option<u64>,
    /// Only print what would be committed
    #[arg(long)]
    dry_run: bool,
    /// Return the first call's result if the key was already used
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    call: Call,
}

// === impl Publish ===

impl Publish {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let request = PublishRequest {
            table: self.table,
            query: self.query,
            repo: self.repo,
            at: named(self.at),
            split_column: self.split_column,
            private: self.private,
            media: self.media,
            media_columns: self.media_columns.into_iter().collect(),
            class_labels: self.class_labels.into_iter().collect(),
            message: self.message,
            branch: self.branch,
            shard_bytes: self.shard_bytes,
            dry_run: self.dry_run,
            idempotency_key: self.idempotency_key,
            cancel_on_disconnect: false,
        };
        let Some(result) = self.call.run::<actions::Publish>(request).await? else { return Ok(()) };
        let added = result.files.into_iter().map(|file| ["add".to_owned(), file.path, file.bytes.to_string()]);
        let removed = result.removed.into_iter().map(|path| ["remove".to_owned(), path, String::new()]);
        let media = [
            ("add", result.media_files, result.media_bytes.to_string()),
            ("remove", result.media_removed, String::new()),
        ];
        let media = media.into_iter().filter(|(_, files, _)| *files > 0);
        let media = media.map(|(change, files, bytes)| [change.to_owned(), format!("media/ ({files} files)"), bytes]);
        let (rows, url, commit) = (result.rows, result.url, result.commit.unwrap_or_default());
        if result.unchanged {
            output::note(format_args!("nothing new: the data set has these rows already"));
        } else {
            print_table(["change", "file", "bytes"], added.chain(removed).chain(media))?;
        }
        let outcome = if result.dry_run { " would be published to" } else { " are in" };
        output::print(format_args!("{rows} rows{outcome} {url} {commit}"))?;
        Ok(())
    }
}

/// Parses `COLUMN=VALUE`; the name may contain the sign.
fn pair(text: &str) -> Result<(String, String)> {
    let parsed = text.rsplit_once('=').filter(|(column, value)| !column.is_empty() && !value.is_empty());
    let (column, value) = parsed.ok_or_else(|| Error::invalid(format!("\"{text}\": expected COLUMN=VALUE")))?;
    Ok((column.to_owned(), value.to_owned()))
}
