use std::io::Write;

use ::tar::{Builder, EntryType, Header};
use flate2::{Compression, write::GzEncoder};

use super::{Limits, check, files, refused, unpacked, unpacked_with};
use crate::error::ErrorKind;

/// A tar file of entries with a name, a type and contents.
pub(super) fn tar(entries: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, contents) in entries {
        builder.append(&header(name, *kind, contents.len() as u64), *contents).unwrap();
    }
    builder.into_inner().unwrap()
}

fn header(name: &str, kind: u8, size: u64) -> Header {
    let mut header = Header::new_ustar();
    // Not by the method for it, which refuses what is tested here.
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(EntryType::new(kind));
    header.set_size(size);
    header.set_mode(0o7777);
    header.set_cksum();
    header
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn entries_become_files() {
    let long_name = "d/".repeat(200) + "x.csv";
    let long = "line of a table\n".repeat(10_000);
    let mut builder = Builder::new(tar(&[
        ("./", b'5', b""),
        ("./a.csv", b'0', b"x\n1\n"),
        ("./b/", b'5', b""),
        ("b/old", 0, b"o"),
        ("b/folder/", 0, b""),
        ("b/c", b'7', b"c"),
        (".git/HEAD", b'2', b""),
        ("__MACOSX/._a", b'0', b"hidden"),
    ]));
    // Over the two blocks of zeros.
    let length = builder.get_ref().len();
    builder.get_mut().truncate(length - 1024);
    let mut header = Header::new_gnu();
    header.set_size(long.len() as u64);
    builder.append_data(&mut header, &long_name, long.as_bytes()).unwrap();
    builder
        .append_pax_extensions([("path", "pax/größe.csv".as_bytes()), ("size", b"3"), ("comment", b"a\nb")])
        .unwrap();
    builder.append(&self::header("other", b'0', 0), [].as_slice()).unwrap();
    builder.get_mut().extend([b"pax".as_slice(), &[0; 509]].concat());
    let archive = builder.into_inner().unwrap();
    let expected = files([
        ("a.csv", b"x\n1\n"),
        ("b/old", b"o"),
        ("b/c", b"c"),
        (&long_name, long.as_bytes()),
        ("pax/größe.csv", b"pax"),
    ]);
    let limits = Limits { max_bytes: 1 << 20, max_entries: 1000 };
    for (name, bytes) in [("a.tar", archive.clone()), ("a.tar.gz", gzip(&archive)), ("a.tgz", gzip(&archive))] {
        assert_eq!(unpacked_with(name, &bytes, limits).unwrap(), expected, "{name}");
        // Two streams of gzip are one file, and the name does not decide.
        let halves = archive.split_at(archive.len() / 2);
        let halves = [gzip(halves.0), gzip(halves.1)].concat();
        assert_eq!(unpacked_with(name, &halves, limits).unwrap(), expected, "{name}");
    }
    assert_eq!(unpacked_with("a.tgz", &archive, limits).unwrap(), expected);
    assert_eq!(unpacked("a.tar", &[0; 1024]).unwrap(), files([]));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["../evil", "a/../../evil", "/etc/passwd", "C:/evil", "..\\evil", "a\nb"] {
        let archive = tar(&[("ok.csv", b'0', b"1"), (name, b'0', b"evil")]);
        check(&refused("a.tar", &archive), ErrorKind::InvalidArgument, "is not a valid name");
    }
    check(&refused("a.tar", &tar(&[("", b'0', b"1")])), ErrorKind::InvalidArgument, "is not a valid name");
    let mut builder = Builder::new(Vec::new());
    builder.append_pax_extensions([("path", b"../evil".as_slice())]).unwrap();
    builder.append(&header("good", b'0', 0), [].as_slice()).unwrap();
    let archive = builder.into_inner().unwrap();
    check(&refused("a.tar", &archive), ErrorKind::InvalidArgument, "\"../evil\" is not a valid name");
    // Not UTF-8: taken as Windows-1252.
    let mut latin = tar(&[("gr##e", b'0', b"1")]);
    latin[2..4].copy_from_slice(b"\xF6\xDF");
    let mut header = Header::new_ustar();
    header.as_mut_bytes().copy_from_slice(&latin[..512]);
    header.set_cksum();
    latin[..512].copy_from_slice(header.as_bytes());
    assert_eq!(unpacked("a.tar", &latin).unwrap(), files([("größe", b"1")]));
}

#[test]
fn links_and_special_files_are_refused() {
    for (kind, word) in [
        (b'1', "a hard link"),
        (b'2', "a symbolic link"),
        (b'3', "a device"),
        (b'4', "a device"),
        (b'6', "a named pipe"),
        (b'S', "a sparse file"),
        (b'?', "of an unknown type"),
    ] {
        let archive = tar(&[("ok.csv", b'0', b"1"), ("odd", kind, b"")]);
        let err = refused("a.tar", &archive);
        check(&err, ErrorKind::InvalidArgument, &format!("entry \"odd\": it is {word}"));
    }
    let mut builder = Builder::new(Vec::new());
    builder.append_pax_extensions([("GNU.sparse.major", b"1".as_slice())]).unwrap();
    builder.append(&header("sparse", b'0', 0), [].as_slice()).unwrap();
    let archive = builder.into_inner().unwrap();
    check(&refused("a.tar", &archive), ErrorKind::InvalidArgument, "it is a sparse file");
}

#[test]
fn an_entry_may_not_be_there_twice() {
    for (first, second) in [("a", "a"), ("a", "./a"), ("a", "a/b"), ("a/b", "a"), ("a", "a/b/c")] {
        let archive = tar(&[(first, b'0', b"1"), (second, b'0', b"2")]);
        check(&refused("a.tar", &archive), ErrorKind::InvalidArgument, "another entry has this name");
    }
}

#[test]
fn limits_hold() {
    let archive = tar(&[("a", b'0', &[0; 1000]), ("b/", b'5', b""), ("b/c/d", b'0', &[0; 1000])]);
    let with = |max_bytes, max_entries| {
        let limits = Limits { max_bytes, max_entries };
        let plain = unpacked_with("a.tar", &archive, limits);
        assert_eq!(plain.is_ok(), unpacked_with("a.tgz", &gzip(&archive), limits).is_ok());
        plain
    };
    assert_eq!(with(2000, 5).unwrap().len(), 2);
    check(&with(1999, 5).unwrap_err(), ErrorKind::ResourceExhausted, "it unpacks to more than 1999 bytes");
    check(&with(2000, 4).unwrap_err(), ErrorKind::ResourceExhausted, "it has more than 4 entries");
}

#[test]
fn large_headers_are_refused() {
    let long_name = tar(&[("././@LongLink", b'L', &vec![b'x'; 2 << 20]), ("a", b'0', b"1")]);
    check(
        &refused("a.tgz", &gzip(&long_name)),
        ErrorKind::InvalidArgument,
        "the headers of a member are larger than 1 MiB",
    );
    let name = tar(&[("././@LongLink", b'L', &vec![b'x'; 5000]), ("a", b'0', b"1")]);
    check(&refused("a.tar", &name), ErrorKind::InvalidArgument, "is not a valid name of a member");
    let entries = vec![("g", b'g', b"".as_slice()); 3000];
    check(
        &refused("a.tar", &tar(&entries)),
        ErrorKind::InvalidArgument,
        "the headers of a member are larger than 1 MiB",
    );
    for records in [b"x".as_slice(), b"99 path=a\n", b"3 \n", b"0 path=a\n", b"9 path=ab ", b"9 size=x\n"] {
        let archive = tar(&[("pax", b'x', records), ("a", b'0', b"1")]);
        check(&refused("a.tar", &archive), ErrorKind::InvalidArgument, "PAX record");
    }
}

#[test]
fn damaged_archives_are_refused() {
    let archive = tar(&[("a", b'0', &[7; 700]), ("b", b'0', b"2")]);
    for length in [0, 1, 511, 512, 1000, 1536, 2048, 2560] {
        check(&refused("a.tar", &archive[..length]), ErrorKind::InvalidArgument, "damaged or incomplete");
        check(&refused("a.tgz", &gzip(&archive[..length])), ErrorKind::InvalidArgument, "damaged or incomplete");
    }
    let mut appended = archive.clone();
    appended.extend(&archive);
    check(&refused("a.tar", &appended), ErrorKind::InvalidArgument, "data follows the end of the archive");
    let mut wrong = archive.clone();
    wrong[0] = b'x';
    check(&refused("a.tar", &wrong), ErrorKind::InvalidArgument, "it is not a tar file, or damaged");
    check(&refused("a.tar", &[b'x'; 2000]), ErrorKind::InvalidArgument, "it is not a tar file, or damaged");
    // The checksum of gzip stands at its end.
    let mut compressed = gzip(&archive);
    let length = compressed.len();
    compressed[length - 8] ^= 1;
    check(&refused("a.tgz", &compressed), ErrorKind::InvalidArgument, "damaged or incomplete");
    check(&refused("a.tgz", &gzip(&archive)[..length - 4]), ErrorKind::InvalidArgument, "damaged or incomplete");
}
