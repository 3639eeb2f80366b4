//! Scheduled maintenance.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;

use super::{dispatch::Actions, maintain::Maintain};
use crate::{
    context::Principal,
    error::Result,
    proto::{MaintainRequest, maintain_request::Step},
};

/// The maximum delay of the first run, so that a server that is restarted every day maintains its lake too.
const FIRST_AFTER: Duration = Duration::from_mins(10);

/// The schedule of maintenance.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The interval between two runs.
    pub every: Duration,
    /// Expires snapshots older than this many days, except tagged ones and the newest; none if absent.
    pub expire_days: Option<f64>,
}

// === impl Schedule ===

impl Schedule {
    /// Calls `maintain` with all of its steps at every interval. Failures are logged.
    pub async fn follow(self, actions: Arc<Actions>) {
        let mut wait = self.every.min(FIRST_AFTER);
        loop {
            tokio::time::sleep(wait).await;
            wait = self.every;
            match self.maintain(&actions).await {
                Ok(()) => tracing::info!("the lake was maintained"),
                Err(err) => tracing::warn!(cause = %err.original(), "the lake was not maintained"),
            }
        }
    }

    async fn maintain(self, actions: &Actions) -> Result<()> {
        let steps = [Step::Rewrite, Step::Merge, Step::Cleanup, Step::Orphans];
        let expire = self.expire_days.map(|_| Step::Expire);
        let request = MaintainRequest {
            steps: steps.into_iter().chain(expire).map(i32::from).collect(),
            expire_days: self.expire_days,
            ..MaintainRequest::default()
        };
        let mut events = actions.start::<Maintain>(&Principal::server(), request)?;
        while let Some(event) = events.next().await {
            event?;
        }
        Ok(())
    }
}
