//! Servers outside, from which data sets are downloaded, and to which they are published. The only module that makes HTTP requests.
//!
//! | file | what it is about |
//! |---|---|
//! | `hugging_face`, `kaggle`, `web` | the protocols |
//! | `http`, `download` | requests that are retried, and downloads that are resumed |
//! | `request`, `failure` | what is sent, and why it failed |
//! | `address` | hosts that a client may not make the server reach |
//! | `checksum` | hashes of what arrived |

mod address;
mod checksum;
mod download;
mod failure;
mod http;
mod hugging_face;
mod kaggle;
mod request;
mod web;

pub use self::{
    download::Downloaded,
    http::{Http, Reach, file_name, shown},
    hugging_face::{
        Committed, HubAccess, HubFile, HuggingFace, MAX_COMMITTED, NewCommit, NewContent, NewFile, Oid, Revision,
    },
    kaggle::{Kaggle, KaggleAccess, KaggleVersion},
    request::Credentials,
};
