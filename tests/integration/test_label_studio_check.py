"""`flywheel verify` looks into Label Studio: what people could delete or change there is found."""

import pytest

from flywheel.review.label_studio.annotators import add_annotator
from flywheel.review.label_studio.projects import projects_for_pull
from flywheel.usecases.verification import verify_deployment
from tests.fakes.label_studio_world import LabelStudioWorld
from tests.fakes.review_world import truth

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture
def world(tmp_path, label_studio):
    made = LabelStudioWorld(tmp_path / "home", label_studio)
    yield made
    made.close()


def _finding(world):
    return verify_deployment(world.platform).findings[f"Label Studio of {world.workload.id}"]


def test_verify_finds_what_was_changed_there(world):
    """A deleted task, a changed text and a withdrawn judgment; a pull takes the withdrawal in."""
    items = world.ask(1, 2, 3)
    add_annotator(world.client, "mia@example.com")
    for item in items:
        world.platform.desk.submit(world.workload, item.item_id, "mia@example.com", truth(1))
    world.collect()
    assert _finding(world) == "3 tasks, as they were sent"

    projects = projects_for_pull(world.client, world.workload)
    first, second, third = (projects.review.of_item(item.item_id)[0] for item in items)
    projects.review.withdraw(first["annotations"][0]["id"])
    projects.review.set_data(second["id"], second["data"] | {"text": "something else"})
    found = _finding(world)
    assert found.startswith("BROKEN: 1 tasks ask about another text")
    assert "1 judgments that were pulled are gone" in found
    projects.review.set_data(second["id"], second["data"])
    world.collect()
    assert _finding(world) == "3 tasks, as they were sent"
    projects.review.delete(third["id"])
    assert "1 items were asked and have no task" in _finding(world)
