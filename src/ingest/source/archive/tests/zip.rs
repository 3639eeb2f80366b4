use std::io::{Cursor, Write};

use ::zip::{
    CompressionMethod, ZipWriter,
    write::{FullFileOptions, SimpleFileOptions},
};

use super::{LIMITS, Limits, check, files, refused, unpacked, unpacked_with};
use crate::error::ErrorKind;

/// The signature of an entry in the list of entries.
const ENTRY: &[u8] = b"PK\x01\x02";

/// A zip file of deflated entries.
pub(super) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    zip_as(entries, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated))
}

/// A zip file of stored entries.
fn stored(entries: &[(&str, &[u8])]) -> Vec<u8> {
    zip_as(entries, SimpleFileOptions::default().compression_method(CompressionMethod::Stored))
}

fn zip_as(entries: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in entries {
        writer.start_file(*name, options).unwrap();
        writer.write_all(contents).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Overwrites what is `offset` bytes behind the start of the entry `index` in the list of entries.
fn patch(archive: &mut [u8], index: usize, offset: usize, bytes: &[u8]) {
    let starts = archive.windows(4).enumerate().filter(|(_, window)| *window == ENTRY).map(|(start, _)| start);
    let start = starts.clone().nth(index).unwrap() + offset;
    archive[start..start + bytes.len()].copy_from_slice(bytes);
}

fn patched(mut archive: Vec<u8>, offset: usize, bytes: &[u8]) -> Vec<u8> {
    patch(&mut archive, 0, offset, bytes);
    archive
}

/// Replaces a name everywhere by another one of the same length.
fn renamed(mut archive: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    for start in 0..archive.len() - from.len() {
        if archive[start..].starts_with(from) {
            archive[start..start + to.len()].copy_from_slice(to);
        }
    }
    archive
}

#[test]
fn entries_become_files() {
    let long = "line of a table\n".repeat(10_000);
    let entries: &[(&str, &[u8])] =
        &[("a.csv", b"x\n1\n"), ("b/c/d.json", b"{}"), ("b/long.txt", long.as_bytes()), ("e", b"")];
    let expected = files([("a.csv", b"x\n1\n"), ("b/c/d.json", b"{}"), ("b/long.txt", long.as_bytes()), ("e", b"")]);
    assert_eq!(unpacked("a.zip", &zip(entries)).unwrap(), expected);
    assert_eq!(unpacked("a.zip", &stored(entries)).unwrap(), expected);
    let zip64 = zip_as(entries, SimpleFileOptions::default().large_file(true).unix_permissions(0o777));
    assert_eq!(unpacked("a.zip", &zip64).unwrap(), expected);
    // Programs that unpack themselves are zip files with a head.
    let headed = [b"#!/bin/sh\n".as_slice(), &zip(entries)].concat();
    assert_eq!(unpacked("a.zip", &headed).unwrap(), expected);
    assert_eq!(unpacked("a.zip", &zip(&[])).unwrap(), files([]));
}

#[test]
fn an_archive_in_an_archive_stays() {
    let inner = zip(&[("x.csv", b"1")]);
    assert_eq!(unpacked("x.csv.zip", &zip(&[("x.csv", b"1")])).unwrap(), files([("x.csv", b"1")]));
    assert_eq!(unpacked("a.zip", &zip(&[("x.zip", &inner)])).unwrap(), files([("x.zip", &inner)]));
}

#[test]
fn folders_and_hidden_files_are_passed_over() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    writer.add_directory("data", options).unwrap();
    writer.add_symlink(".venv/python", "/usr/bin/python", options).unwrap();
    for name in ["data/a.csv", "__MACOSX/data/._a.csv", "data/.DS_Store"] {
        writer.start_file(name, options).unwrap();
        writer.write_all(b"1").unwrap();
    }
    let archive = writer.finish().unwrap().into_inner();
    assert_eq!(unpacked("a.zip", &archive).unwrap(), files([("data/a.csv", b"1")]));
}

#[test]
fn names_are_decoded() {
    let archive = zip(&[("größe 🦆.csv", b"1")]);
    assert_eq!(unpacked("a.zip", &archive).unwrap(), files([("größe 🦆.csv", b"1")]));
    // Neither marked as UTF-8 nor UTF-8: code page 437.
    let archive = renamed(zip(&[("gr##e.csv", b"1")]), b"gr##e", b"gr\x94\xE1e");
    assert_eq!(unpacked("a.zip", &archive).unwrap(), files([("größe.csv", b"1")]));
    // As macOS writes it.
    let archive = renamed(zip(&[("gr##.csv", b"1")]), b"gr##", "grö".as_bytes());
    assert_eq!(unpacked("a.zip", &archive).unwrap(), files([("grö.csv", b"1")]));
    // Info-ZIP's extra field: version, checksum of the other name, UTF-8.
    let mut crc = flate2::Crc::new();
    crc.update(b"gr_e.csv");
    let field = [[1].as_slice(), &crc.sum().to_le_bytes(), "größe.csv".as_bytes()].concat();
    let mut options = FullFileOptions::default();
    options.add_extra_data(0x7076, field, true).unwrap();
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("gr_e.csv", options).unwrap();
    let archive = writer.finish().unwrap().into_inner();
    // The crate does not write this field: it gets its number afterwards.
    let archive = renamed(archive, b"\x76\x70\x10\0", b"\x75\x70\x10\0");
    assert_eq!(unpacked("a.zip", &archive).unwrap(), files([("größe.csv", b"")]));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["../evil", "a/../../evil", "/etc/passwd", "C:/evil", "..\\evil", "a\nb", "a\0b", &"x".repeat(256)] {
        let archive = zip(&[("ok.csv", b"1"), (name, b"evil")]);
        check(&refused("a.zip", &archive), ErrorKind::InvalidArgument, "is not a valid name");
    }
    let deep = "x/".repeat(600) + "x";
    check(&refused("a.zip", &zip(&[(&deep, b"1")])), ErrorKind::InvalidArgument, "is longer than 1024 bytes");
}

#[test]
fn links_and_special_files_are_refused() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let link = writer.finish().unwrap().into_inner();
    check(&refused("a.zip", &link), ErrorKind::InvalidArgument, "entry \"link\": it is a symbolic link");
    let mut pipe = stored(&[("pipe", b"")]);
    patch(&mut pipe, 0, 38, &(0o010_644_u32 << 16).to_le_bytes());
    check(&refused("a.zip", &pipe), ErrorKind::InvalidArgument, "entry \"pipe\": it is a special file");
}

