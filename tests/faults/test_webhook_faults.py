"""Webhooks of a real Label Studio: forged, doubled, lost, too many, too large, too early, too late.

A hint makes the question come sooner; what is answered never depends on one.
"""

import base64
import hashlib
import hmac
import json
import signal
import socket
import sqlite3
import time
import uuid
from contextlib import AbstractContextManager, closing, suppress
from urllib.parse import urlsplit

import pytest

from flywheel.deployment.programs import run_applications
from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.io.patience import Patience
from flywheel.review.label_studio.annotators import add_annotator
from flywheel.review.label_studio.client import LabelStudioClient
from flywheel.review.label_studio.provisioning import HEADER, WebhookTarget, provision
from flywheel.review.merging.annotations import read_annotations
from flywheel.review.queues.label_studio_format import result_of, task_of
from flywheel.review.sampling.batches import sample_batch
from flywheel.services.label_studio_account import Account, sign_in
from flywheel.services.supervisor.renewal import renew_token
from flywheel.services.supervisor.status import statuses
from flywheel.settings import CONNECTIONS, load_settings
from flywheel.usecases.observe import collect_reviews
from flywheel.wiring import Platform
from flywheel.workload.model import Workload
from tests.fakes.dagster_programs import REPOSITORY
from tests.fakes.review_items import review_item
from tests.fakes.review_world import END, START, answer, classification, put_answers, truth
from tests.fakes.waiting import wait_until
from tests.fakes.webhook_receiver import SECONDS, ReceiverProcess

pytestmark = [pytest.mark.services, pytest.mark.slow]

HUNDRED_MB = 100_000_000


@pytest.fixture
def workload() -> Workload:
    """Return a workload that no other test has."""
    review = {"budget": 60, "overlap": 0.0}
    return classification(id=f"w{uuid.uuid4().hex[:10]}", review=review)


@pytest.fixture
def client(label_studio):
    """Yield a client with the service's own token."""
    client = LabelStudioClient(label_studio.url, label_studio.token)
    yield client
    client.close()


@pytest.fixture(scope="module")
def own_label_studio(module_services):
    """Return a set of services whose Label Studio these tests may hurt."""
    return module_services("label-studio")


@pytest.fixture
def receiver(tmp_path, label_studio, workload):
    """Yield a receiver that does not run yet, at the address that Label Studio calls."""
    made = ReceiverProcess(tmp_path, label_studio, workload)
    yield made
    made.stop()
    made.state.close()


@pytest.fixture
def task(label_studio, client, workload) -> str:
    """Return the path of a task in a project whose webhook is the receiver's."""
    target = WebhookTarget(label_studio.webhook_url, label_studio.webhook_secret)
    project = provision(client, workload, target).project
    client.request("POST", f"/api/projects/{project.id}/import", _tasks(workload, 1))
    found = client.request("GET", "/api/tasks/", params={"project": project.id})
    return f"/api/tasks/{found['tasks'][0]['id']}"


def _tasks(workload: Workload, count: int) -> list[dict]:
    items = [review_item(workload, number) for number in range(count)]
    return [{"data": task_of(workload, item)["data"]} for item in items]


def _annotate(client: LabelStudioClient, workload: Workload, task: str, label="oil fault") -> int:
    result = result_of(workload, label)
    return int(client.request("POST", f"{task}/annotations/", {"result": result})["id"])


def test_what_an_annotator_does_arrives_as_a_hint(receiver, client, task):
    """Label Studio itself tells of a new, a changed and a deleted annotation, and of the project."""
    receiver.start()
    annotation = _annotate(client, receiver.workload, task)
    wait_until(lambda: receiver.actions() == {"ANNOTATION_CREATED"}, "the first hint")
    client.request("PATCH", f"/api/annotations/{annotation}/", {"lead_time": 3.0})
    client.request("DELETE", f"/api/annotations/{annotation}/")
    told = {"ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED"}
    wait_until(lambda: receiver.actions() == told, "the other hints")
    project = client.request("GET", task)["project"]
    client.request("PATCH", f"/api/projects/{project}/", {"color": "#123456"})
    wait_until(lambda: "PROJECT_UPDATED" in receiver.actions(), "the project's hint")


