"""What `flywheel roi` measures on a deployment, and what it prints."""

import json
from datetime import timedelta

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from flywheel.cli.roi import app
from flywheel.economics.prices import Prices
from flywheel.usecases.roi import assess_worth
from tests.fakes.hand_world import START, HandWorld

PRICES = """\
tiers: [{name: frontier, input_per_million: 10, output_per_million: 100, models: [big]}]
serving: {gpu_hour: 3.6, seconds_per_answer: 1}
training: {gpu_hour: 2}
judgments: {hourly_wage: 60}
engineering: {monthly_cost: 0, share: 0, setup: 100}
"""


def _answers(world, *, model, release, count, minutes, **columns):
    times = [START - timedelta(days=10, minutes=minutes * number) for number in range(count)]
    rows = {
        "topic": ["t"] * count, "topic_id": [model] * count, "partition": [0] * count,
        "offset": list(range(count)), "landed_at": times, "timestamp": times,
        "inference_id": [f"{model}-{number}" for number in range(count)],
        "day": [time.date() for time in times], "workload_id": ["parts"] * count,
        "base_model": [model] * count, "release": [release] * count,
    }  # fmt: skip
    rows |= {name: [value] * count for name, value in columns.items()}
    tokens = {"prompt_tokens": pa.int64(), "completion_tokens": pa.int64()}
    table = pa.table(
        {
            name: pa.array(values, tokens.get(name)) if name in tokens else values
            for name, values in rows.items()
        }
    )
    world.lake.append("inferences", table)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return 100 answers of a model big and 20 of a release, 4 judgments that made 3 labels."""
    world = HandWorld(tmp_path_factory.mktemp("home"))
    _answers(
        world, model="big", release=None, count=100, minutes=144,
        prompt_tokens=200, completion_tokens=10, latency_ms=900.0,
    )  # fmt: skip
    _answers(world, model="tiny", release="r1", count=20, minutes=60, latency_ms=50.0)
    world.lake.append(
        "annotations",
        pa.table(
            {
                "workload_id": ["parts"] * 4,
                "annotation_id": ["a", "b", "c", "d"],
                "version": ["1"] * 4,
                "seconds": [10.0, 20.0, 30.0, 0.0],
                "simulated": [False, False, False, True],
                "deleted": [False] * 4,
                "created_at": [START - timedelta(days=1)] * 4,
                "updated_at": [START - timedelta(days=1)] * 4,
                "seen_at": [START - timedelta(days=1)] * 4,
            }
        ),
    )
    world.lake.append(
        "corrections",
        pa.table(
            {
                "workload_id": ["parts"] * 4,
                "correction_id": ["a", "b", "c", "seed"],
                "version": [1] * 4,
                "status": ["accepted"] * 4,
                "source": ["review"] * 3 + ["seed"],
                "accepted_at": [START - timedelta(days=1)] * 4,
            }
        ),
    )
    yield world
    world.close()


def test_volumes_tokens_and_judgments_are_measured(world):
    """Of the window up to the newest answer, which is not stretched over days before the first."""
    raw = {
        "tiers": [{"name": "frontier", "input_per_million": 10, "output_per_million": 100,
                   "models": ["big"]}],
        "serving": {"gpu_hour": 3.6},
        "judgments": {"hourly_wage": 60},
    }  # fmt: skip
    worth = assess_worth(world, "parts", Prices.model_validate(raw))
    days = 99 * 144 / 60 / 24
    assert worth.figure("answers a month").value == pytest.approx(120 / days * 30.4375, rel=1e-3)
    assert worth.figure("cost per 1,000 answers on the tier").value == pytest.approx(3.0)
    small = worth.figure("cost per 1,000 answers on the small model, serving alone")
    assert small.value == pytest.approx(0.05)
    now = worth.figure("cost per 1,000 answers now").value
    assert now == pytest.approx((100 * 3.0 + 20 * 0.05) / 120)
    assert worth.figure("cost per accepted label").value == pytest.approx(4 * 20 / 60 / 3)
    assert worth.figure("trainings a month").missing
    assert worth.notes == ("1 of 4 judgments are simulated.",)


def test_a_short_window_is_the_newest_days(world):
    """A day of the release's answers is not spread over a month."""
    worth = assess_worth(world, "parts", Prices(), days=1)
    assert (worth.end - worth.start).days == 1
    assert worth.figure("answers a month").basis.startswith("30 answers in 1.0 days")


@pytest.fixture
def cli_world(world, monkeypatch):
    """Let the command open the world."""
    monkeypatch.setattr("flywheel.cli.roi.open_platform", lambda **_: world)
    return world


def test_command_names_what_is_missing(cli_world):
    """Without prices it shows what was measured, and what to state."""
    done = CliRunner().invoke(app, ["parts"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "serving in the file of prices" in done.stdout
    assert "deploy/prices.yaml" in done.stdout
    shown = json.loads(CliRunner().invoke(app, ["parts", "--json"]).stdout)
    assert shown["months"] == []
    assert all(figure["basis"] for figure in shown["figures"])


def test_command_reads_prices_of_the_home_and_draws(cli_world, tmp_path):
    """The picture lies where it was asked for; a training is still missing."""
    (cli_world.home / "prices.yaml").write_text(PRICES)
    picture = tmp_path / "worth.svg"
    done = CliRunner().invoke(app, ["parts", "--picture", str(picture)])
    assert "hours of a training" in str(done.exception)
    assert not picture.exists()
    (cli_world.home / "prices.yaml").unlink()
