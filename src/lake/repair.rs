//! Finds and repairs damage of a catalog that DuckLake cannot load, or reads wrongly.
//!
//! DuckLake itself caused each kind of damage, in older versions of this server: concurrent definitions wrote the id of a
//! schema that does not exist, a rename after another change of a table left two entries for the table, two concurrent
//! deletions from one data file left two delete files. The catalog is read as plain tables, without DuckLake.
//!
//! Limits: a table in a schema that does not exist, and rows that two deletions doubled, are reported and not repaired:
//! which rows are right, only a backup knows.

use serde::Deserialize;

use super::catalog::Catalog;
use crate::{
    engine::{self, Connection, Engine},
    error::{Error, Result},
    quote::identifier,
};

/// The name of the attached database.
const EXAMINED: &str = "examined";

/// A kind of damage.
struct Kind {
    /// A description of the damaged entries.
    what: &'static str,
    /// A query for their names and definitions.
    find: &'static str,
    /// The statements that repair the damage.
    repair: &'static [&'static str],
}

/// A damaged entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its description, with its name.
    pub what: String,
    /// The statement that creates it again, if repairing it removes it.
    pub definition: Option<String>,
    /// Whether [`repair`] removes the damage.
    pub repairable: bool,
}

const KINDS: &[Kind] = &[
    Kind {
        what: "a view in a schema that does not exist",
        find: "SELECT view_name AS name, 'CREATE VIEW ' || view_name || ' AS ' || sql AS definition \
               FROM examined.ducklake_view WHERE schema_id NOT IN (SELECT schema_id FROM examined.ducklake_schema)",
        repair: &["DELETE FROM examined.ducklake_view \
                   WHERE schema_id NOT IN (SELECT schema_id FROM examined.ducklake_schema)"],
    },
    Kind {
        what: "a macro in a schema that does not exist",
        find: "SELECT macro_name AS name, (SELECT 'CREATE MACRO ' || macro_name || '(…) AS ' || min(i.sql) \
                                           FROM examined.ducklake_macro_impl i WHERE i.macro_id = m.macro_id) AS definition \
               FROM examined.ducklake_macro m WHERE schema_id NOT IN (SELECT schema_id FROM examined.ducklake_schema)",
        repair: &[
            "DELETE FROM examined.ducklake_macro_parameters WHERE macro_id IN (SELECT macro_id FROM \
             examined.ducklake_macro WHERE schema_id NOT IN (SELECT schema_id FROM examined.ducklake_schema))",
            "DELETE FROM examined.ducklake_macro_impl WHERE macro_id IN (SELECT macro_id FROM \
             examined.ducklake_macro WHERE schema_id NOT IN (SELECT schema_id FROM examined.ducklake_schema))",
            "DELETE FROM examined.ducklake_macro \
             WHERE schema_id NOT IN (SELECT schema_id FROM examined.ducklake_schema)",
        ],
    },
    Kind {
        what: "a table that is there twice since it was renamed (the change before the rename is lost)",
        find: "SELECT min(table_name) AS name, NULL::VARCHAR AS definition FROM examined.ducklake_table \
               WHERE end_snapshot IS NULL GROUP BY table_id HAVING count(*) > 1",
        repair: &["UPDATE examined.ducklake_table AS t SET end_snapshot = (SELECT min(u.begin_snapshot) \
                   FROM examined.ducklake_table u WHERE u.table_id = t.table_id AND u.begin_snapshot > t.begin_snapshot) \
                   WHERE end_snapshot IS NULL AND EXISTS (SELECT 1 FROM examined.ducklake_table u \
                   WHERE u.table_id = t.table_id AND u.begin_snapshot > t.begin_snapshot)"],
    },
    Kind {
        what: "a table in a schema that does not exist",
        find: "SELECT table_name AS name, NULL::VARCHAR AS definition FROM examined.ducklake_table \
               WHERE end_snapshot IS NULL AND schema_id NOT IN (SELECT schema_id FROM examined.ducklake_schema)",
        repair: &[],
    },
    Kind {
        what: "a table with rows that two deletions at the same time have doubled",
        find: "SELECT DISTINCT t.table_name AS name, NULL::VARCHAR AS definition \
               FROM (SELECT data_file_id FROM examined.ducklake_delete_file WHERE end_snapshot IS NULL \
                     GROUP BY data_file_id HAVING count(*) > 1) d \
               JOIN examined.ducklake_data_file f USING (data_file_id) \
               JOIN examined.ducklake_table t ON t.table_id = f.table_id AND t.end_snapshot IS NULL",
        repair: &[],
    },
];

