//! Health and metrics over HTTP, for orchestrators and Prometheus: `/healthz`, `/readyz` and `/metrics`.
//!
//! Answers tell counts and states and no data, so nobody shows credentials here. Every connection serves one request
//! and has a few seconds for it, and there are few at a time: a client that reads slowly takes nothing from others for
//! long.

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

/// How long a connection may last.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// The most connections at a time; more wait.
const MAX_CONNECTIONS: usize = 64;
/// How long accepting rests after it failed, as when there are no file descriptors left.
const REST: Duration = Duration::from_millis(50);

/// Goes with every answer: one connection, one request.
const CLOSE: [(HeaderName, &str); 1] = [(header::CONNECTION, "close")];

/// What the answers are made of.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Whether the server is ready.
    pub health: Health,
    /// Whose connections are counted.
    pub engine: Engine,
    /// The sessions and results that are counted.
    pub queries: Arc<Queries>,
    /// Whose jobs are counted.
    pub actions: Arc<Actions>,
}

/// Accepts connections that have little time.
struct Hasty {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

/// A connection that fails when its time is up.
struct HastyStream {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

/// Answers on `listener`, for ever; runs until it is dropped.
///
/// # Errors
/// Internal when something else keeps metrics in this process.
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
        .fallback(async || (StatusCode::NOT_FOUND, CLOSE, "there are /healthz, /readyz and /metrics\n"))
        .method_not_allowed_fallback(async || (StatusCode::METHOD_NOT_ALLOWED, CLOSE, "use GET\n"))
        .with_state(sources);
    let listener = Hasty { listener, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)) };
    tokio::select! {
        outcome = axum::serve(listener, router).into_future() => Ok(outcome?),
        () = upkeep => Ok(()),
    }
}

async fn readyz(State(sources): State<Sources>) -> impl IntoResponse {
    let state = sources.health.state();
    let code = if state == health::State::Serving { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
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
                jobs::State::Running => 0,
                jobs::State::Succeeded(_) => 1,
                jobs::State::Failed(..) => 2,
                jobs::State::Cancelled => 3,
            };
            jobs[index].1 += 1;
        }
        Gauges {
            ready: self.health.state() == health::State::Serving,
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

// === impl Hasty ===

impl Listener for Hasty {
    type Io = HastyStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (HastyStream, SocketAddr) {
        // The semaphore is never closed.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let end = Box::pin(tokio::time::sleep(CONNECTION_TIMEOUT));
                    return (HastyStream { stream, end, _place: place }, peer);
                }
                Err(err) => {
                    tracing::warn!(cause = %err, "accept a connection for health or metrics");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

// === impl HastyStream ===

impl HastyStream {
    fn check_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for HastyStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check_time(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for HastyStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check_time(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
