//! `merganser ingest`.

use clap::Args;

use super::{call::Call, failure::Failure, output, table::print_table, words::words};
use crate::{
    actions,
    error::{Error, Result},
    proto::{IngestRequest, ingest_request::Media},
};

/// Ingest files into the lake
///
/// Reads Parquet, CSV, JSON or video files, tar files of samples, a COCO folder with annotations and images, a folder of images
/// or sounds, frame folders of VisDrone or MOTChallenge, or an archive of such files. The files are kept as a landing, media
/// files become assets, and all rows are committed in one snapshot. Repeated for the same source and table, it downloads and
/// adds only what is new.
#[derive(Debug, Args)]
pub struct Ingest {
    /// A file or folder on the server's machine, as file:///PATH or as a path, which is resolved against the working
    /// directory of this command; a data set, hf://datasets/OWNER/NAME[@REVISION] or kaggle://OWNER/SLUG[@VERSION]; a file
    /// on a web server, https://HOST/FILE; objects, s3://BUCKET/PREFIX; or manual, which makes a folder to put files into,
    /// and ingests them when it is called again
    source: String,
    /// The name of the dataset [default: the name of the file, folder, prefix or repository in snake_case, without an
    /// extension]
    #[arg(long)]
    dataset: Option<String>,
    /// The table, as schema.name [default: raw.<dataset>; the prefix silver.<dataset> for clips and frame folders]
    #[arg(long)]
    table: Option<String>,
    /// The configuration of a data set of Hugging Face [default: its default one]
    #[arg(long)]
    config: Option<String>,
    /// For Hugging Face: only this split [default: all]. For a COCO folder, clips and frame folders: the value of the column
    /// split [default: train, val or test, if in the name of the annotation file, or in the path of the folder]
    #[arg(long)]
    split: Option<String>,
    /// The effect on existing rows
    #[arg(long, value_parser = words("IngestRequest.Mode"), default_value = "append")]
    mode: i32,
    /// A column that identifies a row, for --mode merge; may be repeated
    #[arg(long, value_name = "COLUMN")]
    key: Vec<String>,
    /// What happens to existing rows with the key of a row of the source, for --mode merge
    #[arg(long, value_parser = words("IngestRequest.WhenMatched"), default_value = "update")]
    when_matched: i32,
    /// Read at most this many rows
    #[arg(long, value_name = "ROWS")]
    max_rows: Option<u64>,
    /// Keep media bytes in the table
    #[arg(long)]
    keep_media: bool,
    /// Leave media whose path is a URL where they are
    #[arg(long, conflicts_with = "keep_media")]
    link_media: bool,
    /// Parquet and tar files: a column of BLOBs that contain media; may be repeated
    #[arg(long, value_name = "COLUMN")]
    media_column: Vec<String>,
    /// Parquet and JSON files: load rows with the columns of COCO into one table as they are, instead of into the tables of a
    /// COCO folder
    #[arg(long)]
    as_delivered: bool,
    /// The form of boxes in rows with the columns of COCO
    #[arg(long, value_parser = words("IngestRequest.Boxes"), default_value = "inferred")]
    boxes: i32,
    #[command(flatten)]
    frames: Frames,
    #[command(flatten)]
    reader: Reader,
    /// Return the first call's result if the key was already used
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    call: Call,
}

/// How frame folders become clips
#[derive(Debug, Args)]
#[command(next_help_heading = "Frame folders of VisDrone and MOTChallenge")]
struct Frames {
    /// Frames a second [default: those of seqinfo.ini, or 25]
    #[arg(long, value_name = "RATE")]
    frame_rate: Option<f64>,
    /// The number of frames of each fragment but the last [default: 10]
    #[arg(long, value_name = "FRAMES")]
    frames_per_fragment: Option<u32>,
    /// What the fragments contain
    #[arg(long, value_parser = words("IngestRequest.Encode"), default_value = "copy")]
    encode: i32,
}

