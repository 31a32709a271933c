"""`flywheel backfill`: what a person sees of it, and what a program reads."""

import json

import pytest
from typer.testing import CliRunner

from flywheel.cli import build_app
from flywheel.errors import ConfigurationError
from flywheel.wiring import platform
from tests.fakes.backfill_world import RELEASE, BackfillWorld

DAYS = ("--from", "2026-03-02", "--to", "2026-03-04")


@pytest.fixture
def world(tmp_path):
    made = BackfillWorld(tmp_path)
    yield made
    made.close()


@pytest.fixture
def command(world, monkeypatch):
    """Return the command line on the world's home."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(world.root))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(world.root / "workloads"))
    monkeypatch.setattr(platform, "open_model_server", lambda *_: world.server)

    def run(name, *words, days=DAYS):
        given = ["backfill", name, world.workload.id, *words, *days]
        return CliRunner().invoke(build_app(), given, catch_exceptions=False)

    return run


def test_a_person_sees_parts_and_the_sum(command):
    """A repeated command says that all was there."""
    assert "no backfill of" in command("status").stdout
    words = ("--release", RELEASE, "--part-rows", "5")
    shown = command("answer", *words).stdout
    assert "2026-03-02, part 1-of-2: " in shown
    assert "backfill_answers: 30 rows landed, 0 were there, of 30 texts" in shown
    assert "0 rows landed, 30 were there" in command("answer", *words).stdout
    assert "text_vectors: 30 rows landed" in command("embed").stdout
    lines = command("status").stdout.splitlines()
    assert sum("backfill_answers" in line and RELEASE in line for line in lines) == 3
    assert sum("text_vectors" in line for line in lines) == 3


def test_texts_without_an_answer_are_counted(command, world):
    """With where to look."""
    world.broken = {"report 3 dent": None}
    assert "1 texts have no answer" in command("answer", "--release", RELEASE).stdout


def test_texts_of_a_file_are_answered_and_embedded(command, tmp_path):
    """With the names of its columns, and in place of days."""
    (tmp_path / "t.csv").write_text("number,body\n1,a dent\n2,a scratch\n")
    options = ("--texts", str(tmp_path / "t.csv"), "--id", "number", "--text", "body")
    shown = command("answer", "--release", RELEASE, *options, days=()).stdout
    assert "backfill_answers: 2 rows landed, 0 were there, of 2 texts" in shown
    assert "text_vectors: 2 rows landed" in command("embed", *options, days=()).stdout
    for words, days in ((options, DAYS), ((), ()), ((), DAYS[:2])):
        with pytest.raises(ConfigurationError, match="not said which texts"):
            command("embed", *words, days=days)


def test_facts_for_programs(command):
    """Nothing but JSON is on standard output."""
    done = command("answer", "--release", RELEASE, "--json")
    facts = json.loads(done.stdout)
    assert (facts["landed"], facts["known"], len(facts["days"])) == (30, 0, 3)
    assert "part" in done.stderr
    (maker,) = json.loads(command("status", "--json").stdout)
    assert (maker["maker"], maker["days"][0]["done"]) == (RELEASE, 10)
