"""Label Studio hurt while people review: nothing submitted is lost, nothing is asked twice."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flywheel.errors import ConfigurationError, IntegrityError, UnavailableError
from flywheel.review.label_studio.annotators import add_annotator
from flywheel.review.label_studio.client import LabelStudioClient
from flywheel.review.label_studio.provisioning import find_project
from flywheel.review.merging.collect import unreadable_annotations
from flywheel.usecases.observe import collect_reviews
from flywheel.wiring import Platform
from tests.fakes.label_studio_world import LabelStudioWorld
from tests.fakes.review_world import truth

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(600)]

ANN, BEN = "ann@plant.example", "ben@plant.example"


@pytest.fixture
def world(label_studio, tmp_path) -> Iterator[LabelStudioWorld]:
    """Yield a deployment of its own on the session's Label Studio."""
    world = LabelStudioWorld(tmp_path, label_studio)
    for email in (ANN, BEN):
        add_annotator(world.client, email)
    yield world
    world.close()


class Gate:
    """A door in front of Label Studio that lets calls in, and answers out only while it is open.

    ``broken_after`` names the start of the request whose answer is lost: Label Studio has done
    what was asked, and the caller never hears of it.
    """

    def __init__(self, url: str, broken_after: bytes = b"") -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._target, self._broken_after = (host, int(port)), broken_after
        self.lost = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(caller,), daemon=True).start()

    def _carry(self, caller: socket.socket) -> None:
        with caller, socket.create_connection(self._target) as server:
            loses = False
            while True:
                ready, _, _ = select.select([caller, server], [], [])
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is server and loses:
                        self.lost += 1
                        return
                    begins = bool(self._broken_after) and data.startswith(self._broken_after)
                    loses = loses or (source is caller and begins)
                    (server if source is caller else caller).sendall(data)


@contextmanager
def gate(url: str, broken_after: bytes = b"") -> Iterator[Gate]:
    """Yield a gate before a server."""
    opened = Gate(url, broken_after)
    try:
        yield opened
    finally:
        opened.close()


def through(world: LabelStudioWorld, url: str, token: str | None = None) -> Platform:
    """Return the deployment as it reaches Label Studio at another address or by another token."""
    token = token or world.settings.label_studio_token.get_secret_value()
    there = world.platform
    client = LabelStudioClient(url, token)
    return Platform(
        there.settings, there.clock, lake=there.lake, state=there.state, label_studio=client
    )


def ledger(world: LabelStudioWorld) -> dict[str, int]:
    """Count items, tasks, and annotations, once each."""
    lake, queue = world.platform.lake, world.platform.queue
    kept = lake.rows("SELECT count(DISTINCT annotation_id) AS n FROM annotations")[0]["n"]
    items = lake.rows("SELECT count(DISTINCT item_id) AS n FROM review_items")[0]["n"]
    return {"items": items, "tasks": queue.status(world.workload).items, "annotations": kept}


def test_down_while_items_are_pushed(world):
    """The push fails as something that passes; the next one puts every item there, once."""
    items = world.choose(*range(5))
    with pytest.raises(UnavailableError, match="does not answer"):
        through(world, "http://127.0.0.1:9").queue.push(world.workload, items)
    # The batch stands in the lake: collecting, which runs by itself, puts it there.
    world.collect()
    assert ledger(world) == {"items": 5, "tasks": 5, "annotations": 0}


def test_import_whose_answer_was_lost(world):
    """Label Studio took the import, we never heard of it: asking again makes no second task."""
    items = world.choose(*range(4))
    with gate(world.client.url, b"POST /api/projects/") as door:
        with pytest.raises(UnavailableError):
            through(world, door.url).queue.push(world.workload, items)
        assert door.lost == 1
    assert world.platform.queue.push(world.workload, items) == 0
    assert ledger(world) == {"items": 4, "tasks": 4, "annotations": 0}


def test_two_imports_at_once_leave_one_task_of_each_item(world):
    """An import that went on after we had given up on it is cleaned up by the next push."""
    items = world.ask(0, 1)
    project = find_project(world.client, world.workload)
    tasks = list(world.client.request(
        "GET", "/api/tasks/", params={"project": project.id, "fields": "all"}
    )["tasks"])  # fmt: skip
    late = [{"data": task["data"], "meta": task["meta"], "predictions": []} for task in tasks]
    world.client.request("POST", f"/api/projects/{project.id}/import", late)
    world.platform.desk.submit(world.workload, items[0].item_id, ANN, truth(0))
    assert world.platform.queue.push(world.workload, items) == 0
    world.collect()
    assert ledger(world) == {"items": 2, "tasks": 2, "annotations": 1}


