"""Erasing one of two persons: every store, receipts, and no way back."""

import json
import shutil

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from assets.erase import erase_person_job
from flywheel.artifacts.snapshot import read_rows, verify_snapshot
from flywheel.cli import build_app
from flywheel.deployment.backup import back_up
from flywheel.deployment.restore import restore
from flywheel.errors import IntegrityError, NotFoundError, RefusedError, UnavailableError
from flywheel.events import INFERENCES_TOPIC, EventContract, encode
from flywheel.ingest.deadletters import replay
from flywheel.ingest.ledger import prove
from flywheel.review.merging.collect import collect
from flywheel.settings import Settings
from flywheel.usecases.backup_record import BACKUPS, ERASURES
from flywheel.usecases.erasing.receipts import accept_release, read_receipts, trained_releases
from flywheel.usecases.erasing.restored import finish_restore
from flywheel.usecases.erasing.run import erase, plan_erasure
from flywheel.usecases.verification import verify_deployment
from flywheel.usecases.waiting import waiting_for_people
from flywheel.wiring import Platform
from tests.fakes.review_world import END
from tests.fakes.two_people import ANNA, BEN, KEY, TwoPeople


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    made = TwoPeople(tmp_path_factory.mktemp("two") / "home")
    made.platform.close()
    return made


@pytest.fixture
def world(built, tmp_path):
    made = built.copied_to(tmp_path / "home")
    yield made
    made.platform.close()


def _erase(world, who=ANNA, **options):
    return erase(world.platform, who, actor="mara", reason="she asked for it", **options)


def _rows(world, subject):
    tables = ("inferences", "corrections", "review_items")
    return {
        table: world.platform.lake.rows(
            f"SELECT * FROM {table} WHERE subject_id = ? ORDER BY ALL", [subject]
        )
        for table in tables
    }


def _bad(platform):
    words = ("BROKEN", "NOT VERIFIED", "DOES NOT")
    findings = verify_deployment(platform).findings
    # The small world has no base model and no adapter.
    return {
        what: text
        for what, text in findings.items()
        if text.startswith(words) and not what.startswith(("base of", "release "))
    }


def test_no_file_holds_an_erased_person_and_the_other_keeps_everything(world):
    """Plain bytes, databases and Parquet files alike; ledger and verify hold."""
    before, theirs = world.where(BEN), _rows(world, world.ben)
    assert len(world.where(ANNA)) > 8
    report = _erase(world)
    assert report.complete
    assert world.where(ANNA) == {}
    assert _rows(world, world.ben) == theirs
    assert {name for name in before if not name.startswith("lake/")} <= set(world.where(BEN))
    assert prove(world.platform.log, world.platform.lake).balances
    assert verify_snapshot(world.home / "datasets" / "defects" / world.snapshot.hash).erased
    assert _bad(world.platform) == {}


def test_every_store_has_a_receipt(world):
    """Counts and what remains, without a text or the id as it came."""
    report = _erase(world)
    counts = {receipt.store: receipt.count for receipt in report.receipts}
    assert counts["log"] == 32  # 30 answers, a comment, a dead letter
    assert counts["dead letters"] == 1
    assert counts["files"] == 2
    assert min(counts[name] for name in ("queue", "datasets", "lake", "models")) > 0
    kept = read_receipts(world.platform.state, world.anna)
    assert {name: one.count for name, (_, one) in kept.items()} == counts
    audit = json.dumps([row.details for row in world.platform.state.audit.of()])
    assert ANNA not in audit
    assert "r1 learned from" in audit
    assert json.dumps(ANNA)[1:-1] not in audit


def test_a_dry_run_changes_nothing(world):
    """It counts the same and leaves every byte of the stores."""
    before = world.where(ANNA)
    planned = plan_erasure(world.platform, ANNA)
    assert world.where(ANNA) == before
    assert world.platform.lake.rows("SELECT * FROM stored.erasures") == []
    done = _erase(world)
    wrong = [
        (plan.store, plan.count, real.count)
        for plan, real in zip(planned.receipts, done.receipts, strict=True)
        if plan.count != real.count
    ]
    assert wrong == []


def test_the_hash_says_the_same_as_the_id(world):
    """What names the person by the id itself is said to be out of the hash's reach."""
    report = _erase(world, world.anna)
    assert any("id itself" in text for one in report.receipts for text in one.remains)
    assert set(world.where(ANNA)) <= {
        name for name in world.where(ANNA) if "dead_letters" in name or name.startswith("log.db")
    }
    _erase(world)
    assert world.where(ANNA) == {}


