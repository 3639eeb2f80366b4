//! What downloading a source needs.

use std::{path::Path, time::Duration};

use crate::{hub::Http, jobs::Progress, storage::Access};

/// How sources outside of this machine are reached.
#[derive(Clone, Debug)]
pub struct Outside {
    /// For web servers.
    pub http: Http,
    /// The credentials for buckets.
    pub s3: Access,
    /// The timeout of a request to a bucket, retries included.
    pub timeout: Duration,
}

/// What downloading a source needs.
#[derive(Clone, Copy, Debug)]
pub struct Download<'a> {
    /// How to reach it.
    pub outside: &'a Outside,
    /// The folder to download to.
    pub folder: &'a Path,
    /// Receives the progress.
    pub progress: &'a Progress,
}
