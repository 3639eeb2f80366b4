//! The service on HTTP/2. All messages use tonic's codec except the responses of DoGet, which are written here so that
//! rows are not copied.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use arrow_flight::{Ticket, flight_service_server::FlightServiceServer};
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use http_body_util::StreamBody;
use tonic::{Request, Status, Streaming, body::Body, codec::Codec, metadata::MetadataMap, server::NamedService};
use tonic_prost::ProstCodec;
use tower_service::Service as TowerService;

use super::{Service, stream::FrameStream};
use crate::error::Error;

const DO_GET: &str = "/arrow.flight.protocol.FlightService/DoGet";

/// The Flight service, to be added to a server.
#[derive(Clone, Debug)]
pub struct Endpoint {
    service: Service,
    codec: FlightServiceServer<Service>,
}

// === impl Endpoint ===

impl Endpoint {
    /// Serves `service` with messages of at most `max_message_bytes`.
    pub fn new(service: Service, max_message_bytes: usize) -> Self {
        let codec = FlightServiceServer::new(service.clone())
            .max_decoding_message_size(max_message_bytes)
            .max_encoding_message_size(usize::MAX);
        Self { service, codec }
    }
}

impl NamedService for Endpoint {
    const NAME: &'static str = <FlightServiceServer<Service> as NamedService>::NAME;
}

impl TowerService<http::Request<Body>> for Endpoint {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != DO_GET {
            return self.codec.call(request);
        }
        let service = self.service.clone();
        Box::pin(async move {
            let answer = match ticket(request).await {
                Ok(request) => service.get(&request).await.map_err(Status::from),
                Err(status) => Err(status),
            };
            Ok(match answer {
                Ok(frames) => response(frames),
                Err(status) => status.into_http(),
            })
        })
    }
}

/// The request with its only message.
async fn ticket(request: http::Request<Body>) -> Result<Request<Ticket>, Status> {
    let (parts, body) = request.into_parts();
    let decoder = ProstCodec::<Ticket, Ticket>::default().decoder();
    let ticket = Streaming::new_request(decoder, body, None, None).message().await?;
    let ticket = ticket.ok_or_else(|| Error::invalid("DoGet needs a ticket"))?;
    Ok(Request::from_parts(MetadataMap::from_headers(parts.headers), parts.extensions, ticket))
}

fn response(frames: FrameStream) -> http::Response<Body> {
    let pieces = frames.map_ok(|frame| stream::iter(frame.0.into_iter().map(Ok))).try_flatten();
    // Data until the end or the first failure, then the status.
    let body = stream::unfold(Some(pieces), |pieces| async move {
        let mut pieces = pieces?;
        Some(match pieces.next().await {
            Some(Ok(piece)) => (Ok(http_body::Frame::data(piece)), Some(pieces)),
            Some(Err(status)) => (trailers(&status), None),
            None => (trailers(&Status::ok("")), None),
        })
    });
    let mut response = http::Response::new(Body::new(StreamBody::new(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn trailers(status: &Status) -> Result<http_body::Frame<bytes::Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(http_body::Frame::trailers(trailers))
}
