"""The queries: SQL that DuckDB, DataFusion and Spark all support, in the same sequence for every server."""

import random

WHOLE = "SELECT * FROM lineitem"
COLUMNS = [
    f"l_{name}"
    for name in (
        "orderkey partkey suppkey linenumber quantity extendedprice discount tax returnflag linestatus shipdate "
        "commitdate receiptdate shipinstruct shipmode comment"
    ).split()
]
ONE = "SELECT 1"
# 50 million rows of 1,000 bytes and a number.
WIDE = "SELECT i, repeat(chr((97 + i % 26)::INT), 1000) AS text FROM range({rows}) AS t(i)"
WIDE_ROWS = 50_000_000

# Ten queries like those of a mix of users, in a new order each time.
DECK = ["one"] * 3 + ["point"] * 3 + ["order", "slice", "segment", "revenue"]


def order_keys(scale, seed):
    """An infinite sequence of keys of existing orders. TPC-H uses 8 of every 32 numbers."""
    chance = random.Random(seed)
    orders = round(1_500_000 * scale)
    while True:
        number = chance.randint(1, orders)
        yield number // 8 * 32 + number % 8


def point(key):
    return f"SELECT * FROM lineitem WHERE l_orderkey = {key}"


def mix(scale, seed):
    """An infinite sequence of the queries of one client."""
    chance = random.Random(seed)
    keys = order_keys(scale, seed)
    while True:
        deck = DECK[:]
        chance.shuffle(deck)
        for kind in deck:
            yield _query(kind, next(keys), chance.randrange(1993, 1998))


def _query(kind, key, year):
    if kind == "one":
        return ONE
    if kind == "point":
        return point(key)
    if kind == "order":
        return (
            "SELECT o_orderdate, o_totalprice, l_linenumber, l_quantity, l_extendedprice FROM orders "
            f"JOIN lineitem ON l_orderkey = o_orderkey WHERE o_orderkey = {key} AND l_orderkey = {key}"
        )
    if kind == "slice":
        return f"SELECT * FROM lineitem WHERE l_orderkey BETWEEN {key} AND {key + 10_000}"
    if kind == "segment":
        return (
            "SELECT c_mktsegment, count(*) AS orders, sum(o_totalprice) AS total FROM orders "
            f"JOIN customer ON c_custkey = o_custkey WHERE o_orderdate >= DATE '{year}-04-01' "
            f"AND o_orderdate < DATE '{year}-05-01' GROUP BY c_mktsegment ORDER BY c_mktsegment"
        )
    return (
        "SELECT sum(l_extendedprice * l_discount) AS revenue FROM lineitem "
        f"WHERE l_shipdate >= DATE '{year}-01-01' AND l_shipdate < DATE '{year + 1}-01-01' "
        "AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24"
    )
