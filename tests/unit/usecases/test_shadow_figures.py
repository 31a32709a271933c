"""Pairs of champion and shadow: once each, judged by people, and what a look says."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pyarrow as pa
import pytest

from flywheel.lake.erasure import erase_subjects
from flywheel.lake.tables import TABLES
from flywheel.usecases.disagreements import disagreeing_answers
from flywheel.usecases.shadow_pairs import refresh_pairs
from tests.fakes.stage_world import BEGAN, StageWorld, event

HOUR = timedelta(hours=1)
PAIRS = "SELECT * FROM shadow_pairs ORDER BY event_time"


@pytest.fixture
def world(tmp_path):
    """Return a shadow that has just begun."""
    world = StageWorld(tmp_path, kind="shadow")
    yield world
    world.close()


def other(row, number):
    if number % 2:
        row["output"] = '"heat fault"'


def broken(row, number):
    if number % 3:
        row |= {"output": None, "response": None, "error": "500 internal_error"}


def test_pairs_hold_both_answers(world):
    """With their confidence, time and error; the id is that of the caller's answer."""
    world.shadow_traffic(10, change=other)
    seen = world.look(at=HOUR)
    pairs = world.lake.rows(PAIRS)
    assert (seen.outcome, seen.answers, len(pairs)) == ("go_on", 10, 10)
    assert (pairs[1]["inference_id"], pairs[1]["shadow_id"]) == ("own-1", "copy-1")
    assert (pairs[1]["champion_output"], pairs[1]["candidate_output"]) == (
        '"oil fault"', '"heat fault"',
    )  # fmt: skip
    assert seen.figures["agreement"] == 0.5
    assert [pair["same_answer"] for pair in pairs[:2]] == [True, False]


def test_a_pair_is_there_once(world):
    """However often it is looked at, and whatever landed twice."""
    world.shadow_traffic(10)
    world.look(at=HOUR)
    world.look(at=HOUR)
    world.shadow_traffic(10)  # the same ids again, as after a crash
    assert world.look(at=HOUR).answers == 10
    assert len(world.lake.rows(PAIRS)) == 10


def test_a_copy_that_lands_later_joins_its_day(world):
    """Also after midnight, and a look changes only the days in which something landed."""
    world.shadow_traffic(1500)
    assert world.look(at=timedelta(hours=26)).answers == 1500
    assert refresh_pairs(world.lake, "defects", BEGAN, BEGAN + timedelta(days=2)) == []


def test_the_day_under_way_is_not_written_for_every_pair(world):
    """A few more wait for the next ones, or for the end of the day."""
    world.shadow_traffic(200)
    world.look(at=timedelta(hours=4))
    more = timedelta(minutes=250)
    rows = [
        event(BEGAN + more, "own-late"),
        event(BEGAN + more, "copy-late")
        | {"route": "shadow", "release": "r2", "shadow_of": "own-late"},
    ]
    world.land(rows)
    assert world.look(at=timedelta(hours=5)).answers == 200
    assert world.look(at=timedelta(hours=25)).answers == 201


def test_pairs_that_people_judged_decide(world):
    """The candidate is right where the champion is not, often enough to be better; or worse."""
    ids = world.shadow_traffic(60, change=other)
    world.judge(ids[1::2], "heat fault")
    better = world.look(at=HOUR)
    assert (better.outcome, better.figures["verdict"]["counts"]["gained"]) == ("better", 30)
    world.judge([], "")


def test_a_worse_candidate_is_worse(world):
    """It is wrong where the champion is right."""
    ids = world.shadow_traffic(60, change=other)
    world.judge(ids, "oil fault")
    seen = world.look(at=HOUR)
    assert (seen.outcome, seen.reason.split(":")[0]) == ("worse", "accuracy")


def test_a_candidate_that_fails_is_worse_before_anybody_judged(world):
    """Its answers are not valid where the champion's are."""
    world.shadow_traffic(60, change=broken)
    seen = world.look(at=HOUR)
    assert (seen.outcome, seen.reason.split(":")[0]) == ("worse", "validity")


def test_a_shadow_without_pairs_is_silent(world):
    """The champion answers, no copy lands."""
    world.canary_traffic(300, share=0.0)
    seen = world.look(at=timedelta(hours=2))
    assert (seen.outcome, seen.answers) == ("silent", 0)
    assert "were expected" in seen.reason


def test_a_spent_ration_is_no_silence(tmp_path):
    """Nothing more is copied that day."""
    world = StageWorld(tmp_path, kind="shadow", shadow={"per_day": 5})
    world.shadow_traffic(5)
    world.canary_traffic(300, share=0.0, start=timedelta(minutes=10))
    assert world.look(at=timedelta(hours=2)).outcome == "go_on"
    world.close()


def test_a_ration_that_an_earlier_try_spent_is_no_silence(tmp_path):
    """It is the workload's for a day: a shadow that begins on that day gets no copy."""
    world = StageWorld(tmp_path, kind="shadow", shadow={"per_day": 5})
    world.shadow_traffic(5, change=lambda copy, _: copy.update(release="earlier"))
    world.canary_traffic(300, share=0.0, start=timedelta(minutes=10))
    assert world.look(at=timedelta(hours=2)).outcome == "go_on"
    world.close()


def test_a_person_is_erased_from_pairs_too(world):
    """Readers leave the pair out at once, maintenance deletes it, and no look brings it back."""

    def named(row, number):
        row["subject_id"] = f"s{number}"

    world.shadow_traffic(3, change=named)
    rows = world.lake.rows("SELECT inference_id FROM inferences WHERE subject_id = 's1'")
    assert len(rows) == 1
    world.look(at=HOUR)
    erasure = {"subject_id": "s1", "requested_by": "ann", "requested_at": BEGAN}
    table = pa.Table.from_pylist([erasure], schema=TABLES["erasures"].schema)
    world.lake.append("erasures", table)
    assert world.look(at=HOUR).answers == 2
    erase_subjects(world.lake)
    stored = world.lake.rows("SELECT inference_id FROM stored.shadow_pairs")
    assert "own-1" not in {row["inference_id"] for row in stored}
    assert world.look(at=HOUR).answers == 2


def test_pairs_that_differ_are_named_for_the_review_queue(world):
    """Of the present shadow stage alone; a stage of another kind names none."""
    ids = world.shadow_traffic(10, change=other)
    world.clock.move_to(BEGAN + HOUR)
    stage = world.stage
    stages = SimpleNamespace(current=lambda _: stage)
    platform = SimpleNamespace(
        state=SimpleNamespace(stages=stages), lake=world.lake, clock=world.clock
    )
    workload = SimpleNamespace(id=stage.workload_id)
    assert disagreeing_answers(platform, workload) == frozenset(ids[1::2])
    stage = replace(stage, kind="canary")
    assert disagreeing_answers(platform, workload) == frozenset()
    stage = None
    assert disagreeing_answers(platform, workload) == frozenset()
