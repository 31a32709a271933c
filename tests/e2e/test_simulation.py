"""A labeled file through the loop: budget, resumption, comparison on the same labels."""

import io
import json
from dataclasses import replace
from itertools import islice

import pytest
from rich.console import Console

from flywheel.cli import simulation
from flywheel.errors import DataError
from flywheel.simulation.labeled import LabeledRow, read_labeled, split_labeled
from flywheel.simulation.traffic import seed_labels_of
from flywheel.usecases.simulation import simulate
from flywheel.usecases.simulation_plan import SimulationPlan
from flywheel.usecases.simulation_study import StudyOptions, _plan, _read
from flywheel.workload.files import load_workload
from tests.fakes.in_process_trainer import InProcessTrainer
from tests.fakes.micro_base import extraction, labeled, micro_base
from tests.fakes.workload_file import put_workload


@pytest.fixture
def trainer(monkeypatch):
    """Let every deployment that is opened train in this process."""
    monkeypatch.setattr("flywheel.wiring.platform.open_launcher", lambda _: InProcessTrainer())


def rows(count):
    """Return varied reports of three categories: near-duplicates are not sent to people twice."""
    wanted = {"dent", "corrosion", "seal leak"}
    found = (
        LabeledRow(item.text, item.output["category"])
        for item in seed_labels_of(count=count * 9, seed=3)
        if item.output["category"] in wanted
    )
    return list(islice(found, count))


def trained_control(home):
    """Return how many control items each quarter's snapshot trains on."""
    manifests = [json.loads(path.read_text()) for path in home.glob("datasets/*/*/manifest.json")]
    manifests.sort(key=lambda manifest: manifest["sources"]["built_at"])
    return [manifest["sources"]["control"]["trained_on"] for manifest in manifests]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("trainer")
def test_a_simulation_keeps_the_budget_and_goes_on_where_it_was(tmp_path):
    """Cut off while measuring it resumes; judgments stay within the budget; done is done."""
    plan = SimulationPlan(
        workload_id="parts",
        base=str(micro_base().folder),
        arm="policy",
        seed=0,
        quarters=2,
        budget=40,
        seed_per_label=8,
        cap=None,
        error_rate=0.0,
        recipe={"epochs": 2, "learning_rate": 0.01, "batch_size": 8},
    )
    told = []

    def cut_off(line):
        told.append(line)
        if "measure" in line:
            raise KeyboardInterrupt

    places = {"home": tmp_path / "home", "cache": tmp_path / "cache", "tell": told.append}
    with pytest.raises(KeyboardInterrupt):
        simulate(plan, rows(150), rows(30), **places | {"tell": cut_off})
    first = simulate(plan, rows(150), rows(30), **places)
    told.clear()
    again = simulate(plan, rows(150), rows(30), **places)

    assert [result.quarter for result in first] == [0, 1, 2]
    assert all(0 < result.judgments <= 40 for result in first[1:])
    *before, last = trained_control(tmp_path / "home")
    assert before == [0, 0]
    assert 0 < last <= first[1].reviewed["control"]
    assert first[1].labels > first[0].labels
    assert sum(first[1].reviewed.values()) > 0
    assert again == first
    assert not [line for line in told if "train" in line]


def test_the_seed_has_the_same_number_of_every_label():
    """The split is balanced in the seed and deals the rest into equal quarters."""
    split = split_labeled(rows(90), seed_per_label=4, quarters=3, seed=1, cap=20)

    labels = [row.label for row in split.seed]
    assert {labels.count(label) for label in set(labels)} == {4}
    assert [len(part) for part in split.quarters] == [20, 20, 20]


def test_the_split_depends_on_the_seed_alone():
    """The same seed deals the same rows, another seed others."""
    one, same, other = (
        split_labeled(rows(90), seed_per_label=4, quarters=3, seed=seed, cap=None)
        for seed in (1, 1, 2)
    )

    assert one == same != other


def test_a_class_that_is_too_small_is_named():
    """A label with fewer rows than the seed wants is refused by name."""
    with pytest.raises(DataError, match="rare"):
        split_labeled(
            [*rows(30), LabeledRow("once", "rare")], seed_per_label=2, quarters=1, seed=0, cap=None
        )


def test_a_missing_column_names_the_columns_there_are(tmp_path):
    """The error says what to choose from."""
    path = tmp_path / "file.csv"
    path.write_text('text,intent\n"a, b\nc",x\n')
    with pytest.raises(DataError, match="label") as caught:
        read_labeled(path, text_column="text", label_column="label")

    assert "intent" in caught.value.next_step
    assert read_labeled(path, text_column="text", label_column="intent") == [
        LabeledRow("a, b\nc", "x")
    ]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("trainer")
def test_an_extraction_is_played_with_figures_of_every_field(tmp_path):
    """Answers of a file are the seed, the judgments and the measure, field by field."""
    workload = extraction()
    answers = [
        {"text": text, "answer": {"part": name, "urgency": ("low", "high")[number % 2]}}
        for number, (text, name) in enumerate(labeled(60))
    ]
    paths = {"train": tmp_path / "train.jsonl", "test": tmp_path / "test.jsonl"}
    for path, part in zip(paths.values(), (answers[:45], answers[45:]), strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    file = put_workload(tmp_path, workload)
    options = StudyOptions(**paths, workload=file, base=str(micro_base(workload).folder))
    rows, tested = (_read(options, path, load_workload(file)) for path in paths.values())
    assert rows[0].truth == answers[0]["answer"]
    plan = _plan(options, "random", "cluster_margin", 0, load_workload(file))
    recipe = {**plan.workload["training"], "epochs": 2, "learning_rate": 0.01, "batch_size": 8}
    changes = {"quarters": 1, "budget": 9, "workload": {**plan.workload, "training": recipe}}
    places = {"home": tmp_path / "home", "cache": tmp_path / "cache", "tell": str}
    first, last = simulate(replace(plan, **changes), rows, tested, **places)
    assert first.labels < last.labels <= first.labels + 9
    assert last.tfidf is None
    assert {path: score["expected"] for path, score in last.fields.items()} == {
        "part": 15,
        "urgency": 15,
    }
    assert 0 <= last.field_averages["micro"]["f1"] <= 1
    shown = io.StringIO()
    Console(file=shown, width=160).print(simulation._fields_table("random", [first, last]))
    assert "urgency" in shown.getvalue()
