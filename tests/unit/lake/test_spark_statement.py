"""Queries of the lake as statements of Spark, without a Spark."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from flywheel.errors import ConfigurationError, DataError, UnavailableError
from flywheel.lake.spark import SparkEngine, SparkServer
from flywheel.lake.spark.dialect import parse, to_spark
from flywheel.lake.spark.literals import literal
from flywheel.lake.spark.statement import TableVersion, statement
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES


def _version(name: str, folder: str = "/lake") -> TableVersion:
    return TableVersion(Path(folder) / name, 7, tuple(TABLES[name].schema.names))


@pytest.mark.parametrize(
    "text", ["it's", "\\", "'; DROP TABLE x; --", "nul\x00", "🤦🏼", "\n", "`$a:b"]
)
def test_no_text_can_end_its_literal(text):
    """What is not plain stands in base64: the statement has the one expression of a constant."""
    written = literal(text).sql("spark")
    assert text not in written
    assert set(written) <= set("CASTUNB64()' +/=ING") | set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    )
    assert isinstance(sqlglot.parse_one(written, read="spark"), exp.Cast)


def test_values_keep_their_types():
    """Moments are UTC, whole numbers 64 bits, and lists contain values of one kind."""
    moment = datetime(2026, 1, 1, 13, tzinfo=UTC)
    assert literal(moment).sql("spark") == "CAST('2026-01-01 13:00:00.000000+00:00' AS TIMESTAMP)"
    assert literal([date(2026, 1, 1)]).sql("spark") == "ARRAY(CAST('2026-01-01' AS DATE))"
    assert literal(3).sql("spark") == "CAST(3 AS BIGINT)"
    assert literal(None).sql("spark") == "NULL"
    with pytest.raises(DataError, match="type bytes"):
        literal(b"x")


@pytest.mark.parametrize(
    "sql", ["DROP TABLE inferences", "SELECT 1; SELECT 2", "COPY t TO 'x'", "SELECT (", ""]
)
def test_only_one_select_is_translated(sql):
    """What changes something, or is not SQL, never reaches Spark."""
    with pytest.raises(DataError):
        parse(sql)


def test_a_parameter_without_a_value_is_named():
    """Nothing is sent with a hole in it."""
    with pytest.raises(DataError, match="parameter day"):
        to_spark(parse("SELECT $day"), {})


def test_functions_that_differ_are_rewritten():
    """Under one name the engines give other results; each is written so that they agree."""
    query = (
        "SELECT lower(a), log2(b), json_extract_string(c, '$.\"it''s \"\"x\"'), list_extract(d, e)"
    )
    written = to_spark(parse(query), {})
    assert "LOWER(TRANSLATE(a, '\u0130\u03a3', 'i\u03c3'))" in written
    assert "ROUND(LN(b) / LN(2), 12)" in written
    assert "TRY_VARIANT_GET(TRY_PARSE_JSON(c)" in written
    assert "GET(d, e - 1)" in written


def test_lists_that_are_unnested_side_by_side_have_one_generator():
    """Spark has one generator in a SELECT, and no whole numbers without a sign."""
    query = parse("SELECT unnest(CAST($a AS VARCHAR[])) AS x, unnest(CAST($b AS UBIGINT[])) AS y")
    written = to_spark(query, {"a": ["k"], "b": [1]})
    assert written.startswith("SELECT x, y FROM (SELECT INLINE(ARRAYS_ZIP(")
    assert "ARRAY<DECIMAL(20, 0)>" in written


def test_a_statement_reads_its_tables_at_their_versions():
    """Views are part of the statement, and only those that the query reads."""
    tables = {"inferences": _version("inferences"), "erasures": None}
    written = statement(
        "SELECT count(*) AS n FROM first_inferences", {}, tables, later_events="later_8"
    )
    assert "delta.`/lake/inferences` VERSION AS OF 7" in written
    assert "later_8" in written
    assert "all_inferences" not in written
    assert "erasures" not in written


def test_a_folder_cannot_end_its_name():
    """A backtick of a path is doubled."""
    tables = {"inferences": _version("inferences", "/a`b"), "erasures": None}
    assert "delta.`/a``b/inferences`" in statement("SELECT 1 FROM inferences", {}, tables)


def test_days_are_left_out_by_their_partition():
    """A query that names its days reads the folders of those alone."""
    tables = {"inferences": _version("inferences"), "erasures": None}
    sql = "SELECT 1 FROM inferences"
    days = [date(2026, 1, 2), date(2026, 1, 1)]
    written = statement(sql, {}, tables, event_days=days)
    assert "CAST('2026-01-01' AS DATE), CAST('2026-01-02' AS DATE)" in written
    assert "WHERE FALSE" in statement(sql, {}, tables, event_days=[])


def test_a_token_is_in_no_message():
    """The server shows itself without its token."""
    server = SparkServer("sc://127.0.0.1:15002", "secret-token")
    assert "secret-token" not in repr(server)
    assert server.address == "sc://localhost:15002/;token=secret-token"
    assert SparkServer("sc://spark:9").address == "sc://spark:9"


def test_a_spark_that_does_not_answer_is_an_error_and_not_another_engine(tmp_path):
    """Nothing is read by DuckDB in its place."""
    lake = Lake(tmp_path / "lake", engine=SparkEngine.at(SparkServer("sc://127.0.0.1:1")))
    with pytest.raises(UnavailableError, match="does not answer"):
        lake.scan("SELECT 1 AS one")
    lake.close()


def test_a_lake_in_a_bucket_is_refused(tmp_path):
    """Spark reads folders only, and says so before anything is read."""
    with pytest.raises(ConfigurationError, match="object store"):
        Lake("s3://bucket/lake", local=tmp_path, engine=SparkEngine.at(SparkServer("sc://host:1")))
