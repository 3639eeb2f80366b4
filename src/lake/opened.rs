//! The opened lake: an engine with the lake attached, and the state that commits share.

use std::sync::Arc;

use super::commit::{Committer, Writer};
use crate::{engine::Engine, error::Result};

/// The lake, attached and ready to be read and written.
#[derive(Clone, Debug)]
pub struct Lake {
    engine: Engine,
    committer: Arc<Committer>,
}

// === impl Lake ===

impl Lake {
    /// The lake attached to `engine`.
    pub(super) fn new(engine: Engine, committer: Committer) -> Self {
        Self { engine, committer: Arc::new(committer) }
    }

    /// The engine, for reads.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The state that commits share.
    pub fn committer(&self) -> &Arc<Committer> {
        &self.committer
    }

    /// Runs `work`, which writes, on a pooled connection. Dropping the future interrupts it.
    ///
    /// # Errors
    /// The errors of `work`.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(Writer<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let committer = Arc::clone(&self.committer);
        self.engine.run(move |connection| work(Writer::new(&committer, connection))).await
    }
}
