//! What media files are, told from their bytes.
//!
//! Ingest asks this module before a file becomes an asset: a broken picture is refused with its name while somebody
//! is looking, and not weeks later by a training loop. The module does no I/O and knows neither tables nor stores:
//! bytes in, facts out.

pub mod image;
