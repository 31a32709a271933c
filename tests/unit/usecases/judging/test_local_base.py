"""A base of this deployment as judge: no endpoint, no adapter, the same verdicts."""

import json
from datetime import timedelta
from types import SimpleNamespace

from flywheel.errors import DataError, NotFoundError
from flywheel.usecases.judging.calibration import calibrate_judge, judge_standing
from flywheel.workload.answers import AnswerCodec, assign_surfaces
from tests.fakes.judge_world import MONDAY
from tests.fakes.model_server import FakeModelServer
from tests.fakes.review_world import classification

DAY = timedelta(days=1)
RULES = {"source": {"name": "critic", "base_model": "owner/big"}, "rubric": "Right.", "floor": 0.6}


def deployment(world, reply):
    """Return the judge's world with a model server, and the base that it was asked for."""
    asked_for = []

    def base(workload):
        asked_for.append((workload.id, workload.base_model))
        return SimpleNamespace(digest="d1", codec=_codec)

    server = FakeModelServer({"base": reply})
    platform = SimpleNamespace(
        lake=world.lake, clock=world.clock, home=world.home, state=None,
        base=base, server=lambda _workload: server,
    )  # fmt: skip
    return platform, asked_for


def _codec(workload):
    return AnswerCodec(workload, assign_surfaces(workload, {}, ()))


def judged(world, count=40):
    """Let people judge so many answers."""
    world.traffic(range(count))
    world.judge_by_people(range(count))
    world.clock.move_to(MONDAY + DAY)
    return classification(judge=RULES)


def test_a_local_base_is_compared_with_people(world):
    """It answers as the judge's own workload, which is recorded as that of a tier."""
    workload = judged(world)
    platform, asked_for = deployment(
        world, lambda text: json.loads(world.verdict({"messages": [{"content": text}]}))["label"]
    )
    found = calibrate_judge(platform, workload).calibration
    assert (found.calibrated, found.judged, found.agreement) == (True, 40, 0.9)
    assert set(asked_for) == {("defects.critic", "owner/big")}
    assert judge_standing(platform, workload).calibrated


def test_a_text_that_does_not_fit_the_context_is_no_verdict(world):
    """And is not tried again; the others are judged."""
    workload = judged(world)
    platform, _ = deployment(world, _too_long_for_some)
    found = calibrate_judge(platform, workload)
    assert (found.calibration.judged, found.asking.problem) == (40, None)
    assert 0 < found.calibration.unreadable < 40
    assert calibrate_judge(platform, workload).asking.asked == 0


def _too_long_for_some(text):
    if "leaks" in text:
        raise DataError("The prompt does not fit the context.")
    return "correct"


def test_a_base_that_was_not_built_is_a_reason_not_a_fault(world):
    """Status and report go on."""
    workload = judged(world, 1)
    platform, _ = deployment(world, lambda _text: "correct")

    def missing(_workload):
        raise NotFoundError("The base model of defects.critic was not built yet.")

    platform.base = missing
    standing = judge_standing(platform, workload)
    assert (standing.calibrated, standing.digest) == (False, None)
    assert "was not built yet" in standing.reason
