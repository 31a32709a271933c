"""Erasing one of two persons from a lake in a real S3 server: every object is looked into."""

import pytest

from flywheel.artifacts.snapshot import verify_snapshot
from flywheel.deployment.backup import back_up
from flywheel.deployment.restore import restore
from flywheel.events import INFERENCES_TOPIC, encode
from flywheel.ingest.ledger import prove
from flywheel.lake.maintenance import maintain
from flywheel.usecases.erasing.restored import finish_restore
from flywheel.usecases.erasing.run import erase
from flywheel.usecases.verification import verify_deployment
from flywheel.wiring import Platform
from tests.fakes.two_people import ANNA, BEN, TwoPeople

pytestmark = [pytest.mark.services("object-store"), pytest.mark.timeout(600)]


@pytest.fixture
def world(object_lake, tmp_path):
    made = TwoPeople(tmp_path / "home", lake=object_lake)
    yield made
    made.platform.close()


def _rows(world, subject):
    return world.platform.lake.rows(
        "SELECT * FROM inferences WHERE subject_id = ? ORDER BY ALL", [subject]
    )


def test_no_object_holds_an_erased_person_and_none_comes_back(world, object_lake, tmp_path):
    """Data files, log and digests alike; late events and a restored backup bring nothing back."""
    before, theirs = world.where(BEN), _rows(world, world.ben)
    second = Platform(world.platform.settings.model_copy(update={"home": tmp_path / "second"}))
    copy = tmp_path / "second" / "datasets" / "defects" / world.snapshot.hash
    assert verify_snapshot(copy).erased == 0
    assert any(name.startswith("lake/_artifacts/datasets/") for name in world.where(ANNA))
    assert {name for name in world.where(ANNA) if name.startswith("lake/inferences/")}
    back_up(world.platform, tmp_path / "backup")

    report = erase(world.platform, ANNA, actor="mara", reason="she asked for it")
    assert report.complete
    assert world.where(ANNA) == {}
    assert _rows(world, world.ben) == theirs
    # The other home's copy is replaced when it is opened, and never published again.
    second.artifacts.publish(copy)
    assert verify_snapshot(copy).erased > 0
    assert world.where(ANNA) == {}
    second.close()
    stable = {name for name in before if not name.startswith(("lake/", "log.db"))}
    assert stable <= set(world.where(BEN))
    assert prove(world.platform.log, world.platform.lake).balances
    findings = verify_deployment(world.platform).findings
    assert findings[f"erasure of {world.anna[:12]}"].endswith("nothing came back")

    world.platform.log.append(INFERENCES_TOPIC, [(b"k", encode(world.event(901, ANNA)))])
    world.land()
    assert _rows(world, world.anna) == []
    assert maintain(world.platform.lake, now=world.clock.now()).erased["inferences"] == 1

    world.platform.close()
    world.services = {"lake": f"{object_lake}-restored"}
    _restore(world, tmp_path)


def _restore(world, tmp_path):
    assert restore(tmp_path / "backup", tmp_path / "new", lake=world.services["lake"]).erased == 1
    other = world.opened_at(tmp_path / "new")
    try:
        assert all(report.complete for report in finish_restore(other.platform))
        assert other.where(ANNA) == {}
        assert any(name.startswith("lake/_artifacts/datasets/") for name in other.where(BEN))
    finally:
        other.platform.close()
