"""A catalog in PostgreSQL: servers share it, survive its end, and keep its password secret."""

import concurrent.futures
import threading

import adbc_driver_manager
import pytest

import harness
from wedge import Wedge


@pytest.fixture
def server(launch, catalog_flags, tmp_path):
    return launch(*catalog_flags(tmp_path, "postgres"))


@pytest.fixture
def table(server):
    server.sql("CREATE TABLE t (i BIGINT)")
    return "t"


def refused(uri, tmp_path, *flags):
    flags = ["--home", tmp_path / "home", "--listen", "127.0.0.1:0", "--catalog", uri, *flags]
    done = harness.run("serve", *flags)
    assert done.returncode == 1, done.stderr
    return done.stderr


def rows(server):
    return [i for (i,) in server.sql("SELECT i FROM t ORDER BY i")]


# === who may know what ===


def test_the_password_stays_secret(server, cluster):
    seen = [
        server.sql(sql)
        for sql in [
            "SELECT * FROM duckdb_databases()",
            "SELECT * FROM duckdb_secrets()",
            "SELECT * FROM duckdb_settings()",
            "SELECT * FROM lake.settings()",
            "SELECT * FROM lake.options()",
            "SHOW ALL TABLES",
        ]
    ]
    cluster.crash()
    try:
        for sql in ["FROM lake.snapshots()", "FROM __ducklake_metadata_lake.ducklake_metadata", "CREATE TABLE x (i INT)"]:
            with pytest.raises(adbc_driver_manager.OperationalError, match="does not answer") as failed:
                server.sql(sql)
            # Neither the location nor DuckLake's own SQL.
            assert str(cluster.folder) not in str(failed.value) and "SELECT" not in str(failed.value)
    finally:
        cluster.start()
    for text in [str(seen), server.log()]:
        assert cluster.password not in text and cluster.password.split("-")[1] not in text


def test_faults_of_the_database_are_reported(cluster, tmp_path):
    said = refused(cluster.uri("postgres", password="hunter2"), tmp_path)
    assert "rejects the user or the password" in said and "hunter2" not in said
    said = refused(cluster.uri("nothing"), tmp_path)
    assert "create the database" in said and '"nothing"' in said
    said = refused(f"postgres://ada:hunter2@/lake?host={tmp_path}", tmp_path)
    assert "does not answer" in said and "hunter2" not in said
    cluster.sql("CREATE ROLE guest LOGIN PASSWORD 'x'")
    cluster.make_database("foreign_lake")
    cluster.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC", "foreign_lake")
    said = refused(f"postgres://guest:x@/foreign_lake?host={cluster.folder}", tmp_path)
    assert "owner of the database" in said


def test_a_catalog_of_another_storage_or_a_newer_format_is_refused(launch, cluster, tmp_path):
    uri = cluster.make_database("newer_lake")
    server = launch("--catalog", uri)
    server.stop()
    said = refused(uri, tmp_path)
    assert "--storage that it was created with" in said and str(server.store) in said
    cluster.sql("UPDATE ducklake_metadata SET value = '9.9' WHERE key = 'version'", "newer_lake")
    said = refused(uri, tmp_path, "--storage", server.store)
    assert "another DuckLake version" in said and "newer_lake" in said


# === several servers ===


def test_two_servers_see_each_others_commits(launch, cluster, tmp_path):
    flags = ["--catalog", cluster.make_database("shared_lake"), "--storage", tmp_path / "store"]
    one, two = launch(*flags), launch(*flags)
    one.sql("CREATE TABLE t (i BIGINT)")
    two.sql("INSERT INTO t VALUES (1)")
    assert rows(one) == [1]

    def write(server, start):
        for i in range(start, start + 10):
            server.sql(f"INSERT INTO t VALUES ({i})")

    writers = [threading.Thread(target=write, args=[server, start]) for server, start in [(one, 10), (two, 20)]]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert rows(one) == rows(two) == [1, *range(10, 30)]
    one.result("tag", {"name": "shared"})
    assert two.result("tag", {})["tags"][0]["name"] == "shared"


