use std::{fs, io::Write};

use arrow::{
    array::{Array, AsArray},
    compute::concat_batches,
    datatypes::{DataType, Field, Int64Type},
};
use flate2::{Compression, write::GzEncoder};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;
use crate::error::ErrorKind;

/// A tar file of members with a name and contents.
fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, contents) in members {
        builder.append(&header(name, b'0', contents.len() as u64), *contents).unwrap();
    }
    builder.into_inner().unwrap()
}

fn header(name: &str, kind: u8, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(EntryType::new(kind));
    header.set_size(size);
    header.set_cksum();
    header
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The batches of shards with names.
fn batches(shards: &[(&str, Vec<u8>)]) -> Result<Vec<RecordBatch>> {
    let home = TempDir::new().unwrap();
    let mut files = Vec::new();
    for (index, (name, bytes)) in shards.iter().enumerate() {
        let path = home.path().join(index.to_string());
        fs::write(&path, bytes).unwrap();
        files.push((path, (*name).to_owned()));
    }
    let shards = Shards::inspect(files, &mut |_| Ok(()))?;
    let (schema, mut batches) = (shards.schema(), Vec::new());
    shards.read(&mut |batch| {
        assert_eq!(batch.schema(), schema);
        batches.push(batch);
        Ok(())
    })?;
    Ok(batches)
}

fn read(shards: &[(&str, Vec<u8>)]) -> Result<RecordBatch> {
    let batches = batches(shards)?;
    Ok(concat_batches(&batches[0].schema(), &batches).unwrap())
}

fn read_one(members: &[(&str, &[u8])]) -> Result<RecordBatch> {
    read(&[("a.tar", tar(members))])
}

/// Asserts that reading fails, in a shard of the name, with `text`.
fn refused(shard: Vec<u8>, text: &str) {
    let err = read(&[("dir/bad.tar", shard)]).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidArgument, "{err}");
    assert!(err.message().starts_with("read \"dir/bad.tar\": ") && err.message().contains(text), "{err}");
}

fn texts<'a>(batch: &'a RecordBatch, column: &str) -> Vec<Option<&'a str>> {
    batch.column_by_name(column).unwrap().as_string::<i32>().iter().collect()
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| field.name().clone()).collect()
}

#[test]
fn members_with_a_key_are_a_row() {
    let first = tar(&[
        ("d/1.jpg", b"\xFF\xD8"),
        ("d/1.json", b"{\"a\": 1}"),
        ("d/1.cls", b"7\n"),
        ("d/2.JPG", b""),
        ("d/2.npy", b"\x93NUMPY"),
        ("README", b"x"),
    ]);
    let second = gzip(&tar(&[("d/2.cls", b"-8"), ("d/2.seg.png", b"\x89PNG")]));
    let batch = read(&[("s/1.tar", first), ("s/2.tar.gz", second)]).unwrap();
    let media = DataType::Struct(
        vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)].into(),
    );
    let expected = vec![
        Field::new("__key__", DataType::Utf8, false),
        Field::new("__url__", DataType::Utf8, false),
        Field::new("jpg", media.clone(), true),
        Field::new("json", DataType::Utf8, true),
        Field::new("cls", DataType::Int64, true),
        Field::new("npy", DataType::Binary, true),
        Field::new("seg.png", media, true),
    ];
    assert_eq!(batch.schema().fields().to_vec(), expected.into_iter().map(Arc::new).collect::<Vec<_>>());
    assert_eq!(texts(&batch, "__key__"), [Some("d/1"), Some("d/2"), Some("d/2")]);
    assert_eq!(texts(&batch, "__url__"), [Some("s/1.tar"), Some("s/1.tar"), Some("s/2.tar.gz")]);
    assert_eq!(texts(&batch, "json"), [Some("{\"a\": 1}"), None, None]);
    let classes: Vec<_> = batch["cls"].as_primitive::<Int64Type>().iter().collect();
    assert_eq!(classes, [Some(7), None, Some(-8)]);
    let blobs: Vec<_> = batch["npy"].as_binary::<i32>().iter().collect();
    assert_eq!(blobs, [None, Some(b"\x93NUMPY".as_slice()), None]);
    let images = batch["jpg"].as_struct();
    let bytes: Vec<_> = images.column(0).as_binary::<i32>().iter().collect();
    let paths: Vec<_> = images.column(1).as_string::<i32>().iter().collect();
    assert_eq!((images.is_null(1), images.is_null(2)), (false, true));
    assert_eq!(bytes, [Some(b"\xFF\xD8".as_slice()), Some(b""), None]);
    assert_eq!(paths, [Some("d/1.jpg"), Some("d/2.JPG"), None]);
}

