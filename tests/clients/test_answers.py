"""Generated questions about generated tables of the lake, which must be answered like those about a plain table in memory
that DuckDB reads without its optimizers: whatever prunes files and row groups must not change an answer. A table that
answers wrongly is shortened."""

import random

import duckdb
import pytest

from shrinker import shrink

QUESTIONS = 150
REPLAYS = 60

# The values of a column by its type. NULL and one another value are added to each.
POOLS = {
    "BOOLEAN": ["true", "false"],
    "TINYINT": ["-128", "0", "127"],
    "INTEGER": ["-2147483648", "-1", "0", "1", "2147483647"],
    "BIGINT": ["-9223372036854775808", "0", "7", "9223372036854775807"],
    "UBIGINT": ["0", "1", "18446744073709551615"],
    "DECIMAL(38, 0)": ["-99999999999999999999999999999999999999", "0", "9007199254740993"],
    "DECIMAL(9, 2)": ["-0.01", "0", "0.10", "9999999.99"],
    "FLOAT": ["'-0.0'::FLOAT", "0", "0.1", "2.7", "-1e30", "'nan'", "'inf'", "'-inf'"],
    "DOUBLE": ["'-0.0'::DOUBLE", "0", "0.1", "2.7::FLOAT", "5e-324", "-1e300", "'nan'", "'inf'", "'-inf'"],
    "VARCHAR": ["''", "'a'", "'A'", "'ä'", "'a' || chr(0)", "'a' || chr(0) || 'b'", "repeat('x', 300)", "'🦆'", "'%_'"],
    "BLOB": [r"''::BLOB", r"'a'::BLOB", r"'\xFF'::BLOB", r"'\x00'::BLOB", r"'\x80\x00'::BLOB", "unhex(sha256('1'))"],
    "DATE": ["'0001-01-01'", "'2020-02-29'", "'infinity'", "'-infinity'"],
    "TIME": ["'00:00:00'", "'23:59:59.999999'", "'24:00:00'"],
    "TIMESTAMP": ["'1969-12-31 23:59:59.999999'", "'2020-02-29 12:00:00'", "'infinity'"],
    "TIMESTAMP_NS": ["'1969-12-31 23:59:59.999999999'", "'2020-02-29 12:00:00'"],
    "TIMESTAMPTZ": ["'2020-02-29 12:00:00+05'", "'-infinity'"],
    "UUID": ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
}
WIDER = {"TINYINT": "INTEGER", "INTEGER": "BIGINT", "FLOAT": "DOUBLE"}
COMPARISONS = ["=", "=", "=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]


class Author:
    """Writes the statements that make a table, and questions about it. $table stands for its name."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.types = {f"c{n}": kind for n, kind in enumerate(self.chance.sample(list(POOLS), 6))}
        self.pools = {column: POOLS[kind] for column, kind in self.types.items()}
        columns = ", ".join(f"{column} {kind}" for column, kind in self.types.items())
        self.steps = [f"CREATE TABLE $table (id BIGINT, {columns})"]
        self.rows = 0

    def value(self, column):
        kind = self.types[column]
        return f"CAST({self.chance.choice([*self.pools[column], 'NULL'])} AS {kind})"

    def insert(self):
        count = self.chance.choice([1, 3, 50, 2000, 130_000])
        values = []
        for column, kind in self.types.items():
            # Few values make dictionaries; one alone makes the narrowest statistics.
            pool = self.chance.choices([*self.pools[column], "NULL"], k=self.chance.choice([1, 2, 5]))
            listed = ", ".join(f"CAST({value} AS {kind})" for value in pool)
            values.append(f"([{listed}])[(hash(i, {self.chance.randint(0, 99)}) % {len(pool)})::INTEGER + 1]")
        columns = ", ".join(["id", *self.types])
        source = f"SELECT {self.rows} + i, {', '.join(values)} FROM range({count}) r(i) ORDER BY i"
        self.steps.append(f"INSERT INTO $table ({columns}) {source}")
        self.rows += count

    def delete(self):
        column = self.chance.choice(list(self.types))
        self.steps.append(f"DELETE FROM $table WHERE {self.comparison(column)} AND id % 3 = {self.chance.randint(0, 2)}")

    def evolve(self):
        narrow = [column for column, kind in self.types.items() if kind in WIDER]
        if narrow and self.chance.random() < 0.7:
            column = self.chance.choice(narrow)
            self.types[column] = WIDER[self.types[column]]
            self.pools[column] = [*self.pools[column], *POOLS[self.types[column]]]
            self.steps.append(f"ALTER TABLE $table ALTER {column} TYPE {self.types[column]}")
        else:
            column, kind = f"c{len(self.types)}", self.chance.choice(list(POOLS))
            self.types[column], self.pools[column] = kind, POOLS[kind]
            self.steps.append(f"ALTER TABLE $table ADD COLUMN {column} {kind}")

    def table(self):
        self.insert()
        for _ in range(8):
            self.chance.choice([self.insert] * 3 + [self.delete, self.evolve])()
        return self.steps

    # === questions ===

    def comparison(self, column, value=None):
        return f"{column} {self.chance.choice(COMPARISONS)} {value or self.value(column)}"

    def condition(self, depth=0):
        column = self.chance.choice(list(self.types))
        value = lambda: self.value(column)
        forms = [
            lambda: self.comparison(column),
            lambda: self.comparison(column),
            lambda: f"{value()} {self.chance.choice(COMPARISONS)} {column}",
            lambda: f"{column} IN ({value()}, {value()})",
            lambda: f"{column} NOT IN ({value()}, {value()})",
            lambda: f"{column} BETWEEN {value()} AND {value()}",
            lambda: f"{column} IS {self.chance.choice(['', 'NOT '])}NULL",
            lambda: f"{column} IN (SELECT v FROM (VALUES ({value()}), ({value()})) s(v))",
            lambda: f"EXISTS (SELECT 1 FROM (VALUES ({value()})) s(v) WHERE {self.comparison(column, 'v')})",
        ]
        if depth < 2:
            forms += [lambda: f"NOT ({self.condition(depth + 1)})"]
            forms += [lambda: f"({self.condition(depth + 1)} {self.chance.choice(['AND', 'OR'])} {self.condition(depth + 1)})"] * 3
        return self.chance.choice(forms)()

    def question(self):
        answer = "SELECT count(*), coalesce(sum(id), 0)::VARCHAR, coalesce(bit_xor(hash(id)), 0)::VARCHAR FROM "
        column = self.chance.choice(list(self.types))
        joined = f"$table t JOIN (VALUES ({self.value(column)}), ({self.value(column)})) s(v) ON {column} = v"
        forms = [f"$table WHERE {self.condition()}"] * 4 + [f"{joined} WHERE {self.condition()}", joined]
        forms.append(f"(SELECT id FROM $table WHERE {self.condition()} QUALIFY row_number() OVER (ORDER BY id) <= 9)")
        forms.append(f"(SELECT id FROM $table ORDER BY {column}, id LIMIT 7)")
        return answer + self.chance.choice(forms)


class Tables:
    """The same statements on a table of the lake and on one in memory."""

    def __init__(self, cursor, name):
        self.cursor, self.name = cursor, name
        self.memory = duckdb.connect()
        self.memory.execute("SET TimeZone = 'UTC'; PRAGMA disable_optimizer; CREATE SCHEMA silver")

    def run(self, steps, questions):
        """The first question whose answers differ, with the answers; None if there is none."""
        for step in steps:
            self.memory.execute(step.replace("$table", self.name))
            self.cursor.execute(step.replace("$table", self.name))
        for question in questions:
            text = question.replace("$table", self.name)
            expected = self.memory.execute(text).fetchall()
            self.cursor.execute(text)
            found = self.cursor.fetchall()
            if found != expected:
                return question, expected, found
        return None


@pytest.mark.parametrize("number", range(3))
def test_answers_are_those_of_a_table_in_memory(server, name, number, request):
    seed = request.config.getoption("seed")
    author = Author(3 * seed + number)
    steps = author.table()
    questions = [author.question() for _ in range(QUESTIONS)]
    with server.adbc() as connection, connection.cursor() as cursor:
        failure = Tables(cursor, f"silver.{name}").run(steps, questions)
        if failure is None:
            return
        question, *_ = failure
        failures = []

        def fails(steps):
            try:
                failures.append(Tables(cursor, f"silver.{name}_{len(failures)}").run(steps, [question]))
            except Exception:  # A statement that needs one that was left out.
                failures.append(None)
            return failures[-1] is not None

        steps = shrink(steps, fails, REPLAYS)
        _, expected, found = next((again for again in reversed(failures) if again), failure)
    statements = "\n".join(steps)
    pytest.fail(
        f"repeat: --seed {seed} '{request.node.nodeid}'\n{statements}\n{question}\nexpected {expected}, found {found}",
        pytrace=False,
    )
