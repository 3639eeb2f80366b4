//! The one error of the crate: what the caller can do about it, and a text for them.
//!
//! A component that fails says *which kind* of failure it is; only `flight::status` turns a kind into a gRPC code.
//! The text of an error is meant for the client. What only the operator may see travels as the source and reaches
//! nothing but the log.

use std::fmt;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about a failure. Closed on purpose: a new kind needs a gRPC code, a log level and a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong as it stands: SQL syntax, an unknown column, a malformed field.
    InvalidArgument,
    /// The thing that was named does not exist.
    NotFound,
    /// The thing that was to be made exists.
    AlreadyExists,
    /// Another transaction was first: the same request may succeed when it is repeated.
    Conflict,
    /// The request is right, but not in this state of the server; the text says what must change.
    FailedPrecondition,
    /// The caller may not do this.
    PermissionDenied,
    /// The caller is not who they must be.
    Unauthenticated,
    /// A limit of the server was met; the text names the limit and its setting.
    ResourceExhausted,
    /// The caller went away or asked to stop.
    Cancelled,
    /// It took longer than it may.
    DeadlineExceeded,
    /// Something that the server depends on does not answer, or the server is stopping.
    Unavailable,
    /// The server does not offer this; the text names the remedy.
    Unsupported,
    /// What was stored is not what was written; the text names it.
    DataLoss,
    /// A bug, or a broken environment. Clients see the first line of the text.
    Internal,
}

/// A failure with a text for the client.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

// === impl Error ===

impl Error {
    /// A failure of `kind` that tells the client `message` (lower case, no full stop, `verb thing: cause`).
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The request is wrong as it stands.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// The named thing does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// The request does not fit the state of the server.
    pub fn precondition(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::FailedPrecondition, message)
    }

    /// The server does not offer this.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// The caller went away or asked to stop.
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled")
    }

    /// A bug or a broken environment.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Keeps `source` for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts what was being done in front of the text: `verb thing: …`.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// The text that the error was made from, where clients see another one; for the operator.
    pub fn original(&self) -> String {
        self.source.as_ref().map_or_else(|| self.message.clone(), ToString::to_string)
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text for the client.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Adds what was being done to the error of a result.
pub trait Context<T> {
    /// Puts `doing` in front of the error's text; it is only built when there is an error.
    ///
    /// # Errors
    /// The one that the result holds.
    fn context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|err| err.into().context(doing()))
    }
}

impl From<std::io::Error> for Error {
    fn from(err: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match err.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::PermissionDenied | Io::NotADirectory | Io::IsADirectory => ErrorKind::FailedPrecondition,
            Io::StorageFull | Io::QuotaExceeded => ErrorKind::ResourceExhausted,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, err.to_string())
    }
}
