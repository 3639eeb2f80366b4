//! Where the members of a tar file are.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, Seek, SeekFrom},
    path::Path,
};

/// The first byte of each member, and the one after its last.
pub type Index = HashMap<String, (u64, u64)>;

/// Reads the headers of an uncompressed tar file. Of members with one name the last counts, as for all readers.
///
/// # Errors
/// The reason, for a file that is no tar file.
pub fn index(path: &Path) -> Result<Index, String> {
    let file = File::open(path).map_err(|err| err.to_string())?;
    let mut archive = tar::Archive::new(BufReader::new(file));
    let mut members = Index::new();
    for entry in archive.entries_with_seek().map_err(|err| err.to_string())? {
        let entry = entry.map_err(|err| err.to_string())?;
        if entry.header().entry_type().is_file() {
            let start = entry.raw_file_position();
            members.insert(String::from_utf8_lossy(&entry.path_bytes()).into_owned(), (start, start + entry.size()));
        }
    }
    let end = File::open(path).and_then(|mut file| file.seek(SeekFrom::End(0))).map_err(|err| err.to_string())?;
    // Seeking does not notice that the file has ended.
    if members.values().all(|(_, after)| *after <= end) { Ok(members) } else { Err("it ends too early".to_owned()) }
}
