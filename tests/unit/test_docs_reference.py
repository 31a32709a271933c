"""Every setting, workload key, command, event field, table and metric is on its generated page."""

import importlib.util
import re
from pathlib import Path

import msgspec
import pytest
from pydantic import BaseModel

from flywheel.cli.catalog import COMMANDS, load_command
from flywheel.events import FeedbackEvent, InferenceEvent
from flywheel.ingest.metrics import IngestMetrics
from flywheel.lake.tables import TABLES
from flywheel.settings import Settings
from flywheel.workload.model import Workload

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages():
    """Return the generated pages by name."""
    file = REPOSITORY / "docs/hooks/reference.py"
    spec = importlib.util.spec_from_file_location("reference", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: write() for name, write in module.PAGES.items()}


def rows(page):
    """Return the rows of a page's tables by the names in the first cell; the last cell is a list."""
    cells = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in page.splitlines()
        if line.startswith("| `")
    ]
    return {name: line[1:] for line in cells for name in re.findall(r"`([^`]+)`", line[0])}


def models(annotation):
    """Yield the pydantic models inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from models(part)


def keys(model, prefix=""):
    """Yield the paths of all keys below a section."""
    for name, field in model.model_fields.items():
        yield (path := f"{prefix}{field.alias or name}")
        within = "[]." if "tuple" in str(field.annotation) else "."
        for part in models(field.annotation):
            yield from keys(part, path + within)


def test_every_setting_has_its_type_and_meaning(pages):
    """A setting that is added is on the page, and cannot be added without a sentence."""
    lines = rows(pages["settings"])

    assert set(lines) == {f"FLYWHEEL_{name.upper()}" for name in Settings.model_fields}
    assert [name for name, (kind, _, meaning) in lines.items() if not (kind and meaning)] == []
    assert lines["FLYWHEEL_EVENT_LOG"][:2] == ["`sqlite` · `kafka`", "`sqlite`"]
    assert "as above" not in pages["settings"]


def test_every_workload_key_has_its_type_and_meaning(pages):
    """The same of the workload file, sections included."""
    lines = rows(pages["workload"])

    assert set(lines) == set(keys(Workload))
    assert [name for name, (kind, _, meaning) in lines.items() if not (kind and meaning)] == []
    assert lines["gates.margin"][:2] == ["number, at least 0, at most 1", "`0.05`"]
    assert lines["prompt"][:2] == ["string or section", "required"]
    assert "training.preference.beta" in lines
    assert "taxonomy.labels[].former_names" in lines


def test_every_command_and_option_is_on_the_page(pages):
    """Groups and their commands have a heading each, with every option."""
    for name in COMMANDS:
        command = load_command(name)
        inner = {f"{name} {key}": each for key, each in getattr(command, "commands", {}).items()}
        for words, each in {name: command, **inner}.items():
            assert f"{'###' if ' ' in words else '##'} {words}\n" in pages["cli"]
            section = pages["cli"].split(f"# {words}\n", 1)[1].split("\n## ", 1)[0]
            for option in (param for param in each.params if not param.hidden):
                if not hasattr(each, "commands"):
                    assert (
                        option.name == "help"
                        or all(f"`{opt}`" in section for opt in option.opts)
                        or (option.param_type_name == "argument")
                    )


@pytest.mark.parametrize("event", [InferenceEvent, FeedbackEvent])
def test_every_event_field_has_its_type_and_meaning(pages, event):
    """A field of the contract is on the page."""
    lines = rows(pages["events"])
    names = {field.name for field in msgspec.structs.fields(event)}

    assert names <= set(lines)
    assert [name for name in names if not lines[name][2]] == []


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_table_and_column_is_on_the_page(pages, table):
    """A table says what its rows are, and lists its columns with their types."""
    section = pages["lake"].split(f"## {table.name}\n", 1)[1].split("\n## ", 1)[0]

    assert table.description in section
    assert set(rows(section)) == set(table.schema.names)


def test_every_metric_is_on_the_page(pages):
    """What a scraper sees is on the page, with its labels."""
    lines = rows(pages["metrics"])
    names = {metric.name for metric in IngestMetrics().registry.collect()}
    names = {name for name in names if name.startswith("flywheel_")}

    assert {name.removesuffix("_total") for name in lines} >= names
    assert lines["flywheel_ingest_rows_total"][:2] == ["counter", "`topic`, `workload`"]
    assert lines["flywheel_ingest_lag_records"][:2] == ["gauge", "`partition`, `topic`"]


@pytest.mark.parametrize("page", ["explanation/failures.md", "how-to/kubernetes.md"])
def test_what_a_page_calls_proven_has_its_test(page):
    """Each test that it names is there, under this name."""
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", (REPOSITORY / "docs" / page).read_text()))
    files = (REPOSITORY / "tests").rglob("test_*.py")
    there = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert named
    assert named - there == set()
