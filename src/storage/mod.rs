//! Everything of the lake that is no table: landings and assets, as objects under one root.
//!
//! The only module that names `object_store`. Paths are relative to the root (`raw/coco/…`); URIs are what tables and
//! clients see.

use std::{path::Path as FilePath, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, buffered::BufWriter, local::LocalFileSystem, path::Path,
};

use crate::error::{Context, Error, ErrorKind, Result};

/// An object store with the lake's files.
#[derive(Clone, Debug)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    /// The same, but what it has written is on disk.
    durable: Arc<dyn ObjectStore>,
    /// The root as a URI that ends with a slash.
    root_uri: String,
    /// The root as DuckDB opens it, with a slash at its end.
    root_path: String,
}

// === impl Storage ===

impl Storage {
    /// The store in `folder`, which must exist.
    ///
    /// # Errors
    /// `FailedPrecondition` when it is no folder.
    pub fn local(folder: &FilePath) -> Result<Self> {
        let folder = folder.canonicalize().context(|| format!("open storage \"{}\"", folder.display()))?;
        let root_uri = url::Url::from_directory_path(&folder)
            .map_err(|()| Error::precondition(format!("storage \"{}\" is no absolute path", folder.display())))?;
        let store = LocalFileSystem::new_with_prefix(&folder)?;
        let durable = LocalFileSystem::new_with_prefix(&folder)?.with_fsync(true);
        let root_path = format!("{}/", folder.display());
        Ok(Self { store: Arc::new(store), durable: Arc::new(durable), root_uri: root_uri.into(), root_path })
    }

    /// The same store, in which everything that was written survives a power cut. It is slower for many small objects.
    #[must_use]
    pub fn durable(&self) -> Self {
        Self { store: Arc::clone(&self.durable), ..self.clone() }
    }

    /// The URI of the object at `path`.
    pub fn uri(&self, path: &str) -> String {
        format!("{}{}", self.root_uri, Path::from(path))
    }

    /// The object at `path` as DuckDB opens it, which reads some characters as patterns.
    pub fn engine_path(&self, path: &str) -> String {
        let path = format!("{}{path}", self.root_path);
        path.chars().map(|c| if "[*?".contains(c) { format!("[{c}]") } else { c.to_string() }).collect()
    }

    /// Writes an object, in the place of one that is there.
    ///
    /// # Errors
    /// `ResourceExhausted` on a full disk; Unavailable when the store does not answer.
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<()> {
        let put = self.store.put(&location(path)?, bytes.into()).await;
        put.map(|_| ()).context(|| format!("write \"{path}\""))
    }

    /// Writes an object unless one is there; says whether it was written.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn put_new(&self, path: &str, bytes: Bytes) -> Result<bool> {
        match self.store.put_opts(&location(path)?, bytes.into(), PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. }) => Ok(false),
            Err(err) => Err(Error::from(err).context(format_args!("write \"{path}\""))),
        }
    }

    /// The bytes of an object.
    ///
    /// # Errors
    /// `NotFound`; as [`put`](Self::put).
    pub async fn get(&self, path: &str) -> Result<Bytes> {
        let read = async { self.store.get(&location(path)?).await?.bytes().await.map_err(Error::from) };
        read.await.context(|| format!("read \"{path}\""))
    }

    /// Copies a local file to `path`, however large it is; says how many bytes that were.
    ///
    /// # Errors
    /// `NotFound` when the file is gone; as [`put`](Self::put).
    pub async fn upload(&self, file: &FilePath, path: &str) -> Result<u64> {
        let copy = async {
            let mut source = tokio::fs::File::open(file).await?;
            let mut target = BufWriter::new(Arc::clone(&self.store), location(path)?);
            let copied = tokio::io::copy(&mut source, &mut target).await;
            match copied {
                Ok(bytes) => tokio::io::AsyncWriteExt::shutdown(&mut target).await.map(|()| bytes).map_err(Error::from),
                Err(err) => {
                    // Parts of an unfinished upload must not stay behind.
                    let _ = target.abort().await;
                    Err(err.into())
                }
            }
        };
        copy.await.context(|| format!("copy \"{}\" to \"{path}\"", file.display()))
    }

    /// Copies the object at `path` to a local file; says how many bytes that were.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn download(&self, path: &str, file: &FilePath) -> Result<u64> {
        let copy = async {
            let mut source = self.store.get(&location(path)?).await?.into_stream();
            let mut target = tokio::fs::File::create(file).await?;
            let mut bytes = 0;
            while let Some(chunk) = source.try_next().await? {
                tokio::io::AsyncWriteExt::write_all(&mut target, &chunk).await?;
                bytes += chunk.len() as u64;
            }
            tokio::io::AsyncWriteExt::flush(&mut target).await?;
            Ok::<_, Error>(bytes)
        };
        copy.await.context(|| format!("copy \"{path}\" to \"{}\"", file.display()))
    }

    /// The paths and sizes of all objects under the folder `path`.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn list(&self, path: &str) -> Result<Vec<(String, u64)>> {
        let list = async { self.store.list(Some(&location(path)?)).try_collect::<Vec<_>>().await.map_err(Error::from) };
        let objects = list.await.context(|| format!("list \"{path}\""))?;
        Ok(objects.into_iter().map(|object| (object.location.into(), object.size)).collect())
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn delete(&self, path: &str) -> Result<()> {
        match self.store.delete(&location(path)?).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(err) => Err(Error::from(err).context(format_args!("delete \"{path}\""))),
        }
    }

    /// Removes every object under the folder `path`.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn delete_folder(&self, path: &str) -> Result<()> {
        let objects: Vec<_> = self.store.list(Some(&location(path)?)).try_collect().await?;
        for object in objects {
            self.delete(object.location.as_ref()).await?;
        }
        Ok(())
    }
}

fn location(path: &str) -> Result<Path> {
    Path::parse(path).map_err(|err| Error::invalid(format!("\"{path}\" cannot be the name of an object: {err}")))
}

impl From<StoreError> for Error {
    fn from(err: StoreError) -> Self {
        let kind = match &err {
            StoreError::NotFound { .. } => ErrorKind::NotFound,
            StoreError::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => ErrorKind::FailedPrecondition,
            other if other.to_string().contains("No space left") => ErrorKind::ResourceExhausted,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, err.to_string())
    }
}
