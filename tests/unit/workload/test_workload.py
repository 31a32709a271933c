from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from flywheel.deployment.csv_labels import labels_in_csv
from flywheel.deployment.workload_text import golden_size, workload_text
from flywheel.errors import ConfigurationError, DataError, NotFoundError
from flywheel.workload import files as workload_module
from flywheel.workload.files import load_workload, load_workload_of, load_workloads
from flywheel.workload.model import GateRules, Workload, parse_workload


def _raw(**changes):
    return {
        "id": "tickets",
        "owner": "support",
        "task": {"type": "classification"},
        "prompt": "{input}",
        "taxonomy": {"labels": [{"id": "a", "name": "A"}, {"id": "b", "name": "B"}]},
    } | changes


def test_the_demos_workload_loads(repository):
    """Its golden set is as small as a demo allows, and its gates are the default ones."""
    found = load_workloads(repository / "deploy" / "workloads")
    workload = found["defect_reports"]
    assert workload.golden_size == 250
    assert workload.gates == GateRules()
    assert workload.output_schema["properties"]["category"]["enum"] == list(workload.taxonomy.names)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"cadance": "monthly"}, ["cadance", "unknown key", "cadence"]),
        ({"cadence": "weekly"}, ["cadence", "'monthly', 'quarterly' or 'yearly'", "weekly"]),
        ({"review": {"bugdet": 3}}, ["review.bugdet", "budget", "overlap"]),
        ({"review": {"shares": {"control": 0.9}}}, ["review.shares", "add up to 1.65"]),
        ({"review": {"strategy": "k_center"}}, ["review.strategy", "cluster_margin", "random"]),
        ({"task": {"type": "chat"}}, ["task", "'classification', 'extraction'"]),
        ({"task": {"type": "classification", "x": 1}}, ["task.classification.x", "type"]),
        ({"id": "Bad-Id"}, ["id", "pattern"]),
        ({"prompt": "no slot"}, ["{input} exactly once"]),
        ({"gates": {"margin": 2}}, ["gates.margin", "less than or equal to 1"]),
        ({"drift": {"windows": 0}}, ["drift.windows", "greater than or equal to 1"]),
        ({"taxonomy": None}, ["taxonomy: required"]),
        (
            {"task": {"type": "extraction", "schema": {"type": "array"}}},
            ["type object and have properties"],
        ),
        (
            {
                "task": {
                    "type": "extraction",
                    "label_field": "kind",
                    "schema": {"type": "object", "properties": {"color": {"type": "string"}}},
                }
            },
            ["label_field 'kind' is not one of color"],
        ),
    ],
)
def test_an_error_names_the_key_and_what_is_allowed(changes, parts):
    """Who wrote the file can correct it without reading code."""
    with pytest.raises(ConfigurationError) as caught:
        parse_workload(_raw(**changes), source="tickets.yaml")
    for part in ["tickets.yaml", *parts]:
        assert part in caught.value.message


def test_the_revision_changes_with_the_content_alone():
    """Key order and spelled-out defaults do not matter."""
    first = parse_workload(_raw(), source="x")
    assert parse_workload(dict(reversed(_raw().items())), source="x").revision == first.revision
    assert parse_workload(_raw(cadence="quarterly"), source="x").revision == first.revision
    assert parse_workload(_raw(cadence="monthly"), source="x").revision != first.revision


def test_a_snapshot_of_a_workload_reads_back(repository):
    """A cycle keeps the workload as data."""
    workload = load_workload(repository / "deploy" / "workloads" / "defect_reports.yaml")
    again = Workload.model_validate(workload.model_dump(mode="json", by_alias=True))
    assert again == workload
    assert again.revision == workload.revision