# === the end of PostgreSQL ===


def test_two_servers_lose_none_of_each_others_deletions(launch, cluster, tmp_path):
    flags = ["--catalog", cluster.make_database("lake_of_two"), "--storage", tmp_path / "store"]
    servers = [launch(*flags), launch(*flags)]
    servers[0].sql("CREATE TABLE t AS SELECT i // 100 AS writer, i FROM range(400) r(i)")

    def delete(writer):
        for i in range(100 * writer, 100 * writer + 20):
            servers[writer % 2].sql(f"DELETE FROM t WHERE i = {i}")

    writers = [threading.Thread(target=delete, args=[writer]) for writer in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    left = [(i,) for i in range(400) if i % 100 >= 20]
    assert [server.sql("SELECT i FROM t ORDER BY i") for server in servers] == [left, left]
    with servers[0].adbc(autocommit=False) as one, servers[1].adbc(autocommit=False) as two:
        for i, connection in enumerate([one, two]):
            with connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM t WHERE i = {50 + i}")
        one.commit()
        with pytest.raises(adbc_driver_manager.OperationalError, match="repeat the transaction"):
            two.commit()
    left.remove((50,))
    assert [server.sql("SELECT i FROM t ORDER BY i") for server in servers] == [left, left]


def test_upserts_on_two_servers_double_no_key(launch, cluster, tmp_path):
    flags = ["--catalog", cluster.make_database("lake_of_two_that_merge"), "--storage", tmp_path / "store"]
    servers = [launch(*flags), launch(*flags)]
    servers[0].sql("CREATE TABLE t (k INTEGER, n INTEGER)")
    merge = (
        "MERGE INTO t USING (SELECT {k} AS k) s ON t.k = s.k "
        "WHEN MATCHED THEN UPDATE SET n = t.n + 1 WHEN NOT MATCHED THEN INSERT VALUES (s.k, 1)"
    )

    def upsert(server):
        for k in range(5):
            server.sql(merge.format(k=k))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(upsert, servers * 2))
    expected = [(k, 4) for k in range(5)]
    assert [server.sql("SELECT k, n FROM t ORDER BY k") for server in servers] == [expected, expected]
    with servers[0].adbc(autocommit=False) as one, servers[1].adbc(autocommit=False) as two:
        for connection in (one, two):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO t SELECT 9, 1 WHERE NOT EXISTS (FROM t WHERE k = 9)")
        one.commit()
        with pytest.raises(adbc_driver_manager.OperationalError, match="repeat the transaction"):
            two.commit()
    assert servers[1].scalar("SELECT count(*) FROM t WHERE k = 9") == 1


def test_the_first_statement_after_a_restart_works(server, table, cluster):
    server.sql("INSERT INTO t VALUES (1)")
    for sql in ["SELECT count(*) FROM t", "INSERT INTO t VALUES (2)", "FROM __ducklake_metadata_lake.merganser_tags"]:
        cluster.restart()
        server.sql(sql)
    cluster.restart()
    server.result("tag", {"name": "after"})
    assert rows(server) == [1, 2]


def test_while_it_is_down_statements_report_it_and_afterwards_they_work(server, table, cluster):
    cluster.crash()
    try:
        for sql in ["FROM t", "INSERT INTO t VALUES (1)", "CREATE TABLE u (i INT)"]:
            with pytest.raises(adbc_driver_manager.OperationalError, match="does not answer"):
                server.sql(sql)
        assert server.is_running()
    finally:
        cluster.start()
    server.sql("INSERT INTO t VALUES (2)")
    assert rows(server) == [2]


def test_a_transaction_across_a_restart_commits_nothing_and_reports_it(server, table, cluster):
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (1)")
        cluster.restart()
        with pytest.raises(adbc_driver_manager.OperationalError, match="nothing is committed"):
            connection.commit()
    server.sql("INSERT INTO t VALUES (2)")
    assert rows(server) == [2]


