"""A bake-off: arms of every base on validation rows, within a budget, resumed, ranked and priced."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from flywheel.artifacts.adapter_folder import write_manifest
from flywheel.artifacts.bakeoff_result import BakeoffArm, BakeoffFile
from flywheel.artifacts.base_folder import BaseModel
from flywheel.artifacts.references import SnapshotRef
from flywheel.cli import bakeoff as command
from flywheel.economics.prices import Prices
from flywheel.errors import (
    DataError,
    IntegrityError,
    InterruptedWorkError,
    TrainingError,
)
from flywheel.ports.train_launcher import TrainProgress, TrainResult
from flywheel.usecases.bakeoff import run_bakeoff
from flywheel.usecases.bakeoff_ranking import rank_arms
from flywheel.workload.prompt import render_prompt
from tests.fakes.model_server import FakeModelServer
from tests.fakes.registry import MemoryRegistry
from tests.fakes.release_world import START, ReleaseWorld, right, rows_for, write_snapshot
from tests.fakes.replies import RULES, draft, replies, reply, ticket


class Launcher:
    """Leave an adapter at once, or fail with ``error``."""

    def __init__(self) -> None:
        self.specs = []
        self.error = None
        self.rows = 0

    def run(self, spec, out, *, on_progress, on_notice=None):
        """Train nothing."""
        del on_notice
        self.specs.append(spec)
        self.rows = (spec.dataset_folder / "train.jsonl").read_text().count("\n")
        if self.error is not None:
            raise self.error
        adapter = out / "adapter"
        adapter.mkdir(parents=True)
        (adapter / "adapter_model.safetensors").write_bytes(b"x")
        digest = write_manifest(adapter, {"base_digest": spec.base_digest})
        on_progress(
            TrainProgress(step=1, steps=1, epoch=1, loss=0.1, tokens_per_second=1, seconds=1, memory_bytes=7_000_000)
        )  # fmt: skip
        return TrainResult(
            status="succeeded",
            release=spec.release,
            adapter="adapter",
            manifest_digest=digest,
            dataset_hash=spec.dataset_hash,
            base_digest=spec.base_digest,
            metrics={"training_seconds": 3_600.0},
        )


class Server(FakeModelServer):
    """Answer right once tuned."""

    tuned = staticmethod(right)

    def load(self, release, adapter):
        """Take any adapter."""
        super().load(release, adapter)
        self.replies[release] = self.tuned


@pytest.fixture
def platform(tmp_path):
    """Two bases of a workload with sixty training rows; the second one has a chat template."""
    world = ReleaseWorld(tmp_path, MemoryRegistry(tmp_path))
    cycle = world.open_cycle()
    rows = rows_for(world.workload, "train", 60)
    folder = write_snapshot(tmp_path / "datasets", world.workload, cycle.name, {"train": rows})
    world.state.attempts.record(cycle.ref, 1, SnapshotRef(folder, folder.name, {"train": 60}))
    bases, servers = {}, {}
    for number, name in enumerate(("tiny", "chatty")):
        (tmp_path / name).mkdir()
        bases[name] = BaseModel(name, tmp_path / name, str(number) * 64)
        servers[name] = Server({"base": lambda _: "dent"}, seconds={"base": 0.02})
    (tmp_path / "chatty" / "chat_template.jinja").write_text("{{ messages }}")
    made = SimpleNamespace(
        home=tmp_path / "home",
        state=world.state,
        launcher=Launcher(),
        servers=servers,
        workload=lambda _: world.workload,
        base=lambda workload: bases[workload.base_model],
        server=lambda workload: servers[workload.base_model],
        settings=SimpleNamespace(),
    )
    yield made
    world.close()


def bake(platform, minutes=10.0, bases=("tiny", "chatty")):
    """Run the bake-off of the fixture's workload."""
    return run_bakeoff(platform, platform.workload("").id, bases, minutes=minutes)


def test_every_base_is_measured_on_rows_that_no_training_sees(platform):
    """Three arms a base; what cannot be measured says why; no text stays."""
    result = bake(platform)
    assert (result.train_rows, result.cases) == (48, 12)
    assert platform.launcher.rows == 48
    figures = {(arm.base, arm.kind): arm.accuracy for arm in result.arms}
    assert figures[("tiny", "zero_shot")] == pytest.approx(1 / 3)
    assert figures[("chatty", "few_shot")] == pytest.approx(1 / 3)
    assert figures[("tiny", "tuned")] == figures[("chatty", "tuned")] == 1.0
    assert "no chat template" in next(
        arm.problem for arm in result.arms if (arm.base, arm.kind) == ("tiny", "few_shot")
    )
    left = [path.name for path in (platform.home / "bakeoffs").rglob("*") if path.is_file()]
    assert left == ["result.json"]
    assert platform.servers["tiny"].releases() == ("base",)


