//! The storage on S3, through the wire to a store that checks signatures and fails by order.

use std::{io::Write, path::Path, time::Duration};

use bytes::Bytes;
use merganser::{
    error::ErrorKind,
    storage::{Access, Endpoint, S3, Storage},
};
use tempfile::TempDir;

use crate::{
    fault::{Fault, Rule},
    server::{self, Control},
};

/// A storage with its bucket.
struct Bucket {
    root: TempDir,
    storage: Storage,
    control: Control,
}

impl Bucket {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("lake")).unwrap();
        let control = Control::new(root.path());
        let address = server::serve(control.clone()).await.unwrap();
        let access = Access {
            key_id: server::KEY_ID.into(),
            secret_key: server::SECRET_KEY.into(),
            region: "us-east-1".into(),
            endpoint: Endpoint::parse(&format!("http://{address}")),
            ..Access::NONE
        };
        let timeout = Duration::from_secs(4);
        let storage = Storage::s3(S3 { bucket: "lake".into(), prefix: "a/b".into(), access, timeout }).unwrap();
        Self { root, storage, control }
    }

    fn file(&self, path: &str) -> std::path::PathBuf {
        self.root.path().join("lake/a/b").join(path)
    }

    /// How many requests came since the last call, of those with `method`.
    fn count(&self, method: &str) -> usize {
        self.control.take_seen().iter().filter(|seen| seen.method == method).count()
    }
}

fn all(fault: Fault) -> Rule {
    Rule { fault, ..Rule::default() }
}

fn large_file(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("large");
    let mut file = std::fs::File::create(&path).unwrap();
    for block in 0..25_u8 {
        file.write_all(&vec![block; 1 << 20]).unwrap();
    }
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_come_and_go() {
    let bucket = Bucket::new().await;
    let storage = &bucket.storage;
    storage.probe().await.unwrap();
    storage.put("raw/a b.txt", Bytes::from_static(b"one")).await.unwrap();
    assert_eq!(std::fs::read(bucket.file("raw/a b.txt")).unwrap(), b"one");
    assert_eq!(storage.get("raw/a b.txt").await.unwrap(), "one");
    assert!(!storage.put_new("raw/a b.txt", Bytes::from_static(b"two")).await.unwrap());
    assert!(storage.put_new("raw/c.txt", Bytes::from_static(b"two")).await.unwrap());
    let large = large_file(bucket.root.path());
    assert_eq!(storage.upload(&large, "raw/large").await.unwrap().bytes, 25 << 20);
    assert_eq!(std::fs::read(bucket.file("raw/large")).unwrap(), std::fs::read(&large).unwrap());
    storage.delete_folder("raw").await.unwrap();
    assert!(!bucket.file("raw/large").is_file() && !bucket.file("raw/c.txt").is_file());
    storage.delete("raw/c.txt").await.unwrap();
    assert_eq!(storage.get("raw/c.txt").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_that_passes_is_repeated_and_trouble_that_stays_is_told() {
    let bucket = Bucket::new().await;
    let storage = &bucket.storage;
    let put = || storage.put("x", Bytes::from_static(b"12345678"));
    for fault in [Fault::Unavailable, Fault::CutRequest(3), Fault::Blackhole] {
        bucket.control.order(vec![Rule { times: Some(2), ..all(fault) }]);
        put().await.unwrap();
        assert_eq!(bucket.count("PUT"), 3, "{fault:?}");
        bucket.control.order(vec![all(fault)]);
        let err = put().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unavailable, "{err}");
        assert!(err.message().contains("the store") && !err.message().contains("127.0.0.1"), "{err}");
        // What takes its time is not begun again when the time of all tries is over.
        let tries = bucket.count("PUT");
        assert!(tries == 4 || tries == 3 && matches!(fault, Fault::Blackhole), "{fault:?}: {tries}");
    }
    bucket.control.order(vec![Rule { times: Some(1), ..all(Fault::CutAnswer(3)) }]);
    assert_eq!(storage.get("x").await.unwrap(), "12345678");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_is_aborted() {
    let bucket = Bucket::new().await;
    let large = large_file(bucket.root.path());
    for fault in [Fault::Unavailable, Fault::CutRequest(1 << 20), Fault::Blackhole] {
        for part in ["partNumber=1&", "partNumber=3&"] {
            bucket.control.order(vec![Rule { contains: part.into(), ..all(fault) }]);
            let err = bucket.storage.upload(&large, "raw/large").await.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Unavailable, "{err}");
            assert_eq!(bucket.count("DELETE"), 1, "{fault:?} at {part}");
            assert!(!bucket.file("raw/large").is_file());
        }
    }
    // Nothing of it is left in the store's own folder either.
    let left: Vec<_> = std::fs::read_dir(bucket.root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("upload")), "{left:?}");
}