def test_edited_and_deleted_after_they_were_taken_in(world):
    """Every version is kept; the correction follows the edit, and is withdrawn with the rest."""
    first, second = world.ask(0, 1)
    desk, workload = world.platform.desk, world.workload
    for item in (first, second):
        desk.submit(workload, item.item_id, ANN, "oil fault")
    world.collect()
    desk.submit(workload, first.item_id, ANN, "heat fault")
    desk.withdraw(workload, second.item_id, ANN)
    world.collect()
    assert world.correction(first.item_id)["output"] == '"heat fault"'
    assert world.correction(second.item_id)["status"] == "withdrawn"
    versions = world.platform.lake.rows(
        "SELECT item_id, output, deleted FROM annotations ORDER BY item_id, updated_at"
    )
    assert [(row["item_id"], row["output"], row["deleted"]) for row in versions] == [
        (first.item_id, '"oil fault"', False),
        (first.item_id, '"heat fault"', False),
        (second.item_id, '"oil fault"', False),
        (second.item_id, '"oil fault"', True),
    ]


def test_deleted_with_its_task(world):
    """No event tells of it: the judgment is found missing, and the item is asked again."""
    [item] = world.ask(0)
    desk, workload = world.platform.desk, world.workload
    desk.submit(workload, item.item_id, ANN, truth(0))
    world.collect()
    project = find_project(world.client, workload)
    [task] = world.client.request("GET", "/api/tasks/", params={"project": project.id})["tasks"]
    world.client.request("DELETE", f"/api/tasks/{task['id']}/")
    world.collect()
    assert world.correction(item.item_id)["status"] == "withdrawn"
    assert ledger(world) == {"items": 1, "tasks": 1, "annotations": 1}


def test_config_changed_by_hand(world):
    """Nothing more is sent into a form that we do not know; what was submitted is taken in."""
    world.ask(0)
    queue, workload = world.platform.queue, world.workload
    project = find_project(world.client, workload)
    config = project.raw["label_config"].replace('value="heat fault"', 'value="fire"')
    extra = '<Choices name="mood" toName="text"><Choice value="sad"/></Choices></View>'
    changed = config.rsplit("</View>", 1)[0] + extra
    world.client.request("PATCH", f"/api/projects/{project.id}/", {"label_config": changed})
    regions = [
        {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": [value]}}
        for name, value in (("label", "fire"), ("mood", "sad"))
    ]
    [task] = world.client.request("GET", "/api/tasks/", params={"project": project.id})["tasks"]
    path = f"/api/tasks/{task['id']}/annotations/"
    world.client.request("POST", path, {"result": regions, "lead_time": 2})

    with pytest.raises(IntegrityError, match="changed by hand"):
        queue.push(workload, world.choose(1))
    [found] = queue.pull(workload, None).annotations
    assert (found.kind, found.output) == ("unreadable", None)
    assert [region["value"]["choices"] for region in found.raw["result"]] == [["fire"], ["sad"]]

    # Also the collecting that runs by itself says so, once what people submitted is in.
    with pytest.raises(IntegrityError, match="changed by hand"):
        world.collect()
    # A label that the taxonomy never had is set aside with its author.
    [aside] = unreadable_annotations(world.platform.lake, workload)
    assert '"fire" is not and never was a label' in aside.reason
    assert ledger(world) == {"items": 2, "tasks": 1, "annotations": 1}


def test_an_answer_that_breaks_the_schema(world):
    """It is kept, told, and the item comes to somebody else."""
    [item] = world.ask(0)
    desk, workload = world.platform.desk, world.workload
    project = find_project(world.client, workload)
    [task] = world.client.request("GET", "/api/tasks/", params={"project": project.id})["tasks"]
    body = {"result": [], "lead_time": 1}
    world.client.request("POST", f"/api/tasks/{task['id']}/annotations/", body)
    report = world.collect()
    assert (report.annotations, report.unusable, report.corrections) == (1, 1, {})
    assert [one.item_id for one in desk.open_items(workload, BEN)] == [item.item_id]
    desk.submit(workload, item.item_id, BEN, truth(0))
    assert world.collect().corrections == {"accepted": 1}


def test_token_expired(world):
    """It is told with what to do, nothing is lost, and work goes on with the new token."""
    [item] = world.ask(0)
    world.platform.desk.submit(world.workload, item.item_id, ANN, truth(0))
    expired = through(world, world.client.url, "expired")
    with pytest.raises(ConfigurationError, match="does not take the token") as caught:
        collect_reviews(expired, world.workload)
    assert "FLYWHEEL_LABEL_STUDIO_TOKEN" in caught.value.next_step
    assert world.collect().corrections == {"accepted": 1}
    assert ledger(world) == {"items": 1, "tasks": 1, "annotations": 1}


def test_server_killed_while_people_answer(world, label_studio):
    """What was submitted before the kill is there after the start, in its last version."""
    first, second = world.ask(0, 1)
    desk, workload = world.platform.desk, world.workload
    desk.submit(workload, first.item_id, ANN, "heat fault")
    desk.submit(workload, first.item_id, ANN, truth(0))
    desk.submit(workload, second.item_id, ANN, truth(1))
    label_studio.services.kill("label-studio")
    try:
        with pytest.raises(UnavailableError):
            world.collect()
    finally:
        label_studio.services.start("label-studio")
    assert world.collect().corrections == {"accepted": 2}
    assert world.correction(first.item_id)["output"] == f'"{truth(0)}"'
    assert ledger(world) == {"items": 2, "tasks": 2, "annotations": 2}
