"""The URL of a state: what is taken, what is refused, and that no password gets out."""

import traceback

import pytest

from flywheel.errors import ConfigurationError
from flywheel.state import State
from flywheel.state.address import parse_address
from flywheel.state.database import Database


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://host/name",
        "postgresql://host",
        "postgresql://user:hu@sh@host/name",
    ],
)
def test_unusable_url_is_refused(url, clock):
    """What cannot hold a state is refused before anything is opened, and not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        State.open(url, clock)
    told = "".join(traceback.format_exception(caught.value))
    assert "hush" not in told
    assert caught.value.next_step


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_every_spelling_of_postgresql_uses_one_driver(scheme):
    """Providers write the scheme in several ways."""
    address = parse_address(f"{scheme}://ann:hush%40@db.example:5433/flywheel")
    assert address.url.drivername == "postgresql+psycopg2"
    assert address.place == "PostgreSQL database flywheel at db.example:5433"


def test_password_is_nowhere_in_what_is_shown():
    """Neither the address nor the engine tells it, and a driver's words are masked."""
    database = Database("postgresql://ann:hush-hush@db.example/flywheel")
    shown = f"{database.address!r} {database.address.place} {database.engine!r} {database!r}"
    assert "hush" not in shown
    assert database.address.masked("no such\nuser ann/hush-hush") == "no such user ann/***"
    database.close()


def test_socket_and_file_are_named_by_their_folder(tmp_path):
    """A place on this machine is told as it is."""
    assert "at /run/pg:5432" in parse_address("postgresql:///f?host=/run/pg").place
    assert str(tmp_path) in parse_address(f"sqlite:///{tmp_path}/state.db").place
