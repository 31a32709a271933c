"""Projects, webhooks and accounts in a real Label Studio, made once and kept as they should be."""

import uuid

import pytest
from typer.testing import CliRunner

from flywheel.cli import build_app
from flywheel.errors import (
    ConfigurationError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from flywheel.review.label_studio.annotators import add_annotator, list_annotators
from flywheel.review.label_studio.client import LabelStudioClient
from flywheel.review.label_studio.labeling_config import labeling_config
from flywheel.review.label_studio.provisioning import (
    HEADER,
    WebhookTarget,
    adjudication_title,
    find_project,
    provision,
    require_project,
    review_title,
)
from flywheel.review.queues.label_studio_format import result_of, task_of
from flywheel.services.label_studio_account import Account, sign_in
from flywheel.workload.model import parse_workload
from tests.fakes.review_items import review_item

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture
def client(label_studio):
    """Yield a client with the service's own token."""
    client = LabelStudioClient(label_studio.url, label_studio.token)
    yield client
    client.close()


@pytest.fixture
def workload():
    """Return a workload that no other test has."""
    return _workload(f"w{uuid.uuid4().hex[:10]}", "dent", "scratch")


def _workload(name: str, *labels: str):
    raw = {
        "id": name,
        "owner": "o",
        "description": "Sort <b>reports</b>.",
        "task": {"type": "classification"},
        "taxonomy": {
            "version": 1,
            "labels": [{"id": label.replace(" ", "_"), "name": label} for label in labels],
        },
        "prompt": "{input}",
    }
    return parse_workload(raw, source="test")


def _target(label_studio, word: str = "secret-1") -> WebhookTarget:
    return WebhookTarget(label_studio.webhook_url, word)


def _hooks(client, project) -> list[dict]:
    return client.request("GET", "/api/webhooks/", params={"project": project.id})


def test_a_second_run_changes_nothing(label_studio, client, workload):
    """The first makes project, guide and webhook; the second finds them as they should be."""
    first = provision(client, workload, _target(label_studio))
    assert len(first.changes) == 4
    second = provision(client, workload, _target(label_studio))
    assert second.changes == ()
    assert second.project.id == first.project.id
    assert second.project.raw["expert_instruction"].count("&lt;b&gt;reports") == 1
    assert second.adjudication.title == f"{workload.id} adjudication"
    assert len(_hooks(client, second.adjudication)) == 1
    (hook,) = _hooks(client, second.project)
    assert hook["headers"] == {HEADER: "secret-1"}
    assert hook["url"].endswith(f"/{workload.id}")
    assert hook["send_payload"] is False


def _annotate_one(client, workload, project) -> None:
    tasks = [task_of(workload, review_item(workload, 1))]
    client.request("POST", f"/api/projects/{project.id}/import", tasks)
    (task,) = client.request("GET", "/api/tasks/", params={"project": project.id})["tasks"]
    body = {"result": result_of(workload, '"dent"'), "lead_time": 1}
    client.request("POST", f"/api/tasks/{task['id']}/annotations/", body)


def test_a_new_secret_and_a_new_label_are_brought_in(label_studio, client, workload):
    """What the settings or the workload's file say now is written, and said with what it meets."""
    project = provision(client, workload, _target(label_studio)).project
    _annotate_one(client, workload, project)
    more = _workload(workload.id, "dent", "scratch", "burr")
    found = find_project(client, more)
    assert found is not None
    assert found.config == "outdated"
    done = provision(client, more, _target(label_studio, "secret-2"))
    second = ("labeling configuration", "guide", "webhook")
    first = ("labeling configuration (1 annotations were made under the one before)", *second[1:])
    assert done.changes == (*first, *(f"adjudication: {change}" for change in second))
    assert done.project.raw["label_config"] == labeling_config(more).strip()
    assert [hook["headers"] for hook in _hooks(client, done.project)] == [{HEADER: "secret-2"}]


def test_a_configuration_changed_by_hand_is_told_and_left(label_studio, client, workload):
    """It is neither overwritten nor worked with, until somebody says so."""
    made = provision(client, workload).project
    theirs = labeling_config(workload).replace("dent", "bump").strip()
    client.request("PATCH", f"/api/projects/{made.id}/", {"label_config": theirs})
    with pytest.raises(IntegrityError, match="changed by hand"):
        provision(client, workload, _target(label_studio))
    with pytest.raises(IntegrityError, match="changed by hand"):
        require_project(client, workload)
    kept = client.request("GET", f"/api/projects/{made.id}/")["label_config"]
    assert kept == theirs
    assert provision(client, workload, overwrite=True).changes == ("labeling configuration",)
    second = require_project(client, workload, adjudication_title(workload.id))
    client.request("PATCH", f"/api/projects/{second.id}/", {"label_config": theirs})
    with pytest.raises(IntegrityError, match="adjudication"):
        provision(client, workload)


@pytest.mark.parametrize("name", ["w", f"w{'x' * 47}"])
def test_the_shortest_and_the_longest_id_have_projects(client, name):
    """Label Studio takes titles of 3 to 50 letters."""
    workload = _workload(name, "dent", "scratch")
    made = provision(client, workload)
    assert provision(client, workload).changes == ()
    assert found_titles(client, made) == {review_title(name), adjudication_title(name)}


def found_titles(client, made) -> set[str]:
    """Return the titles that Label Studio itself says."""
    projects = (made.project, made.adjudication)
    return {client.request("GET", f"/api/projects/{each.id}/")["title"] for each in projects}


def test_a_project_of_somebody_else_is_not_taken(client, workload):
    """One that bears the workload's name with another configuration counts as changed by hand."""
    config = "<View><Text name='t' value='$t'/></View>"
    client.request("POST", "/api/projects/", {"title": workload.id, "label_config": config})
    with pytest.raises(IntegrityError):
        provision(client, workload)


def test_two_projects_of_one_name_are_told(client, workload):
    """Nobody guesses in which of them people work."""
    provision(client, workload)
    client.request("POST", "/api/projects/", {"title": workload.id})
    with pytest.raises(ConfigurationError, match="Several projects"):
        find_project(client, workload)


def test_an_annotator_gets_an_account_that_works_once(label_studio, client):
    """The password opens a session; a second call makes nothing; nonsense is refused."""
    email = f"{uuid.uuid4().hex[:8]}@example.org"
    made = add_annotator(client, email)
    assert made is not None
    with sign_in(Account(label_studio.url, made.email, made.password)):
        pass
    assert add_annotator(client, email.upper()) is None
    assert [person.email for person in list_annotators(client)].count(email) == 1
    with pytest.raises(RefusedError):
        add_annotator(client, "no address")


def test_the_errors_of_label_studio_say_what_to_do(label_studio, client):
    """A wrong token, a missing project, a wrong address: each is told from the others."""
    with pytest.raises(ConfigurationError, match="token") as caught:
        LabelStudioClient(label_studio.url, "nonsense").request("GET", "/api/projects/1/")
    assert "flywheel services up label-studio" in caught.value.next_step
    with pytest.raises(NotFoundError):
        client.call(lambda studio: studio.projects.get(987_654))
    with pytest.raises(UnavailableError):
        LabelStudioClient("http://127.0.0.1:9", label_studio.token).request("GET", "/")
    with pytest.raises(RefusedError):
        client.request("POST", "/api/projects/", {"title": "x", "label_config": "<View"})


def test_a_renewed_token_is_taken_up(label_studio):
    """A client whose token was revoked asks for the one that there is now, and goes on."""
    client = LabelStudioClient(label_studio.url, "old", renewed=lambda: label_studio.token)
    assert client.request("GET", "/api/current-user/whoami")["email"] == "flywheel@localhost"
    client.close()


def test_the_commands_say_what_they_did(label_studio, client, workload, tmp_path, monkeypatch):
    """`review provision` twice, after a change by hand, and with --overwrite; then accounts."""
    (tmp_path / f"{workload.id}.yaml").write_text(workload.model_dump_json(exclude_unset=True))
    settings = label_studio.settings | {"home": tmp_path / "home", "workloads": tmp_path}
    for key, value in settings.items():
        monkeypatch.setenv(f"FLYWHEEL_{key.upper()}", str(value))

    def run(*words: str):
        return CliRunner().invoke(build_app(), list(words), env={"COLUMNS": "300"})

    assert "made project" in run("review", "provision").output
    assert "nothing to change" in run("review", "provision", workload.id).output
    made = require_project(client, workload)
    theirs = {"label_config": labeling_config(workload).replace("dent", "bump")}
    client.request("PATCH", f"/api/projects/{made.id}/", theirs)
    refused = run("review", "provision")
    assert isinstance(refused.exception, IntegrityError)
    assert "--overwrite" in refused.exception.next_step
    assert "labeling configuration" in run("review", "provision", "--overwrite").output
    email = f"{uuid.uuid4().hex[:8]}@example.org"
    added = run("annotators", "add", email)
    password = added.output.split("password ")[1].split(",")[0]
    with sign_in(Account(label_studio.url, email, password)):
        pass
    assert "already" in run("annotators", "add", email).output
    assert email in run("annotators", "list").output