def test_a_replay_does_not_bring_the_person_back(world):
    """The dead letter has no content any more."""
    _erase(world)
    contract = EventContract([world.workload])
    report = replay(world.platform.lake, contract, now=END)
    assert (sum(report.landed.values()), sum(report.still_dead.values())) == (0, 1)
    assert world.where(ANNA) == {}


def test_a_pull_does_not_bring_the_person_back(world):
    """Neither the queue as it is nor one that was put back from a copy."""
    folder = world.home / "queue" / "defects"
    shutil.copytree(folder, world.home.parent / "copy")
    _erase(world)
    for path in (world.home.parent / "copy").glob("*.json"):
        shutil.copy(path, folder / path.name)
    collect(world.platform.lake, world.platform.queue, world.workload, now=END)
    rows = world.platform.lake.rows("SELECT DISTINCT inference_id FROM stored.annotations")
    theirs = {event.inference_id for event in world.events if event.subject_id == world.anna}
    assert theirs.isdisjoint(row["inference_id"] for row in rows)
    _erase(world)
    assert world.where(ANNA) == {}


def test_events_that_come_later_are_hidden(world):
    """Nobody reads them, verify says so, and another erasure or maintenance empties them."""
    _erase(world)
    event = world.event(900, ANNA)
    world.platform.log.append(INFERENCES_TOPIC, [(b"k", encode(event))])
    world.land()
    assert _rows(world, world.anna)["inferences"] == []
    findings = verify_deployment(world.platform).findings
    assert "1 rows came since" in findings[f"erasure of {world.anna[:12]}"]
    _erase(world)
    assert world.where(ANNA) == {}


def test_a_restored_backup_erases_again(world, tmp_path):
    """The backup holds the person; what is restored of it does not."""
    back_up(world.platform, tmp_path / "backup")
    report = _erase(world)
    (receipt,) = [one for one in report.receipts if one.store == "backups"]
    assert receipt.count == 1
    assert "applies the erasure again" in receipt.remains[0]
    done = restore(tmp_path / "backup", tmp_path / "new")
    assert done.erased == 1
    platform = Platform(
        Settings(home=tmp_path / "new", workloads=tmp_path / "new" / "workloads", hash_key=KEY),
        world.clock,
    )
    try:
        # Hidden before anything opened it, then removed.
        assert (
            platform.lake.rows("SELECT * FROM inferences WHERE subject_id = ?", [world.anna]) == []
        )
        assert all(report.complete for report in finish_restore(platform))
        assert _bad(platform) == {}
    finally:
        platform.close()
    world.home = tmp_path / "new"
    assert world.where(ANNA) == {}
    assert world.where(BEN) != {}


def test_a_backup_that_was_moved_takes_the_list_from_the_home(world, tmp_path):
    """`--erasures` names it; a wrong name restores nothing."""
    back_up(world.platform, tmp_path / "backup")
    shutil.move(tmp_path / "backup", tmp_path / "far")
    report = _erase(world)
    assert any("--erasures" in text for one in report.receipts for text in one.remains)
    with pytest.raises(NotFoundError, match="no file"):
        restore(tmp_path / "far", tmp_path / "new", erasures=tmp_path / "nothing")
    assert not (tmp_path / "new").exists()
    assert restore(tmp_path / "far", tmp_path / "new", erasures=world.home / ERASURES).erased == 1


def test_the_owner_retrains_or_accepts_in_writing(world):
    """A release that learned from the person waits until a person decides."""
    _erase(world)
    (one,) = trained_releases(world.platform.state)
    assert (one.release, one.waits) == ("r1", True)
    with pytest.raises(RefusedError, match="name and a reason"):
        accept_release(world.platform.state, "defects", "r1", actor="ann", reason=" ")
    with pytest.raises(NotFoundError, match="names the release r9"):
        accept_release(world.platform.state, "defects", "r9", actor="ann", reason="ok")
    done = accept_release(world.platform.state, "defects", "r1", actor="ann", reason="few rows")
    assert (done.waits, done.accepted_by) == (False, "ann")
    _erase(world)  # again: it is the same decision
    assert not trained_releases(world.platform.state)[0].waits
    _erase(world, BEN)
    assert trained_releases(world.platform.state)[0].waits


def test_a_store_that_is_away_stops_no_other_and_is_run_again(world, monkeypatch):
    """Its receipt says so, verify as well, until the erasure is complete."""

    def away(*_arguments):
        raise UnavailableError("The queue is away.")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.platform.queue), "erase", away)
        report = _erase(world)
    assert not report.complete
    assert {name.split("/")[0] for name in world.where(ANNA)} == {"queue"}
    assert "queue was not reached" in " ".join(_bad(world.platform).values())
    assert _erase(world).complete
    assert world.where(ANNA) == {}
    assert _bad(world.platform) == {}


