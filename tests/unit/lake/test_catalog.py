"""The lake in a notebook: which tables there are, what they mean, and what a wrong query is told."""

import duckdb
import pyarrow as pa
import pytest

from flywheel.errors import DataError
from flywheel.lake import TABLES, Lake
from flywheel.lake.meanings import _COLUMNS, _OF_ONE_TABLE, TABLE_MEANINGS
from flywheel.lake.query_errors import query_error, view_names
from flywheel.lake.views import EXTRA_VIEWS


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Open a lake with three labeled rows."""
    opened = Lake(tmp_path_factory.mktemp("lake"))
    rows = {"workload_id": ["w"] * 3, "snapshot": ["s"] * 3, "split": ["train"] * 3}
    opened.append("dataset_rows", pa.table(rows))
    yield opened
    opened.close()


def test_tables_are_listed_with_rows_and_meaning(lake):
    """Every table and view is there; rows are those that a reader sees, of tables alone."""
    listed = {row["name"]: row for row in lake.tables().to_pylist()}

    assert set(listed) == {*TABLES, *EXTRA_VIEWS}
    assert listed["dataset_rows"]["rows"] == 3
    assert listed["inferences"]["rows"] == 0
    assert (listed["first_inferences"]["kind"], listed["first_inferences"]["rows"]) == (
        "view",
        None,
    )
    assert "dataset snapshot" in listed["dataset_rows"]["meaning"]


def test_every_table_and_view_is_described(lake):
    """Names and types are those that a query returns, each with its meaning."""
    for name in view_names():
        described = lake.describe(name)
        assert described.column_names == ["column", "type", "meaning"]
        assert described["column"].to_pylist() == lake.query(f"SELECT * FROM {name}").schema.names
        assert all(described["meaning"].to_pylist())
    types = {row["column"]: row["type"] for row in lake.describe("corrections").to_pylist()}
    assert types["annotators"] == "VARCHAR[]"
    assert types["accepted_at"] == "TIMESTAMP WITH TIME ZONE"


def test_no_meaning_is_left_over():
    """A column or table that was renamed leaves no meaning behind."""
    columns = {name for table in TABLES.values() for name in table.schema.names} | {"duplicate"}

    assert set(TABLE_MEANINGS) == {*TABLES, *EXTRA_VIEWS}
    assert set(_COLUMNS) == columns
    assert all(column in TABLES[name].schema.names for name, column in _OF_ONE_TABLE)


def test_results_become_pandas(lake):
    """A notebook continues with a data frame."""
    frame = lake.query("SELECT split, count(*) AS n FROM dataset_rows GROUP BY ALL").to_pandas()

    assert frame.to_dict("records") == [{"split": "train", "n": 3}]


def test_tables_are_found_in_any_case(lake):
    """SQL does not distinguish cases, and neither does the lake."""
    assert lake.rows("SELECT count(*) AS n FROM Dataset_Rows") == [{"n": 3}]


@pytest.mark.parametrize("sql", ["SELECT * FROM inference", "SELECT * FROM main.inference LIMIT 1"])
def test_a_wrong_table_is_answered_with_those_there_are(lake, sql):
    """The closest name comes first, and no table of DuckDB's own is proposed."""
    with pytest.raises(DataError, match="no table 'inference' in the lake") as caught:
        lake.query(sql)

    assert "did you mean 'inferences'?" in caught.value.next_step
    assert all(name in caught.value.next_step for name in view_names())
    assert "pg_" not in str(caught.value)


def test_a_table_that_resembles_none_is_answered_with_all(lake):
    """Nothing is proposed where nothing is close."""
    with pytest.raises(DataError, match="the lake has inferences, feedback") as caught:
        lake.query("SELECT * FROM xyz")
    assert "did you mean" not in str(caught.value)
    with pytest.raises(DataError, match="did you mean 'corrections'"):
        lake.describe("correction")


@pytest.mark.parametrize(
    ("sql", "column", "close"),
    [
        ("SELECT lable_id FROM corrections", "lable_id", "label_id"),
        ("SELECT c.lable_id FROM corrections AS c", "lable_id", "label_id"),
        ("SELECT duplicates FROM all_inferences", "duplicates", "duplicate"),
    ],
)
def test_a_wrong_column_is_answered_with_those_of_its_tables(lake, sql, column, close):
    """The error names the column and lists what the table has."""
    with pytest.raises(DataError, match=f"no column '{column}'") as caught:
        lake.query(sql)

    assert f"did you mean '{close}'?" in caught.value.next_step
    assert "workload_id" in caught.value.next_step


@pytest.mark.parametrize("sql", ["CREATE TABLE mine (a INTEGER)", "SELECT 1; DROP VIEW inferences"])
def test_a_statement_that_is_no_query_is_refused(lake, sql):
    """Nothing is executed, so that the views stay as they are."""
    lake.query("SELECT * FROM inferences")
    with pytest.raises(DataError, match=r"is a (CREATE|DROP) statement"):
        lake.query(sql)
    assert lake.query("SELECT * FROM inferences").num_rows == 0


def test_other_faults_keep_duckdbs_words():
    """Where the lake knows nothing better, DuckDB's message stands."""
    for text in ("Parser Error: syntax error at or near 'x'", "Binder Error: something else"):
        assert text in query_error(duckdb.Error(text), {"inferences"}).message
    unnamed = query_error(duckdb.Error('Referenced column "a" not found in FROM clause!'), set())
    assert "Referenced column" in unnamed.next_step
