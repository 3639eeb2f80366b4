//! The store: a folder or a bucket, and the operations on its objects.

use std::{
    fmt, io,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, buffered::BufWriter, local::LocalFileSystem,
    path::Path,
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWriteExt, BufReader, copy_buf, sink};
use tokio_util::io::InspectWriter;

use super::{fault, s3::S3};
use crate::error::{Context, Error, ErrorKind, Result};

/// The folder of DuckLake's files, relative to the root.
const LAKE: &str = "lake";
/// The folders whose objects clients can read: Parquet files of the lake and backups hold what its tables may not show.
const READABLE: [&str; 3] = ["assets/", "exports/", "raw/"];
/// The maximum number of concurrent requests of a call.
pub(super) const REQUESTS: usize = 16;
/// How much of a local file is read at a time: each time, another thread has to wake up.
const PIECE: usize = 1 << 20;

/// An object store with the lake's files.
#[derive(Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    /// The same store, which syncs files to disk.
    durable: Arc<dyn ObjectStore>,
    /// The root as a URI, with a trailing slash.
    root_uri: String,
    /// The root in the form that DuckDB opens, with a trailing slash.
    root_path: String,
    backend: Backend,
}

/// An object of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its path.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// The entity tag of its content, if the store has one.
    pub tag: Option<String>,
}

/// A copied file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// The kind of the store.
#[derive(Clone, Debug)]
enum Backend {
    Folder(PathBuf),
    S3(S3),
}

// === impl Object ===

impl From<ObjectMeta> for Object {
    fn from(object: ObjectMeta) -> Self {
        Self { path: object.location.into(), bytes: object.size, tag: object.e_tag }
    }
}

// === impl Storage ===

impl Storage {
    /// The store in `folder`, which must exist.
    ///
    /// # Errors
    /// `FailedPrecondition` if it is not a folder.
    pub fn local(folder: &FilePath) -> Result<Self> {
        let folder = folder.canonicalize().context(|| format!("open storage \"{}\"", folder.display()))?;
        let root_uri = url::Url::from_directory_path(&folder)
            .map_err(|()| Error::precondition(format!("storage \"{}\" is not an absolute path", folder.display())))?;
        let store = LocalFileSystem::new_with_prefix(&folder)?;
        let durable = LocalFileSystem::new_with_prefix(&folder)?.with_fsync(true);
        let root_path = format!("{}/", folder.display());
        Ok(Self {
            store: Arc::new(store),
            durable: Arc::new(durable),
            root_uri: root_uri.into(),
            root_path,
            backend: Backend::Folder(folder),
        })
    }

    /// The store in a bucket. No request is made: see [`probe`](Self::probe).
    ///
    /// # Errors
    /// `FailedPrecondition` for an invalid configuration.
    pub fn s3(s3: S3) -> Result<Self> {
        let root = s3.root();
        let store: Arc<dyn ObjectStore> = Arc::new(s3.store()?);
        Ok(Self {
            durable: Arc::clone(&store),
            store,
            root_uri: root.clone(),
            root_path: root,
            backend: Backend::S3(s3),
        })
    }

    /// The folder of DuckLake's files, in the form that DuckDB opens.
    pub fn lake_path(&self) -> String {
        format!("{}{LAKE}/", self.root_path)
    }

    /// The folder of DuckLake's files, if it is on this machine.
    pub fn lake_folder(&self) -> Option<PathBuf> {
        match &self.backend {
            Backend::Folder(folder) => Some(folder.join(LAKE)),
            Backend::S3(_) => None,
        }
    }

