"""Two processes of the release desk behind a balancer: what one knows, the other does."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from flywheel.clock import ManualClock
from flywheel.desk.app import build_app
from flywheel.desk.sessions import Sessions
from flywheel.desk.sign_in_limit import SignInLimit
from flywheel.state import State
from flywheel.state.schema import desk_records
from flywheel.wiring import Platform
from tests.fakes.desk_world import fields_of

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def other(desk):
    """Return another process's desk: the same state through connections of its own."""
    url = desk.world.state._database.address.url
    state = State(url, desk.world.clock)
    platform = Platform(desk.platform.settings, desk.world.clock, state=state)
    yield platform
    platform.close()
    state.close()


def move(browser, app):
    """Let a balancer send a browser to another process from now on."""
    browser.app = app
    browser._transport.app = app


def test_a_person_is_signed_in_at_both_and_signs_out_of_both(desk, other):
    """Also the form of one is taken by the other."""
    browser = desk.signed_in("Vera")
    fields = fields_of(browser.get("/").text, "/sign-out")

    move(browser, build_app(other))
    assert "Vera" in browser.get("/").text
    cookie = browser.cookies["flywheel_desk"]
    assert browser.post("/sign-out", data=fields).status_code == 303

    move(browser, desk.app)
    browser.cookies.set("flywheel_desk", cookie, domain="desk.test")
    assert browser.get("/").status_code == 303


def test_attempts_are_counted_together(desk, other):
    """Asking another process gives no more attempts; they come back with time."""
    clock = ManualClock(NOW)
    limits = [
        SignInLimit(one, per_minute=1, burst=2, clock=clock) for one in (desk.platform, other)
    ]

    assert [limit.wait("10.0.0.1") for limit in (*limits, *limits)] == [0, 0, 60, 60]
    assert limits[0].wait("10.0.0.2") == 0
    clock.move_to(NOW + timedelta(seconds=59))
    assert limits[1].wait("10.0.0.1") == 1
    clock.move_to(NOW + timedelta(seconds=60))
    assert [limit.wait("10.0.0.1") for limit in limits] == [0, 60]


def test_the_state_holds_nothing_to_sign_in_with(desk):
    """Neither a cookie nor an address; what is over is removed."""
    clock = ManualClock(NOW)
    sessions = Sessions(desk.platform, clock=clock)
    SignInLimit(desk.platform, clock=clock).wait("10.0.0.1")
    session = sessions.open("Vera", "t1")

    def rows():
        with desk.world.state._database.read() as connection:
            return connection.execute(select(desk_records)).all()

    assert len(rows()) == 2
    assert not [
        secret for secret in (session.key, session.secret, "10.0.0.1") if secret in str(rows())
    ]
    clock.move_to(NOW + timedelta(hours=9))
    assert sessions.find(session.key) is None
    sessions.open("Mara", "t2")
    assert [row.facts["name"] for row in rows()] == ["Mara"]


def test_the_oldest_of_too_many_ends(desk, monkeypatch):
    """A flood of sign-ins fills no database."""
    monkeypatch.setattr("flywheel.state.desk_records._MOST", 2)
    clock = ManualClock(NOW)
    sessions = Sessions(desk.platform, clock=clock)
    keys = []
    for second in range(3):
        clock.move_to(NOW + timedelta(seconds=second))
        keys.append(sessions.open("Vera", "t1").key)

    assert [sessions.find(key) is not None for key in keys] == [False, True, True]
