"""What the engine reads is what DuckDB's public way returns, bound once."""

import duckdb
import pyarrow as pa
import pytest

from flywheel.lake import Lake
from flywheel.lake.arrow_results import read_arrow

_TYPES = """
SELECT 1::TINYINT AS small, 2::BIGINT AS big, 3::HUGEINT AS huge, 1.25::DECIMAL(9, 2) AS exact,
       0.5::DOUBLE AS number, 'a' AS text, true AS yes, NULL AS missing, DATE '2026-01-02' AS day,
       TIMESTAMPTZ '2026-01-02 03:04:05+00' AS at, ['a', 'b'] AS texts, {'a': 1} AS struct,
       MAP {'k': 'v'} AS map, 'ab'::BLOB AS bytes
"""


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        (_TYPES, None),
        ("SELECT range AS n FROM range(300_000)", {}),
        ("SELECT $text AS text, unnest($ids::VARCHAR[]) AS id", {"text": "a", "ids": ["b", "c"]}),
        ("SELECT ? AS first, ? AS second", ("a", None)),
        ("SELECT 1 AS nothing WHERE false", []),
        ("PIVOT (SELECT 'a' AS name, 2 AS n) ON name USING sum(n)", None),
        ("DESCRIBE SELECT 1 AS n;", None),
    ],
)
def test_rows_are_those_of_the_public_way(sql, params):
    """Values, types, the order of rows and the batches that they come in are the same."""
    with duckdb.connect(":memory:") as connection:
        expected = connection.sql(sql, params=params).to_arrow_table()
        rows = read_arrow(connection, sql, params)
    assert rows.equals(expected)
    assert rows.schema == expected.schema
    assert rows.column(0).num_chunks == expected.column(0).num_chunks


@pytest.mark.parametrize("params", [None, {"other": 1}, {"text": 1, "other": 1}])
def test_values_that_do_not_fit_the_query_are_refused(params):
    """A missing value and one too many are errors, as they are in the public way."""
    sql = "SELECT $text AS text"
    with duckdb.connect(":memory:") as connection:
        with pytest.raises(duckdb.Error) as expected:
            connection.sql(sql, params=params)
        with pytest.raises(duckdb.Error) as error:
            read_arrow(connection, sql, params)
    assert type(error.value) is type(expected.value)


def test_the_last_of_several_queries_is_answered(tmp_path):
    """Two queries in one text are no reason to refuse it."""
    lake = Lake(tmp_path / "lake")
    assert lake.query("SELECT 1 AS n; SELECT 2 AS n") == pa.table({"n": pa.array([2], pa.int32())})
    lake.close()
