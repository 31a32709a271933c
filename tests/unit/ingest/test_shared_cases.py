"""The small inputs beside the checkout that once failed, each with its right outcome."""

import pytest

from flywheel.errors import DataError
from flywheel.events import EventContract
from flywheel.ingest.import_events import ImportOptions
from flywheel.ingest.import_records import import_records
from flywheel.ingest.labeled_file import read_labeled
from flywheel.ingest.seed_check import check_seed, explain_problems
from tests.conftest import REPOSITORY
from tests.fakes.event_makers import START, make_workload

_CASES = REPOSITORY.parent / "shared" / "cases"
pytestmark = pytest.mark.skipif(
    not _CASES.is_dir(), reason="the shared cases are not beside this checkout"
)
_TICKETS = (
    "Sales", "Billing & Invoices", "Bug report", "Data privacy / GDPR", "Cancellation",
    'Damaged "on arrival"', "Feature request", "Login <SSO>", "Praise 🎉", "Refund, return",
    "Shipping delay", "Legal",
)  # fmt: skip
_DEFECTS = {
    "type": "object",
    "required": ["category", "urgency"],
    "additionalProperties": False,
    "properties": {"category": {"type": "string"}, "urgency": {"enum": ["low", "high"]}},
}
# What does not land as one parsed answer a line.
_OTHERWISE = {
    "choice_null": "failed", "error_response": "failed", "response_null": "failed",
    "refusal": "refused",
}  # fmt: skip


def _labels(names):
    return {"labels": [{"id": f"l_{i}", "name": name} for i, name in enumerate(names)]}


def _tickets():
    return make_workload(id="tickets", taxonomy=_labels(_TICKETS))


def _defects():
    task = {"type": "extraction", "label_field": "category", "schema": _DEFECTS}
    taxonomy = _labels(["paint defect", "crack", "dent"])
    return make_workload(id="defects", task=task, taxonomy=taxonomy)


def _import(plane, name):
    path = _CASES / "import" / f"{name}.jsonl"
    body = path.read_text()
    workload = _defects() if "paint" in body or "scratch" in body else _tickets()
    return import_records(
        plane.log, plane.lake, workload, path, options=ImportOptions(),
        contract=EventContract([_tickets(), _defects()]), now=START,
    )  # fmt: skip


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (_CASES / "import").glob("*.jsonl")) or ["none"]
)
def test_each_log_has_its_right_outcome(plane, name):
    """Taken, told apart or named; and ingest takes what the report promised."""
    report = _import(plane, name)
    kinds = {kind: group.count for kind, group in report.answers.items()}
    if name == "openai_batch_output":
        assert "without its request: custom_id 'ticket-77'" in report.dead["no_input"].example
    elif name == "dupid":
        assert (kinds, report.imported_before.count) == ({"parsed": 1}, 1)
    else:
        assert kinds == {_OTHERWISE.get(name, "parsed"): report.lines}
    if name in ("openai_finetune_format", "choice_null"):
        assert report.without_time.lines == [1]
    landed = plane.ingest(_tickets(), _defects()).run_once()
    assert landed.landed.total() == report.events


def test_tuesday_brings_what_monday_had_not(plane):
    """A call counts once."""
    assert _import(plane, "export_monday").events == 20
    tuesday = _import(plane, "export_tuesday")
    assert (tuesday.events, tuesday.imported_before.count) == (20, 20)


@pytest.mark.parametrize(
    ("name", "rows", "problems"),
    [
        ("clean", 597, []),
        ("dirty", 598, ["lines 7, 643: one text", "line 325: no label", "line 327: no text"]),
        ("semicolon", 598, ["lines 7, 643: one text", "line 325: no label", "line 327: no text"]),
        ("headspace", 1, []),
        ("upper", 1, []),
        ("case", 1, []),
        ("nbsp", 1, []),
        ("badquote", 0, ["line 2: not valid CSV"]),
        ("conflict", 0, ["lines 2, 3: one text with different answers"]),
    ],
)
def test_each_table_has_its_right_outcome(name, rows, problems):
    """All problems at once, with the lines of the file; spellings are read and named."""
    path = next((_CASES / "csv").glob(f"{name}.*"))
    tickets = name in ("clean", "dirty", "semicolon")
    workload = _tickets() if tickets else _defects()
    label = "label" if tickets else "category"
    read = read_labeled(path, workload, text="text", label=label, fields={})
    check = check_seed(workload, read.rows, {})
    said = explain_problems([*read.problems, *check.problems])
    assert len(check.new) == rows
    assert len(said) == len(problems)
    for words in problems:
        assert any(one.startswith(words) or words in one for one in said)
    if name in ("case", "nbsp"):
        assert [taken for _, taken in check.respelled] == ["paint defect"]


def test_a_column_that_is_there_twice_is_refused():
    """With its places."""
    with pytest.raises(DataError, match=r"more than once: text \(columns 1 and 4\)"):
        read_labeled(_CASES / "csv" / "duphead.csv", _defects(), text="text", label=None, fields={})