def test_a_receiver_that_is_away_costs_the_annotator_nothing(receiver, client, task):
    """The judgment is taken although nobody hears of it; the next one is told again."""
    patience = Patience(10)
    _annotate(client, receiver.workload, task)
    assert not patience.is_over
    assert client.request("GET", task)["total_annotations"] == 1
    assert receiver.actions() == set()
    receiver.start()
    _annotate(client, receiver.workload, task, "heat fault")
    wait_until(lambda: receiver.actions() == {"ANNOTATION_CREATED"}, "the hint")


def test_a_frozen_receiver_holds_the_annotator_no_longer_than_its_second(receiver, client, task):
    """Label Studio gives up, keeps the judgment, and what waited is taken when it goes on."""
    receiver.start()
    receiver.process.send_signal(signal.SIGSTOP)
    patience = Patience(15)
    _annotate(client, receiver.workload, task)
    assert not patience.is_over
    receiver.process.send_signal(signal.SIGCONT)
    wait_until(lambda: receiver.call("GET", "/healthz") == 200, "the receiver")
    assert client.request("GET", task)["total_annotations"] == 1


def test_a_killed_receiver_has_kept_what_it_answered(receiver):
    """Every call that was answered with 200 before a kill -9 is in the inbox after it."""
    receiver.start()
    path, word = urlsplit(receiver.url).path, receiver.secret
    assert receiver.call("POST", path, b'{"action": "ANNOTATION_UPDATED"}', word) == 200
    receiver.stop(signal.SIGKILL)
    assert receiver.actions() == {"ANNOTATION_UPDATED"}


def test_forged_doubled_and_disordered_calls(receiver):
    """Forged ones leave nothing; doubled and disordered ones leave one question."""
    receiver.start()
    path, word = urlsplit(receiver.url).path, receiver.secret
    created, deleted = b'{"action": "ANNOTATION_CREATED"}', b'{"action": "ANNOTATIONS_DELETED"}'
    assert [receiver.call("POST", path, created, f"{word}x") for _ in range(3)] == [401] * 3
    assert receiver.call("POST", path, created) == 401
    assert receiver.state.inbox.pending() == {}
    calls = [deleted, created, created, deleted, created]
    assert [receiver.call("POST", path, body, word) for body in calls] == [200] * 5
    pending = receiver.state.inbox.pending()[receiver.workload.id]
    receiver.state.inbox.finish(receiver.workload.id, pending.newest)
    assert receiver.state.inbox.pending() == {}


def test_a_body_of_100_mb_is_not_read(receiver):
    """It is refused by its head, with and without the secret; memory stays where it was."""
    receiver.start()
    before = receiver.memory
    for word, status in ((receiver.secret, 413), ("forged", 401)):
        assert _send(receiver, word, HUNDRED_MB) == status
    assert receiver.memory - before < HUNDRED_MB / 4
    assert receiver.actions() == set()
    assert receiver.call("GET", "/healthz") == 200