    /// The DuckDB extensions that are required to open the objects.
    pub fn extensions(&self) -> &'static [&'static str] {
        match &self.backend {
            Backend::Folder(_) => &[],
            Backend::S3(_) => &["httpfs"],
        }
    }

    /// The SQL that configures DuckDB to open the objects. It may contain keys.
    pub fn setup(&self) -> String {
        match &self.backend {
            Backend::Folder(_) => String::new(),
            Backend::S3(s3) => s3.setup(),
        }
    }

    /// The same store, in which writes survive a power failure. Slower for many small objects.
    #[must_use]
    pub fn durable(&self) -> Self {
        Self { store: Arc::clone(&self.durable), ..self.clone() }
    }

    /// The URI of the object at `path`.
    pub fn uri(&self, path: &str) -> String {
        format!("{}{}", self.root_uri, Path::from(path))
    }

    /// The path of the object with this URI; `None` if it is not in this store.
    pub fn path_of(&self, uri: &str) -> Option<String> {
        let path = uri.strip_prefix(&self.root_uri)?;
        Path::from_url_path(path).ok().map(Into::into)
    }

    /// The path of the asset, landed file or export with this URI.
    ///
    /// # Errors
    /// `InvalidArgument` for any other URI.
    pub fn readable_path(&self, uri: &str) -> Result<String> {
        let path = self.path_of(uri).filter(|path| READABLE.iter().any(|folder| path.starts_with(folder)));
        path.ok_or_else(|| {
            Error::invalid(format!("\"{uri}\" is not the URI of an asset, a landed file or an export of this server"))
        })
    }

    /// The store, for reading.
    pub(super) fn object_store(&self) -> &dyn ObjectStore {
        self.store.as_ref()
    }

    /// The object at `path` in the form that DuckDB opens, with glob characters escaped.
    pub fn engine_path(&self, path: &str) -> String {
        self.engine_name(path)
            .chars()
            .map(|c| if "[*?".contains(c) { format!("[{c}]") } else { c.to_string() })
            .collect()
    }

    /// The object at `path` as DuckDB calls it.
    pub fn engine_name(&self, path: &str) -> String {
        format!("{}{path}", self.root_path)
    }

    /// Writes an object, replacing an existing one.
    ///
    /// # Errors
    /// `ResourceExhausted` on a full disk; Unavailable if the store does not respond.
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<()> {
        let put = self.store.put(&location(path)?, bytes.into()).await;
        put.map(|_| ()).context(|| format!("write \"{path}\""))
    }

    /// Writes an object unless it exists. Returns whether it was written.
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

    /// The value of a JSON object; `None` if it does not exist, or is not such a value.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn read_json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        match self.get(path).await {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Writes a value as a JSON object, replacing an existing one.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn write_json(&self, path: &str, value: &(impl Serialize + Sync)) -> Result<()> {
        let text = serde_json::to_vec(value).map_err(|err| Error::internal("write JSON").with_source(err))?;
        self.put(path, text.into()).await
    }

    /// The size of an object; `None` if there is none.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn size(&self, path: &str) -> Result<Option<u64>> {
        Ok(self.object(path).await?.map(|object| object.bytes))
    }

    /// Uploads a local file to `path`, in chunks. Returns what was copied.
    ///
    /// # Errors
    /// `NotFound` if the file does not exist; `InvalidArgument` for a name that the engine could not open; as
    /// [`put`](Self::put).
    pub async fn upload(&self, file: &FilePath, path: &str) -> Result<Copied> {
        self.backend.check(path)?;
        let mut digest = Sha256::new();
        let mut target = BufWriter::new(Arc::clone(&self.store), location(path)?);
        let copy = async {
            let mut source = in_pieces(tokio::fs::File::open(file).await?);
            let copied =
                copy_buf(&mut source, &mut InspectWriter::new(&mut target, |bytes| digest.update(bytes))).await;
            match copied {
                // Aborts the upload itself if it fails.
                Ok(bytes) => target.shutdown().await.map(|()| bytes),
                Err(err) => {
                    // Remove the parts of an incomplete upload.
                    let _ = target.abort().await;
                    Err(err)
                }
            }
        };
        let copied = copy.await.map_err(fault::of_copy);
        let bytes = copied.context(|| format!("copy \"{}\" to \"{path}\"", file.display()))?;
        Ok(Copied { bytes, sha256: format!("{:x}", digest.finalize()) })
    }

    /// What [`upload`](Self::upload) of a local file would copy.
    ///
    /// # Errors
    /// `NotFound` if the file does not exist.
    pub async fn checksum(file: &FilePath) -> Result<Copied> {
        let source = tokio::fs::File::open(file).await.context(|| format!("read \"{}\"", file.display()))?;
        let mut digest = Sha256::new();
        let mut target = InspectWriter::new(sink(), |bytes| digest.update(bytes));
        let bytes = copy_buf(&mut in_pieces(source), &mut target).await?;
        Ok(Copied { bytes, sha256: format!("{:x}", digest.finalize()) })
    }

    /// What [`download`](Self::download) of an object would copy. It is read in chunks.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn digest(&self, path: &str) -> Result<Copied> {
        let read = async {
            let mut source = self.store.get(&location(path)?).await?.into_stream();
            let (mut digest, mut bytes) = (Sha256::new(), 0);
            while let Some(chunk) = source.try_next().await? {
                digest.update(&chunk);
                bytes += chunk.len() as u64;
            }
            Ok::<_, Error>(Copied { bytes, sha256: format!("{:x}", digest.finalize()) })
        };
        read.await.map_err(|err| match err.kind() {
            ErrorKind::NotFound => Error::not_found(format!("\"{path}\" does not exist")),
            _ => err.context(format_args!("read \"{path}\"")),
        })
    }

    /// Downloads the object at `path` to a local file. Returns the number of bytes.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn download(&self, path: &str, file: &FilePath) -> Result<u64> {
        let copy = async {
            let mut source = self.store.get(&location(path)?).await?.into_stream();
            let mut target = tokio::fs::File::create(file).await?;
            let mut bytes = 0;
            while let Some(chunk) = source.try_next().await? {
                target.write_all(&chunk).await?;
                bytes += chunk.len() as u64;
            }
            target.flush().await?;
            Ok::<_, Error>(bytes)
        };
        copy.await.context(|| format!("copy \"{path}\" to \"{}\"", file.display()))
    }

    /// Whether it is a folder of this machine.
    pub fn is_folder(&self) -> bool {
        matches!(self.backend, Backend::Folder(_))
    }

    /// The file of an object, if the store is a folder of this machine.
    pub fn local_path(&self, path: &str) -> Option<PathBuf> {
        match &self.backend {
            Backend::Folder(folder) => Some(folder.join(path)),
            Backend::S3(_) => None,
        }
    }

    /// Moves the files of a local folder, whose content is synced, to `path`, where nothing is yet. They appear there
    /// together if the store is a folder of the same file system.
    ///
    /// # Errors
    /// `AlreadyExists`; as [`put`](Self::put).
    pub async fn move_in(&self, folder: &FilePath, path: &str) -> Result<()> {
        let doing = || format!("move files to \"{path}\"");
        if let Backend::Folder(root) = &self.backend {
            let target = root.join(path);
            let parent = target.parent().unwrap_or(root);
            tokio::fs::create_dir_all(parent).await.context(doing)?;
            match tokio::fs::rename(folder, &target).await {
                Ok(()) => return tokio::fs::File::open(parent).await?.sync_all().await.context(doing),
                Err(err) if err.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    return Err(Error::new(ErrorKind::AlreadyExists, format!("\"{path}\" exists")));
                }
                Err(err) if err.kind() != io::ErrorKind::CrossesDevices => return Err(err).context(doing),
                Err(_) => {}
            }
        }
        let mut entries = tokio::fs::read_dir(folder).await.context(doing)?;
        while let Some(entry) = entries.next_entry().await.context(doing)? {
            self.durable().upload(&entry.path(), &format!("{path}/{}", entry.file_name().display())).await?;
        }
        Ok(())
    }

    /// The paths and sizes of all objects under the folder `path`.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn list(&self, path: &str) -> Result<Vec<(String, u64)>> {
        let objects = self.objects(path).await?.into_iter();
        Ok(objects.map(|object| (object.path, object.bytes)).collect())
    }

    /// All objects under the folder `path`.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn objects(&self, path: &str) -> Result<Vec<Object>> {
        let list = async { self.store.list(Some(&location(path)?)).try_collect::<Vec<_>>().await.map_err(Error::from) };
        let objects = list.await.context(|| format!("list \"{path}\""))?;
        Ok(objects.into_iter().map(Object::from).collect())
    }

    /// The object at `path`; `None` if there is none.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn object(&self, path: &str) -> Result<Option<Object>> {
        match self.store.head(&location(path)?).await {
            Ok(object) => Ok(Some(object.into())),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(err) => Err(Error::from(err).context(format_args!("read \"{path}\""))),
        }
    }

    /// Copies an object within the store, without reading it where the store can: S3 takes up to 5 GiB.
    ///
    /// # Errors
    /// `NotFound`; as [`put`](Self::put).
    pub async fn copy(&self, from: &str, to: &str) -> Result<()> {
        let copied = self.store.copy(&location(from)?, &location(to)?).await;
        copied.context(|| format!("copy \"{from}\" to \"{to}\""))
    }

    /// Removes an object, if it exists.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn delete(&self, path: &str) -> Result<()> {
        match self.store.delete(&location(path)?).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(err) => Err(Error::from(err).context(format_args!("delete \"{path}\""))),
        }
    }

    /// Removes files of the lake; `paths` are relative to its data path.
    ///
    /// # Errors
    /// As [`put`](Self::put); some may be removed then.
    pub async fn delete_lake_files(&self, paths: &[String]) -> Result<()> {
        let paths: Vec<_> = paths.iter().map(|path| format!("{LAKE}/{path}")).collect();
        let removed = stream::iter(paths).map(|path| async move { self.delete(&path).await });
        removed.buffer_unordered(REQUESTS).try_collect().await
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

pub(super) fn location(path: &str) -> Result<Path> {
    Path::parse(path).map_err(|err| Error::invalid(format!("\"{path}\" is not a valid object name: {err}")))
}

impl Backend {
    /// Rejects a name that DuckDB would misinterpret.
    fn check(&self, path: &str) -> Result<()> {
        match self {
            Self::S3(_) if path.contains('?') => {
                Err(Error::invalid(format!("\"{path}\" is not a valid object name on S3: remove \"?\"")))
            }
            Self::Folder(_) | Self::S3(_) => Ok(()),
        }
    }
}

/// Omits the credentials.
impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Storage").field(&self.backend).finish()
    }
}

fn in_pieces(file: tokio::fs::File) -> BufReader<tokio::fs::File> {
    BufReader::with_capacity(PIECE, file)
}