def test_a_repeated_try_measures_nothing_again(platform):
    """Figures come from the file; another base is added to them."""
    first = bake(platform, bases=("tiny",))
    asked = len(platform.servers["tiny"].shots_seen)
    second = bake(platform)
    assert len(platform.servers["tiny"].shots_seen) == asked
    assert second.arms[0] == first.arms[0]
    assert len(platform.launcher.specs) == 2


def test_an_interrupted_training_is_tried_again_a_failed_one_stops_no_other_base(platform):
    """The interruption is the caller's; a failure is a sentence in the table."""
    platform.launcher.error = InterruptedWorkError("cut off")
    with pytest.raises(InterruptedWorkError):
        bake(platform)
    platform.launcher.error = TrainingError("Training took longer than 300 s and was stopped.")
    result = bake(platform)
    tuned = [arm.problem for arm in result.arms if arm.kind == "tuned"]
    assert tuned == ["Training took longer than 300 s and was stopped."] * 2
    assert platform.launcher.specs[-1].recipe.timeout_seconds == 300
    platform.launcher.error = None
    assert all(arm.accuracy == 1.0 for arm in bake(platform).arms if arm.kind == "tuned")


def test_a_training_of_another_budget_that_was_not_measured_is_done_again(platform):
    """Its result is of another spec, which must not stand in the way for good."""
    bake(platform, bases=("tiny",), minutes=5.0)
    [file] = list((platform.home / "bakeoffs").rglob("result.json"))
    kept = BakeoffFile.open(file)
    kept.keep(replace(kept.find("0" * 64, "tuned"), problem="cut off", right=()))
    out = file.parent / f"run-{'0' * 12}"
    (out / "adapter").mkdir(parents=True)
    other = TrainResult(
        status="succeeded",
        release="r",
        adapter="adapter",
        manifest_digest="m",
        dataset_hash="d",
        base_digest="b",
        metrics={},
        details={"spec_digest": "of another one"},
    )
    (out / "result.json").write_text(other.model_dump_json())
    tuned = bake(platform, bases=("tiny",)).arms[2]
    assert (tuned.problem, tuned.accuracy) == (None, 1.0)


def test_what_the_budget_does_not_pay_for_is_named(platform):
    """A larger budget measures it later."""
    first = bake(platform, bases=("tiny",))
    file = next((platform.home / "bakeoffs").rglob("result.json"))
    kept = BakeoffFile.open(file)
    kept.keep(replace(first.arms[0], spent_seconds=999.0))
    spent = bake(platform, minutes=1.0)
    assert {arm.problem for arm in spent.arms if arm.base == "chatty"} == {
        "the budget was spent before"
    }
    assert all(arm.problem is None for arm in bake(platform, minutes=60.0).arms[3:])


def test_a_snapshot_too_small_to_split_is_refused(platform):
    """There would be nothing to compare on."""
    with pytest.raises(DataError, match="cannot be split"):
        run_bakeoff(platform, platform.workload("").id, ["tiny"], minutes=1, share=0.01)


@pytest.fixture
def texts(platform, tmp_path):
    """The two bases on replies to customers: a base writes drafts, tuned it writes what is accepted."""
    workload = replies(
        base_model="tiny", task={"type": "generation", "rules": RULES, "score": "chrf"}
    )
    rows = [
        {
            "inference_id": f"train-{number}",
            "correction_id": f"c-train-{number}",
            "input": ticket(number),
            "prompt": render_prompt(workload, ticket(number)).text,
            "completion": reply(number),
            "output": reply(number),
            "label_id": None,
        }
        for number in range(120)
    ]
    cycle = platform.state.cycles.open(
        workload,
        trigger="manual",
        opened_by="system",
        reason="a test asks for it",
        watermark=START,
        snapshot=workload.model_dump(mode="json", by_alias=True),
    )
    folder = write_snapshot(tmp_path / "datasets", workload, cycle.name, {"train": rows})
    reference = SnapshotRef(folder, folder.name, {"train": 120})
    platform.state.attempts.record(cycle.ref, 1, reference)
    platform.workload = lambda _: workload
    for server in platform.servers.values():
        server.replies["base"] = lambda text: draft(_number(text))
        server.tuned = lambda text: reply(_number(text))
    return platform


def _number(text):
    return int(text.split("order ")[1].split()[0]) - 1000


