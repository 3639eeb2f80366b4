//! From the listener to connections that speak: whoever says nothing, or never ends its TLS handshake, waits outside.
//!
//! Each arrival greets in a task of its own, so that none holds up the next. Arrivals that take too long are dropped,
//! and when too many are at it the oldest makes way: an honest client is done in milliseconds.

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

/// How long a client may take to say its first word, or to shake hands.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// The most clients that are at it.
const MAX_GREETING: usize = 512;
/// How many greeted connections wait to be served.
const BACKLOG: usize = 128;
/// How long accepting rests after it failed, as when there are no file descriptors left.
const REST: Duration = Duration::from_millis(50);

/// Accepts clients until it is dropped.
#[derive(Debug)]
pub struct Incoming {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    sessions: Arc<Sessions>,
    greeted: mpsc::Sender<Connection>,
    greeting: JoinSet<()>,
    /// Those that greet, the oldest first; those that are done are taken out when it is full.
    oldest: VecDeque<AbortHandle>,
}

// === impl Incoming ===

impl Incoming {
    /// What accepts on `listener`, and the connections that come of it.
    pub fn new(
        listener: TcpListener,
        tls: Option<Arc<Tls>>,
        sessions: Arc<Sessions>,
    ) -> (Self, impl Stream<Item = io::Result<Connection>> + Send + 'static) {
        let (greeted, connections) = mpsc::channel(BACKLOG);
        let connections = stream::unfold(connections, async |mut connections| {
            let connection = connections.recv().await?;
            Some((Ok(connection), connections))
        });
        let incoming = Self { listener, tls, sessions, greeted, greeting: JoinSet::new(), oldest: VecDeque::new() };
        (incoming, connections)
    }

    /// Accepts, for ever; runs until it is dropped, which also drops those that still greet.
    pub async fn accept(mut self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => self.greet(stream),
                Err(err) => {
                    tracing::warn!(cause = %err, "accept a connection");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    fn greet(&mut self, stream: TcpStream) {
        while self.greeting.try_join_next().is_some() {}
        if self.oldest.len() >= MAX_GREETING {
            self.oldest.retain(|greeting| !greeting.is_finished());
        }
        if self.oldest.len() >= MAX_GREETING
            && let Some(oldest) = self.oldest.pop_front()
        {
            oldest.abort();
        }
        let (tls, sessions, greeted) = (self.tls.clone(), Arc::clone(&self.sessions), self.greeted.clone());
        self.oldest.push_back(self.greeting.spawn(async move {
            match tokio::time::timeout(GREETING_TIMEOUT, transport(stream, tls)).await {
                Ok(Ok(transport)) => _ = greeted.send(Connection::new(transport, sessions)).await,
                Ok(Err(err)) => tracing::debug!(cause = %err, "a client was not let in"),
                Err(_) => tracing::debug!("a client said nothing"),
            }
        }));
    }
}

async fn transport(stream: TcpStream, tls: Option<Arc<Tls>>) -> io::Result<Transport> {
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => Ok(Transport::Tls(Box::new(tls.acceptor().accept(stream).await?))),
        None => {
            // Not `readable`, which may be wrong about it.
            match stream.peek(&mut [0]).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(Transport::Plain(stream)),
            }
        }
    }
}
