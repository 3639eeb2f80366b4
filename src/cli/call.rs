//! Calls of actions: events are shown as a progress bar, or as JSON lines.

use clap::Args;
use futures::TryStreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use prost_types::Any;

use super::{connect::Connect, failure::Failure, output};
use crate::{
    actions::Action,
    error::Error,
    proto::{self, Event},
};

/// Which server to call, and how to print its events.
#[derive(Debug, Args)]
pub(super) struct Call {
    /// Print events as JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

// === impl Call ===

impl Call {
    /// Calls an action and returns its result, unless it was printed as JSON.
    pub(super) async fn run<A: Action>(&self, request: A::Request) -> Result<Option<A::Response>, Failure> {
        let result = self.packed::<A>(request).await?;
        let result = result.map(|result| result.to_msg()).transpose();
        Ok(result.map_err(|err| Error::internal("read the result").with_source(err))?)
    }

    /// As [`run`](Self::run), for a result of any type.
    pub(super) async fn packed<A: Action>(&self, request: A::Request) -> Result<Option<Any>, Failure> {
        let mut events = self.connect.client().await?.call(A::NAME, &request).await?;
        let bar = if self.json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        let mut result = None;
        while let Some(event) = events.try_next().await? {
            if self.json {
                output::print(proto::event_to_json(&event)?)?;
            } else {
                show(&bar, &event);
            }
            result = event.result.or(result);
        }
        bar.finish_and_clear();
        Ok(result.filter(|_| !self.json))
    }
}

/// Shows the work done, its rate and, if the total is known, the time that remains. Both begin again with each phase.
fn show(bar: &ProgressBar, event: &Event) {
    if bar.message() != event.phase {
        bar.reset();
        bar.set_message(event.phase.clone());
        bar.set_prefix(event.unit.clone());
    }
    let template = match (event.total, event.unit.as_str()) {
        (Some(_), "bytes") => "{msg:<24} {bar:32} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
        (Some(_), _) => "{msg:<24} {bar:32} {pos}/{len} {prefix}, {per_sec}, {eta} left",
        (None, "bytes") => "{msg:<24} {spinner} {bytes}, {bytes_per_sec}",
        (None, _) => "{msg:<24} {spinner} {pos} {prefix}, {per_sec}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    if let Some(total) = event.total {
        bar.set_length(total);
    }
    bar.set_position(event.done);
}