def test_a_transaction_left_open_across_a_restart_does_no_harm(server, table, cluster):
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("FROM t")
        cursor.fetchall()
        cursor.execute("INSERT INTO t VALUES (1)")
        cluster.restart()
        with pytest.raises(adbc_driver_manager.OperationalError, match="does not answer"):
            cursor.execute("FROM t")
    server.sql("INSERT INTO t VALUES (2)")
    assert rows(server) == [2]


def test_a_commit_of_unknown_outcome_reports_it(server, table, cluster):
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (1)")
        cluster.crash()
        try:
            with pytest.raises(adbc_driver_manager.InternalError, match="its outcome is unknown"):
                connection.commit()
        finally:
            cluster.start()
    assert rows(server) == []


def test_a_commit_whose_answer_is_lost_is_found_again(launch, cluster):
    cluster.make_database("wedged_lake")
    with Wedge(cluster.folder) as wedge:
        server = launch("--catalog", cluster.uri("wedged_lake", folder=wedge.folder))
        wedge.lose_the_answer_of_a_commit()
        server.sql("CREATE TABLE t (i BIGINT)")
        assert wedge.lost == 1
        server.sql("INSERT INTO t VALUES (1)")
        # DuckLake removes the files of a commit that it treats as failed; the server restores them.
        wedge.lose_the_answer_of_a_commit()
        server.sql("INSERT INTO t VALUES (2)")
        assert wedge.lost == 2
        wedge.lose_the_answer_of_a_commit()
        server.sql("UPDATE t SET i = 3 WHERE i = 1")
        assert wedge.lost == 3
        assert rows(server) == [2, 3]
        wedge.lose_the_answer_of_a_commit()
        with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO t VALUES (4)")
            cursor.execute("DELETE FROM t WHERE i = 2")
            connection.commit()
        assert wedge.lost == 4
        assert rows(server) == [3, 4]
        assert not list(server.store.glob(".committing/*"))
        server.restart()
        assert rows(server) == [3, 4]
        server.stop()


def test_a_lost_commit_of_an_action_loses_no_files(launch, cluster):
    cluster.make_database("wedged_actions")
    with Wedge(cluster.folder) as wedge:
        server = launch("--catalog", cluster.uri("wedged_actions", folder=wedge.folder))
        server.sql("CREATE TABLE t AS SELECT i FROM range(10) r(i)")
        before = server.scalar("SELECT id FROM lake.current_snapshot()")
        server.sql("DELETE FROM t WHERE i < 5")
        wedge.lose_the_answer_of_a_commit()
        head = server.head()
        done = server.result("rollback", {"table": "main.t", "to": {"version": before}})
        assert wedge.lost == 1
        assert int(done["snapshot_id"]) == server.head() == head + 1, "it is done once"
        assert rows(server) == list(range(10))
        assert not list(server.store.glob(".committing/*"))
        server.restart()
        assert rows(server) == list(range(10))
        server.stop()


def test_readers_and_writers_under_restarts_lose_nothing(server, table, cluster, rounds):
    acknowledged, failures, stop = [], [], threading.Event()

    def write(start):
        for i in range(start, start + 100_000):
            if stop.is_set():
                return
            try:
                server.sql(f"INSERT INTO t VALUES ({i})")
                acknowledged.append(i)
            except Exception as failure:
                failures.append(str(failure))

    def read():
        while not stop.is_set():
            try:
                server.scalar("SELECT count(*) FROM t")
            except Exception as failure:
                failures.append(str(failure))

    threads = [threading.Thread(target=write, args=[n * 100_000]) for n in range(3)] + [threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    for _ in range(rounds):
        enough = len(acknowledged) + 10
        harness.wait_until(lambda: len(acknowledged) >= enough, "inserts go on", 30)
        cluster.restart()
    stop.set()
    for thread in threads:
        thread.join()
    known = ["does not answer", "nothing is committed", "its outcome is unknown"]
    assert [failure for failure in failures if not any(words in failure for words in known)] == []
    found = rows(server)
    assert len(found) == len(set(found)) and set(acknowledged) <= set(found)
    unknown = sum("may have happened" in failure for failure in failures)
    assert len(found) <= len(acknowledged) + unknown
    assert server.is_running()
