//! Accepting connections: a connection is served after it sent its first bytes, or completed its TLS handshake.
//!
//! Each handshake runs in a task of its own, so that none delays others. Handshakes that take too long are aborted, and if
//! there are too many, the oldest is aborted: an honest client completes in milliseconds.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use futures::{Stream, stream};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};

use super::{
    connection::{Connection, Transport},
    tls::Tls,
};
use crate::session::Sessions;

/// The timeout of the first bytes, or of the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of concurrent handshakes.
const MAX_HANDSHAKES: usize = 512;
/// The maximum number of connections that wait to be served.
const BACKLOG: usize = 128;
/// The delay after a failed accept, such as when no file descriptors are left.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Accepts connections until it is dropped.
#[derive(Debug)]
pub struct Incoming {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    sessions: Arc<Sessions>,
    ready: mpsc::Sender<Connection>,
    handshakes: JoinSet<()>,
    /// The tasks of `handshakes`, oldest first; finished ones are removed when it is full.
    tasks: VecDeque<AbortHandle>,
}

// === impl Incoming ===

impl Incoming {
    /// Accepts on `listener`; returns the stream of connections to serve.
    pub fn new(
        listener: TcpListener,
        tls: Option<Arc<Tls>>,
        sessions: Arc<Sessions>,
    ) -> (Self, impl Stream<Item = io::Result<Connection>> + Send + 'static) {
        let (ready, connections) = mpsc::channel(BACKLOG);
        let connections = stream::unfold(connections, async |mut connections| {
            let connection = connections.recv().await?;
            Some((Ok(connection), connections))
        });
        let incoming = Self { listener, tls, sessions, ready, handshakes: JoinSet::new(), tasks: VecDeque::new() };
        (incoming, connections)
    }

    /// Accepts connections until the future is dropped, which also aborts pending handshakes.
    pub async fn accept(mut self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => self.start_handshake(stream),
                Err(err) => {
                    tracing::warn!(cause = %err, "accept a connection");
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        }
    }

    fn start_handshake(&mut self, stream: TcpStream) {
        while self.handshakes.try_join_next().is_some() {}
        if self.tasks.len() >= MAX_HANDSHAKES {
            self.tasks.retain(|task| !task.is_finished());
        }
        if self.tasks.len() >= MAX_HANDSHAKES
            && let Some(oldest) = self.tasks.pop_front()
        {
            oldest.abort();
        }
        let (tls, sessions, ready) = (self.tls.clone(), Arc::clone(&self.sessions), self.ready.clone());
        self.tasks.push_back(self.handshakes.spawn(async move {
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, transport(stream, tls)).await {
                Ok(Ok(transport)) => _ = ready.send(Connection::new(transport, sessions)).await,
                Ok(Err(err)) => tracing::debug!(cause = %err, "handshake failed"),
                Err(_) => tracing::debug!("handshake timed out"),
            }
        }));
    }
}

async fn transport(stream: TcpStream, tls: Option<Arc<Tls>>) -> io::Result<Transport> {
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => Ok(Transport::Tls(Box::new(tls.acceptor().accept(stream).await?))),
        None => {
            // `readable` may return without data.
            match stream.peek(&mut [0]).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(Transport::Plain(stream)),
            }
        }
    }
}