/// How CSV and JSON files are read
#[derive(Debug, Args)]
#[command(next_help_heading = "CSV and JSON files")]
struct Reader {
    /// CSV: the character between fields; '' for one column [default: the one of , ; tab and | that gives all records the
    /// same number of fields]
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<String>,
    /// CSV: the character around fields; '' for none [default: "]
    #[arg(long, value_name = "CHARACTER")]
    quote: Option<String>,
    /// CSV: the character before a quote in a quoted field [default: the quote is doubled, or escaped with a backslash]
    #[arg(long, value_name = "CHARACTER")]
    escape: Option<String>,
    /// CSV: lines that begin with this character are skipped
    #[arg(long, value_name = "CHARACTER")]
    comment: Option<String>,
    /// CSV: whether the first record names the columns [default: unless it contains a value of a typed column]
    #[arg(long, value_name = "BOOL")]
    header: Option<bool>,
    /// CSV: skip this many lines before the first record
    #[arg(long, value_name = "LINES", default_value_t = 0, hide_default_value = true)]
    skip: u64,
    /// CSV: fill records with too few fields with NULL
    #[arg(long)]
    null_padding: bool,
    /// CSV: a text that means NULL, besides the empty field without quotes; may be repeated
    #[arg(long, value_name = "TEXT")]
    null_string: Vec<String>,
    /// The encoding, such as latin1 or utf-16le [default: UTF-8, or what the byte order mark says]
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// The type of a column; may be repeated [default: that of the existing table, else the one that has all values]
    #[arg(long = "type", value_name = "COLUMN=TYPE", value_parser = column_type)]
    types: Vec<(String, String)>,
    /// Read all columns without --type as text
    #[arg(long)]
    all_text: bool,
    /// Write records that cannot be read to the table <TABLE>_rejects instead of failing
    #[arg(long)]
    rejects: bool,
}

// === impl Ingest ===

impl Ingest {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let media = match (self.keep_media, self.link_media) {
            (true, _) => Media::Keep,
            (_, true) => Media::Link,
            _ => Media::Extract,
        };
        let request = IngestRequest {
            dataset: self.dataset,
            source: uri(&self.source)?,
            table: self.table,
            config: self.config,
            split: self.split,
            mode: self.mode,
            key: self.key,
            max_rows: self.max_rows,
            media: media.into(),
            idempotency_key: self.idempotency_key,
            cancel_on_disconnect: false,
            delimiter: self.reader.delimiter,
            quote: self.reader.quote,
            escape: self.reader.escape,
            comment: self.reader.comment,
            header: self.reader.header,
            skip: self.reader.skip,
            null_padding: self.reader.null_padding,
            null_strings: self.reader.null_string,
            encoding: self.reader.encoding,
            types: self.reader.types.into_iter().collect(),
            all_text: self.reader.all_text,
            rejects: self.reader.rejects,
            media_columns: self.media_column,
            frame_rate: self.frames.frame_rate,
            frames_per_fragment: self.frames.frames_per_fragment,
            encode: self.frames.encode,
            as_delivered: self.as_delivered,
            boxes: self.boxes,
            when_matched: self.when_matched,
        };
        let Some(result) = self.call.run::<actions::Ingest>(request).await? else { return Ok(()) };
        if result.tables.is_empty() {
            output::print(result.landing)?;
            output::note(format_args!("put the files there, and repeat the command to ingest them"));
            return Ok(());
        }
        let rows = result.tables.into_iter();
        let rows = rows.map(|table| [table.table, table.rows_read.to_string(), table.rows_added.to_string()]);
        print_table(["table", "rows_read", "rows_added"], rows)?;
        if result.unchanged {
            output::note(format_args!("nothing new: the source was ingested before"));
        }
        let (files, landing, assets, snapshot) = (result.files, result.landing, result.assets, result.snapshot_id);
        output::print(format_args!("{files} files landed in {landing}, {assets} assets, snapshot {snapshot}"))?;
        Ok(())
    }
}

/// Parses `COLUMN=TYPE`; the name may contain the sign.
fn column_type(text: &str) -> Result<(String, String)> {
    let parsed = text.rsplit_once('=').filter(|(column, data_type)| !column.is_empty() && !data_type.is_empty());
    let (column, data_type) = parsed.ok_or_else(|| Error::invalid(format!("\"{text}\": expected COLUMN=TYPE")))?;
    Ok((column.to_owned(), data_type.to_owned()))
}

/// Converts a path to a URI, unless it is one.
fn uri(source: &str) -> Result<String> {
    if source.contains("://") || source == "manual" {
        return Ok(source.to_owned());
    }
    let path = std::path::absolute(source)?;
    let uri = url::Url::from_file_path(&path)
        .map_err(|()| Error::invalid(format!("\"{source}\" is not an absolute path")))?;
    Ok(uri.into())
}