def test_verify_finds_a_person_who_came_back(world):
    """Rows in a dataset, dead letters with content, or a snapshot that lost rows unasked."""
    folder = world.home / "datasets" / "defects" / world.snapshot.hash
    shutil.copytree(folder, world.home.parent / "copy")
    _erase(world)
    shutil.rmtree(folder)
    shutil.copytree(world.home.parent / "copy", folder)
    bad = " ".join(_bad(world.platform).values())
    assert "rows" in bad
    assert "no receipt tells" in bad


def test_an_unknown_person_is_an_error(world):
    """A misspelled id erases nobody and says what to check."""
    with pytest.raises(NotFoundError, match="No store holds anything"):
        _erase(world, "nobody-at-all")
    with pytest.raises(RefusedError, match="empty"):
        _erase(world, "  ")
    with pytest.raises(RefusedError, match="name and a reason"):
        erase(world.platform, ANNA, actor="", reason="x")
    assert world.platform.lake.rows("SELECT * FROM stored.erasures") == []


def test_an_erasure_in_one_workload_leaves_the_others(world):
    """Rows of another workload stay."""
    row = {"workload_id": ["other"], "correction_id": ["c"], "subject_id": [world.anna]}
    world.platform.lake.append("corrections", pa.table(row | {"input": ["a text of hers there"]}))
    _erase(world, workload_id="defects")
    rows = world.platform.lake.rows(
        "SELECT workload_id FROM corrections WHERE subject_id = ?", [world.anna]
    )
    assert [row["workload_id"] for row in rows] == ["other"]
    assert read_rows(world.home / "datasets" / "defects" / world.snapshot.hash, "golden")


def test_the_command_erases_lists_and_accepts(world, monkeypatch):
    """Dry run, erasure, list and acceptance, as a person gives them; also as JSON."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(world.home))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(world.home / "workloads"))
    monkeypatch.setenv("FLYWHEEL_HASH_KEY", KEY)
    world.platform.close()

    def run(*words):
        done = CliRunner().invoke(build_app(), list(words))
        assert done.exit_code == 0, done.output
        return done.stdout

    assert f"{world.anna} would be erased in all workloads" in run("erase", ANNA, "--dry-run")
    told = json.loads(run("erase", ANNA, "--as", "mara", "--reason", "asked", "--json"))
    assert (told["complete"], told["subject_id"]) == (True, world.anna)
    assert world.where(ANNA) == {}
    listed = json.loads(run("erasures", "--json"))
    assert len(listed["erasures"][world.anna]) == len(told["receipts"])
    assert [one["waits"] for one in listed["releases"]] == [True]
    assert "retrain, or" in run("erasures")
    run("accept-erasure", "defects", "r1", "--as", "ann", "--reason", "two rows of many")
    assert "accepted by ann: two rows of many" in run("erasures")


def test_the_job_erases_by_the_hash_alone(world):
    """Dagster keeps what its form is given, so that the id itself is refused."""

    def execute(subject):
        form = {"subject_hash": subject, "asked_by": "mara", "reason": "asked"}
        return erase_person_job.execute_in_process(
            run_config={"ops": {"erase_person": {"config": form}}},
            resources={"platform": world.platform},
            raise_on_error=False,
        )

    assert not execute(ANNA).success
    assert execute(world.anna).success
    assert [item.kind for item in waiting_for_people(world.platform) if item.kind == "erasure"]
    assert _rows(world, world.anna)["inferences"] == []


def test_a_damaged_list_of_backups_stops_no_other_store(world):
    """Half a line, left by a crash, is named; before, it ended the erasure ahead of the lake."""
    (world.home / BACKUPS).write_text('{"folder": "/b", "made_at": "2026"}\n{"folder": "/c", "ma')
    report = _erase(world)
    assert not report.complete
    (receipt,) = [one for one in report.receipts if one.store == "backups"]
    assert f"Line 2 of {world.home / BACKUPS} is damaged" in receipt.remains[0]
    assert world.where(ANNA) == {}


def test_a_damaged_list_of_erasures_is_an_error_that_names_the_line(world):
    """Restoring by half of it would bring the rest of the people back."""
    (world.home / ERASURES).write_text('{"subject_ids": ["a"]}\n')
    with pytest.raises(IntegrityError, match="Line 1 of"):
        _erase(world)
