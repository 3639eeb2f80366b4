//! The command line: `serve`, `check`, `sample`, `hash-password`, `new-token`, `restore-catalog` and `migrate-catalog` run
//! locally; all other commands are clients of a running server.
//!
//! Contains input and output only. Exit codes: 0 for success, 1 for failure, 2 for an invalid command line or
//! configuration.

mod actions;
mod backup;
mod call;
mod check;
mod connect;
mod credentials;
mod datasets;
mod diff;
mod export;
mod failure;
mod ingest;
mod init_sql;
mod jobs;
mod maintain;
mod migrate;
mod output;
mod prune;
mod publish;
mod rollback;
mod sample;
mod secret;
mod serve;
mod snapshot;
mod snapshots;
mod sql;
mod table;
mod tag;
mod transform;
mod verify;
mod words;

use clap::{Parser, Subcommand};

use self::failure::{Failure, SUCCESS};
use crate::engine::{end_process, exit_on_exceptions};

/// A lakehouse server: DuckDB and DuckLake behind Arrow Flight SQL.
#[derive(Debug, Parser)]
#[command(name = "merganser", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Check(check::Check),
    HashPassword(credentials::HashPassword),
    NewToken(credentials::NewToken),
    Sample(sample::Sample),
    Sql(sql::Sql),
    Ingest(Box<ingest::Ingest>),
    Datasets(datasets::Datasets),
    Transform(transform::Transform),
    Snapshots(snapshots::Snapshots),
    Diff(diff::Diff),
    Rollback(rollback::Rollback),
    Tag(tag::Tag),
    Export(export::Export),
    Exports(export::Exports),
    Verify(verify::Verify),
    Publish(Box<publish::Publish>),
    Prune(prune::Prune),
    Maintain(maintain::Maintain),
    Backup(backup::Backup),
    Backups(backup::Backups),
    Restore(backup::Restore),
    RestoreCatalog(backup::RestoreCatalog),
    MigrateCatalog(migrate::MigrateCatalog),
    InitSql(init_sql::InitSql),
    Jobs(jobs::Jobs),
    Job(jobs::Job),
    Actions(actions::Actions),
}

/// Runs the command line and exits the process.
pub fn main() -> ! {
    let cli = Cli::parse();
    exit_on_exceptions();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(err) => end_process(Failure::Failed(err.into()).report()),
    };
    let outcome = runtime.block_on(run(cli.command));
    // Streams that outlived their grace period end with the process.
    runtime.shutdown_background();
    end_process(outcome.map_or_else(|failure| failure.report(), |()| SUCCESS))
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(serve) => serve.run().await,
        Command::Check(check) => check.run().await,
        Command::HashPassword(_) => credentials::HashPassword::run(),
        Command::NewToken(new) => new.run(),
        Command::Sample(sample) => sample.run(),
        Command::Sql(sql) => sql.run().await,
        Command::Ingest(ingest) => ingest.run().await,
        Command::Datasets(datasets) => datasets.run().await,
        Command::Transform(transform) => transform.run().await,
        Command::Snapshots(snapshots) => snapshots.run().await,
        Command::Diff(diff) => diff.run().await,
        Command::Rollback(rollback) => rollback.run().await,
        Command::Tag(tag) => tag.run().await,
        Command::Export(export) => export.run().await,
        Command::Exports(exports) => exports.run().await,
        Command::Verify(verify) => verify.run().await,
        Command::Publish(publish) => publish.run().await,
        Command::Prune(prune) => prune.run().await,
        Command::Maintain(maintain) => maintain.run().await,
        Command::Backup(backup) => backup.run().await,
        Command::Backups(backups) => backups.run().await,
        Command::Restore(restore) => restore.run().await,
        Command::RestoreCatalog(restore) => restore.run().await,
        Command::MigrateCatalog(migrate) => migrate.run().await,
        Command::InitSql(init_sql) => init_sql.run().await,
        Command::Jobs(jobs) => jobs.run().await,
        Command::Job(job) => job.run().await,
        Command::Actions(list) => list.run().await,
    }
}
