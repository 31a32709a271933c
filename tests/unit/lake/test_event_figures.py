"""Figures of all that ever landed: kept by day, and the same as by looking at every row."""

import json
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flywheel.errors import StorageError
from flywheel.lake import Lake, event_figures, later_events
from flywheel.lake.event_figures import EVENT_FIGURES_FILE
from flywheel.lake.maintenance import maintain
from flywheel.quality.control_slice import control_accuracy
from flywheel.quality.traffic_start import newest_answer, traffic_start
from flywheel.review.sampling.window_ledger import landed_through, seen_positions
from flywheel.usecases.status import _EVENTS as STATUS
from flywheel.workload.files import load_workload

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_ANSWERED = "shadow_of IS NULL AND route IS DISTINCT FROM 'shadow'"
_WORKLOAD = load_workload(Path("deploy/workloads/defect_reports.yaml"))


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """Open an empty lake that keeps what it counted after each query."""
    monkeypatch.setattr(later_events, "_UNSAVED_ROWS", 1)
    monkeypatch.setattr(event_figures, "_UNSAVED_ROWS", 1)
    opened = Lake(tmp_path / "lake")
    yield opened
    opened.close()


def _event(number, **values):
    moment = values.pop("at", _NOON)
    return {
        "topic_id": "t",
        "partition": 0,
        "offset": number,
        "inference_id": f"i{number}",
        "workload_id": _WORKLOAD.id,
        "landed_at": moment,
        "timestamp": moment,
        "day": moment.date(),
        "route": "champion",
        "release": "base",
        "output": '{"label":"x"}',
        **values,
    }


def _land(lake, rows):
    table = lake.handle("inferences").table
    known = pa.schema([field for field in table.schema if field.name in rows[0]])
    lake.append("inferences", pa.Table.from_pylist(rows, schema=known))


def _random_events(rng, first, count):
    # Clocks ahead and behind, days late by months, ids that came before, shadows, failures, persons.
    for number in range(first, first + count):
        landed = _NOON + timedelta(hours=6 * number)
        moment = landed - timedelta(days=rng.choice([0, 0, 0, 1, 40, 400, -3]), minutes=number)
        yield _event(
            number,
            at=moment,
            landed_at=landed - timedelta(hours=rng.choice([0, 0, 30])),
            inference_id=f"i{rng.randrange(max(1, number)) if rng.random() < 0.2 else number}",
            partition=number % 2,
            workload_id=rng.choice([_WORKLOAD.id, _WORKLOAD.id, "other"]),
            release=rng.choice(["base", "r1", None]),
            route=rng.choice(["champion", "champion", "canary", "shadow"]),
            error=rng.choice([None, None, None, "499"]),
            output=rng.choice(['{"label":"x"}', "null", None]),
            subject_id=rng.choice([None, "s1", "s2", "s3"]),
        )


def _by_all_rows(lake, workload_id, now, span):
    key = {"workload": workload_id}
    mine = f"inferences WHERE workload_id = $workload AND {_ANSWERED}"
    answers = lake.rows(
        f"SELECT count(*) AS n, min(coalesce(landed_at, timestamp)) AS landed FROM {mine}", key
    )[0]
    moments = lake.rows(f"SELECT least(timestamp, landed_at) AS m FROM {mine} ORDER BY m", key)
    ignored = 2 + answers["n"] // 100
    started = answers["landed"] if answers["n"] <= ignored else moments[ignored]["m"]
    counts = lake.rows(
        "SELECT count(*) AS n, count(*) FILTER (error IS NOT NULL OR output IS NULL OR output = "
        "'null') AS failed FROM answered_inferences WHERE workload_id = $workload "
        "AND timestamp >= $start AND timestamp < $end",
        key | {"start": span[0], "end": span[1]},
    )[0]
    return {
        "started": started,
        "newest": max((row["m"] for row in moments), default=None),
        "positions": {
            row["s"]: row["o"]
            for row in lake.rows(
                "SELECT topic_id || '/' || partition AS s, max(\"offset\") AS o FROM inferences "
                "WHERE workload_id = $workload GROUP BY s",
                key,
            )
        },
        "landed": lake.rows(
            "SELECT max(landed_at) AS m FROM inferences WHERE workload_id = $workload "
            "AND landed_at <= $now",
            key | {"now": now},
        )[0]["m"],
        "events": lake.rows(
            "SELECT workload_id AS w, count(*) AS events FROM answered_inferences GROUP BY w "
            "ORDER BY w"
        ),
        "control": (counts["n"], counts["failed"]),
    }


