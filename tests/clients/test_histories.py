"""Random histories of a table, on every kind of catalog: each state is saved when it is created, and must be returned
by time travel, in a pinned session and by rollback, whatever happened since."""

import random

import pytest

STEPS = 24
ROLLBACKS = 4


@pytest.fixture(scope="module")
def server(server_of_each_kind):
    return server_of_each_kind


class History:
    """A table with a history. `states` has its columns and rows at every snapshot that a step created."""

    def __init__(self, server, table, seed):
        self.server, self.table = server, table
        self.chance = random.Random(seed)
        self.columns = {"i": "INTEGER", "s": "VARCHAR", "r": "STRUCT(a INTEGER)"}
        self.added = 0
        self.states = {}
        self.log = []
        self.run(f"CREATE TABLE {table} (i INTEGER, s VARCHAR DEFAULT 'none', r STRUCT(a INTEGER))")
        self.insert()

    def run(self, sql):
        self.log.append(sql)
        self.server.sql(sql)
        self.states[self.current()] = self.content()

    def current(self):
        return self.server.scalar("SELECT id FROM lake.current_snapshot()")

    def content(self, at=""):
        """The columns with their types, and the rows in a deterministic order."""
        described = self.server.sql(f"DESCRIBE FROM {self.table} {at}")
        rows = self.server.sql(f"SELECT t::VARCHAR FROM {self.table} t {at} ORDER BY 1")
        return [column[:2] for column in described], rows

    # === steps ===

    def step(self):
        steps = [self.insert] * 4 + [self.delete] * 3 + [self.update] * 3 + [self.compact] * 2
        steps += [self.add, self.drop, self.rename, self.widen, self.deepen, self.truncate]
        self.chance.choice(steps)()

    def insert(self):
        count, first = self.chance.randint(1, 40), self.chance.randint(0, 200)
        values = {"i": f"{first} + n", "s": "'text ' || n % 7", "r": "{'a': n}"}
        named = {name: sql for name, sql in values.items() if name in self.columns}
        self.run(
            f"INSERT INTO {self.table} ({', '.join(named)}) SELECT {', '.join(named.values())} FROM range({count}) t(n)"
        )

    def delete(self):
        self.run(f"DELETE FROM {self.table} WHERE {self.some_rows()}")

    def update(self):
        column, kind = self.chance.choice([pair for pair in self.columns.items() if "STRUCT" not in pair[1]])
        value = "'changed'" if kind == "VARCHAR" else str(self.chance.randint(-100, 100))
        self.run(f"UPDATE {self.table} SET {column} = {value} WHERE {self.some_rows()}")

    def some_rows(self):
        return f"(hash(rowid) + {self.chance.randint(0, 100)}) % 10 < {self.chance.randint(1, 6)}"

    def truncate(self):
        if self.chance.random() < 0.3:
            self.run(f"TRUNCATE {self.table}")

    def compact(self):
        self.run(f"CALL merganser.maintain(steps => ['rewrite', 'merge'], rewrite_share => 0.01, \"table\" => '{self.table}')")

    def add(self):
        self.added += 1
        name, kind = f"c{self.added}", self.chance.choice(["INTEGER", "VARCHAR"])
        default = "7" if kind == "INTEGER" else "'seven'"
        self.run(f"ALTER TABLE {self.table} ADD COLUMN {name} {kind} DEFAULT {default}")
        self.columns[name] = kind

    def drop(self):
        if len(self.columns) > 2:
            name = self.chance.choice(list(self.columns))
            self.run(f"ALTER TABLE {self.table} DROP COLUMN {name}")
            del self.columns[name]

    def rename(self):
        name = self.chance.choice([name for name in self.columns if name.startswith("c")] or [None])
        if name:
            self.added += 1
            self.run(f"ALTER TABLE {self.table} RENAME COLUMN {name} TO c{self.added}")
            self.columns[f"c{self.added}"] = self.columns.pop(name)

    def widen(self):
        name = next((name for name, kind in self.columns.items() if kind == "INTEGER"), None)
        if name:
            self.run(f"ALTER TABLE {self.table} ALTER COLUMN {name} SET DATA TYPE BIGINT")
            self.columns[name] = "BIGINT"

    def deepen(self):
        if "r" in self.columns:
            self.added += 1
            self.run(f"ALTER TABLE {self.table} ADD COLUMN r.f{self.added} INTEGER")

    # === checks ===

    def check_the_past(self):
        for version, state in self.states.items():
            assert self.content(f"AT (VERSION => {version})") == state, (version, self.log)


@pytest.mark.parametrize("number", range(3))
def test_every_state_comes_back(server, name, number, request):
    seed = 3 * request.config.getoption("seed") + number
    history = History(server, f"silver.{name}", seed)
    for _ in range(STEPS):
        history.step()
    history.check_the_past()
    for _ in range(ROLLBACKS):
        version, state = history.chance.choice(list(history.states.items()))
        server.sql(f"CALL merganser.rollback('silver.{name}', version => {version})")
        history.log.append(f"rollback to {version}")
        assert history.content() == state, history.log
        history.states[history.current()] = state
        history.columns = {column: kind for column, kind in state[0]}
        history.step()
    history.check_the_past()
    pinned = history.chance.choice(list(history.states))
    with server.adbc(**{"adbc.flight.sql.rpc.call_header.merganser-snapshot": str(pinned)}) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT t::VARCHAR FROM silver.{name} t ORDER BY 1")
            assert cursor.fetchall() == history.states[pinned][1]
