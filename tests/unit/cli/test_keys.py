"""`flywheel keys`: shown once, listed without secrets, revoked for good."""

import json

import pytest

from flywheel.cli import keys
from flywheel.errors import DataError, NotFoundError
from flywheel.gateway.key_use import SharedUse
from flywheel.gateway.keys import KeyRing
from flywheel.wiring import open_platform
from tests.fakes.commands import run_command


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Have a deployment in the folder that the settings name."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "lake").mkdir(parents=True)


def made(*options):
    done = run_command(keys, "create", "line-4", "--as", "ann", "--json", *options)
    return json.loads(done.stdout)


def test_a_created_key_opens_the_gateway_and_is_shown_once():
    """Its text is nowhere in the home, its hash is in the state."""
    key = made("--workload", "defect_reports", "--per-minute", "5", "--days", "2")["key"]
    platform = open_platform()
    hash_key = platform.settings.hash_key.get_secret_value()
    use = SharedUse(platform.state.key_use, platform.clock)
    ring = KeyRing(platform.state.api_keys.all, hash_key=hash_key, clock=platform.clock, use=use)
    ring.renew()
    checked = ring.check(f"Bearer {key}")
    assert (checked.client_id, checked.workloads) == ("line-4", ("defect_reports",))
    assert (checked.requests_per_minute, checked.created_by) == (5, "ann")
    secret = key.rsplit("-", 1)[-1].encode()
    files = [path for path in platform.home.rglob("*") if path.is_file()]
    assert not any(secret in path.read_bytes() for path in files)


def test_keys_are_listed_without_their_hash():
    """As a table for people, as JSON for programs."""
    assert "no keys" in run_command(keys, "list").stdout
    key_id = made("--tokens-per-day", "20000", "--at-once", "3")["key_id"]
    table = run_command(keys, "list").stdout
    assert key_id in table
    assert "valid" in table
    assert "3 at a time, each process" in " ".join(table.split())
    (facts,) = json.loads(run_command(keys, "list", "--json").stdout)
    assert (facts["key_id"], facts["state"], facts["last_used_at"]) == (key_id, "valid", None)
    assert (facts["tokens_per_day"], facts["requests_at_once"]) == (20_000, 3)
    assert "secret_hash" not in facts


def test_a_revoked_key_is_listed_as_such():
    """Revoking again changes nothing."""
    key_id = made()["key_id"]
    for _ in range(2):
        run_command(keys, "revoke", key_id, "--as", "bea", "--reason", "lost")
    (facts,) = json.loads(run_command(keys, "list", "--json").stdout)
    assert facts["state"] == "revoked"
    rows = open_platform().state.audit.of(f"key/{key_id}")
    assert [(row.event, row.actor) for row in rows] == [
        ("key.created", "ann"),
        ("key.revoked", "bea"),
    ]


@pytest.mark.parametrize("client", ["", "  ", "a\x1bb", "x" * 201])
def test_a_client_that_no_event_could_carry_is_refused(client):
    """The name goes into every event of the key."""
    with pytest.raises(DataError):
        run_command(keys, "create", client, "--as", "ann")


def test_what_is_not_there_is_an_error():
    """An unknown workload, an unknown key."""
    with pytest.raises(NotFoundError):
        run_command(keys, "create", "line-4", "--as", "ann", "--workload", "nope")
    with pytest.raises(NotFoundError):
        run_command(keys, "revoke", "nope", "--as", "ann", "--reason", "x")
