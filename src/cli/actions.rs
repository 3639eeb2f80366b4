//! `merganser actions`.

use clap::Args;

use super::{connect::Connect, failure::Failure, output};

/// List the actions of a server, with their parameters
#[derive(Debug, Args)]
pub struct Actions {
    #[command(flatten)]
    connect: Connect,
}

// === impl Actions ===

impl Actions {
    /// Queries the server.
    pub async fn run(self) -> Result<(), Failure> {
        for action in self.connect.client().await?.actions().await? {
            output::print(format_args!("{}\n  {}\n", action.name, action.description))?;
        }
        Ok(())
    }
}
