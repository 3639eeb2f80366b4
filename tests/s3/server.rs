//! An S3 server with the objects in a folder, whose signatures are checked, behind faults that a test orders.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Frame, Incoming},
    header,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use tokio::net::TcpListener;

use crate::fault::{Fault, Rule, Seen};

/// The only key that is let in.
pub const KEY_ID: &str = "AKIATEST";
pub const SECRET_KEY: &str = "correct/horse+battery";

/// What a test orders and sees.
#[derive(Clone)]
pub struct Control {
    /// The folder whose folders are the buckets.
    root: PathBuf,
    rules: Arc<Mutex<Vec<Rule>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A body that ends in the middle.
struct Cut<B> {
    body: Pin<Box<B>>,
    left: u64,
}

// === impl Control ===

impl Control {
    /// No faults of the store in `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), rules: Arc::default(), seen: Arc::default() }
    }

    /// From now on these faults happen, and no others.
    pub fn order(&self, rules: Vec<Rule>) {
        *self.rules.lock() = rules;
    }

    /// The requests since the last call, in their order.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock())
    }

    fn strike(&self, seen: Seen) -> Option<Fault> {
        let fault = self.rules.lock().iter_mut().find_map(|rule| rule.strike(&seen));
        self.seen.lock().push(seen);
        fault
    }
}

/// Serves the buckets until the process ends; gives the address.
pub async fn serve(control: Control) -> io::Result<SocketAddr> {
    let files = s3s_fs::FileSystem::new(&control.root).map_err(|err| io::Error::other(format!("{err:?}")))?;
    let mut store = S3ServiceBuilder::new(files);
    store.set_auth(SimpleAuth::from_single(KEY_ID, SECRET_KEY));
    let store = store.build();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (store, control) = (store.clone(), control.clone());
            let service = service_fn(move |request| answer(store.clone(), control.clone(), request));
            // An error is a connection that was cut.
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
}

async fn answer(store: S3Service, control: Control, request: Request<Incoming>) -> io::Result<Response<s3s::Body>> {
    let range =
        request.headers().get(header::RANGE).map(|range| String::from_utf8_lossy(range.as_bytes()).into_owned());
    let seen = Seen {
        method: request.method().to_string(),
        target: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        range: range.unwrap_or_default(),
    };
    let fault = control.strike(seen);
    match fault {
        None | Some(Fault::CutAnswer(_)) => {}
        Some(Fault::Delay(_)) => tokio::time::sleep(fault.map(Fault::delay).unwrap_or_default()).await,
        Some(Fault::Blackhole) => std::future::pending().await,
        Some(Fault::CutRequest(bytes)) => {
            let mut cut = Cut { body: Box::pin(request.into_body()), left: bytes };
            while let Some(frame) = cut.frame().await {
                frame?;
            }
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Some(Fault::Unavailable) => {
            return refuse(request, StatusCode::SERVICE_UNAVAILABLE, "SlowDown").await;
        }
    }
    // s3s-fs would make the bucket.
    let bucket = request.uri().path().split('/').nth(1).unwrap_or_default();
    if !bucket.is_empty() && !control.root.join(bucket).is_dir() {
        return refuse(request, StatusCode::NOT_FOUND, "NoSuchBucket").await;
    }
    let answer = store.call(request.map(s3s::Body::from)).await.map_err(|err| io::Error::other(format!("{err:?}")))?;
    Ok(match fault {
        Some(Fault::CutAnswer(bytes)) => {
            answer.map(|body| s3s::Body::http_body_unsync(Cut { body: Box::pin(body), left: bytes }))
        }
        _ => answer,
    })
}

async fn refuse(request: Request<Incoming>, status: StatusCode, code: &str) -> io::Result<Response<s3s::Body>> {
    // Whoever does not read what it was sent resets the connection, and its answer is lost.
    let _ = request.into_body().collect().await;
    let body = format!("<Error><Code>{code}</Code><Message>by order of a test</Message></Error>");
    Response::builder().status(status).body(body.into()).map_err(io::Error::other)
}

impl<B, E> Body for Cut<B>
where
    B: Body<Data = Bytes, Error = E>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        let frame = std::task::ready!(self.body.as_mut().poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            let mut data = frame.map_err(io::Error::other)?.into_data().unwrap_or_default();
            data.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= data.len() as u64;
            Ok(Frame::data(data))
        }))
    }
}
