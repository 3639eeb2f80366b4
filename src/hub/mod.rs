//! Servers outside, from which data sets are downloaded. The only module that makes HTTP requests.
//!
//! * [`Http`]: downloads that are retried and resumed, from public addresses only unless the operator allows others.

mod address;
mod http;

pub use self::http::{Http, Reach, file_name, shown};