#[test]
fn an_entry_may_not_be_there_twice() {
    for (first, second) in [("a1", "a2"), ("a1", "a2/b"), ("a1/b", "a2")] {
        let archive = renamed(zip(&[(first, b"1"), (second, b"2")]), b"a2", b"a1");
        check(&refused("a.zip", &archive), ErrorKind::InvalidArgument, "another entry has this name");
    }
    let both = unpacked("a.zip", &zip(&[("a", b"1"), ("A", b"2")])).unwrap();
    assert_eq!(both, files([("a", b"1"), ("A", b"2")]));
}

#[test]
fn encrypted_entries_and_other_compressions_are_refused() {
    let encrypted = patched(zip(&[("a.csv", b"1")]), 8, &[1]);
    let err = refused("a.zip", &encrypted);
    check(&err, ErrorKind::Unsupported, "entry \"a.csv\": it is encrypted; decrypt the archive");
    for (method, name) in
        [(9, "DEFLATE64"), (12, "BZIP2"), (14, "LZMA"), (93, "ZSTD"), (99, "AES"), (77, "77 (UNKNOWN)")]
    {
        let archive = patched(zip(&[("a.csv", b"1")]), 10, &[method]);
        check(&refused("a.zip", &archive), ErrorKind::Unsupported, name);
    }
}

