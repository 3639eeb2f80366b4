"""Random histories of a table, on every kind of catalog: each state is saved when it is created, and must be returned
by time travel, in a pinned session and by rollback, whatever happened since. A history that fails is shortened."""

import random
import typing

import adbc_driver_manager
import pytest

from shrinker import shrink

STEPS = 24
ROLLBACKS = 4
REPLAYS = 60
ROLL_BACK = "CALL merganser.rollback('$table', version => $version)"
READ_PINNED = "FROM $table -- in a session that is pinned to version $version"


@pytest.fixture(scope="module")
def server(server_of_each_kind):
    return server_of_each_kind


class Step(typing.NamedTuple):
    """A statement; $table stands for the table, and $version for the snapshot after the step with the number `to`."""

    number: int
    sql: str
    to: int | None = None

    def for_table(self, table, version):
        return self.sql.replace("$table", table).replace("$version", str(version))


class Author:
    """Writes a history. `columns` has the columns of the table after each step."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.steps = []
        self.columns = []
        self.added = 0
        self.write(
            "CREATE TABLE $table (i INTEGER, s VARCHAR DEFAULT 'none', r STRUCT(a INTEGER))",
            {"i": "INTEGER", "s": "VARCHAR", "r": "STRUCT"},
        )
        self.insert()

    def write(self, sql, columns=None, to=None):
        self.steps.append(Step(len(self.steps), sql, to))
        self.columns.append(self.columns[-1] if columns is None else columns)

    # === steps ===

    def step(self):
        steps = [self.insert] * 4 + [self.delete] * 3 + [self.update] * 3 + [self.compact] * 2
        steps += [self.add, self.drop, self.rename, self.widen, self.deepen, self.truncate]
        self.chance.choice(steps)()

    def insert(self):
        count, first = self.chance.randint(1, 40), self.chance.randint(0, 200)
        values = {"i": f"{first} + n", "s": "'text ' || n % 7", "r": "{'a': n}"}
        named = {name: sql for name, sql in values.items() if name in self.columns[-1]}
        if named:
            self.write(
                f"INSERT INTO $table ({', '.join(named)}) SELECT {', '.join(named.values())} FROM range({count}) t(n)"
            )

    def delete(self):
        self.write(f"DELETE FROM $table WHERE {self.some_rows()}")

    def update(self):
        column, kind = self.chance.choice([pair for pair in self.columns[-1].items() if pair[1] != "STRUCT"])
        value = "'changed'" if kind == "VARCHAR" else str(self.chance.randint(-100, 100))
        self.write(f"UPDATE $table SET {column} = {value} WHERE {self.some_rows()}")

    def some_rows(self):
        return f"(hash(rowid) + {self.chance.randint(0, 100)}) % 10 < {self.chance.randint(1, 6)}"

    def truncate(self):
        if self.chance.random() < 0.3:
            self.write("TRUNCATE $table")

    def compact(self):
        steps = "['rewrite', 'merge']"
        self.write(f"CALL merganser.maintain(steps => {steps}, rewrite_share => 0.01, \"table\" => '$table')")

    def add(self):
        self.added += 1
        name, kind = f"c{self.added}", self.chance.choice(["INTEGER", "VARCHAR"])
        default = "7" if kind == "INTEGER" else "'seven'"
        self.write(f"ALTER TABLE $table ADD COLUMN {name} {kind} DEFAULT {default}", self.columns[-1] | {name: kind})

    def drop(self):
        if len(self.columns[-1]) > 2:
            name = self.chance.choice(list(self.columns[-1]))
            kept = {column: kind for column, kind in self.columns[-1].items() if column != name}
            self.write(f"ALTER TABLE $table DROP COLUMN {name}", kept)

    def rename(self):
        names = [name for name in self.columns[-1] if name.startswith("c")]
        if names:
            self.added += 1
            old, new = self.chance.choice(names), f"c{self.added}"
            columns = {new if name == old else name: kind for name, kind in self.columns[-1].items()}
            self.write(f"ALTER TABLE $table RENAME COLUMN {old} TO {new}", columns)

    def widen(self):
        name = next((name for name, kind in self.columns[-1].items() if kind == "INTEGER"), None)
        if name:
            wider = self.columns[-1] | {name: "BIGINT"}
            self.write(f"ALTER TABLE $table ALTER COLUMN {name} SET DATA TYPE BIGINT", wider)

    def deepen(self):
        if "r" in self.columns[-1]:
            self.added += 1
            self.write(f"ALTER TABLE $table ADD COLUMN r.f{self.added} INTEGER")

    def roll_back(self):
        to = self.chance.choice(self.steps).number
        self.write(ROLL_BACK, self.columns[to], to)

    def read_pinned(self):
        self.write(READ_PINNED, to=self.chance.choice(self.steps).number)


def history(seed):
    """The steps of a random history."""
    author = Author(seed)
    for _ in range(STEPS):
        author.step()
    for _ in range(ROLLBACKS):
        author.roll_back()
        author.step()
    author.read_pinned()
    return author.steps


class Replay:
    """Runs steps of a history on a new table. `states` has the content of the table at every snapshot."""

    def __init__(self, server, table):
        self.server, self.table = server, table
        self.versions = {}
        self.states = {}

    def run(self, steps, is_complete=False):
        """What did not come back, or None. If steps were left out, others may be invalid, and these are skipped."""
        with self.server.adbc() as connection, connection.cursor() as cursor:
            for step in steps:
                if step.to is not None and step.to not in self.versions:
                    continue
                try:
                    failure = self.take(cursor, step)
                except adbc_driver_manager.ProgrammingError as error:
                    failure = str(error) if is_complete or step.to is not None else None
                except adbc_driver_manager.Error as error:
                    failure = str(error)
                if failure:
                    return f"step {step.number}: {failure}"
            for version, state in self.states.items():
                failure = difference(state, self.content(cursor, f"AT (VERSION => {version})"))
                if failure:
                    number = next(number for number, found in self.versions.items() if found == version)
                    return f"the state after step {number}, read by AT: {failure}"
        return None

    def take(self, cursor, step):
        """Runs a step and saves the new state, or returns how it differs from the state that it restores."""
        version = self.versions.get(step.to)
        expected = self.states.get(version)
        if step.sql == READ_PINNED:
            return difference(expected, self.pinned(version))
        cursor.execute(step.for_table(self.table, version))
        cursor.fetchall()
        cursor.execute("SELECT id FROM lake.current_snapshot()")
        [[current]] = cursor.fetchall()
        is_known = current in self.states and version is None
        state = self.states[current] if is_known else self.content(cursor)
        self.versions[step.number], self.states[current] = current, state
        return None if version is None else difference(expected, state)

    def content(self, cursor, at=""):
        """The columns with their types, then the rows in a deterministic order."""
        cursor.execute(f"FROM {self.table} {at}")
        content = cursor.fetch_arrow_table()
        columns = ", ".join(f"{field.name} {field.type}" for field in content.schema)
        return [columns, *sorted(map(str, content.to_pylist()))]

    def pinned(self, version):
        option = {"adbc.flight.sql.rpc.call_header.merganser-snapshot": str(version)}
        with self.server.adbc(**option) as connection, connection.cursor() as cursor:
            return self.content(cursor)


def difference(expected, found):
    """How two contents differ, briefly; None if they are equal."""
    if found == expected:
        return None
    missing = [line for line in expected if line not in found]
    excess = [line for line in found if line not in expected]
    return f"{len(found) - 1} rows instead of {len(expected) - 1}; missing: {missing[:3]}; unexpected: {excess[:3]}"


@pytest.mark.parametrize("number", range(2))
def test_every_state_comes_back(server, name, number, request):
    seed = request.config.getoption("seed")
    steps = history(2 * seed + number)
    failure = Replay(server, f"silver.{name}").run(steps, is_complete=True)
    if failure is None:
        return
    failures = []

    def fails(steps):
        again = Replay(server, f"silver.{name}_{len(failures)}").run(steps) if server.is_running() else None
        failures.append(again)
        return again is not None

    steps = shrink(steps, fails, REPLAYS)
    last = next((again for again in reversed(failures) if again), "none of the shorter histories fails")
    statements = "\n".join(f"{step.number:4}: {step.for_table('t', f'<after {step.to}>')}" for step in steps)
    pytest.fail(
        f"{failure}\nrepeat: --seed {seed} '{request.node.nodeid}'\n"
        f"the shortest history that fails, after {len(failures)} replays:\n{statements}\n{last}",
        pytrace=False,
    )


def test_a_failure_shrinks_to_the_steps_that_it_needs():
    def fails(steps):
        return 3 in steps and 11 in steps

    assert shrink(list(range(24)), fails, REPLAYS) == [3, 11]
