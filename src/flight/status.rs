//! Converts the crate's errors to `tonic::Status`, in this module only.

use tonic::{Code, Status};

use crate::error::{Error, ErrorKind};

/// The maximum size of a message on the wire in bytes, where every byte other than plain ASCII takes three: pyarrow
/// changes the error's class above 8 KB and loses the message at 30 KB.
const MAX_ENCODED_BYTES: usize = 3_000;

/// Logs an error at the boundary of the server and creates the status that the client receives.
pub fn from_error(err: &Error) -> Status {
    let code = code(err.kind());
    match err.kind() {
        ErrorKind::Internal | ErrorKind::DataLoss => {
            tracing::error!(cause = %err, source = source_chain(err), "a call failed");
        }
        ErrorKind::ResourceExhausted | ErrorKind::Unavailable => tracing::warn!(cause = %err, "a call failed"),
        ErrorKind::Cancelled => tracing::debug!("a call was cancelled"),
        ErrorKind::InvalidArgument
        | ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::FailedPrecondition
        | ErrorKind::DeadlineExceeded
        | ErrorKind::PermissionDenied
        | ErrorKind::Unauthenticated
        | ErrorKind::Unsupported => tracing::info!(?code, "a call was refused"),
    }
    let message = match err.kind() {
        // The rest of a bug's message is a stack trace, for the log only.
        ErrorKind::Internal => err.message().lines().next().unwrap_or_default(),
        _ => err.message(),
    };
    Status::new(code, cap(message))
}

/// The gRPC code of a kind. It determines the exception class of the clients in the ADBC and JDBC drivers: errors that
/// the caller can fix are argument errors, errors that a retry may resolve are Aborted.
fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::Conflict => Code::Aborted,
        ErrorKind::FailedPrecondition => Code::FailedPrecondition,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Unsupported => Code::Unimplemented,
        ErrorKind::DataLoss => Code::DataLoss,
        ErrorKind::Internal => Code::Internal,
    }
}

fn source_chain(err: &Error) -> String {
    let mut texts = Vec::new();
    let mut source = std::error::Error::source(err);
    while let Some(cause) = source {
        texts.push(cause.to_string());
        source = cause.source();
    }
    texts.join(": ")
}

/// Truncates a message to the maximum size, between characters.
fn cap(text: &str) -> String {
    let mut encoded = 0;
    for (at, c) in text.char_indices() {
        encoded += if c.is_ascii_graphic() && c != '%' || c == ' ' { 1 } else { 3 * c.len_utf8() };
        if encoded > MAX_ENCODED_BYTES {
            return format!("{} …", &text[..at]);
        }
    }
    text.to_owned()
}

impl From<Error> for Status {
    fn from(err: Error) -> Self {
        from_error(&err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cap("short"), "short");
        assert_eq!(cap(&"x".repeat(5_000)).len(), MAX_ENCODED_BYTES + " …".len());
        let cut = cap(&"ä\n".repeat(5_000));
        assert!(cut.ends_with('…') && cut.len() < MAX_ENCODED_BYTES);
    }
}
