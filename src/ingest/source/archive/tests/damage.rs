//! Archives with a flipped byte, or without their end: an error or the contents, but no panic, and no endless loop.

use super::{
    tar::{gzip, tar},
    unpacked,
    zip::zip,
};
use crate::error::ErrorKind;

fn examples() -> [(&'static str, Vec<u8>); 3] {
    let text = "a,b\n1,2\n".repeat(30);
    let tar = tar(&[("a.csv", b'0', text.as_bytes()), ("x", b'x', b"9 path=p\n"), ("b/c.csv", b'0', b"1")]);
    let zip = zip(&[("a.csv", text.as_bytes()), ("b/c.csv", b"1")]);
    [("a.zip", zip), ("a.tgz", gzip(&tar)), ("a.tar", tar)]
}

#[test]
fn examples_are_whole() {
    for (name, archive) in examples() {
        assert_eq!(unpacked(name, &archive).unwrap().len(), 2, "{name}");
    }
}

#[test]
fn truncated_archives_are_refused() {
    for (name, archive) in examples() {
        // The second block of zeros is not needed.
        let end = if name == "a.tar" { archive.len() - 512 } else { archive.len() };
        for length in 0..end {
            let err = unpacked(name, &archive[..length]).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidArgument, "{name} {length}: {err}");
        }
    }
}

#[test]
fn flipped_bytes_do_no_harm() {
    for (name, archive) in examples() {
        for index in 0..archive.len() {
            let mut flipped = archive.clone();
            flipped[index] ^= [1, 0x80, 0xFF][index % 3];
            match unpacked(name, &flipped) {
                Ok(files) => assert!(files.len() <= 2, "{name} {index}"),
                Err(err) => {
                    assert!(!matches!(err.kind(), ErrorKind::Internal | ErrorKind::NotFound), "{name} {index}: {err}");
                }
            }
        }
    }
}