#[derive(Deserialize)]
struct Found {
    name: String,
    definition: Option<String>,
}

/// The damage of a catalog; none if it does not exist.
///
/// # Errors
/// Errors of DuckDB.
pub async fn examine(settings: &engine::Settings, catalog: &Catalog) -> Result<Vec<Damage>> {
    on_tables(settings, catalog, find).await
}

/// Removes the damage that can be removed, in one transaction; gives what it was. No server may have the catalog open.
///
/// # Errors
/// As [`examine`]; nothing has changed then.
pub async fn repair(settings: &engine::Settings, catalog: &Catalog) -> Result<Vec<Damage>> {
    let work = |connection: &Connection| {
        let damages = find(connection)?;
        connection.transaction(|connection| {
            for statement in KINDS.iter().flat_map(|kind| kind.repair) {
                connection.execute(statement, &[])?;
            }
            Ok(())
        })?;
        Ok(damages.into_iter().filter(|damage| damage.repairable).collect())
    };
    on_tables(settings, catalog, work).await
}

fn find(connection: &Connection) -> Result<Vec<Damage>> {
    let mut damages = Vec::new();
    for kind in KINDS {
        let found: Vec<Found> = connection.records(&format!("FROM ({}) ORDER BY ALL", kind.find), &[])?;
        damages.extend(found.into_iter().map(|found| Damage {
            what: format!("{}: {}", kind.what, identifier(&found.name)),
            definition: found.definition,
            repairable: !kind.repair.is_empty(),
        }));
    }
    Ok(damages)
}

/// Runs `work` on a connection to which the catalog's database is attached without DuckLake.
async fn on_tables(
    settings: &engine::Settings,
    catalog: &Catalog,
    work: impl FnOnce(&Connection) -> Result<Vec<Damage>> + Send + 'static,
) -> Result<Vec<Damage>> {
    if let Some(file) = catalog.file()
        && !file.try_exists()?
    {
        return Ok(Vec::new());
    }
    let (settings, catalog) = (settings.clone(), catalog.clone());
    let open = move || {
        let (extensions, script) = catalog.plain(EXAMINED);
        let setup = engine::Setup { extensions, script: &script, ..engine::Setup::default() };
        Engine::open(&settings, &setup).map_err(|err| catalog.explain(err))
    };
    let opened = tokio::task::spawn_blocking(open).await;
    let engine = opened.map_err(|err| Error::internal("open the catalog").with_source(err))??;
    let outcome = engine.run(|connection| if is_lake(connection)? { work(connection) } else { Ok(Vec::new()) }).await;
    engine.close(std::time::Duration::ZERO).await;
    let closed = engine.closed();
    drop(engine);
    closed.await;
    outcome
}

/// Whether the database contains the tables of a lake.
fn is_lake(connection: &Connection) -> Result<bool> {
    #[derive(Deserialize)]
    struct Count {
        count: u64,
    }
    let sql = "SELECT count(*) AS count FROM duckdb_tables() \
               WHERE database_name = 'examined' AND table_name IN ('ducklake_view', 'ducklake_macro', 'ducklake_delete_file')";
    Ok(connection.record::<Count>(sql, &[])?.count == 3)
}
