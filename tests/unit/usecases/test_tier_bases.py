"""`base build` remembers the base of a tier for that tier, and the workload's own for those on it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from flywheel.errors import ConfigurationError, RefusedError
from flywheel.usecases.base_model import build_workload_base
from flywheel.workload.judge import JudgeRules
from flywheel.workload.tiers import Tier
from tests.fakes import micro_base

CHAMPION = Tier(name="champion")
WORKLOAD = micro_base.classification().model_copy(
    update={
        "base_model": "smollm2",
        "tiers": (
            CHAMPION,
            Tier(name="bare", base_model="smollm2"),
            Tier(name="bigger", base_model="owner/big"),
            Tier(name="again", base_model="owner/big"),
        ),
    }
)


class _Deployment:
    def __init__(self) -> None:
        self.built: list[tuple[str, str]] = []
        self.remembered: list[str] = []
        self.settings = SimpleNamespace(workload_folder=Path("workloads"))
        self.bases = SimpleNamespace(
            remember=lambda workload, _: self.remembered.append(workload.id),
            recorded_digest=lambda _: None,
        )

    def build_base(self, workload, texts, *, on_progress, check):
        del texts, on_progress
        built = SimpleNamespace(digest="d")
        check(built)
        self.built.append((workload.id, workload.base_model))
        return built


def test_a_tiers_base_is_built_for_every_tier_on_it():
    """The workload's own base stays what it was."""
    deployment = _Deployment()
    build_workload_base(deployment, WORKLOAD, "owner/big")
    assert deployment.built == [("parts.bigger", "owner/big")]
    assert deployment.remembered == ["parts.again"]


def test_the_workloads_own_base_is_remembered_for_a_tier_without_its_adapter():
    """One command builds both."""
    deployment = _Deployment()
    build_workload_base(deployment, WORKLOAD)
    assert deployment.built == [("parts", "smollm2")]
    assert deployment.remembered == ["parts.bare"]


def test_the_base_of_a_judge_is_built_as_that_of_a_tier():
    """It may judge at once."""
    rules = {"source": {"name": "critic", "base_model": "owner/judge"}, "rubric": "Right or not."}
    workload = WORKLOAD.model_copy(update={"judge": JudgeRules.model_validate(rules)})
    deployment = _Deployment()
    build_workload_base(deployment, workload, "owner/judge")
    assert deployment.built == [("parts.critic", "owner/judge")]


def test_a_base_beside_the_present_one_is_built_although_a_release_answers():
    """A move begins so; the file's own base is not replaced under the champion."""
    deployment = _Deployment()
    deployment.bases.recorded_digest = lambda _: "of the champion"
    deployment.state = SimpleNamespace(routes=SimpleNamespace(champion=lambda _: "r1"))
    build_workload_base(deployment, WORKLOAD, "owner/next", beside=True)
    assert deployment.built == [("parts", "owner/next")]
    for beside in (False, True):
        with pytest.raises(RefusedError, match="r1 answers for parts"):
            build_workload_base(deployment, WORKLOAD, beside=beside)


def test_a_name_of_neither_is_refused():
    """With what the file says."""
    with pytest.raises(ConfigurationError, match="names the base model smollm2"):
        build_workload_base(_Deployment(), WORKLOAD, "owner/other")
