//! Whether a store can be used, asked before anything is built on it.

use std::time::Duration;

use bytes::Bytes;

use super::Storage;
use crate::error::{Error, ErrorKind, Result};

/// What the names of the objects start with that are written to try the store.
pub(super) const NAME: &str = "merganser-probe-";

/// The longest that whoever starts a server waits for a store.
const PATIENCE: Duration = Duration::from_secs(12);

impl Storage {
    /// Writes an object, reads it and removes it.
    ///
    /// # Errors
    /// `FailedPrecondition` when the store refuses the key or has no such bucket, Unavailable when it does not answer;
    /// with the remedy.
    pub async fn probe(&self) -> Result<()> {
        let path = format!("{NAME}{}", uuid::Uuid::new_v4());
        let tried = async {
            self.put(&path, Bytes::from_static(b"can be removed")).await?;
            self.get(&path).await?;
            self.delete(&path).await
        };
        let outcome = tokio::time::timeout(PATIENCE, tried).await.unwrap_or_else(|_| {
            let text = "the store does not answer in time: look at it and the network, or correct AWS_ENDPOINT_URL";
            Err(Error::new(ErrorKind::Unavailable, text))
        });
        outcome.map_err(|err| err.context(format_args!("open storage \"{}\"", self.uri(""))))
    }
}