def test_files_that_are_no_workloads_are_refused(tmp_path):
    """Missing, not YAML, not a mapping, named otherwise than its id."""
    with pytest.raises(NotFoundError, match="no workload file"):
        load_workload(tmp_path / "none.yaml")
    path = tmp_path / "other.yaml"
    for text, message in (("a: [", "not readable YAML"), ("- 1", "no mapping")):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=message):
            load_workload(path)
    path.write_text(yaml.safe_dump(_raw()))
    with pytest.raises(ConfigurationError, match="holds the workload 'tickets'") as caught:
        load_workloads(tmp_path)
    assert "tickets.yaml" in caught.value.next_step


@pytest.mark.parametrize("task", ["classification", "extraction"])
def test_a_new_file_loads_and_shows_every_key(task):
    """What `flywheel init` writes is complete, commented, and equal to the defaults."""
    text = workload_text("tickets", owner="support", task=task, labels=["no: 1", "yes", "# 3"])
    raw = yaml.safe_load(text)
    workload = parse_workload(raw, source="new")
    assert set(raw) == set(Workload.model_fields)
    for group in ("review", "drift", "trigger", "gates", "training", "limits"):
        assert set(raw[group]) == set(type(getattr(workload, group)).model_fields)
        assert getattr(workload, group) == Workload.model_fields[group].default
    assert workload.taxonomy is not None
    assert workload.taxonomy.names == ("no: 1", "yes", "# 3")
    assert text.count("#") > 25


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    """Return a labeled file with a line break inside quotes."""
    path = tmp_path / "labels.csv"
    path.write_text('text,intent\n"a\nb",late\nc,lost\nd,late\ne,\n')
    return path


def test_labels_come_from_a_csv_the_most_frequent_first(csv_file):
    """A row without a label is named with its line, or left out on demand."""
    with pytest.raises(DataError, match="line 6: no label"):
        labels_in_csv(csv_file, "intent")
    assert labels_in_csv(csv_file, "intent", skip_bad=True) == {"late": 2, "lost": 1}


def test_spellings_of_a_label_are_one(tmp_path):
    """Case and blanks make no label of their own; the most frequent spelling stays."""
    path = tmp_path / "labels.csv"
    path.write_text(
        "label;n\nSales;1\n sales ;2\nSales;3\nLate\u00a0now;4\nlate now;5\nlate now;6\n"
    )
    assert labels_in_csv(path, "label") == {"Sales": 3, "late now": 3}


def test_a_csv_without_usable_labels_is_refused(csv_file, tmp_path):
    """The error names the columns there are."""
    with pytest.raises(DataError, match="no column 'label'") as caught:
        labels_in_csv(csv_file, "label")
    assert "text, intent" in caught.value.next_step
    with pytest.raises(NotFoundError):
        labels_in_csv(tmp_path / "none.csv", "label")
    single = tmp_path / "single.csv"
    single.write_text("label\nx\nx\n")
    with pytest.raises(DataError, match="1 different labels"):
        labels_in_csv(single, "label")


def test_init_and_taxonomy_add_on_the_command_line(tmp_path, csv_file, monkeypatch):
    """A file is written once, with the labels of the CSV; labels can be added to it."""
    from flywheel.cli.workloads import app

    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path / "workloads"))
    arguments = ["init", "tickets", "--from-csv", str(csv_file), "--label-column", "intent"]
    refused = CliRunner().invoke(app, arguments)
    assert "line 6: no label" in str(refused.exception)
    arguments.append("--skip-bad")
    assert CliRunner().invoke(app, arguments).exit_code == 0
    path = tmp_path / "workloads" / "tickets.yaml"
    assert load_workload(path).output_schema == {"enum": ["late", "lost"]}
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, ConfigurationError)
    result = CliRunner().invoke(app, ["taxonomy", "add", "tickets", "stolen"])
    assert "version 2" in result.stdout
    assert load_workload(path).output_schema == {"enum": ["late", "lost", "stolen"]}


@pytest.mark.parametrize("written", ["12:30", "'12:30'"])
def test_a_time_of_day_needs_no_quotes(written):
    """YAML reads an unquoted 12:30 as a number in base 60."""
    raw = yaml.safe_load(workload_text("parts", owner="ann"))
    raw |= yaml.safe_load(f"daily: {{observe: {written}}}")

    assert parse_workload(raw, source="test").daily.observe == "12:30"


