"""A workload of three labels, for processes too that load no more than a workload needs."""

from typing import Any

from flywheel.workload.model import Workload, parse_workload

__all__ = ["LABELS", "make_workload"]

LABELS = ("scratch", "dent", "stain")


def make_workload(workload_id: str, **changes: Any) -> Workload:
    """Return a classification of three labels owned by ann."""
    raw: dict[str, Any] = {
        "id": workload_id,
        "owner": "ann",
        "description": "Sorts <b>defects</b>.",
        "task": {"type": "classification"},
        "taxonomy": {"labels": [{"id": name, "name": name} for name in LABELS]},
        "prompt": "{input}\nDefect: ",
        "base_model": "tiny",
        "gates": {"margin": 0.05},
    }
    return parse_workload(raw | changes, source="test")
