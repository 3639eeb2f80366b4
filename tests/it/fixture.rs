//! A real server for one test.

use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use merganser::{
    client::{Address, Client, Login, Rows, Tls},
    config::{HostPort, Settings, Storage},
    error::{Error, Result},
    server::Server,
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

/// A server that runs in this process until it is stopped.
pub struct TestServer {
    home: TempDir,
    url: String,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<()>>,
}

// === impl TestServer ===

impl TestServer {
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    pub async fn start_in(home: TempDir) -> Self {
        let settings = Settings {
            home: home.path().to_path_buf(),
            storage: Storage::Local(home.path().join("store")),
            listen: HostPort { host: "127.0.0.1".into(), port: 0 },
            ..Settings::default()
        };
        let server = Server::build(&settings).await.unwrap();
        let url = server.location().to_string();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async {
            let ended = server.run(async {
                let _ = stopped.await;
            });
            ended.await.map(|_| ())
        });
        Self { home, url, stop, running }
    }

    pub async fn client(&self) -> Client {
        let address = Address { url: self.url.clone(), tls: Tls::default() };
        Client::connect(&address, &Login::Password("tester".to_owned(), String::new())).await.unwrap()
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The size of the files that this process holds open in the staging folder, unlinked ones included.
    #[cfg(target_os = "linux")]
    pub fn open_staging_bytes(&self) -> u64 {
        let staging = self.home.path().canonicalize().unwrap().join("staging");
        let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
            let entry = entry.ok()?.path();
            let target = std::fs::read_link(&entry).ok()?;
            target.starts_with(&staging).then(|| std::fs::metadata(&entry).map_or(0, |file| file.len()))
        });
        open.sum()
    }

    /// Runs a statement and gives its rows as text.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        rows(&self.client().await, sql).await
    }

    /// The only value of a query.
    pub async fn value(&self, sql: &str) -> String {
        self.rows(sql).await.unwrap_or_else(|err| panic!("{sql}: {err}"))[0][0].clone()
    }

    /// Stops it, which must be clean, and gives its home.
    pub async fn stop(self) -> TempDir {
        let _ = self.stop.send(());
        self.running.await.unwrap().unwrap();
        self.home
    }
}

/// Runs a statement and gives its rows as text.
pub async fn rows(client: &Client, sql: &str) -> Result<Vec<Vec<String>>> {
    texts(client.execute(sql).await?).await
}

/// The rows of a result as text.
pub async fn texts(mut result: Rows) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    while let Some(batch) = result.batches.try_next().await? {
        let columns: Result<Vec<_>, _> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options)).collect();
        let columns = columns.map_err(|err| Error::internal(err.to_string()))?;
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|c| c.value(row).to_string()).collect()));
    }
    Ok(rows)
}
