"""Erasing one of two persons on a real Kafka, MLflow and Label Studio, and looking into each."""

import json
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from flywheel.artifacts.adapter_folder import write_manifest
from flywheel.deployment.backup import back_up
from flywheel.deployment.restore import restore
from flywheel.events import INFERENCES_TOPIC, encode
from flywheel.ingest.ledger import prove
from flywheel.review.label_studio.projects import projects_for_pull
from flywheel.usecases.erasing.receipts import read_receipts
from flywheel.usecases.erasing.restored import finish_restore
from flywheel.usecases.erasing.run import erase
from flywheel.usecases.erasing.stores import STORES
from flywheel.usecases.verification import verify_deployment
from tests.fakes.review_queues import remove_projects
from tests.fakes.state_rows import LINEAGE
from tests.fakes.two_people import ANNA, BEN, TwoPeople

pytestmark = [
    pytest.mark.services("label-studio"), pytest.mark.slow, pytest.mark.timeout(600)
]  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory, module_services, label_studio):
    """Fill a deployment on all three, with a release in MLflow, and erase Anna."""
    services = module_services("kafka", "mlflow")
    found = services.connections
    settings = label_studio.settings | {
        "event_log": "kafka",
        "kafka_servers": found.kafka_servers,
        "mlflow_url": found.mlflow_url,
    }
    home = tmp_path_factory.mktemp("two") / "home"
    made = TwoPeople(home, f"w{uuid.uuid4().hex[:10]}", **settings)
    try:
        _register(made)
        back_up(made.platform, home.parent / "backup")
        made.before = tasks(made)
        made.report = erase(made.platform, ANNA, actor="mara", reason="she asked for it")
        yield made
    finally:
        remove_projects(made.platform.label_studio, made.workload.id)
        made.platform.close()


def _register(world):
    # As a promotion does, its card quoting a text of each person, which ours never do.
    adapter = world.home / "runs" / "r1"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text("{}")
    write_manifest(adapter, {"base_digest": "b"})
    registry, name = world.platform.registry, world.workload.id
    run = registry.client.create_run(registry.experiment(name))
    quoted = f"# Card\n\nSays {world.texts[ANNA][0]} and {world.texts[BEN][0]}"
    registry.register(
        name, release="r1", run_id=run.info.run_id, adapter=adapter,
        texts={"model_card.md": quoted}, tags={}, description="no text",
    )  # fmt: skip
    lineage = replace(LINEAGE, run_id=run.info.run_id)
    world.platform.state.releases.move("r1", lineage, None)


def tasks(world):
    """Return every task of both projects with its annotations, as the server holds them."""
    projects = projects_for_pull(world.platform.label_studio, world.workload)
    return [task for project in projects.all() for task in project.whole()]


def of(world, person, found):
    """Return the tasks about a person's calls, or with one of their texts."""
    subject = {ANNA: world.anna, BEN: world.ben}[person]
    calls = {event.inference_id for event in world.events if event.subject_id == subject}
    said = [json.dumps(text)[1:-1] for text in world.texts[person]]
    return [
        task
        for task in found
        if task["data"]["inference_id"] in calls or any(one in json.dumps(task) for one in said)
    ]


def test_every_store_has_a_receipt_that_verify_checks(world):
    """What Kafka and a hand-written card keep is named with its end."""
    receipts = {
        name: one for name, (_, one) in read_receipts(world.platform.state, world.anna).items()
    }
    assert set(receipts) == set(STORES)
    assert world.report.complete
    assert f"Kafka keeps a message in {INFERENCES_TOPIC} until" in " ".join(receipts["log"].remains)
    assert receipts["mlflow"].count == 1
    assert "model_card.md of r1 holds a text" in receipts["mlflow"].remains[0]
    findings = verify_deployment(world.platform).findings
    assert findings[f"erasure of {world.anna[:12]}"] == "9 receipts, nothing came back"
    assert findings["ledger"].startswith("balances")


def test_label_studio_holds_the_other_person_alone(world):
    """Tasks, annotations and lines about similar texts; the other's stay as they were."""
    assert of(world, ANNA, world.before)
    left = tasks(world)
    assert of(world, ANNA, left) == []
    kept = {task["id"]: task["annotations"] for task in of(world, BEN, world.before)}
    assert kept
    assert {task["id"]: task["annotations"] for task in of(world, BEN, left)} == kept


def test_nothing_comes_back_from_the_services(world):
    """Neither by a pull nor from the topic, where the person's old messages still are."""
    world.clock.move_to(world.clock.now() + timedelta(hours=1))
    world.platform.log.append(INFERENCES_TOPIC, [(b"k", encode(world.event(901, ANNA)))])
    world.land()
    from flywheel.usecases.observe import collect_reviews

    collect_reviews(world.platform, world.workload)
    rows = world.platform.lake.rows("SELECT 1 FROM inferences WHERE subject_id = ?", [world.anna])
    assert rows == []
    assert of(world, ANNA, tasks(world)) == []
    assert prove(world.platform.log, world.platform.lake).balances


def test_a_restored_backup_brings_no_task_back(world, tmp_path):
    """The backup holds the tasks' items; what is restored of it erases and pushes nothing."""
    assert restore(world.home.parent / "backup", tmp_path / "new").erased == 1
    other = world.opened_at(tmp_path / "new")
    try:
        assert all(report.complete for report in finish_restore(other.platform))
        items = other.platform.lake.rows(
            "SELECT 1 FROM review_items WHERE subject_id = ?", [world.anna]
        )
        assert items == []
        assert of(world, ANNA, tasks(world)) == []
    finally:
        other.platform.close()
