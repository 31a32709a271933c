"""A person's first hour with 600 dirty tickets, as the tutorial describes it, on the embedded defaults.

Every step is a command in a process of its own, the training included.
"""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from flywheel.settings import load_settings
from flywheel.wiring import Platform
from tests.fakes.dirty_tickets import truth_of, write_labeled, write_traffic

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SEED = ("labeled.csv", "--workload", "tickets", "--text", "Ticket Text", "--label", "Category")


class Person:
    """Types commands in a folder."""

    def __init__(self, folder) -> None:
        self.folder = folder
        flywheel = {k: v for k, v in os.environ.items() if not k.startswith("FLYWHEEL_")}
        self.environment = flywheel | {"FLYWHEEL_HOME": str(folder / "home"), "COLUMNS": "80"}

    def types(self, *words, typed="", code=0, **environment):
        """Run a command and return all that it shows."""
        done = subprocess.run(
            [sys.executable, "-m", "flywheel.cli", *words],
            cwd=self.folder,
            env=self.environment | environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        shown = done.stdout + done.stderr
        assert done.returncode == code, shown
        assert "Traceback" not in shown
        return shown

    def facts(self, *words):
        """Run a command with --json and return its line; what libraries say comes behind it."""
        return json.loads(self.types(*words, "--json").splitlines()[0])

    def open_tasks(self, name):
        """Return the texts that somebody will be asked about, in order."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FLYWHEEL_HOME", self.environment["FLYWHEEL_HOME"])
            patch.delenv("FLYWHEEL_WORKLOADS")
            platform = Platform(load_settings())
            tickets = platform.workload("tickets")
            texts = [item.input for item in platform.desk.open_items(tickets, name)]
            platform.close()
        return texts


@pytest.fixture(scope="module")
def person(tmp_path_factory):
    """Sit down in an empty folder with two exports of the help desk."""
    folder = tmp_path_factory.mktemp("desk")
    write_labeled(folder / "labeled.csv")
    write_traffic(folder / "traffic.jsonl", datetime.now(UTC) - timedelta(days=26))
    return Person(folder)


@pytest.fixture(scope="module")
def seeded(person):
    """Write the workload file and import the seed, with what is said on the way."""
    assert "no deployment" in person.types("status", code=1)
    refused = person.types("init", "tickets", "--from-csv", "labeled.csv", code=1)
    assert "its columns are: Ticket Text, Category" in refused
    columns = ("--label-column", "Category", "--text-column", "Ticket Text")
    problems = person.types("init", "tickets", "--from-csv", "labeled.csv", *columns, code=1)
    assert "lines 22, 600: one text with different answers" in problems
    written = person.types(
        *("init", "tickets", "--from-csv", "labeled.csv", *columns, "--skip-bad"),
        *("--owner", "ann", "--base-model", "tiny"),
    )
    assert "with 12 labels" in written
    assert "--text 'Ticket Text'" in written  # can be pasted
    file = person.folder / "home" / "workloads" / "tickets.yaml"
    text = file.read_text(encoding="utf-8")
    for key, value in (
        ("golden_size", "100"),
        ("  epochs", "3"),
        ("  learning_rate", "0.003"),
        ("  latency_ratio", "10"),  # the machine may be busy
    ):
        text, count = re.subn(rf"^{key}: \S+", f"{key}: {value}", text, flags=re.MULTILINE)
        assert count == 1, key
    file.write_text(text, encoding="utf-8")
    assert "6 rows are left out" in person.types("import", *SEED, "--skip-bad")
    return person


@pytest.fixture(scope="module")
def reviewed(seeded):
    """Import traffic, build the base, and judge what is asked in the terminal."""
    person = seeded
    said = person.types("import", "traffic.jsonl", "--workload", "tickets")
    assert re.search(r"parsed +240", said)
    assert "line 51" in said
    assert "landed" in person.types("ingest")
    assert "821 different texts" in person.types("base", "build", "--workload", "tickets")
    assert "0 unread" in person.types("status")
    pushed = person.types("review", "push", "tickets")
    assert "new in the queue" in pushed, pushed
    texts = person.open_tasks("ann")
    assert texts
    answers = ["?", "u", "no such label", *map(truth_of, texts), ""]
    shown = person.types(
        "review", "answer", "tickets", "--as", "ann", typed="\n".join(answers) + "\n"
    )
    assert f"{len(texts)} judged, 0 skipped, 0 left" in shown
    assert max(map(len, shown.splitlines())) < 300
    assert "accepted" in person.types("review", "pull", "tickets")
    return person


def test_nothing_counts_twice_and_what_is_broken_is_named(reviewed):
    """The same files again bring nothing; the broken lines are letters with their bytes."""
    assert "0 of 599 labeled rows are new" in reviewed.types("import", *SEED, "--skip-bad")
    again = reviewed.types("import", "traffic.jsonl", "--workload", "tickets")
    assert re.search(r"imported before +240", again)
    letters = reviewed.types("dlq", "list")
    assert "traffic.jsonl line 51: not JSON" in letters
    assert " 9 bytes" in letters
    assert reviewed.facts("ask", "tickets", "I was charged twice")["release"] == "base"
    assert "no workload 'ticket'" in reviewed.types("cycles", "ticket", code=1)


def test_the_cycle_goes_from_opening_to_rollback_and_can_be_proven(reviewed):
    """Open, run, gate, approve by another, promote, ask, roll back, verify, explain, restore."""
    person, why = reviewed, ("--reason", "the labels are there")
    opened = person.types("cycle", "open", "tickets", "--as", "ann", *why)
    name = re.search(r"Cycle (\S+) of tickets is open", opened)[1]
    ran = person.types("cycle", "run", "tickets")
    assert "awaiting approval" in ran, ran + person.types("gate", "tickets", name)
    assert "dataset: " in ran
    assert "candidate" in person.types("gate", "tickets", name)
    assert f"flywheel approve tickets {name}" in person.types("waiting")
    person.types("approve", "tickets", name, "--as", "ann", *why, code=1)
    person.types("approve", "tickets", name, "--as", "mara", *why)
    person.types("promote", "tickets", name)
    reply = person.facts("ask", "tickets", "Hello, I forgot my password")
    assert reply["release"].startswith(f"tickets.{name}.")
    assert reply["output"] == "password reset"
    person.types("backup", "monday")
    person.types("rollback", "tickets", "--as", "mara", "--reason", "two customers complain")
    assert person.facts("ask", "tickets", "Hello, I forgot my password")["release"] == "base"
    assert "two customers complain" in person.types("explain", "tickets", name)
    assert person.facts("verify")["good"]
    elsewhere = {"FLYWHEEL_HOME": str(person.folder / "restored")}
    person.types("restore", "monday", "--home", elsewhere["FLYWHEEL_HOME"])
    assert f"tickets.{name}." in person.types("status", **elsewhere)
    assert "unbroken" in person.types("verify", **elsewhere)