def _by_figures(lake, workload_id, now, span):
    control = control_accuracy(lake, _WORKLOAD, *span)
    return {
        "started": traffic_start(lake, workload_id),
        "newest": newest_answer(lake, workload_id),
        "positions": seen_positions(lake, workload_id),
        "landed": landed_through(lake, workload_id, now),
        "events": [
            {"w": row["workload_id"], "events": row["events"]}
            for row in sorted(lake.rows(STATUS), key=lambda row: row["workload_id"])
        ],
        "control": (control.answers, control.failed),
    }


@pytest.mark.parametrize("seed", range(2))
def test_figures_are_those_of_a_look_at_all_rows(lake, seed):
    """Late days, wrong clocks, repeats, erased persons; compacted, kept and opened again between."""
    rng, number = random.Random(seed), 0  # noqa: S311 - reproducible, not secret
    other = Lake(lake.root)
    for turn in range(6):
        count = rng.randrange(1, 40)
        _land(lake, list(_random_events(rng, number, count)))
        number += count
        if turn in (2, 4):
            lake.append("erasures", pa.table({"subject_id": [f"s{turn // 2}"]}))
        if turn == 3:
            maintain(lake, now=_NOON + timedelta(days=900))
        reader = rng.choice([lake, other, Lake(lake.root)])
        now = _NOON + timedelta(hours=rng.randrange(6 * number))
        start = now - timedelta(days=rng.choice([0, 1, 30]), hours=rng.randrange(30))
        span = (start, now)
        expected = _by_all_rows(lake, _WORKLOAD.id, now, span)
        assert _by_figures(reader, _WORKLOAD.id, now, span) == expected, turn
    other.close()


def test_a_day_is_counted_again_only_where_it_changed(lake):
    """Other days' files are not opened: a file that is gone is not missed."""
    _land(lake, [_event(1), _event(2, at=_NOON + timedelta(days=1))])
    assert lake.rows(STATUS)[0]["events"] == 2
    for path in lake.root.glob("inferences/*/day=2026-03-01/*.parquet"):
        path.unlink()
    late = _event(3, at=_NOON + timedelta(days=1))
    _land(lake, [late])
    for reader in (lake, Lake(lake.root)):
        assert reader.rows(STATUS)[0]["events"] == 3


def test_an_earlier_day_whose_event_turns_out_to_repeat_an_id_is_counted_again(lake):
    """A record that was sent first may land last: the older day loses an event."""
    day = timedelta(days=1)
    _land(lake, [_event(1, inference_id="same"), _event(2)])
    assert lake.rows(STATUS)[0]["events"] == 2
    earlier = _event(3, inference_id="same", at=_NOON + day, landed_at=_NOON - day)
    _land(lake, [earlier])
    assert lake.rows(STATUS)[0]["events"] == 2
    figures = lake.rows(
        "SELECT day, first_answered AS n FROM stored.event_figures ORDER BY day, release"
    )
    assert figures == [{"day": date(2026, 3, 1), "n": 1}, {"day": date(2026, 3, 2), "n": 1}]


@pytest.mark.parametrize("damage", ["gone", "no parquet", "made by another"])
def test_what_is_lost_is_counted_again(lake, damage):
    """The file is derived: a lake of an earlier version has none."""
    _land(lake, [_event(1), _event(2)])
    assert lake.rows(STATUS)[0]["events"] == 2
    path = lake.root / EVENT_FIGURES_FILE
    if damage == "gone":
        path.unlink()
    elif damage == "no parquet":
        path.write_bytes(b"PAR1")
    else:
        figures = pq.read_table(path)
        about = json.loads(figures.schema.metadata[b"flywheel"]) | {"made_by": "another"}
        none = figures.slice(0, 0).replace_schema_metadata({"flywheel": json.dumps(about)})
        pq.write_table(none, path)
    _land(lake, [_event(3)])
    assert Lake(lake.root).rows(STATUS)[0]["events"] == 3


def test_an_empty_lake_has_no_figures(lake):
    """Before the first event every figure is none."""
    span = (_NOON - timedelta(days=1), _NOON)
    expected = _by_all_rows(lake, _WORKLOAD.id, _NOON, span)
    assert _by_figures(lake, _WORKLOAD.id, _NOON, span) == expected
    assert expected["started"] is None


def test_a_file_that_cannot_be_read_is_an_error_of_the_store(lake, tmp_path):
    """Also where the figures are counted, before the query itself runs."""
    _land(lake, [_event(1)])
    [path] = (tmp_path / "lake" / "inferences").rglob("*.parquet")
    group = pq.ParquetFile(path).metadata.row_group(0)
    chunks = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    with path.open("r+b") as file:
        file.seek(chunks["release"].dictionary_page_offset)
        file.write(b"\xff" * chunks["release"].total_compressed_size)
    with pytest.raises(StorageError, match="could not be read"):
        lake.rows("SELECT * FROM stored.event_figures")
