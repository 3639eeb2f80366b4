//! Network connections with an id, whose end is reported to the sessions.
//!
//! gRPC passes calls to a service, but not disconnects. The end of a connection is the only sign that a client with an open
//! transaction will not come back.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::coalesce::CoalescingStream;
use crate::{ids::ConnectionId, session::Sessions, telemetry::metrics};

/// A client's connection. Dropping it notifies the sessions.
#[derive(Debug)]
pub struct Connection {
    transport: CoalescingStream<Transport>,
    id: ConnectionId,
    sessions: Arc<Sessions>,
}

/// The transport of a connection.
#[derive(Debug)]
pub enum Transport {
    /// Unencrypted.
    Plain(TcpStream),
    /// TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Evaluates an expression with the stream of either transport.
macro_rules! with {
    ($transport:expr, $stream:ident => $body:expr) => {
        match $transport {
            Transport::Plain($stream) => $body,
            Transport::Tls($stream) => $body,
        }
    };
}

// === impl Connection ===

impl Connection {
    /// A newly accepted connection.
    pub fn new(transport: Transport, sessions: Arc<Sessions>) -> Self {
        metrics::connection_opened();
        Self { transport: CoalescingStream::new(transport), id: ConnectionId::new(), sessions }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        metrics::connection_closed();
        self.sessions.disconnected(self.id);
    }
}

impl Connected for Connection {
    type ConnectInfo = ConnectionId;

    fn connect_info(&self) -> ConnectionId {
        self.id
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

// === impl Transport ===

impl AsyncRead for Transport {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        with!(&mut *self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        with!(&mut *self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(&mut *self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(&mut *self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
