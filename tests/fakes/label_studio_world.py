"""A deployment whose people review in a real Label Studio: settings, workload file, lake, projects."""

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from flywheel.clock import ManualClock
from flywheel.ports.review_queue import ReviewItem
from flywheel.review.label_studio.annotators import add_annotator
from flywheel.review.label_studio.provisioning import find_project, provision
from flywheel.review.merging.collect import MergeReport
from flywheel.review.sampling.sent_items import item_rows
from flywheel.settings import load_settings
from flywheel.usecases.observe import collect_reviews
from flywheel.wiring import Platform
from flywheel.workload.model import Workload
from tests.fakes.review_items import review_item
from tests.fakes.review_queues import remove_projects
from tests.fakes.review_world import END, START, answer, classification, put_answers
from tests.fakes.workload_file import put_workload


class LabelStudioWorld:
    """One workload of its own, and what a test does to it."""

    def __init__(self, home: Path, server: Any, **workload: Any) -> None:
        made = classification(id=f"w{uuid.uuid4().hex[:10]}", **workload)
        folder = home / "workloads"
        put_workload(folder, made)
        self.settings = load_settings(home=home, workloads=folder, **server.settings)
        self.clock = ManualClock(END)
        self.platform = Platform(self.settings, self.clock)
        self.workload: Workload = self.platform.workload(made.id)
        self.client = self.platform.label_studio
        self.pushed = 0
        provision(self.client, self.workload)

    def close(self) -> None:
        """Delete the projects and close the stores."""
        remove_projects(self.client, self.workload.id)
        self.platform.close()

    def ask(self, *numbers: int, **changes: Any) -> list[ReviewItem]:
        """Land answers, choose them as a batch would, and push them."""
        items = self.choose(*numbers, **changes)
        self.platform.queue.push(self.workload, items)
        return items

    def choose(self, *numbers: int, **changes: Any) -> list[ReviewItem]:
        """Land answers and keep them as review items, as a batch does before it pushes them."""
        answers = [answer(number) for number in numbers]
        put_answers(self.platform.lake, self.workload, answers, offset=self.pushed)
        self.pushed += len(answers)
        items = [
            review_item(
                self.workload,
                number,
                **{"input": said["input"], "model_output": said["output"]} | changes,
            )
            for number, said in zip(numbers, answers, strict=True)
        ]
        times = {item.inference_id: START + timedelta(minutes=1) for item in items}
        self.platform.lake.append("review_items", item_rows(items, times))
        return items

    def collect(self) -> MergeReport:
        """Pull and merge, a minute later."""
        self.clock.move_to(self.clock.now() + timedelta(minutes=1))
        return collect_reviews(self.platform, self.workload)

    def correction(self, item_id: str) -> dict[str, Any] | None:
        """Return the latest correction of an item."""
        query = "SELECT * FROM latest_corrections WHERE correction_id = $id"
        rows = self.platform.lake.rows(query, {"id": item_id})
        return rows[0] if rows else None

    def annotator(self, email: str) -> tuple[str, str]:
        """Make an account of a name that no other test has; return its address and password."""
        made = add_annotator(self.client, f"{uuid.uuid4().hex[:6]}.{email}")
        assert made is not None
        return made.email, made.password

    def stream(self) -> str:
        """Return the page on which one item follows the other."""
        project = find_project(self.client, self.workload)
        assert project is not None
        return f"/projects/{project.id}/data?labeling=1"