#[test]
fn what_differs_from_the_list_is_refused() {
    let contents = b"some text to be compressed".as_slice();
    for archive in [zip(&[("a.csv", contents)]), stored(&[("a.csv", contents)])] {
        let checksum = patched(archive.clone(), 16, &[1, 2, 3, 4]);
        check(&refused("a.zip", &checksum), ErrorKind::InvalidArgument, "entry \"a.csv\": it is damaged");
        for size in [0, 25, 27, 200] {
            let size = patched(archive.clone(), 24, &[size]);
            check(&refused("a.zip", &size), ErrorKind::InvalidArgument, "entry \"a.csv\": it is damaged");
        }
        let place = patched(archive, 42, &[1]);
        check(&refused("a.zip", &place), ErrorKind::InvalidArgument, "it is damaged");
    }
}

#[test]
fn limits_hold_before_anything_is_written() {
    let archive = zip(&[("a", &[0; 1000]), ("b", &[0; 1000]), ("c/d/e", b"")]);
    let with = |max_bytes, max_entries| unpacked_with("a.zip", &archive, Limits { max_bytes, max_entries });
    assert_eq!(with(2000, 5).unwrap().len(), 3);
    check(&with(1999, 5).unwrap_err(), ErrorKind::ResourceExhausted, "it unpacks to more than 1999 bytes");
    // Three entries and two folders.
    check(&with(2000, 4).unwrap_err(), ErrorKind::ResourceExhausted, "it has more than 4 entries");
    check(&with(2000, 2).unwrap_err(), ErrorKind::ResourceExhausted, "it has more than 2 entries");
    // What is not declared does not get far either.
    let mut liar = zip(&[("a", &vec![0; 1 << 20])]);
    patch(&mut liar, 0, 24, &[1, 0, 0, 0]);
    check(&refused("a.zip", &liar), ErrorKind::InvalidArgument, "it is damaged");
}

#[test]
fn implausible_sizes_are_refused() {
    let limits = Limits { max_bytes: u64::MAX, max_entries: 10 };
    let archive = patched(zip(&[("a", b"1")]), 24, &0x7FFF_FFFF_u32.to_le_bytes());
    let err = unpacked_with("a.zip", &archive, limits).unwrap_err();
    check(&err, ErrorKind::InvalidArgument, "it unpacks to more than 1000 times its size");
}

#[test]
fn entries_that_share_data_are_refused() {
    // The second entry is the first one once more.
    let mut same = stored(&[("a1", b"1234"), ("a2", b"1234")]);
    patch(&mut same, 1, 42, &[0; 4]);
    check(&refused("a.zip", &same), ErrorKind::InvalidArgument, "entries overlap");
    // The data of the first entry contains the second one.
    let mut inside = stored(&[("a1", b"1234"), ("a2", b"1234")]);
    let size = [4 + 30 + 2 + 4, 0, 0, 0];
    patch(&mut inside, 0, 20, &size);
    patch(&mut inside, 0, 24, &size);
    check(&refused("a.zip", &inside), ErrorKind::InvalidArgument, "entries overlap");
    // The data reaches into the list.
    let mut list = stored(&[("a1", b"1234")]);
    patch(&mut list, 0, 20, &[5]);
    check(&refused("a.zip", &list), ErrorKind::InvalidArgument, "entries overlap");
}

#[test]
fn many_entries_are_counted() {
    let names: Vec<_> = (0..70_000).map(|index| format!(".x/{index}")).collect();
    let mut entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    entries.push(("a.csv", b"1"));
    let archive = stored(&entries);
    check(&refused("a.zip", &archive), ErrorKind::ResourceExhausted, "it has more than 100 entries");
    let limits = Limits { max_entries: 100_000, ..LIMITS };
    assert_eq!(unpacked_with("a.zip", &archive, limits).unwrap(), files([("a.csv", b"1")]));
}

#[test]
fn what_is_no_zip_file_is_refused() {
    for archive in [b"".as_slice(), b"<html>not found</html>", &[0; 5000], &zip(&[("a", b"1")])[..60]] {
        check(&refused("a.zip", archive), ErrorKind::InvalidArgument, "it is not a zip file, or incomplete");
    }
    // An entry is missing in the list.
    let mut archive = zip(&[("a", b"1")]);
    let end = archive.len() - 22;
    archive[end + 8..end + 12].copy_from_slice(&[2, 0, 2, 0]);
    check(&refused("a.zip", &archive), ErrorKind::InvalidArgument, "it lists 1 entries instead of 2");
}