def test_a_wrong_time_of_day_is_refused():
    """There is no half past 25."""
    raw = yaml.safe_load(workload_text("parts", owner="ann")) | {"daily": {"observe": "25:30"}}
    with pytest.raises(ConfigurationError, match=r"daily\.observe"):
        parse_workload(raw, source="test")


def test_golden_size_follows_margin_power_and_discordance():
    """What `init` writes is the number that the gate's own test needs, rounded up."""
    assert golden_size(0.1) == Workload.model_fields["golden_size"].default == 450
    raw = yaml.safe_load(workload_text("parts", owner="ann", discordance=0.2))
    assert raw["golden_size"] == golden_size(0.2) > 2 * 400
    narrow = GateRules(margin=0.03)
    assert golden_size(0.1, narrow) > 2 * golden_size(0.1)
    with pytest.raises(ConfigurationError, match="margin of 0"):
        golden_size(0.1, GateRules(margin=0.0))


def test_workload_file_of_an_earlier_version_loads():
    """Gates as version 0.1 wrote them keep what they say; what came later has its default."""
    gates = {
        "margin": 0.03, "holdout_margin": 0.1, "significance": 0.05, "power": 0.8,
        "slice_floor": 0.1, "slice_minimum": 20, "must_not_lose": 0.98, "schema_validity": 0.99,
        "latency_ratio": 1.5, "approval_days": 7,
    }  # fmt: skip
    workload = parse_workload(_raw(gates=gates), source="test")
    assert workload.gates.model_dump(include=set(gates)) == gates
    assert (workload.gates.minimum_accuracy, workload.gates.first_must_be_better) == (0.5, True)


@pytest.fixture
def checks(monkeypatch):
    """Return the ids of the workloads that were parsed and checked, in order."""
    checked = []
    inner = workload_module.parse_workload

    def note(raw, *, source):
        checked.append(raw["id"])
        return inner(raw, source=source)

    monkeypatch.setattr(workload_module, "parse_workload", note)
    return checked


def _write(folder, workload_id, **changes):
    path = folder / f"{workload_id}.yaml"
    path.write_text(yaml.safe_dump(_raw(id=workload_id, **changes)), encoding="utf-8")


def test_one_workload_is_one_file_read(tmp_path, checks):
    """Asking for a workload checks its own file, however many lie beside it, broken ones too."""
    for number in range(5):
        _write(tmp_path, f"w{number}")
    (tmp_path / "broken.yaml").write_text("id: [", encoding="utf-8")

    assert load_workload_of(tmp_path, "w3").id == "w3"
    assert checks == ["w3"]
    with pytest.raises(NotFoundError, match="w9"):
        load_workload_of(tmp_path, "../w9")


def test_a_file_is_checked_again_once_it_has_changed(tmp_path, checks):
    """Loading two hundred unchanged files at every tick costs reading them."""
    for number in range(5):
        _write(tmp_path, f"w{number}")
    for _ in range(3):
        load_workloads(tmp_path)
    assert len(checks) == 5
    _write(tmp_path, "w2", owner="somebody-else")
    assert load_workloads(tmp_path)["w2"].owner == "somebody-else"
    assert checks[5:] == ["w2"]


def test_a_file_of_four_thousand_labels_becomes_a_workload(tmp_path):
    """As one of the seeds has: the text loads, and every label is there."""
    csv_file = tmp_path / "labels.csv"
    names = [f"late parcel {number:04d}" for number in range(4_000)]
    csv_file.write_text("label\n" + "\n".join(names) + "\n")
    labels = list(labels_in_csv(csv_file, "label"))
    path = tmp_path / "many.yaml"
    path.write_text(workload_text("many", owner="owner", labels=labels))
    taxonomy = load_workload(path).taxonomy
    assert taxonomy is not None
    assert sorted(taxonomy.names) == names
