"""Every reader that counts production answers leaves out what no caller received.

The lake holds forty answers. Then come the copies that a shadow answered, attempts of a canary that
failed before the champion answered, and attempts of the champion and of further tiers that another
answer replaced: no figure of production may change.
"""

import json
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pyarrow as pa
import pytest

from flywheel.clock import ManualClock
from flywheel.drift import cause, evidently_report
from flywheel.drift.profile import profile_days
from flywheel.drift.window import Window
from flywheel.drift.word_chance import read_texts
from flywheel.lake.store import Lake
from flywheel.quality.control_slice import control_accuracy
from flywheel.quality.traffic_start import newest_answer, traffic_start
from flywheel.review.sampling import candidates
from flywheel.usecases import observe, status
from flywheel.usecases.base_texts import base_texts
from flywheel.usecases.figures import traffic_figures
from tests.fakes.event_makers import make_workload

WORKLOAD = make_workload()
START = datetime(2026, 5, 4, 8, tzinfo=UTC)
DAYS = [date(2026, 5, 4), date(2026, 5, 5)]
OLD, NEW = Window(DAYS[0], DAYS[1]), Window(DAYS[1], date(2026, 5, 6))
ANSWERS = 40


def event(number, **changes):
    """Return the row of an answer; every half hour one."""
    moment = START + timedelta(minutes=30 * number)
    row = {
        "topic": "t",
        "topic_id": "t1",
        "partition": 0,
        "offset": number,
        "landed_at": moment,
        "inference_id": f"i{number}",
        "timestamp": moment,
        "day": moment.date(),
        "workload_id": WORKLOAD.id,
        "client_id": "line-1",
        "route": "champion",
        "release": "r1",
        "input": f"the pump {'leaks' if number % 2 else 'hums'} at valve {number}",
        "output": '"leak"',
        "confidence": 0.9,
        "latency_ms": 10.0,
        "error": None,
        "shadow_of": None,
    }
    return row | changes


def shadow(number):
    """Return the copy of an answer: other words, another answer, slower, a later clock."""
    changes = {
        "offset": 1000 + number,
        "inference_id": f"s{number}",
        "timestamp": START + timedelta(minutes=30 * number + 1),
        "landed_at": START + timedelta(minutes=30 * number + 1),
        "client_id": "line-2",
        "route": "shadow",
        "release": "r2",
        "input": f"zebra valve {number}",
        "output": '"crack"',
        "confidence": 0.1,
        "latency_ms": 9000.0,
        "shadow_of": f"i{number}",
    }
    return event(number, **changes)


def failed_canary(number):
    """Return an attempt that failed before the champion answered."""
    changes = {"offset": 2000 + number, "inference_id": f"c{number}", "route": "canary"}
    return shadow(number) | changes | {"output": None, "error": "503 unavailable"}


def replaced(number):
    """Return the champion's answer that a further tier's replaced."""
    return shadow(number) | {
        "offset": 3000 + number, "inference_id": f"e{number}", "route": "champion", "release": "r1",
    }  # fmt: skip


def failed_tier(number):
    """Return the attempt of a tier, after which the champion's answer went out."""
    changes = {"offset": 4000 + number, "inference_id": f"t{number}", "route": "escalation"}
    return (
        shadow(number) | changes | {"release": "large", "output": None, "error": "502 tier_failed"}
    )


def land(lake, rows):
    lake.append("inferences", pa.Table.from_pylist(rows))


def profiles(lake):
    profile_days(lake, WORKLOAD, DAYS)
    return lake.rows(
        'SELECT * FROM profiles WHERE "column" <> \'landed\' ORDER BY day, "column", kind, key'
    )


def word_sample(lake):
    sample = read_texts(lake, WORKLOAD, OLD, NEW, days=1, sizes=(32, 8))
    return sample and (sample.words, len(sample.current))


def control(lake):
    judged = control_accuracy(lake, WORKLOAD, START, START + timedelta(days=2))
    return judged.answers, judged.failed, sorted(judged.by_release)


def traffic(lake):
    now = ManualClock(START + timedelta(days=2))
    return traffic_figures(SimpleNamespace(lake=lake, clock=now), WORKLOAD)


def same_text(lake):
    texts = {"workload": WORKLOAD.id, "releases": ["r1", "r2"], "texts": ["zebra valve 3"]}
    return lake.rows(candidates._SAME_TEXT, texts)


READERS = {
    "profiles of days": profiles,
    "sample of words": word_sample,
    "clients of risen words": lambda lake: cause._clients_of(
        lake, WORKLOAD, Window(DAYS[0], date(2026, 5, 6)), ["zebra", "leaks"]
    ),
    "Evidently's sample": lambda lake: evidently_report._sample(
        lake, WORKLOAD, OLD, 5_000
    ).to_dict(),
    "start of traffic": lambda lake: traffic_start(lake, WORKLOAD.id),
    "newest answer": lambda lake: newest_answer(lake, WORKLOAD.id),
    "control slice": control,
    "traffic of a week": traffic,
    "events in status": lambda lake: lake.rows(status._EVENTS),
    "texts of a base": lambda lake: sorted(base_texts(lake, WORKLOAD.id)),
    "answers to the same text": same_text,
}


@pytest.fixture
def lake(tmp_path):
    """Return a lake with the answers that callers received."""
    lake = Lake(tmp_path / "lake")
    land(lake, [event(number) for number in range(ANSWERS)])
    yield lake
    lake.close()


@pytest.mark.parametrize("name", READERS)
def test_shadows_and_failed_attempts_change_no_figure(lake, name):
    """The reader sees the same forty answers as before."""
    before = READERS[name](lake)
    kinds = (shadow, failed_canary, replaced, failed_tier)
    land(lake, [kind(number) for kind in kinds for number in range(ANSWERS)])
    assert json.dumps(READERS[name](lake), default=str) == json.dumps(before, default=str)


def test_shadows_alone_are_no_traffic(tmp_path):
    """The trigger's first evaluation waits for an answer that somebody received."""
    lake = Lake(tmp_path / "lake")
    land(lake, [shadow(1)])
    assert not lake.rows(observe._NEWS, {"w": WORKLOAD.id})[0]["traffic"]
    land(lake, [event(1)])
    assert lake.rows(observe._NEWS, {"w": WORKLOAD.id})[0]["traffic"]
    lake.close()
