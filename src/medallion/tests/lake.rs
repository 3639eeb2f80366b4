//! A lake in a temporary folder, for one test.

use serde::Deserialize;
use tempfile::TempDir;

use crate::{
    engine::{self, Connection, Engine},
    error::{Error, Result},
    lake::{
        attach,
        catalog::Catalog,
        commit::{self, Committer, Writer},
        snapshots,
    },
    medallion::{Model, ModelOutcome, Progress, Request, Step, parse, run},
    storage::Storage,
};

pub(super) struct Lake {
    engine: Engine,
    runtime: tokio::runtime::Runtime,
    /// Removed after the engine.
    _folder: TempDir,
}

impl Lake {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let home = folder.path().to_path_buf();
        std::fs::create_dir_all(home.join("staging")).unwrap();
        let settings = engine::Settings {
            extensions: None,
            extensions_fallback: home.join("extensions"),
            staging: home.join("staging"),
            memory_limit_bytes: None,
            collect_results: true,
            threads: None,
            max_connections: 4,
        };
        let lake = attach::Settings {
            catalog: Catalog::DuckdbFile(home.join("catalog.ducklake")),
            storage: Storage::local(&home).unwrap(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { engine: attach::open(&settings, &lake).unwrap().engine().clone(), runtime, _folder: folder }
    }

    /// Runs `work` on a connection of the lake.
    pub(super) fn on<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T> + Send + 'static) -> T {
        self.runtime.block_on(self.engine.run(work)).unwrap()
    }

    pub(super) fn sql(&self, script: &str) {
        let script = script.to_owned();
        self.on(move |connection| connection.run_script(&script));
    }

    /// The rows of a query as JSON, in its order.
    pub(super) fn rows(&self, query: &str) -> Vec<String> {
        #[derive(Deserialize)]
        struct Row {
            json: String,
        }
        let query = format!("SELECT to_json(t)::VARCHAR AS json FROM ({query}) t");
        let rows: Vec<Row> = self.on(move |connection| connection.records(&query, &[]));
        rows.into_iter().map(|row| row.json).collect()
    }

    pub(super) fn snapshot(&self) -> i64 {
        self.on(snapshots::current).0
    }

    pub(super) fn try_run(&self, models: &[Model], options: Options) -> (Result<Vec<ModelOutcome>>, Vec<Progress>) {
        let models = models.to_vec();
        self.on(move |connection| {
            let mut seen = Vec::new();
            let select: Vec<_> = options.select.iter().map(|name| (*name).to_owned()).collect();
            let Options { full_refresh, dry_run, .. } = options;
            let request = Request { select: &select, full_refresh, dry_run, author: "ada" };
            let committer = Committer::new(commit::Settings::default());
            let outcome =
                run(Writer::new(&committer, connection), &models, &request, &mut |progress| seen.push(progress));
            assert_eq!(temp_tables(connection), 0, "TEMP tables were left behind");
            Ok((outcome, seen))
        })
    }

    #[track_caller]
    pub(super) fn run(&self, models: &[Model], options: Options) -> Vec<ModelOutcome> {
        self.try_run(models, options).0.unwrap()
    }

    #[track_caller]
    pub(super) fn fail(&self, models: &[Model], options: Options) -> Error {
        self.try_run(models, options).0.unwrap_err()
    }
}

impl Lake {
    /// Runs `models` while another writer commits `write(n)` in the middle of each of the first `times` attempts;
    /// returns the number of retries.
    pub(super) fn run_against(
        &self,
        models: Vec<Model>,
        write: impl Fn(usize) -> String + Send + 'static,
        times: usize,
    ) -> (Result<Vec<ModelOutcome>>, usize) {
        let (engine, runtime) = (self.engine.clone(), self.runtime.handle().clone());
        self.on(move |connection| {
            let (mut attempts, mut repeats) = (0, 0);
            let request = Request { select: &[], full_refresh: false, dry_run: false, author: "ada" };
            let committer = Committer::new(commit::Settings::default());
            let outcome =
                run(Writer::new(&committer, connection), &models, &request, &mut |progress| match progress.step {
                    Step::Checking if attempts < times => {
                        attempts += 1;
                        let sql = write(attempts);
                        runtime.block_on(engine.run(move |other| other.run_script(&sql))).unwrap();
                    }
                    Step::Repeating => repeats += 1,
                    _ => {}
                });
            Ok((outcome, repeats))
        })
    }
}

/// The options of a request that a test changes.
#[derive(Clone, Default)]
pub(super) struct Options {
    pub(super) select: Vec<&'static str>,
    pub(super) full_refresh: bool,
    pub(super) dry_run: bool,
}

pub(super) fn select(names: &[&'static str]) -> Options {
    Options { select: names.to_vec(), ..Options::default() }
}

pub(super) fn models(text: &str) -> Vec<Model> {
    parse("test.sql", text).unwrap()
}

fn temp_tables(connection: &Connection) -> u64 {
    #[derive(Deserialize)]
    struct Count {
        n: u64,
    }
    let sql = "SELECT count(*) AS n FROM duckdb_tables() WHERE database_name = 'temp'";
    connection.record::<Count>(sql, &[]).unwrap().n
}
