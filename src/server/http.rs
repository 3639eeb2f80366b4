//! Health and metrics over HTTP, for orchestrators and Prometheus: `/healthz`, `/readyz` and `/metrics`.
//!
//! Responses contain counts and states but no data, so no credentials are required. Each connection serves one request
//! within a deadline of a few seconds, and the number of connections is limited, so that slow clients cannot block others
//! for long.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::IntoResponse,
    routing::get,
    serve::Listener,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};

use super::health::{self, Health};
use crate::{
    actions::Actions,
    engine::{DUCKDB_VERSION, Engine},
    error::Result,
    jobs,
    query::Queries,
    telemetry::metrics::{Gauges, Registry},
};

/// The deadline of a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of connections; others wait.
const MAX_CONNECTIONS: usize = 64;
/// The delay after a failed accept, such as when no file descriptors are left.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Sent with every response: a connection serves one request.
const CLOSE: [(HeaderName, &str); 1] = [(header::CONNECTION, "close")];

/// The sources of the responses.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The health of the server.
    pub health: Health,
    /// Reports its connection pool.
    pub engine: Engine,
    /// The sessions and results that are counted.
    pub queries: Arc<Queries>,
    /// Whose jobs are counted.
    pub actions: Arc<Actions>,
}

/// A listener whose connections have a deadline.
struct DeadlineListener {
    listener: TcpListener,
    permits: Arc<Semaphore>,
}

/// A connection that fails after its deadline.
struct DeadlineStream {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Serves requests on `listener` until the future is dropped.
///
/// # Errors
/// Internal if another metrics recorder is installed in this process.
pub async fn serve(listener: TcpListener, sources: Sources) -> Result<()> {
    let registry = Registry::start(DUCKDB_VERSION)?;
    let upkeep = registry.clone().keep_up();
    let metrics = move |State(sources): State<Sources>| async move {
        let text = registry.render(&sources.gauges());
        (CLOSE, [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
    };
    let router = Router::new()
        .route("/healthz", get(async || (CLOSE, "ok\n")))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(async || (StatusCode::NOT_FOUND, CLOSE, "not found: use /healthz, /readyz or /metrics\n"))
        .method_not_allowed_fallback(async || (StatusCode::METHOD_NOT_ALLOWED, CLOSE, "method not allowed: use GET\n"))
        .with_state(sources);
    let listener = DeadlineListener { listener, permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)) };
    tokio::select! {
        outcome = axum::serve(listener, router).into_future() => Ok(outcome?),
        () = upkeep => Ok(()),
    }
}

async fn readyz(State(sources): State<Sources>) -> impl IntoResponse {
    let state = sources.health.state();
    let code = if state == health::HealthState::Serving { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, CLOSE, format!("{state}\n"))
}

// === impl Sources ===

impl Sources {
    fn gauges(&self) -> Gauges {
        let (sessions, transactions) = self.queries.sessions().counts();
        let pool = self.engine.pool_use();
        let mut jobs = [("running", 0), ("succeeded", 0), ("failed", 0), ("cancelled", 0)];
        for job in self.actions.jobs().list() {
            let index = match job.watch().borrow().state {
                jobs::JobState::Running => 0,
                jobs::JobState::Succeeded(_) => 1,
                jobs::JobState::Failed(..) => 2,
                jobs::JobState::Cancelled => 3,
            };
            jobs[index].1 += 1;
        }
        Gauges {
            ready: self.health.state() == health::HealthState::Serving,
            sessions,
            transactions,
            waiting_results: self.queries.executions().count(),
            pool_limit: pool.limit,
            pool_in_use: pool.in_use,
            pool_waiting: pool.waiting,
            jobs: jobs.to_vec(),
        }
    }
}

// === impl DeadlineListener ===

impl Listener for DeadlineListener {
    type Io = DeadlineStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (DeadlineStream, SocketAddr) {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let deadline = Box::pin(tokio::time::sleep(CONNECTION_TIMEOUT));
                    return (DeadlineStream { stream, deadline, _permit: permit }, peer);
                }
                Err(err) => {
                    tracing::warn!(cause = %err, "accept a connection for health or metrics");
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

// === impl DeadlineStream ===

impl DeadlineStream {
    fn check_deadline(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for DeadlineStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check_deadline(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for DeadlineStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check_deadline(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
