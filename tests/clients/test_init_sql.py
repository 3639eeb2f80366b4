"""`init_sql`: the DuckDB shell attaches the lake, and reads it."""

import csv
import io
import json
import os
import subprocess
import urllib.parse

import duckdb_cli
import pytest

import harness
from conftest import CATALOGS

SHELL = os.path.join(os.path.dirname(duckdb_cli.__file__), "duckdb")
EXTENSIONS = harness.ROOT / ".deps" / "duckdb" / "extensions"


def shell(init, sql, folder, **variables):
    """Runs the shell, which reads `init` first; returns the completed process."""
    file = folder / "init.sql"
    file.write_text(init)
    # The folder replaces what INSTALL downloads if the network allows it.
    before = ["-cmd", f"SET extension_directory = '{EXTENSIONS}'", "-cmd", f".read '{file}'"]
    command = [SHELL, "-csv", "-bail", *before, "-c", sql]
    return subprocess.run(
        list(map(str, command)),
        env=harness.environment(HOME=str(folder), **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def rows(done):
    assert done.returncode == 0, done.stderr
    return list(csv.reader(io.StringIO(done.stdout)))[1:]


def account(flags):
    """User and password of a catalog in PostgreSQL, as its client library reads them."""
    if "--catalog" not in flags or not flags[-1].startswith("postgres:"):
        return {}
    uri = urllib.parse.urlsplit(flags[-1])
    return {"PGUSER": uri.username, "PGPASSWORD": urllib.parse.unquote(uri.password)}


@pytest.mark.parametrize("kind", CATALOGS)
def test_the_shell_reads_the_lake(launch, catalog_flags, tmp_path, kind):
    server = launch(*catalog_flags(tmp_path, kind))
    server.sql("CREATE TABLE silver.t AS SELECT i FROM range(100) r(i)")
    first = server.scalar("SELECT id FROM lake.current_snapshot()")
    server.sql("DELETE FROM silver.t WHERE i < 98")
    sql = server.result("init_sql")["sql"]
    if kind == "postgres":
        secrets = account(server.flags)
        assert secrets["PGPASSWORD"] not in sql and "user=" not in sql and "password=" not in sql
    if kind == "duckdb":
        # One process can have the file open, which the script mentions.
        assert "stop the server first" in sql
        beside = shell(sql, "FROM silver.t", tmp_path)
        assert beside.returncode != 0 and "lock" in beside.stderr
        server.stop()
    past = f"SELECT count(*) FROM lake.silver.t AT (VERSION => {first}) WHERE i = 3"
    found = shell(sql, f"SELECT sum(i), ({past}) FROM silver.t", tmp_path, **account(server.flags))
    assert rows(found) == [["197", "1"]]
    written = shell(sql, "INSERT INTO silver.t VALUES (1)", tmp_path, **account(server.flags))
    assert written.returncode != 0 and "read-only" in written.stderr
    # The file itself contains nothing but SQL, with the setting that time travel needs.
    setting = shell(sql, "SELECT current_setting('disabled_optimizers')", tmp_path, **account(server.flags))
    assert rows(setting) == [["statistics_propagation"]]
    assert str(EXTENSIONS) not in sql


def test_beside_a_server_the_shell_reads_a_backup(launch, catalog_flags, tmp_path):
    server = launch(*catalog_flags(tmp_path, "duckdb"))
    server.sql("CREATE TABLE silver.t AS SELECT 42 AS i")
    taken = server.result("backup")
    file = server.store / "backups" / "catalog" / taken["backup"] / "catalog.duckdb"
    sql = server.result("init_sql")["sql"]
    catalog = server.home / "catalog.ducklake"
    assert f"'ducklake:{catalog}'" in sql
    assert rows(shell(sql.replace(str(catalog), str(file)), "FROM silver.t", tmp_path)) == [["42"]]


def test_names_that_need_quotes(launch, tmp_path):
    folder = tmp_path / "o'neill; DROP"
    folder.mkdir()
    server = launch("--catalog", f"sqlite:{folder / 'c.sqlite'}", "--storage", folder / "store\n-- x")
    server.sql("CREATE TABLE t AS SELECT 1 AS i")
    assert rows(shell(server.result("init_sql")["sql"], "FROM lake.main.t", tmp_path)) == [["1"]]


def test_from_the_shell_and_in_sql(launch, catalog_flags, tmp_path):
    server = launch(*catalog_flags(tmp_path))
    sql = server.result("init_sql")["sql"]
    printed = harness.run("init-sql", "--url", server.uri)
    assert (printed.returncode, printed.stdout) == (0, sql)
    assert json.loads(server.sql("CALL merganser.init_sql()")[-1][-1])["sql"] == sql
