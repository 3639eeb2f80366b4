//! Errors of object stores, translated to messages that tell the operator what to do.
//!
//! The messages of object_store contain the request's URL and the whole response; they are written to the log only.

use std::io;

use object_store::Error as StoreError;

use crate::error::{Error, ErrorKind};

/// S3 error codes, with the kind of error and a message with the remedy.
const CODES: &[(&[&str], ErrorKind, &str)] = &[
    (
        &["SignatureDoesNotMatch"],
        ErrorKind::FailedPrecondition,
        "the store rejected the secret key: correct AWS_SECRET_ACCESS_KEY",
    ),
    (
        &["InvalidAccessKeyId", "NotSignedUp"],
        ErrorKind::FailedPrecondition,
        "the store does not know the access key: correct AWS_ACCESS_KEY_ID",
    ),
    (
        &["ExpiredToken", "InvalidToken", "TokenRefreshRequired"],
        ErrorKind::FailedPrecondition,
        "the temporary credentials have expired: restart the server with new ones",
    ),
    (
        &["RequestTimeTooSkewed"],
        ErrorKind::FailedPrecondition,
        "the clocks of the store and of this machine differ: synchronize them",
    ),
    (
        &[
            "AuthorizationHeaderMalformed",
            "PermanentRedirect",
            "TemporaryRedirect",
            "IllegalLocationConstraintException",
        ],
        ErrorKind::FailedPrecondition,
        "the bucket is in another region: correct AWS_REGION",
    ),
    (&["NoSuchBucket"], ErrorKind::FailedPrecondition, "no such bucket: create it, or correct --storage"),
    (&["QuotaExceeded", "XMinioStorageFull"], ErrorKind::ResourceExhausted, "the store is full"),
    (&["InvalidBucketName"], ErrorKind::InvalidArgument, "the store does not accept the name of the bucket"),
    (&["InvalidRange"], ErrorKind::InvalidArgument, BEYOND_THE_END),
];

/// The message for a range that an object does not have, and how object_store says that of a local file.
const BEYOND_THE_END: &str = "the object ends before the bytes that were asked for";
const INVALID_RANGE: &str = "Requested range was invalid";

/// HTTP statuses, for responses without a known error code.
const STATUSES: &[(&str, ErrorKind, &str)] = &[
    (
        "403",
        ErrorKind::FailedPrecondition,
        "the store denied access: allow the access key to list, read, write and delete",
    ),
    ("401", ErrorKind::FailedPrecondition, "the store rejected the access key: correct AWS_ACCESS_KEY_ID"),
    ("400", ErrorKind::FailedPrecondition, "the store rejected the request"),
    ("5", ErrorKind::Unavailable, "the store reported an internal error at every attempt: try again later"),
];

/// The message when no response was received.
const NO_RESPONSE: &str =
    "the store does not answer: start it, or correct AWS_ENDPOINT_URL (and AWS_CA_BUNDLE, with TLS)";

/// The text of object_store for a redirect without a location.
const REDIRECTED: &str = "Received redirect without LOCATION";

/// The text before the status in messages of object_store.
const STATUS: &str = "status code: ";

impl From<StoreError> for Error {
    fn from(err: StoreError) -> Self {
        let text = err.to_string();
        if let Some((kind, meaning)) = of_s3(&text) {
            return Error::new(kind, meaning).with_source(text);
        }
        let kind = match &err {
            StoreError::NotFound { .. } => ErrorKind::NotFound,
            StoreError::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => ErrorKind::FailedPrecondition,
            _ if text.contains("No space left") => ErrorKind::ResourceExhausted,
            _ if text.contains(INVALID_RANGE) => return Error::invalid(BEYOND_THE_END).with_source(text),
            _ => ErrorKind::Unavailable,
        };
        if text.contains("Error performing ") {
            let meaning = if kind == ErrorKind::NotFound { "no such object" } else { NO_RESPONSE };
            return Error::new(kind, meaning).with_source(text);
        }
        Error::new(kind, text)
    }
}

/// The error of a copy, which may wrap an error of the store.
pub(super) fn of_copy(err: io::Error) -> Error {
    err.downcast::<StoreError>().map_or_else(Error::from, Error::from)
}

/// The kind and the message of an S3 response.
fn of_s3(text: &str) -> Option<(ErrorKind, &'static str)> {
    let code = between(text, "<Code>", "</Code>");
    let code = code.or_else(|| text.contains(REDIRECTED).then_some("PermanentRedirect"));
    let by_code = code.and_then(|code| CODES.iter().find(|(codes, ..)| codes.contains(&code)));
    if let Some((_, kind, meaning)) = by_code {
        return Some((*kind, meaning));
    }
    let (_, status) = text.split_once(STATUS)?;
    let (_, kind, meaning) = STATUSES.iter().find(|(known, ..)| status.starts_with(known))?;
    Some((*kind, meaning))
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    text.split_once(start)?.1.split_once(end).map(|(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, kind: ErrorKind, words: &str) {
        let source = Box::new(std::io::Error::other(text.to_owned()));
        let err = Error::from(StoreError::Generic { store: "S3", source });
        assert_eq!(err.kind(), kind, "{err}");
        assert!(err.message().contains(words) && !err.message().contains("http:"), "{err}");
    }

    #[test]
    fn responses_become_remedies() {
        let answer = |status: &str, code: &str| {
            format!(
                "Error performing PUT http://store:9000/lake/x in 2ms - Server returned non-2xx status code: {status}: \
                 <?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>"
            )
        };
        check(
            &answer("403 Forbidden", "SignatureDoesNotMatch"),
            ErrorKind::FailedPrecondition,
            "AWS_SECRET_ACCESS_KEY",
        );
        check(&answer("403 Forbidden", "InvalidAccessKeyId"), ErrorKind::FailedPrecondition, "AWS_ACCESS_KEY_ID");
        check(&answer("403 Forbidden", "AccessDenied"), ErrorKind::FailedPrecondition, "allow the access key to list");
        check(&answer("404 Not Found", "NoSuchBucket"), ErrorKind::FailedPrecondition, "create it");
        check(&answer("503 Service Unavailable", "SlowDown"), ErrorKind::Unavailable, "internal error");
        check(
            "Error performing PUT http://store/lake/x in 2ms - Received redirect without LOCATION, this normally",
            ErrorKind::FailedPrecondition,
            "AWS_REGION",
        );
        check(
            "Error performing GET http://store/x in 1s - HTTP error: error sending request",
            ErrorKind::Unavailable,
            "does not answer",
        );
    }
}
