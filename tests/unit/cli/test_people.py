"""`flywheel people`, and what a token is needed for once somebody is registered."""

import json

import pytest

from flywheel.cli import accept_files, audit, cycle, erase, people, release
from flywheel.errors import DataError, NotFoundError, RefusedError
from flywheel.wiring import open_platform
from tests.fakes.commands import run_command


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Have a deployment in the folder that the settings name."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FLYWHEEL_TOKEN", raising=False)
    (tmp_path / "home" / "lake").mkdir(parents=True)
    return tmp_path / "home"


def added(name, *options):
    return json.loads(run_command(people, "add", name, "--json", *options).stdout)


@pytest.fixture
def admin():
    """Return the token of the first person."""
    return added("Ada", "--role", "admin", "--as", "Ada")["token"]


def test_the_first_person_is_an_admin_on_trust():
    """The audit says that nobody could be asked for a token."""
    with pytest.raises(RefusedError, match="no admin yet"):
        added("Mara", "--role", "approver", "--as", "Mara")
    added("Ada", "--role", "admin", "--as", "Ada")
    row = open_platform().state.audit.of("person/Ada")[-1]
    assert (row.event, row.actor, row.details["identity"]) == ("person.added", "Ada", "on_trust")


def test_only_an_admin_adds_others(admin):
    """A name is not enough, nor is an approver's token; an admin's is recorded as verified."""
    with pytest.raises(RefusedError, match="name alone is not enough"):
        added("Eve", "--role", "approver", "--as", "Ada")
    mara = added("Mara", "--role", "approver", "--token", admin)["token"]
    with pytest.raises(RefusedError, match="takes the role admin"):
        added("Eve", "--role", "approver", "--token", mara)
    row = open_platform().state.audit.of("person/Mara")[-1]
    assert (row.actor, row.details["identity"]) == ("Ada", "verified")


def test_no_two_people_look_alike(admin):
    """One person under two spellings could ask and approve."""
    for name in ("ada", "\uff21da", "Ada\u200b "):
        with pytest.raises((RefusedError, DataError)):
            added(name, "--role", "approver", "--token", admin)
    for name in ("system", "simulated:mara", ""):
        with pytest.raises((RefusedError, DataError)):
            added(name, "--role", "approver", "--token", admin)


def test_wrong_roles_and_addresses_are_refused(admin):
    """With the choices."""
    with pytest.raises(DataError, match="boss"):
        added("Mara", "--role", "boss", "--token", admin)
    with pytest.raises(DataError, match="not an e-mail address"):
        added("Mara", "--role", "viewer", "--email", "mara", "--token", admin)


def test_the_token_is_in_no_file(admin, home):
    """The state keeps its keyed hash."""
    secret = admin.split("-", 2)[2].encode()
    files = [path for path in home.rglob("*") if path.is_file()]
    assert not any(secret in path.read_bytes() for path in files)


def test_people_are_listed_without_their_hash(admin):
    """With roles, state and the last use of the token."""
    run_command(people, "add", "Mara", "--role", "viewer", "--token", admin)
    ada, mara = json.loads(run_command(people, "list", "--json").stdout)
    assert (ada["roles"], ada["state"], mara["last_used_at"]) == (["admin"], "valid", None)
    assert ada["last_used_at"] is not None
    assert "token_hash" not in ada
    assert "Mara" in run_command(people, "list").stdout


def test_the_last_admin_stays(admin):
    """Nobody could add another."""
    words = ("revoke", "Ada", "--reason", "left", "--token", admin)
    with pytest.raises(RefusedError, match="last admin"):
        run_command(people, *words)
    second = added("Bo", "--role", "admin", "--token", admin)["token"]
    run_command(people, *words)
    with pytest.raises(RefusedError, match="wrong, expired or revoked"):
        added("Eve", "--role", "viewer", "--token", admin)
    added("Eve", "--role", "viewer", "--token", second)
    with pytest.raises(NotFoundError):
        run_command(people, "revoke", "Nobody", "--reason", "x", "--token", second)


def test_a_new_token_ends_the_former_one(admin):
    """It is shown once, as the first one was."""
    new = json.loads(run_command(people, "token", "Ada", "--token", admin, "--json").stdout)
    with pytest.raises(RefusedError, match="wrong, expired or revoked"):
        added("Eve", "--role", "viewer", "--token", admin)
    added("Eve", "--role", "viewer", "--token", new["token"])


@pytest.mark.parametrize(
    ("area", "words"),
    [
        (release, ("approve", "parts", "2026Q1-1", "--reason", "fine")),
        (release, ("reject", "parts", "2026Q1-1", "--reason", "fine")),
        (release, ("rollback", "parts", "--reason", "bad")),
        (cycle, ("open", "parts", "--reason", "now")),
        (cycle, ("retry", "parts", "2026Q1-1", "--reason", "now")),
        (cycle, ("stop", "parts", "2026Q1-1", "--reason", "now")),
    ],
)
def test_a_name_is_not_enough_once_people_are_registered(admin, area, words):
    """Neither is a token that is another's, wrong, or of a role that may not."""
    viewer = added("Vera", "--role", "viewer", "--token", admin)["token"]
    with pytest.raises(RefusedError, match="name alone is not enough"):
        run_command(area, *words, "--as", "Mara")
    with pytest.raises(RefusedError, match="wrong, expired or revoked"):
        run_command(area, *words, "--token", "fwp-1-2")
    with pytest.raises(RefusedError, match="takes the role"):
        run_command(area, *words, "--token", viewer)
    with pytest.raises(RefusedError, match="is that of Vera, not of Mara"):
        run_command(area, *words, "--token", viewer, "--as", "Mara")


def test_roles_are_changed_by_an_admin(admin):
    """With a reason in the audit; the last admin stays one."""
    added("Mara", "--role", "viewer", "--token", admin)
    words = (
        "roles",
        "Mara",
        "--role",
        "approver",
        "--reason",
        "deputy",
        "--token",
        admin,
        "--json",
    )
    assert json.loads(run_command(people, *words).stdout)["roles"] == ["approver"]
    row = open_platform().state.audit.of("person/Mara")[-1]
    assert (row.details["from"], row.details["reason"]) == (["viewer"], "deputy")
    with pytest.raises(RefusedError, match="last admin"):
        run_command(people, "roles", "Ada", "--role", "viewer", "--reason", "x", "--token", admin)


@pytest.mark.parametrize(
    ("area", "words"),
    [
        (audit, ("accept", "--reason", "lost")),
        (accept_files, ("--reason", "lost")),
        (erase, ("accept-erasure", "parts", "r1", "--reason", "few rows")),
    ],
)
def test_what_is_accepted_in_writing_asks_for_a_token_too(admin, area, words):
    """A name alone could accept an audit that was written again."""
    viewer = added("Vera", "--role", "viewer", "--token", admin)["token"]
    with pytest.raises(RefusedError, match="name alone is not enough"):
        run_command(area, *words, "--as", "Ada")
    with pytest.raises(RefusedError, match="takes the role"):
        run_command(area, *words, "--token", viewer)