#[test]
fn a_key_that_returns_is_another_sample() {
    let batch = read_one(&[("1.txt", b"a"), ("2.txt", b"b"), ("1.txt", b"c"), ("x/1.txt", b"d")]).unwrap();
    assert_eq!(texts(&batch, "__key__"), [Some("1"), Some("2"), Some("1"), Some("x/1")]);
    assert_eq!(texts(&batch, "txt"), [Some("a"), Some("b"), Some("c"), Some("d")]);
    // Members that are no parts of samples do not separate them.
    let batch = read_one(&[("1.txt", b"a"), ("._1.txt", b"?"), ("__meta__", b"?"), ("1.md", b"b")]).unwrap();
    assert_eq!(texts(&batch, "md"), [Some("b")]);
}

#[test]
fn a_field_may_not_be_there_twice() {
    refused(tar(&[("d/1.txt", b"a"), ("d/1.txt", b"b")]), "the sample \"d/1\" has the field \"txt\" twice");
    refused(tar(&[("1.JPG", b"a"), ("1.txt", b""), ("1.jpg", b"b")]), "the sample \"1\" has the field \"jpg\" twice");
}

#[test]
fn numbers_that_are_none_are_text() {
    let read = |values: &[&[u8]]| {
        let names: Vec<_> = (0..values.len()).map(|index| format!("{index}.id")).collect();
        let members: Vec<_> = names.iter().map(String::as_str).zip(values.iter().copied()).collect();
        read_one(&members).unwrap()
    };
    let numbers = read(&[b" 1 \n", b"+2", b"-9223372036854775808"]);
    let ids: Vec<_> = numbers["id"].as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(ids, [1, 2, i64::MIN]);
    let long = [b' '; 100];
    for odd in [b"x1".as_slice(), b"", b"1.5", b"9223372036854775808", &long] {
        let batch = read(&[b"007", odd]);
        assert_eq!(texts(&batch, "id"), [Some("007"), Some(std::str::from_utf8(odd).unwrap())]);
    }
}

