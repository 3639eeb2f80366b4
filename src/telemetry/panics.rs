//! Panics that are expected: arrow-ipc panics at malformed data, which any client can send. They must not fill the log.

use std::{
    cell::Cell,
    future::Future,
    panic,
    pin::Pin,
    task::{Context, Poll},
};

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Says nothing about panics inside of [`Quiet`], and the usual about others.
pub fn install() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !EXPECTED.get() {
            usual(panic);
        }
    }));
}

/// A future whose panics its caller catches and answers for.
#[derive(Debug)]
pub struct Quiet<F>(pub F);

impl<F: Future + Unpin> Future for Quiet<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _expected = Expected::new();
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Ends with the poll, also when that panics.
struct Expected;

// === impl Expected ===

impl Expected {
    fn new() -> Self {
        EXPECTED.set(true);
        Self
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        EXPECTED.set(false);
    }
}
