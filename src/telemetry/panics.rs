//! Expected panics: arrow-ipc panics on malformed data, which any client can send. They are not logged.

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

/// Installs a panic hook that ignores panics inside of [`Quiet`].
pub fn install() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !EXPECTED.get() {
            usual(panic);
        }
    }));
}

/// A future whose panics are caught and reported by its caller.
#[derive(Debug)]
pub struct Quiet<F>(pub F);

impl<F: Future + Unpin> Future for Quiet<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _expected = Expected::new();
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Marks panics as expected until it is dropped, also by unwinding.
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
