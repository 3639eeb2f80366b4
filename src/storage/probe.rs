//! Probing a store, to detect a wrong configuration before it is used.

use std::time::Duration;

use bytes::Bytes;

use super::{s3::PROBE, store::Storage};
use crate::error::{Error, ErrorKind, Result};

/// The timeout of a probe.
const TIMEOUT: Duration = Duration::from_secs(12);

impl Storage {
    /// Writes, reads and removes an object.
    ///
    /// # Errors
    /// `FailedPrecondition` if the store rejects the credentials or has no such bucket, Unavailable if it does not respond.
    pub async fn probe(&self) -> Result<()> {
        let path = format!("{PROBE}{}", uuid::Uuid::new_v4());
        let attempt = async {
            self.put(&path, Bytes::from_static(b"can be removed")).await?;
            self.get(&path).await?;
            self.delete(&path).await
        };
        let outcome = tokio::time::timeout(TIMEOUT, attempt).await.unwrap_or_else(|_| {
            let text =
                "the store does not answer in time: check the store and the network, or correct AWS_ENDPOINT_URL";
            Err(Error::new(ErrorKind::Unavailable, text))
        });
        outcome.map_err(|err| err.context(format_args!("open storage \"{}\"", self.uri(""))))
    }
}