#[test]
fn fields_that_no_column_can_have_are_refused() {
    refused(tar(&[("1.__key__", b"a")]), "a sample cannot have a field \"__key__\"");
    refused(tar(&[("1.", b"a")]), "a sample cannot have a field \"\"");
    let many: Vec<_> = (0..1001).map(|index| format!("file.{index}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    refused(tar(&many), "the samples have more than 1000 different fields");
    assert_eq!(names(&read_one(&many[..1000]).unwrap()).len(), 1002);
}

#[test]
fn text_must_be_utf8() {
    refused(tar(&[("1.txt", b"ok"), ("2.txt", b"gr\xF6\xDFe")]), "\"2.txt\" is not UTF-8");
    refused(tar(&[("1.json", b"\xFF")]), "\"1.json\" is not UTF-8");
    assert_eq!(texts(&read_one(&[("1.txt", "größe".as_bytes())]).unwrap(), "txt"), [Some("größe")]);
}

#[test]
fn links_are_refused() {
    for (kind, word) in [(b'1', "a hard link"), (b'2', "a symbolic link"), (b'6', "a named pipe")] {
        let mut builder = Builder::new(Vec::new());
        builder.append(&header("1.jpg", kind, 0), [].as_slice()).unwrap();
        refused(builder.into_inner().unwrap(), &format!("\"1.jpg\" is {word}"));
    }
    let mut builder = Builder::new(Vec::new());
    builder.append(&header("d.x/", b'5', 0), [].as_slice()).unwrap();
    builder.append(&header("d.x/link", b'2', 0), [].as_slice()).unwrap();
    builder.append(&header("1.txt", b'0', 0), [].as_slice()).unwrap();
    let batch = read(&[("a.tar", builder.into_inner().unwrap())]).unwrap();
    assert_eq!(names(&batch), ["__key__", "__url__", "txt"]);
}

#[test]
fn files_without_samples_are_refused() {
    for shards in [vec![], vec![("a.tar", tar(&[]))], vec![("a.tar", tar(&[("README", b"x")]))]] {
        let err = read(&shards).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidArgument);
        assert!(err.message().contains("have no samples"), "{err}");
    }
    refused(vec![b'x'; 4000], "it is not a tar file");
    refused(b"\x1F\x8Bxxx".to_vec(), "damaged or incomplete");
}

#[test]
fn batches_have_limits() {
    let rows = |sizes: &[usize]| {
        let names: Vec<_> = (0..sizes.len()).map(|index| format!("{index}.bin")).collect();
        let contents: Vec<_> = sizes.iter().map(|size| vec![1; *size]).collect();
        let members: Vec<_> = names.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)).collect();
        batches(&[("a.tar", tar(&members))]).unwrap().iter().map(RecordBatch::num_rows).collect::<Vec<_>>()
    };
    assert_eq!(rows(&[0; 130]), [64, 64, 2]);
    let mib = 1 << 20;
    assert_eq!(rows(&[16 * mib, 16 * mib, 1, 40 * mib, 1, 1]), [2, 1, 1, 2]);
}

#[test]
fn errors_of_the_callers_end_the_work() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("a.tar");
    fs::write(&path, tar(&[("1.txt", b"12"), ("2.txt", b"345")])).unwrap();
    let files = vec![(path, "a.tar".to_owned())];
    let mut passed = 0;
    let shards = Shards::inspect(files.clone(), &mut |bytes| {
        passed += bytes;
        Ok(())
    });
    assert_eq!(passed, 5);
    let err = shards.unwrap().read(&mut |_| Err(Error::cancelled())).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Cancelled);
    let err = Shards::inspect(files, &mut |bytes| if bytes == 3 { Err(Error::cancelled()) } else { Ok(()) });
    assert_eq!(err.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_file_that_changes_is_noticed() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("a.tar");
    for (before, after) in [("1.txt", "1.md"), ("1.cls", "1.cls")] {
        fs::write(&path, tar(&[(before, b"1")])).unwrap();
        let shards = Shards::inspect(vec![(path.clone(), "a.tar".to_owned())], &mut |_| Ok(())).unwrap();
        fs::write(&path, tar(&[(after, b"x")])).unwrap();
        let err = shards.read(&mut |_| Ok(())).unwrap_err();
        assert!(err.message().contains("has changed while it was read"), "{err}");
    }
}

/// An error, or a table, but no panic, and no endless loop.
#[test]
fn damaged_shards_do_no_harm() {
    let plain = tar(&[("1.txt", b"hello"), ("1.jpg", &[7; 600]), ("2.cls", b"3")]);
    for shard in [gzip(&plain), plain] {
        for index in 0..shard.len() {
            let mut flipped = shard.clone();
            flipped[index] ^= [1, 0x80, 0xFF][index % 3];
            for bytes in [flipped, shard[..index].to_vec()] {
                if let Err(err) = read(&[("a.tar", bytes)]) {
                    assert_eq!(err.kind(), ErrorKind::InvalidArgument, "{index}: {err}");
                }
            }
        }
    }
}
