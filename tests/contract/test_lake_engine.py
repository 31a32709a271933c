"""What every engine of the lake must do, run on each: the same rows of the same tables, and upkeep."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from flywheel.drift.profile import profile_days, stale_days
from flywheel.drift.window import Window
from flywheel.errors import ConfigurationError, DataError
from flywheel.ingest.ledger import count_ids, prove
from flywheel.lake.check import check_table
from flywheel.lake.maintenance import maintain
from flywheel.lake.spark import SparkEngine
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.ports.event_log import Partition
from flywheel.review.sampling.candidate_query import CandidateQuery
from flywheel.review.sampling.windows import ReviewWindow
from tests.fakes.event_makers import make_workload

# All of one group, both engines: a lake on Spark is closed before the group's services are stopped.
pytestmark = pytest.mark.services("spark")

_DAY = date(2026, 1, 1)
_NOON = datetime(2026, 1, 1, 12, 34, 56, 789012, tzinfo=UTC)
_NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
_TEXTS = [
    'it\'s a "quote" `and` another',
    "back\\slash \\n \\' \\u0041 \\",
    "nul \x00 inside",
    "line\nbreak\r\n\ttab",
    "🤦🏼‍♂️ émoji e\u0301 ﬁ",
    "'; DROP TABLE inferences; --",
    "$days :days ? {x} ${y} %s /* c */",
    "İSTANBUL ΣΟΦΟΣ STRASSE ẞ",
    "Ärger mit der Pumpe-Dichtung, PUMPE pumpe",
    "",
    " ",
    "x" * 200_000,
    "日本語のテキスト и кириллица",
    "true",
    "null",
]
# Answers as canonical JSON.
_OUTPUTS = ['"leak"', '"a \\"b\\" \\\\ c"', '"null"', '"é🤦"', None, '"crack"', '""']


def _event(number: int, **changes: Any) -> dict[str, Any]:
    text = _TEXTS[number % len(_TEXTS)]
    moment = _NOON + timedelta(days=number % 3, microseconds=number)
    return {
        "topic": "flywheel.inferences",
        "topic_id": "topic",
        "partition": number % 2,
        "offset": number // 2,
        "landed_at": moment + timedelta(seconds=1),
        "inference_id": f"event-{number}",
        "schema_version": 1,
        "timestamp": moment,
        "day": moment.date(),
        "workload_id": "reports",
        "client_id": None if number % 5 == 0 else f"client '{number % 4}\\",
        "subject_id": "anna" if number % 7 == 3 else None,
        "route": "shadow" if number % 11 == 10 else "champion",
        "release": "base" if number % 3 else None,
        "request": text,
        "input": None if number == 20 else text,
        "output": _OUTPUTS[number % len(_OUTPUTS)],
        "confidence": None if number % 6 == 5 else (number % 10) / 10,
        "margin": number / 100,
        # Powers of two are the edges of bins.
        "latency_ms": float(2**number - 1),
        "prompt_tokens": number,
        "error": "time-out" if number % 13 == 12 else None,
    } | changes


def _append(lake: Lake, table: str, *rows: dict[str, Any]) -> None:
    lake.append(table, pa.Table.from_pylist([*rows], schema=_part(table, rows[0])))


def _part(table: str, row: dict[str, Any]) -> pa.Schema:
    return pa.schema([TABLES[table].schema.field(name) for name in row])


def _fill(root: Path) -> None:
    """Write a lake with what is hard to read: by delta-rs, as ingest and the stages do."""
    lake = Lake(root)
    for start in range(0, 30, 10):
        _append(lake, "inferences", *(_event(number) for number in range(start, start + 10)))
    later = _NOON + timedelta(days=60)
    # Ids that come again: at once, and two months later with another date.
    for number, offset, moment in ((3, 500, _NOON), (4, 501, later), (4, 502, later)):
        again = {"partition": 0, "offset": offset, "landed_at": moment + timedelta(hours=1)}
        again |= {"timestamp": moment, "day": moment.date(), "input": "said again"}
        _append(lake, "inferences", _event(number) | again)
    for number in range(4):
        _append(lake, "feedback", {
            "topic_id": "said", "partition": 0, "offset": number, "landed_at": _NOON,
            "feedback_id": f"feedback-{number % 3}", "timestamp": _NOON, "day": _DAY,
            "workload_id": "reports", "inference_id": f"event-{number}", "kind": "comment",
            "value": f'"{number} it\'s"',
        })  # fmt: skip
    _append(lake, "dead_letters", {
        "topic_id": "topic", "partition": 1, "offset": 40, "key": b"\x00'", "raw": b"\xff\xfe'\\",
        "reason": "bad_json", "first_seen": _NOON,
    })  # fmt: skip
    _append(lake, "review_items", {
        "workload_id": "reports", "batch_id": "2026Q1-directed.2026Q1.1.2.3", "item_id": "i-1",
        "inference_id": "event-6", "slice": "control",
    })  # fmt: skip
    correction = {
        "workload_id": "reports", "correction_id": "c", "version": 1, "status": "accepted",
        "inference_id": "event-7", "annotators": ["ann'a", "b\\ob", ""], "accepted_at": _NOON,
    }  # fmt: skip
    _append(lake, "corrections", correction)
    _append(lake, "corrections", correction | {"version": 2, "annotators": None})
    lake.close()


def _open(request: pytest.FixtureRequest, name: str, root: Path) -> Lake:
    if name == "duckdb":
        return Lake(root)
    server = request.getfixturevalue("spark_server")
    return Lake(root, engine=SparkEngine.at(server))


_ENGINES = ["duckdb", "spark"]


@pytest.fixture(scope="module", params=_ENGINES)
def lake(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lake]:
    """Return a filled lake of each engine, which the tests only read."""
    root = tmp_path_factory.mktemp("lake") / "it's-a-lake"
    _fill(root)
    opened = _open(request, request.param, root)
    yield opened
    opened.close()


def _same(lake: Lake, sql: str, params: dict[str, Any] | None = None, **options: Any) -> pa.Table:
    """Return the rows of a query, which are those that DuckDB reads, in the same types."""
    expected = lake.query(sql, params, **options)
    rows = lake.scan(sql, params, **options)
    assert rows.schema.names == expected.schema.names
    assert rows.schema.types == expected.schema.types
    assert rows.to_pylist() == expected.to_pylist()
    return rows


def test_every_text_time_and_null_comes_back(lake):
    """Rows are those that were written, whatever their texts contain."""
    rows = _same(lake, 'SELECT * FROM inferences WHERE "offset" < 500 ORDER BY inference_id')
    written = {row["inference_id"]: row for row in map(_event, range(30))}
    assert rows.num_rows == 30
    for row in rows.to_pylist():
        assert {key: row[key] for key in written[row["inference_id"]]} == written[
            row["inference_id"]
        ]


def test_bytes_and_lists_come_back(lake):
    """Bytes of a dead letter and the lists of a correction are what they were."""
    (dead,) = _same(lake, "SELECT * FROM dead_letters").to_pylist()
    assert dead["raw"] == b"\xff\xfe'\\"
    rows = _same(lake, "SELECT * FROM corrections ORDER BY version").to_pylist()
    assert [row["annotators"] for row in rows] == [["ann'a", "b\\ob", ""], None]
    assert _same(lake, "SELECT * FROM latest_corrections")["version"].to_pylist() == [2]


def test_a_parameter_is_a_value_whatever_it_contains(lake):
    """Each text finds its own rows, in a list as well, and none ends its literal."""
    sql = """SELECT inference_id FROM inferences WHERE input = $text AND list_contains($all, input)
             AND "offset" < 500 ORDER BY 1"""
    texts = [text for text in _TEXTS if len(text) < 1000]
    asked = lake.scan(
        "SELECT " + ", ".join(f"(SELECT count(*) FROM inferences WHERE input = $t{n}) AS n{n}"
                              for n in range(len(texts))),
        {f"t{n}": text for n, text in enumerate(texts)},
    )  # fmt: skip
    counts = [column[0].as_py() for column in asked.columns]
    assert all(counts), dict(zip(texts, counts, strict=True))
    assert _same(lake, sql, {"text": _TEXTS[5], "all": texts})["inference_id"].to_pylist() == [
        "event-5"
    ]


def test_types_of_parameters(lake):
    """Moments, days, numbers, truth, nulls and empty lists mean what they mean in DuckDB."""
    sql = """SELECT inference_id FROM inferences WHERE "timestamp" >= $moment AND day = $day
             AND confidence < $share AND prompt_tokens > $least AND $yes
             AND ($nothing::VARCHAR[] IS NULL OR inference_id IN (SELECT unnest($nothing::VARCHAR[])))
             AND NOT list_contains(CAST($none AS DATE[]), day) ORDER BY 1"""
    values = {"moment": _NOON + timedelta(microseconds=3), "day": _DAY, "share": 0.45, "least": 2}
    rows = _same(lake, sql, values | {"yes": True, "nothing": None, "none": []})
    assert 0 < rows.num_rows < 10


def test_tables_that_were_never_written_are_empty(lake):
    """A young lake can be asked everything, in the declared types."""
    for name in ("evaluations", "annotations", "declared_gaps"):
        rows = _same(lake, f"SELECT * FROM {name}")
        assert rows.num_rows == 0
        assert rows.schema.names == TABLES[name].schema.names


def test_columns_of_earlier_rows_are_filled_in(lake):
    """Period, kind and cycle of an item of before they had columns are read off its batch."""
    (row,) = _same(lake, "SELECT * FROM review_items").to_pylist()
    assert (row["batch_kind"], row["cycle"], row["attempt"]) == ("directed", "2026Q1-1", 2)


def test_an_id_counts_once_however_late_it_comes_again(lake):
    """The first by landing counts; repeats are found months apart."""
    rows = _same(
        lake,
        "SELECT inference_id, input FROM first_inferences WHERE inference_id IN ('event-3', 'event-4')"
        " ORDER BY 1",
    )
    assert rows["input"].to_pylist() == _TEXTS[3:5]
    flagged = _same(lake, 'SELECT "offset" FROM all_inferences WHERE duplicate ORDER BY "offset"')
    assert flagged["offset"].to_pylist() == [500, 501, 502]
    assert count_ids(lake, "inferences") == {"landed": 33, "duplicates": 3, "distinct_ids": 30}
    assert count_ids(lake, "feedback") == {"landed": 4, "duplicates": 1, "distinct_ids": 3}


def test_events_of_other_days_are_left_out(lake):
    """A query that names its days sees those alone; without any day it sees nothing."""
    sql = "SELECT inference_id, day FROM answered_inferences ORDER BY 1"
    rows = _same(lake, sql, event_days=[_DAY])
    assert set(rows["day"].to_pylist()) == {_DAY}
    assert _same(lake, sql, event_days=[]).num_rows == 0
    later = (_NOON + timedelta(days=60)).date()
    days = lake.event_days("reports", date(2026, 2, 1), ids=["event-1", "nobody's"])
    assert days == {later, _event(1)["day"]}


def test_profiles_are_the_same(lake):
    """Histograms, categories and words of a day are those that DuckDB counts, row by row."""
    workload = make_workload()
    days = [_DAY, _DAY + timedelta(days=1), _DAY + timedelta(days=2)]
    alone = Lake(lake.root)
    profile_days(alone, workload, days)
    sql = "SELECT * FROM profiles ORDER BY ALL"
    expected = alone.query(sql).to_pylist()
    alone.close()
    profile_days(lake, workload, days)
    rows = lake.query(sql).to_pylist()
    differing = [pair for pair in zip(rows, expected, strict=True) if pair[0] != pair[1]]
    assert differing == []
    assert {row["kind"] for row in rows} == {"numeric", "category", "term", "total"}
    assert stale_days(lake, workload, Window(_DAY, _DAY + timedelta(days=3))) == {}


@dataclass(frozen=True)
class _Log:
    """A log of two partitions whose ends are known."""

    ends: dict[Partition, int]

    def end_offsets(self, topic: str) -> dict[Partition, int]:
        """Return the ends of the topic."""
        return {one: end for one, end in self.ends.items() if one.topic == topic}


def test_the_ledger_counts_the_same(lake):
    """Landed rows and dead letters of each partition are counted on disk."""
    topic = "flywheel.inferences"
    log = _Log({Partition(topic, "topic", number): 600 for number in range(2)})
    ledger = prove(log, lake, topics=[topic])  # type: ignore[arg-type]
    alone = Lake(lake.root)
    assert ledger == prove(log, alone, topics=[topic])  # type: ignore[arg-type]
    alone.close()
    assert [one.landed for one in ledger.partitions] == [18, 15]


def test_candidates_are_the_same(lake):
    """Answers that a window may ask about, the figures of all, and those people complained about."""
    end = _NOON + timedelta(days=5)
    window = ReviewWindow(
        "2026Q1-1", "2026Q1", _NOON, end, _NOON, end, 10, 0, "", end + timedelta(days=90),
        positions={"topic/0": 14, "topic/1": 12},
    )  # fmt: skip
    earlier = {"topic/0": 2, "topic/1": -1}
    alone = Lake(lake.root)
    expected, asked = (
        CandidateQuery(one, "reports", window, _NOON, positions_after=earlier)
        for one in (alone, lake)
    )
    assert sorted(asked.complained) == sorted(expected.complained) == [
        "event-0", "event-1", "event-2", "event-3",
    ]  # fmt: skip
    assert asked.days == expected.days
    assert asked.most() == expected.most()
    assert asked.rows() == expected.rows()
    some = [row["inference_id"] for row in asked.rows()[:2]]
    assert [row["inference_id"] for row in asked.rows(some)] == some
    by_id = [("inference_id", "ascending")]
    assert (
        asked.figures().sort_by(by_id).to_pylist() == expected.figures().sort_by(by_id).to_pylist()
    )
    assert CandidateQuery(lake, "reports", replace(window, positions=None), None).rows() == (
        CandidateQuery(alone, "reports", replace(window, positions=None), None).rows()
    )
    alone.close()


def test_what_is_not_a_query_is_refused(lake):
    """Nothing is changed by a query, and a wrong one is an error of the data."""
    for sql in ("DROP TABLE inferences", "SELECT 1; SELECT 2; DELETE FROM inferences", "SELECT ("):
        with pytest.raises(DataError):
            lake.scan(sql)
    with pytest.raises(DataError):
        lake.scan("SELECT nothing_like_it FROM inferences")
    with pytest.raises(DataError):
        lake.scan("SELECT count(*) FROM inferences WHERE input = $missing", {})


@pytest.fixture(params=_ENGINES)
def young(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lake]:
    """Return a lake of each engine with a closed day in five files, and an erased person."""
    opened = _open(request, request.param, tmp_path / "lake")
    _land(opened, *range(5))
    yield opened
    opened.close()


def _land(lake: Lake, *numbers: int) -> None:
    for number in numbers:
        event = _event(number, day=_DAY, partition=0, offset=number)
        rows = pa.Table.from_pylist([event], schema=_part("inferences", event))
        lake.land("inferences", rows, offset_ranges={("topic", 0): (number, number + 1)})


_ALL = 'SELECT * FROM inferences ORDER BY "offset"'


def _tables(lake: Lake) -> list[DeltaTable]:
    folders = [Path(str(lake.root)) / name for name in TABLES]
    return [DeltaTable(str(folder)) for folder in folders if folder.is_dir()]


def test_upkeep_and_writers_go_on_after_each_other(young):
    """What one compacted the other appends to and compacts again: no row and no position is lost."""
    other = Lake(young.root)
    report = maintain(young, now=_NOW)
    upkeep = next(one for one in report.tables if one.table == "inferences")
    assert (upkeep.files_before, upkeep.files_after) == (5, 1)
    _land(other, 5, 6)
    _land(young, 7)
    assert young.position("inferences", "topic", 0) == 8
    assert maintain(other, now=_NOW).damaged == {}
    _land(young, 8)
    maintain(young, now=_NOW)
    rows = other.query(_ALL)
    assert rows["inference_id"].to_pylist() == [f"event-{number}" for number in range(9)]
    assert rows["input"].to_pylist() == _TEXTS[:9]
    assert young.scan(_ALL).to_pylist() == rows.to_pylist()
    assert other.position("inferences", "topic", 0) == 9
    # Of one offset landed twice, the second is refused: the transactions are still there.
    assert not other.append("inferences", rows.slice(0, 1), once=("topic:0", 9))
    check = check_table(other, "inferences")
    assert check is not None
    assert check.problems == ()
    assert check.undigested == 0
    for delta in _tables(young):
        protocol = delta.protocol()
        assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
        assert not protocol.reader_features
        assert not protocol.writer_features
    other.close()


def test_vacuum_deletes_what_no_version_of_a_week_needs(young):
    """Files that were replaced long ago go, and so do those of a process that never committed."""
    maintain(young, now=_NOW)
    folder = Path(str(young.root)) / "inferences"
    orphan = folder / "workload_id=reports" / f"day={_DAY}" / "never-committed.parquet"
    orphan.write_bytes(b"x")
    present = {Path(uri.removeprefix("file://")) for uri in _tables(young)[0].file_uris()}
    assert present
    ago = datetime.now(UTC).timestamp() - 30 * 86_400
    os.utime(orphan, (ago, ago))
    report = maintain(young, now=_NOW)
    assert not orphan.exists()
    assert next(one for one in report.tables if one.table == "inferences").vacuumed == 1
    assert all(file.exists() for file in present)


def test_erased_persons_are_left_out(young):
    """Rows of an erased subject are in no query, and what is linked to them is not either."""
    row = {"workload_id": "reports", "inference_id": "event-3", "feedback_id": "f", "value": '"x"'}
    _append(young, "feedback", row)
    _append(young, "erasures", {"workload_id": None, "subject_id": "anna", "requested_at": _NOON})
    assert "event-3" not in _same(young, _ALL)["inference_id"].to_pylist()
    assert _same(young, "SELECT * FROM feedback").num_rows == 0
    assert _same(young, "SELECT count(*) AS n FROM stored.inferences")["n"].to_pylist() == [5]


def test_a_wrong_token_is_named(spark_server, tmp_path):
    """Who brings another token reads nothing, and is told which setting to correct."""
    stranger = replace(spark_server, token="another")  # noqa: S106 - not a secret
    lake = Lake(tmp_path / "lake", engine=SparkEngine.at(stranger))
    with pytest.raises(ConfigurationError, match="token") as caught:
        lake.scan("SELECT 1 AS one")
    assert "another" not in str(caught.value)
    lake.close()


def test_a_session_that_the_server_ended_is_opened_again(spark_server, tmp_path):
    """A daemon that asked nothing for an hour goes on, repeated ids included."""
    from pyspark.sql.connect.session import SparkSession as Remote

    _fill(tmp_path)
    lake = Lake(tmp_path, engine=SparkEngine.at(spark_server))
    sql = "SELECT count(*) AS n FROM first_inferences"
    assert lake.scan(sql)["n"].to_pylist() == [30]
    identity = lake.engine._session._remote.session_id
    address = f"{spark_server.address};session_id={identity}"
    other = Remote.builder.remote(address).create()
    other.client.release_session()
    assert lake.scan(sql)["n"].to_pylist() == [30]
    lake.close()
