//! Write coalescing: small writes are combined into large ones.
//!
//! HTTP/2 sends results in frames of 16 KiB, the maximum that gRPC clients accept, and flushes after each: a system call
//! for the server, and often a wake-up of the client, 65,000 times per gigabyte. Here bytes are buffered until there are
//! [`BUFFER_BYTES`], or until the writer pauses: a flush after new bytes only schedules its task again, and the next flush,
//! with no bytes written in between, is performed.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The number of buffered bytes that are sent; they fit into a CPU cache.
const BUFFER_BYTES: usize = 64 << 10;

/// A stream whose writes are coalesced.
#[derive(Debug)]
pub struct CoalescingStream<S> {
    stream: S,
    /// The buffered bytes, and how many of them were sent.
    buffer: Vec<u8>,
    sent: usize,
    /// Whether bytes were written since the last flush.
    dirty: bool,
}

// === impl CoalescingStream ===

impl<S: AsyncWrite + Unpin> CoalescingStream<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), sent: 0, dirty: false }
    }

    /// Sends all buffered bytes.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.buffer.len() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.buffer[self.sent..]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += sent;
        }
        self.buffer.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CoalescingStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CoalescingStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.buffer.len() >= BUFFER_BYTES {
            ready!(self.poll_send(cx))?;
        }
        let before = self.buffer.len();
        for buf in bufs {
            self.buffer.extend_from_slice(buf);
        }
        self.dirty = true;
        Poll::Ready(Ok(self.buffer.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.dirty && self.buffer.len() < BUFFER_BYTES {
            self.dirty = false;
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_send(cx))?;
        if !self.dirty {
            // The writer paused: idle connections hold no buffer.
            self.buffer = Vec::new();
        }
        self.dirty = false;
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
    async fn bytes_arrive_in_order_at_a_slow_reader() {
        // A pipe with a buffer of 1,000 bytes.
        let (near, mut far) = tokio::io::duplex(1_000);
        let bytes: Vec<u8> = (0..3 * BUFFER_BYTES + 17).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect();
        let sent = bytes.clone();
        let writer = tokio::spawn(async move {
            let mut stream = CoalescingStream::new(near);
            for (number, frame) in sent.chunks(16_393).enumerate() {
                stream.write_all(frame).await.unwrap();
                if number % 3 == 0 {
                    stream.flush().await.unwrap();
                }
            }
            stream.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        writer.await.unwrap();
        assert!(received == bytes);
    }

    #[tokio::test]
    async fn the_second_flush_is_performed() {
        let (near, mut far) = tokio::io::duplex(1_000);
        let mut stream = CoalescingStream::new(near);
        stream.write_all(b"ping").await.unwrap();
        stream.flush().await.unwrap();
        stream.flush().await.unwrap();
        let mut received = [0; 4];
        far.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"ping");
        assert_eq!(stream.buffer.capacity(), 0, "idle connections hold no memory");
    }
}
