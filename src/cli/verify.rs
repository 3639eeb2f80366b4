//! `merganser verify`.

use clap::Args;

use super::{
    call::Call,
    failure::Failure,
    output,
    snapshot::named,
    table::{cell, print_table},
};
use crate::{
    actions,
    error::{Error, ErrorKind},
    proto::{
        VerifyRequest,
        verify_request::{Side, side::Rows},
    },
};

/// Compare the rows of an export with those that it was made from, or with other rows
///
/// The exit code is 1 if they differ.
#[derive(Debug, Args)]
pub struct Verify {
    /// The export: the latest with this name, as schema.name, or the one with this URI
    export: String,
    /// Compare with this table or view, as schema.name [default: what the export was made from]
    #[arg(long)]
    table: Option<String>,
    /// Compare with this query
    #[arg(long, value_name = "SQL", conflicts_with = "table")]
    query: Option<String>,
    /// Compare with this export
    #[arg(long, value_name = "EXPORT", conflicts_with_all = ["table", "query"])]
    with: Option<String>,
    /// The snapshot at which --table or --query is read: a version, a tag or a timestamp [default: the newest]
    #[arg(long, value_name = "SNAPSHOT", allow_hyphen_values = true)]
    at: Option<String>,
    /// The maximum number of differences to print
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    max_differences: u32,
    /// Decode all images in BLOB columns, too: those that cannot be decoded are differences
    #[arg(long)]
    decode_images: bool,
    #[command(flatten)]
    call: Call,
}

// === impl Verify ===

impl Verify {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let rows = self.table.map(Rows::Table).or(self.query.map(Rows::Query)).or(self.with.map(Rows::Export));
        let at = named(self.at);
        if at.is_some() && rows.is_none() {
            return Err(Failure::Usage("--at belongs to --table or --query".to_owned()));
        }
        let request = VerifyRequest {
            left: Some(Side { rows: Some(Rows::Export(self.export)), at: None }),
            right: rows.map(|rows| Side { rows: Some(rows), at }),
            max_differences: Some(self.max_differences),
            decode_images: self.decode_images,
            cancel_on_disconnect: false,
        };
        let Some(result) = self.call.run::<actions::Verify>(request).await? else { return Ok(()) };
        if result.equal {
            let decoded = if self.decode_images { format!(", {} images decode", result.images) } else { String::new() };
            output::print(format_args!("{} rows are equal{decoded}", result.rows))?;
            return Ok(());
        }
        let rows = result.differences.into_iter();
        let rows = rows.map(|it| [cell(it.row), cell(it.column), cell(it.left), cell(it.right)]);
        print_table(["row", "column", "left", "right"], rows)?;
        Err(Error::new(ErrorKind::DataLoss, "the rows differ").into())
    }
}
