"""`merganser check` finds a catalog that DuckLake cannot load any more, and repairs it."""

import sqlite3

import duckdb
import pytest

import harness

DAMAGE = [
    "UPDATE ducklake_view SET schema_id = 1234567 WHERE view_name = 'lost'",
    "UPDATE ducklake_macro SET schema_id = 1234567 WHERE macro_name = 'gone'",
]


def damage(server, kind):
    """Damages the catalog like concurrent definitions did: the server must be stopped."""
    if kind == "sqlite":
        with sqlite3.connect(server.folder / "catalog.sqlite") as catalog:
            for text in DAMAGE:
                catalog.execute(text)
        return
    with duckdb.connect(server.home / "catalog.ducklake") as catalog:
        for text in DAMAGE:
            catalog.execute(text)


def check(server, *flags):
    return harness.run("check", "--home", server.home, *server.flags, *flags)


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_damaged_catalog_is_found_and_repaired(tmp_path, catalog_flags, kind):
    server = harness.Server(tmp_path, *catalog_flags(tmp_path, kind)).start()
    try:
        server.sql("CREATE TABLE silver.t AS SELECT 42 AS i")
        server.sql("CREATE VIEW silver.lost AS SELECT 7 AS x")
        server.sql("CREATE VIEW silver.kept AS FROM silver.t")
        server.sql("CREATE MACRO lake.main.gone(a) AS a + 1")
        server.stop()
        assert check(server).returncode == 0
        damage(server, kind)

        refused = harness.run("serve", "--home", server.home, *server.flags, "--listen", "127.0.0.1:0")
        assert refused.returncode == 1 and "run merganser check" in refused.stderr

        found = check(server)
        assert found.returncode == 1
        assert 'a view in a schema that does not exist: "lost"' in found.stdout
        assert 'a macro in a schema that does not exist: "gone"' in found.stdout
        assert "merganser check --repair" in found.stderr

        repaired = check(server, "--repair")
        assert repaired.returncode == 0, repaired.stderr
        # Nothing is lost that can be created again.
        assert "CREATE VIEW lost AS SELECT 7" in repaired.stdout
        assert check(server).returncode == 0

        server.start()
        assert server.sql("FROM silver.kept") == [(42,)]
        assert server.scalar("SELECT count(*) FROM duckdb_views() WHERE view_name = 'lost'") == 0
        server.sql("CREATE VIEW silver.lost AS SELECT 7 AS x")
        assert server.sql("FROM silver.lost") == [(7,)]
    finally:
        server.discard()


def test_a_catalog_is_not_repaired_under_a_server(launch):
    server = launch()
    refused = check(server, "--repair")
    assert refused.returncode == 1 and "stop the server first" in refused.stderr
