"""What the tiny base cannot do is said before any time is spent."""

from pathlib import Path
from typing import Any

import pytest

from flywheel.basemodel import build_base
from flywheel.basemodel.fit import check_tiny_fits, copied_fields
from flywheel.errors import ConfigurationError
from flywheel.workload.model import Workload, parse_workload
from tests.fakes.micro_base import classification, extraction, texts
from tests.fakes.replies import replies


def invoices(**task: Any) -> Workload:
    """Return an extraction whose values are copied from the text."""
    properties = {"vendor": {"type": "string"}, "total": {"type": "number"}}
    schema = {"type": "object", "properties": properties | task.pop("more", {})}
    return parse_workload(
        {
            "id": "invoices",
            "owner": "tests",
            "prompt": "{input}",
            "task": {"type": "extraction", "schema": schema, **task},
        },
        source="test",
    )


def test_task_without_labels_is_refused_at_once(tmp_path: Path):
    """The error comes before anything is trained, and names the base that can."""
    with pytest.raises(ConfigurationError, match="vendor, total") as caught:
        build_base("tiny", workload=invoices(), texts=texts(), cache=tmp_path)
    assert "smollm2" in str(caught.value.next_step)
    assert list(tmp_path.iterdir()) == []


def test_fields_that_are_copied_are_named():
    """A task that is a choice in part is built, with a word on the rest."""
    raw = classification().model_dump(mode="json", by_alias=True)
    schema = {
        "type": "object",
        "properties": {"part": {"type": "string"}, "note": {"type": "string"}},
    }
    task = {"type": "extraction", "schema": schema, "label_field": "part"}
    noted = parse_workload({**raw, "task": task}, source="test")
    assert copied_fields(noted) == ("note",)
    assert "note of parts will be wrong" in str(check_tiny_fits(noted))


@pytest.mark.parametrize("workload", [classification(), extraction()], ids=lambda w: w.id)
def test_choices_fit(workload: Workload):
    """Labels and listed values are what the tiny base is made for."""
    assert check_tiny_fits(workload) is None


def test_a_generation_is_refused():
    """The tiny base was never taught to write."""
    with pytest.raises(ConfigurationError, match="it cannot write texts"):
        check_tiny_fits(replies())
