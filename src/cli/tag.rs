//! `merganser tag`.

use clap::Args;

use super::{call::Call, failure::Failure, table::print_table};
use crate::{actions, proto::TagRequest};

/// Tag a snapshot, or list the tags
///
/// Lists all tags if no name is given.
#[derive(Debug, Args)]
pub struct Tag {
    /// The tag
    name: Option<String>,
    /// The version of the snapshot to tag [default: the newest]
    #[arg(long)]
    version: Option<i64>,
    /// Delete the tag, but not the snapshot
    #[arg(long, conflicts_with_all = ["version", "replace"])]
    delete: bool,
    /// Move the tag if it exists
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    call: Call,
}

// === impl Tag ===

impl Tag {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let request = TagRequest { name: self.name, version: self.version, delete: self.delete, replace: self.replace };
        let Some(result) = self.call.run::<actions::Tag>(request).await? else { return Ok(()) };
        let rows = result.tags.into_iter().map(|tag| [tag.name, tag.version.to_string(), tag.author, tag.created]);
        print_table(["name", "version", "author", "created"], rows)?;
        Ok(())
    }
}
