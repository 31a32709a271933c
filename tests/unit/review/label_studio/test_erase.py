"""Erasing a person's answers in Label Studio: tasks go, and other tasks stop showing the texts."""

from types import SimpleNamespace

import pytest

from flywheel.clock import ManualClock
from flywheel.review.label_studio import queue as module
from flywheel.review.sampling.neighbor_lines import neighbor_line, without_texts
from tests.fakes.review_world import END, classification


class Tasks:
    """The tasks of a project."""

    def __init__(self, data) -> None:
        self.data = dict(enumerate(data))

    def stubs(self):
        """Yield the tasks."""
        for number, data in self.data.items():
            yield {"id": number, "data": data}

    def delete(self, task):
        """Remove one."""
        del self.data[task]

    def set_data(self, task, data):
        """Change one."""
        self.data[task] = data


@pytest.fixture
def tasks(monkeypatch):
    shown = "\n".join([neighbor_line("oil", "a  long " * 40), neighbor_line("heat", "hot")])
    ours = {"workload_id": "defects", "neighbors": "none"}
    found = Tasks(
        [
            ours | {"item_id": "a", "inference_id": "i1"},
            ours | {"item_id": "b", "inference_id": "i2", "neighbors": shown},
            {"item_id": "c", "inference_id": "i1", "workload_id": "another"},
        ]
    )
    projects = SimpleNamespace(all=lambda: iter([found]))
    monkeypatch.setattr(module, "projects_for_pull", lambda *_: projects)
    return found


def test_tasks_and_lines_beside_others_go(tasks):
    """A task of another workload with the same call stays."""
    queue = module.LabelStudioReviewQueue(None, ManualClock(END), seen=lambda _: ())
    assert queue.erase(classification(), {"i1"}, {"a  long " * 40}) == 1
    assert sorted(tasks.data) == [1, 2]
    assert tasks.data[1]["neighbors"] == neighbor_line("heat", "hot")


def test_no_text_takes_no_line():
    """Without texts the lines stay as they are."""
    assert without_texts("a\nb ← c", set()) == "a\nb ← c"