def test_texts_are_ranked_by_the_score_that_the_gate_decides_on(texts):
    """All three ways of every base: mean, bootstrap interval, difference in pairs, rules kept."""
    result = bake(texts)
    assert (result.score, result.cases, result.train_rows) == ("chrf", 24, 96)
    ranked = rank_arms(result.arms, Prices())
    assert [(one.rank, one.arm.kind) for one in ranked] == [
        (1, "tuned"),
        (2, "tuned"),
        (3, "zero_shot"),
        (4, "zero_shot"),
        (5, "few_shot"),
        (None, "few_shot"),
    ]
    first, second, third = ranked[:3]
    assert (first.score, first.lower, first.upper) == (1.0, 1.0, 1.0)
    assert (first.arm.rules_kept, second.behind, second.is_worse) == (1.0, 0.0, False)
    assert third.lower < third.score < third.upper < 1.0
    assert third.behind == pytest.approx(third.score - 1)
    assert third.behind_lower < third.behind < third.behind_upper
    assert third.is_worse
    assert third.arm.rules_kept < 1.0
    assert third.arm.accuracy is not None  # of texts close enough to the accepted ones
    files = [path for path in (texts.home / "bakeoffs").rglob("*") if path.is_file()]
    assert "order" not in "".join(path.read_text() for path in files)


def test_the_command_names_the_score_of_texts(texts, monkeypatch):
    """Beside it stands the share of texts that keep all rules."""
    shown = invoke(texts, monkeypatch, "replies").output
    assert all(words in shown for words in ("chrf", "all rules", "100.0%"))
    again = json.loads(invoke(texts, monkeypatch, "replies", "--json").stdout)
    assert again["bakeoff"]["score"] == "chrf"


def test_a_few_texts_show_no_difference():
    """A bootstrap of them has too little to draw from."""
    good = BakeoffArm("a", "a", "tuned", (True,) * 10, (0.9,) * 10, seconds_mean=0.1)
    bad = replace(good, base="b", scores=(0.1,) * 10)
    second = rank_arms([good, bad], Prices())[1]
    assert (second.behind, second.is_worse) == (pytest.approx(-0.8), None)


def test_the_file_of_an_earlier_version_is_read(tmp_path):
    """It has no scores of texts."""
    kept = BakeoffFile.open(tmp_path / "result.json")
    kept.keep(BakeoffArm("a", "a", "tuned", (True, False)))
    raw = json.loads(kept.path.read_text())
    for name in ("scores", "rules_kept"):
        del raw["arms"][0][name]
    kept.path.write_text(json.dumps(raw))
    assert BakeoffFile.open(kept.path).arms == kept.arms


def test_a_damaged_file_is_named(tmp_path):
    """It is not taken for an empty one."""
    path = tmp_path / "result.json"
    path.write_text('{"arms": [{}]}')
    with pytest.raises(IntegrityError, match="damaged"):
        BakeoffFile.open(path)


def arm(base, kind, right_cases, seconds=0.1, **facts):
    """Return a measured arm of 40 cases."""
    return BakeoffArm(
        base,
        base * 10,
        kind,
        tuple(n < right_cases for n in range(40)),
        seconds_mean=seconds,
        **facts,
    )


def test_arms_are_ranked_with_intervals_and_prices():
    """The first is compared with each other one on the same cases; a tie goes to the faster one."""
    prices = Prices.model_validate(
        {"serving": {"gpu_hour": 3.6, "answers_at_once": 2}, "training": {"gpu_hour": 2.0}}
    )
    slow, fast = arm("a", "tuned", 36, 0.4, train_seconds=1_800.0), arm("b", "few_shot", 36, 0.1)
    bad, none = arm("c", "zero_shot", 4), BakeoffArm("d", "d", "tuned", problem="too large")
    ranked = rank_arms([none, slow, bad, fast], prices)
    assert [(one.rank, one.arm.base) for one in ranked] == [
        (1, "b"),
        (2, "a"),
        (3, "c"),
        (None, "d"),
    ]
    first, second, third, _ = ranked
    assert first.lower < 0.9 < first.upper
    assert (second.behind, second.is_worse) == (0.0, False)
    assert third.is_worse
    assert third.behind == pytest.approx(-0.8)
    assert first.cost_per_thousand == pytest.approx(0.05)
    assert (first.training_cost, second.training_cost) == (0.0, 1.0)
    assert rank_arms([slow], Prices())[0].cost_per_thousand is None


def test_the_command_prints_table_and_json(platform, monkeypatch):
    """One line for each arm, with what it rests on."""
    shown = invoke(platform, monkeypatch, platform.workload("").id).output
    assert "12 validation rows" in shown
    assert all(words in shown for words in ("tuned", "accuracy"))
    assert "all rules" not in shown
    again = invoke(platform, monkeypatch, platform.workload("").id, "--json").stdout
    assert '"ranking"' in again


def invoke(platform, monkeypatch, workload_id, *options):
    """Run the command on both bases, on a wide screen."""
    from typer.testing import CliRunner

    from flywheel.cli import build_app

    monkeypatch.setattr(command, "open_platform", lambda **_: platform)
    monkeypatch.setenv("COLUMNS", "300")
    Path(platform.home).mkdir(exist_ok=True)
    call = ["bakeoff", workload_id, "--bases", "tiny, chatty", "--minutes", "5", *options]
    done = CliRunner().invoke(build_app(), call)
    assert done.exit_code == 0, done.output
    return done
