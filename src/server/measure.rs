//! Measures every call: its method, its status, its duration and the size of its response.
//!
//! Wraps the service, because streams end long after their method has returned: the status is in the trailers, after the
//! last message.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use tonic::{
    Code, Status,
    body::Body,
    codegen::{
        Body as HttpBody, Service,
        http::{HeaderMap, Request, Response},
    },
    server::NamedService,
};

use crate::telemetry::metrics;

/// The methods that are labels of metrics; others are arbitrary names from clients.
const METHODS: [&str; 12] = [
    "Handshake",
    "ListFlights",
    "GetFlightInfo",
    "PollFlightInfo",
    "GetSchema",
    "DoGet",
    "DoPut",
    "DoExchange",
    "DoAction",
    "ListActions",
    "Check",
    "Watch",
];

/// A service whose calls are measured.
#[derive(Clone, Debug)]
pub struct Measured<S>(pub S);

/// A call until the end of its response.
#[derive(Debug)]
struct Call {
    method: &'static str,
    started: Instant,
    bytes: u64,
    /// `Cancelled` unless the client reads the response to its end.
    code: Code,
}

/// The body of a response.
struct MeasuredBody {
    body: Body,
    call: Call,
}

// === impl Measured ===

impl<S: NamedService> NamedService for Measured<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Measured<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut call = Call::new(request.uri().path());
        let answering = self.0.call(request);
        Box::pin(async move {
            let response = answering.await?;
            call.record_status(response.headers());
            Ok(response.map(|body| Body::new(MeasuredBody { body, call })))
        })
    }
}

// === impl Call ===

impl Call {
    fn new(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default();
        let method = METHODS.into_iter().find(|method| *method == name).unwrap_or("other");
        Self { method, started: Instant::now(), bytes: 0, code: Code::Cancelled }
    }

    /// Records the status in `headers`, if there is one: in trailers, and in headers of responses without messages.
    fn record_status(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.code = status.code();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        metrics::request_ended(self.method, code_name(self.code), self.started.elapsed(), self.bytes);
    }
}

// === impl MeasuredBody ===

impl HttpBody for MeasuredBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            if let Some(data) = frame.data_ref() {
                self.call.bytes += u64::try_from(data.len()).unwrap_or(u64::MAX);
            } else if let Some(trailers) = frame.trailers_ref() {
                self.call.record_status(trailers);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// The name of a code, as gRPC's documents write it.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
