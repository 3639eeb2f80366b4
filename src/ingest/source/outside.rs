//! How sources outside of this machine are reached.

use std::{sync::Arc, time::Duration};

use crate::{
    hub::{Http, HuggingFace, Kaggle},
    storage::Access,
};

/// How sources outside of this machine are reached.
#[derive(Clone, Debug)]
pub struct Outside {
    /// For web servers that clients name.
    pub http: Http,
    /// The credentials for buckets.
    pub s3: Access,
    /// The timeout of a request to a bucket, retries included.
    pub timeout: Duration,
    /// The Hugging Face Hub.
    pub hugging_face: Arc<HuggingFace>,
    /// Kaggle.
    pub kaggle: Arc<Kaggle>,
}