def _send(receiver: ReceiverProcess, word: str, length: int) -> int:
    path, chunk = urlsplit(receiver.url).path, b"x" * 1_000_000
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\n{HEADER}: {word}\r\nContent-Length: {length}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", receiver.port), SECONDS) as caller:
        caller.sendall(head.encode())
        answer = caller.recv(100)
        # Who goes on sending is cut off: nobody reads.
        with suppress(ConnectionError):
            for _ in range(length // len(chunk)):
                caller.sendall(chunk)
    return int(answer.split()[1])


def test_too_many_calls_are_refused_and_leave_one_question(receiver):
    """Beyond the limit the answer is 429; what was taken is still one look at the project."""
    receiver.start()
    path, word = urlsplit(receiver.url).path, receiver.secret
    answers = [receiver.call("POST", path, b"{}", word) for _ in range(300)]
    assert set(answers) <= {200, 429}
    assert answers[0] == 200
    assert receiver.call("GET", "/healthz") == 200
    assert receiver.actions() == {"OTHER"}


def test_an_expired_token_says_what_to_do(own_label_studio):
    """A token past its end is told from one that is wrong nowhere: both are renewed the same way.

    One that was revoked is renewed, and a client that holds it goes on with the new one.
    """
    services = own_label_studio
    found = services.connections.settings()
    old = LabelStudioClient(
        found["label_studio_url"],
        found["label_studio_token"],
        renewed=lambda: services.connections.settings()["label_studio_token"],
    )
    assert old.request("GET", "/api/current-user/whoami")
    key = (services.layout.secrets / "label_studio_key").read_text()
    step = _refused(found["label_studio_url"], _expired(found["label_studio_token"], key))
    assert "flywheel services up label-studio" in step
    assert not renew_token(services.folder)
    _revoke(services, found)
    _refused(found["label_studio_url"], found["label_studio_token"])
    assert renew_token(services.folder)
    new = services.connections.settings()["label_studio_token"]
    assert new != found["label_studio_token"]
    assert new in (services.folder / CONNECTIONS).read_text()
    assert old.call(lambda studio: studio.users.whoami()).email == "flywheel@localhost"
    old.close()


def _refused(url: str, token: str) -> str:
    client = LabelStudioClient(url, token)
    with closing(client), pytest.raises(ConfigurationError, match="token") as caught:
        client.request("GET", "/api/current-user/whoami")
    return caught.value.next_step


def _revoke(services, found: dict[str, str]) -> None:
    word = (services.layout.secrets / "label_studio_password").read_text()
    body = {"refresh": found["label_studio_token"]}
    with sign_in(Account(found["label_studio_url"], "flywheel@localhost", word)) as session:
        session.call("POST", "/api/token/blacklist/", body).require(204)


def _expired(token: str, key: str) -> str:
    """Sign the token's claims again with an end in the past, as the server's own key allows."""
    head, claims, _ = token.split(".")
    past = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    past |= {"exp": int(time.time()) - 60}
    body = base64.urlsafe_b64encode(json.dumps(past).encode()).decode().rstrip("=")
    digest = hmac.new(key.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


_LAST_OF_TOKENS = "0002_alter_jwtsettings_api_tokens_enabled_and_more"


def _migrations(services) -> set[tuple[str]]:
    """Return the names of the migrations of its tokens that its database has."""
    with _database(services) as database:
        names = database.execute("SELECT name FROM django_migrations WHERE app = 'jwt_auth'")
        return set(names.fetchall())


def _lose_a_migration(services) -> None:
    """Make its database one of an earlier version: a migration that changes no table has not run."""
    with _database(services) as database:
        database.execute("DELETE FROM django_migrations WHERE name = ?", [_LAST_OF_TOKENS])
        database.commit()
    assert _migrations(services) == {("0001_initial",)}


def _database(services) -> AbstractContextManager[sqlite3.Connection]:
    return closing(
        sqlite3.connect(services.layout.folder / "label-studio" / "label_studio.sqlite3")
    )


def test_label_studio_comes_back_with_every_judgment(own_label_studio, workload):
    """Killed in the middle of its work, it has the annotations that it had answered for.

    A database of an earlier version is brought up to date on the way.
    """
    services = own_label_studio
    found = services.connections.settings()
    client = LabelStudioClient(found["label_studio_url"], found["label_studio_token"])
    project = provision(client, workload).project
    client.request("POST", f"/api/projects/{project.id}/import", _tasks(workload, 5))
    tasks = client.request("GET", "/api/tasks/", params={"project": project.id})["tasks"]
    made = {_annotate(client, workload, f"/api/tasks/{task['id']}") for task in tasks}
    services.kill("label-studio")
    with pytest.raises(UnavailableError) as caught:
        client.request("GET", f"/api/projects/{project.id}/")
    assert "flywheel services up label-studio" in caught.value.next_step
    _lose_a_migration(services)
    services.start("label-studio")
    assert _migrations(services) == {("0001_initial",), (_LAST_OF_TOKENS,)}
    tasks = client.request("GET", "/api/tasks/", params={"project": project.id, "fields": "all"})
    kept = {annotation["id"] for task in tasks["tasks"] for annotation in task["annotations"]}
    assert kept == made
    client.close()


def test_an_annotator_may_read_a_webhook_and_still_change_no_truth(
    receiver, label_studio, client, task
):
    """The community edition shows a project's webhooks to every member: a secret is no proof."""
    made = add_annotator(client, f"{uuid.uuid4().hex[:8]}@example.org")
    project = client.request("GET", task)["project"]
    with sign_in(Account(label_studio.url, made.email, made.password)) as session:
        hooks = session.call("GET", f"/api/webhooks/?project={project}").require(200)
    receiver.start()
    path, word = urlsplit(receiver.url).path, hooks[0]["headers"][HEADER]
    lie = json.dumps({"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 1}]}).encode()
    assert receiver.call("POST", path, lie, word) == 200
    assert receiver.actions() == {"ANNOTATIONS_DELETED"}
    assert client.request("GET", task)["total_annotations"] == 0


def test_hints_make_no_difference_to_the_truth(receiver, client):
    """Early, forged, doubled and lost ones: the lake holds what Label Studio holds, once."""
    platform, workload = Platform(load_settings(**receiver.settings)), receiver.workload
    provision(client, workload, platform.webhook_target)
    add_annotator(client, "ann@example.org")
    put_answers(platform.lake, workload, [answer(number) for number in range(3)])
    window = {"window_start": START, "window_end": END, "now": END, "budget": 3}
    sample_batch(platform.lake, platform.queue, workload, **window)
    first, second, _ = [
        task.item_id for task in platform.desk.open_items(workload, "ann@example.org")
    ]
    receiver.start()
    path, word = urlsplit(receiver.url).path, receiver.secret
    assert receiver.call("POST", path, b'{"action": "ANNOTATIONS_DELETED"}', word) == 200
    assert not collect_reviews(platform, workload).annotations

    platform.desk.submit(workload, first, "ann@example.org", truth(0))
    wait_until(lambda: "ANNOTATION_CREATED" in receiver.actions(), "the hint")
    for _ in range(3):
        receiver.call("POST", path, b'{"action": "ANNOTATION_CREATED"}', word)
    assert collect_reviews(platform, workload).annotations == 1
    assert receiver.state.inbox.pending() == {}
    receiver.call("POST", path, b'{"action": "ANNOTATION_CREATED"}', word)
    assert not collect_reviews(platform, workload).changed

    receiver.stop()
    before = platform.queue.status(workload)
    platform.desk.submit(workload, first, "ann@example.org", truth(1))
    platform.desk.submit(workload, second, "ann@example.org", truth(0))
    assert receiver.state.inbox.pending() == {}
    assert platform.queue.status(workload).changed != before.changed
    assert collect_reviews(platform, workload).annotations == 2
    kept = {one.item_id: one.output for one in read_annotations(platform.lake, workload.id)}
    assert kept == {first: truth(1), second: truth(0)}
    platform.close()


def test_the_receiver_runs_among_the_services(own_label_studio, tmp_path, workload):
    """Started beside Label Studio it takes what that says, and is shown with its port."""
    services, folder = own_label_studio, tmp_path / "workloads"
    folder.mkdir()
    (folder / f"{workload.id}.yaml").write_text(workload.model_dump_json(exclude_unset=True))
    where = {"services": services.folder, "home": tmp_path / "home", "workloads": folder}
    settings = load_settings(profile="services", **where)
    run_applications(services, settings, ["webhooks"], project=REPOSITORY)
    shown = {row.name: row for row in statuses(services)}
    assert shown["webhooks"].state == "running"
    assert shown["webhooks"].ports == (urlsplit(settings.webhook_url).port,)
    platform = Platform(settings)
    project = provision(platform.label_studio, workload, platform.webhook_target).project
    platform.label_studio.request("PATCH", f"/api/projects/{project.id}/", {"color": "#123456"})
    wait_until(lambda: workload.id in platform.state.inbox.pending(), "the hint")
    platform.close()
    services.stop("webhooks")
