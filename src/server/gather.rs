//! Small writes gathered into large ones.
//!
//! HTTP/2 sends a result in frames of 16 KiB, which is all that gRPC's clients take, and flushes after each: a system
//! call for the server, and often a waking for the client, 65,000 times a gigabyte. Here bytes wait until there are
//! [`ENOUGH`], or until whoever writes has nothing more to say for now: a flush behind new bytes only asks for its task
//! to be polled again, and the next flush, with no bytes before it, is the real one.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes are sent at once; they fit into a processor's cache.
const ENOUGH: usize = 64 << 10;

/// A stream whose writes are gathered.
#[derive(Debug)]
pub struct Gather<S> {
    stream: S,
    /// What waits, and how much of it was sent.
    waiting: Vec<u8>,
    sent: usize,
    /// Whether something was written behind the last flush.
    fresh: bool,
}

// === impl Gather ===

impl<S: AsyncWrite + Unpin> Gather<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, waiting: Vec::new(), sent: 0, fresh: false }
    }

    /// Sends all that waits.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.waiting.len() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting[self.sent..]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += sent;
        }
        self.waiting.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gather<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.waiting.len() >= ENOUGH {
            ready!(self.poll_send(cx))?;
        }
        let before = self.waiting.len();
        for buf in bufs {
            self.waiting.extend_from_slice(buf);
        }
        self.fresh = true;
        Poll::Ready(Ok(self.waiting.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.fresh && self.waiting.len() < ENOUGH {
            self.fresh = false;
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_send(cx))?;
        if !self.fresh {
            // Nothing more for now: thousands of idle connections need no memory.
            self.waiting = Vec::new();
        }
        self.fresh = false;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn bytes_arrive_in_order_however_slowly_they_are_taken() {
        // A pipe that takes 1,000 bytes at a time.
        let (near, mut far) = tokio::io::duplex(1_000);
        let bytes: Vec<u8> = (0..3 * ENOUGH + 17).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect();
        let sent = bytes.clone();
        let writer = tokio::spawn(async move {
            let mut gather = Gather::new(near);
            for (number, frame) in sent.chunks(16_393).enumerate() {
                gather.write_all(frame).await.unwrap();
                if number % 3 == 0 {
                    gather.flush().await.unwrap();
                }
            }
            gather.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        writer.await.unwrap();
        assert!(received == bytes);
    }

    #[tokio::test]
    async fn the_second_flush_is_real() {
        let (near, mut far) = tokio::io::duplex(1_000);
        let mut gather = Gather::new(near);
        gather.write_all(b"ping").await.unwrap();
        gather.flush().await.unwrap();
        gather.flush().await.unwrap();
        let mut received = [0; 4];
        far.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"ping");
        assert_eq!(gather.waiting.capacity(), 0, "idle connections hold no memory");
    }
}
