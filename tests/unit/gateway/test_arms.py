"""Who is assigned to which arm, and when a change of the route table takes part."""

import threading

import pytest

from flywheel.errors import IntegrityError, UnavailableError
from flywheel.gateway.arms import Arm, Portion, RouteSnapshot, RouteTable
from flywheel.state.routes import Route
from tests.fakes.gateway_world import HASH_KEY, NOW
from tests.fakes.waiting import wait_until

PEOPLE = [f"person {number}" for number in range(2000)]


def row(route, release, weight=1.0, workload="parts"):
    return Route(workload, route, release, weight, NOW, "")


def canary(share, release="r2"):
    return RouteSnapshot("r1", canary=Portion(release, share))


def members(snapshot, workload="parts"):
    return {
        person for person in PEOPLE if snapshot.assign(workload, person, HASH_KEY).route == "canary"
    }


class Table:
    """Rows of a route table, loads that may fail, and what was loaded."""

    def __init__(self, *rows) -> None:
        self.rows, self.error = list(rows), None
        self.loads, self.load_error, self.may_load = [], None, threading.Event()
        self.may_load.set()

    def read(self):
        """Return the rows, or fail."""
        if self.error:
            raise self.error
        return self.rows

    def load(self, _workload_id, release):
        """Load a release once it may be."""
        self.may_load.wait(10)
        if self.load_error:
            raise self.load_error
        self.loads.append(release)


@pytest.fixture
def table():
    """Return a route table with a champion."""
    return Table(row("champion", "r1"))


@pytest.fixture
def routes(table):
    """Return what the gateway reads of it, renewed by the test."""
    routes = RouteTable(table.read, table.load)
    routes.renew()
    yield routes
    table.may_load.set()
    routes.close()


def test_what_is_not_loaded_is_named(table, routes):
    """A canary does not take part before it is loaded; until then it is missing."""
    table.may_load.clear()
    table.rows.append(row("canary", "r2", 0.5))
    routes.renew()
    assert routes.missing == {"r2"}
    table.may_load.set()
    wait_until(lambda: not routes.missing)
    assert routes.of("parts").canary == Portion("r2", 0.5)


def test_before_any_route_the_base_answers():
    """A workload without a row is answered without an adapter."""
    assert RouteSnapshot.of([]).assign("parts", "anna", HASH_KEY) == Arm("champion", "base")


def test_a_canary_gets_its_share_and_keeps_its_people():
    """About a tenth; the same people, and more of them, at a half; all at one."""
    tenth, half = members(canary(0.1)), members(canary(0.5))
    assert 160 <= len(tenth) <= 240
    assert 920 <= len(half) <= 1080
    assert tenth < half
    assert tenth == members(canary(0.1))
    assert len(members(canary(1.0))) == len(PEOPLE)
    assert RouteSnapshot.of([row("champion", "r1"), row("canary", "r2", 0.0)]).canary is None


def test_the_next_canary_and_another_workload_pick_other_people():
    """Nobody is in every trial."""
    first = members(canary(0.1))
    assert len(first & members(canary(0.1, release="r3"))) < len(first) / 3
    assert len(first & members(canary(0.1), workload="orders")) < len(first) / 3


def test_a_canary_takes_part_once_it_is_loaded(table, routes):
    """Until then the champion answers; a change of the champion takes part at once."""
    table.may_load.clear()
    table.rows = [row("champion", "r1"), row("canary", "r2", 0.5)]
    routes.renew()
    assert routes.of("parts") == RouteSnapshot("r1")
    table.may_load.set()
    wait_until(lambda: routes.of("parts") == canary(0.5))
    table.rows = [row("champion", "r9")]
    routes.renew()
    assert (routes.of("parts"), table.loads) == (RouteSnapshot("r9"), ["r2"])


def test_a_slow_load_holds_up_no_other_change(table, routes):
    """A rollback is not behind it."""
    table.rows = [row("champion", "r1"), row("canary", "r2", 0.5)]
    routes.renew()
    wait_until(lambda: routes.of("parts").canary is not None)
    table.may_load.clear()
    table.rows = [*table.rows, row("canary", "q2", 0.5, workload="orders")]
    routes.renew()
    table.rows = [row("champion", "r1"), row("canary", "q2", 0.5, workload="orders")]
    routes.renew()
    assert routes.of("parts") == RouteSnapshot("r1")


def test_a_release_that_cannot_be_loaded_gets_no_requests(table, routes):
    """It says why; once the table no longer names it, it is no problem any more."""
    table.load_error = IntegrityError("r2 was changed")
    table.rows = [row("champion", "r1"), row("shadow", "r2", 0.5)]
    routes.renew()
    wait_until(lambda: routes.load_failures)
    assert routes.load_failures == {"r2": "r2 was changed"}
    assert routes.of("parts") == RouteSnapshot("r1")
    table.rows = [row("champion", "r1")]
    routes.renew()
    assert routes.load_failures == {}


def test_a_release_that_the_server_lost_is_loaded_again(table, routes):
    """After a restart of the model server."""
    table.rows = [row("champion", "r1"), row("canary", "r2", 0.5)]
    routes.renew()
    wait_until(lambda: routes.of("parts").canary is not None)
    routes.report_unloaded("r2")
    assert routes.of("parts").canary is None
    routes.renew()
    wait_until(lambda: routes.of("parts").canary is not None)
    assert table.loads == ["r2", "r2"]


def test_a_table_that_cannot_be_read_leaves_the_newest_snapshot(table, routes):
    """And is a problem until it can."""
    table.error = UnavailableError("the state is away")
    routes.renew()
    assert (routes.of("parts").champion, routes.failure) == ("r1", "the state is away")
    table.error = None
    routes.renew()
    assert routes.failure is None


def test_a_running_table_notices_a_change_within_a_second(table):
    """By itself."""
    routes = RouteTable(table.read, table.load)
    routes.start()
    table.rows = [row("champion", "r2")]
    wait_until(lambda: routes.of("parts").champion == "r2", seconds=1.0)
    routes.close()
