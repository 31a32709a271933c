"""Several replicas as one model server: who answers, what is loaded where, and who is left out."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flywheel.errors import (
    ConfigurationError,
    DataError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from flywheel.serve.fleet import FleetModelServer
from tests.fakes.waiting import wait_until

ADAPTER = Path("/adapters/r1")


@dataclass
class Replica:
    """A replica in this process that is away, empty, full or slow as a test says."""

    name: str
    held: set[str] = field(default_factory=set)
    is_away: bool = False
    refusal: Exception | None = None
    unload_refusal: Exception | None = None
    answered: list[str] = field(default_factory=list)
    hold: threading.Event | None = None

    def _check(self):
        if self.is_away:
            raise UnavailableError(f"{self.name} is away.")

    def load(self, release, adapter):  # noqa: ARG002 - the port's signature
        """Take a release."""
        self._check()
        if self.refusal is not None:
            raise self.refusal
        self.held.add(release)

    def unload(self, release):
        """Forget a release."""
        self._check()
        if self.unload_refusal is not None:
            raise self.unload_refusal
        self.held.discard(release)

    def releases(self):
        """Name what is held."""
        self._check()
        return ("base", *sorted(self.held))

    def answer(self, release, codec, inputs, *, shots=()):  # noqa: ARG002 - the port's signature
        """Answer with the own name."""
        self._check()
        if release != "base" and release not in self.held:
            raise NotFoundError(f"{self.name} has no {release}.")
        if inputs == ["too long"]:
            raise DataError("It does not fit.")
        if self.hold is not None:
            self.hold.wait(5)
        self.answered.append(release)
        return [self.name] * len(inputs)


@pytest.fixture
def replicas():
    """Return two replicas."""
    return [Replica("a"), Replica("b")]


@pytest.fixture
def fleet(replicas):
    """Return both as one server; replicas are probed ten times a second."""
    fleet = FleetModelServer({one.name: one for one in replicas}, probe_seconds=0.1)
    yield fleet
    fleet.close()


def ask(fleet, release="base", inputs=("x",)):
    (name,) = fleet.answer(release, None, list(inputs))
    return name


def test_a_release_is_on_every_replica_when_load_returns(fleet, replicas):
    """All of them answer with it, each in turn."""
    fleet.load("r1", ADAPTER)
    assert [one.held for one in replicas] == [{"r1"}, {"r1"}]
    assert fleet.releases() == ("base", "r1")
    assert sorted(ask(fleet, "r1") for _ in range(4)) == ["a", "a", "b", "b"]


def test_the_least_busy_replica_is_asked(fleet, replicas):
    """One that is held up gets no second request while another one is free."""
    replicas[0].hold = threading.Event()
    first = threading.Thread(target=lambda: ask(fleet))
    first.start()
    wait_until(lambda: fleet._replicas[0].busy == 1)
    assert [ask(fleet) for _ in range(3)] == ["b"] * 3
    replicas[0].hold.set()
    first.join()


def test_a_replica_that_is_away_costs_no_request(fleet, replicas):
    """The other one answers at once, and no further request goes to the first."""
    fleet.load("r1", ADAPTER)
    assert {ask(fleet, "r1") for _ in range(2)} == {"a", "b"}
    replicas[1].is_away = True
    assert [ask(fleet, "r1") for _ in range(4)] == ["a"] * 4
    wait_until(lambda: "b" in fleet.away)
    assert fleet.away["b"] == "b is away."
    assert fleet.releases() == ("base", "r1")
    replicas[0].is_away = True
    with pytest.raises(UnavailableError, match=r"None of 2 replicas answers|a is away"):
        ask(fleet, "r1")


def test_a_replica_that_came_back_empty_gets_nothing_until_it_has_the_release(fleet, replicas):
    """It is loaded by whoever loaded it before, and then it takes its share again."""
    fleet.load("r1", ADAPTER)
    ask(fleet, "r1")
    replicas[1].held.clear()
    replicas[1].refusal = UnavailableError("not yet")
    assert [ask(fleet, "r1") for _ in range(3)] == ["a"] * 3
    assert "r1" not in replicas[1].held
    replicas[1].refusal = None
    wait_until(lambda: "r1" in replicas[1].held)
    wait_until(lambda: ask(fleet, "r1") == "b")


def test_a_replica_that_lacks_a_release_of_another_process_is_named(fleet, replicas):
    """The gateway loads it there: `releases` names only what every replica has."""
    replicas[0].held.add("r1")
    assert ask(fleet, "r1") == "a"
    assert fleet.lacking == {"r1"}
    assert fleet.releases() == ("base",)
    fleet.load("r1", ADAPTER)
    assert fleet.lacking == frozenset()


def test_a_release_that_one_replica_refuses_is_on_none(fleet, replicas):
    """Half of a fleet would answer with it, and the other half not."""
    for error in (RefusedError("It holds 4 of 4 adapters."), IntegrityError("damaged")):
        replicas[1].refusal = error
        with pytest.raises(type(error)):
            fleet.load("r1", ADAPTER)
        assert [one.held for one in replicas] == [set(), set()]
    with pytest.raises(NotFoundError, match="on any of 2 replicas"):
        ask(fleet, "r1")


def test_what_was_unloaded_while_a_replica_was_away_is_unloaded_there_too(fleet, replicas):
    """Otherwise its places fill up with what nothing needs."""
    fleet.load("r1", ADAPTER)
    ask(fleet)
    replicas[1].is_away = True
    fleet.unload("r1")
    replicas[1].is_away = False
    wait_until(lambda: replicas[1].held == set())


def test_a_replica_that_refuses_to_unload_does_not_end_the_probes(fleet, replicas):
    """Its token may have changed since it was asked what it holds."""
    fleet.load("r1", ADAPTER)
    ask(fleet)
    replicas[1].is_away = True
    fleet.unload("r1")
    replicas[1].unload_refusal = ConfigurationError("refuses the token")
    replicas[1].is_away = False
    wait_until(lambda: fleet.away.get("b") == "refuses the token")
    replicas[1].unload_refusal = None
    wait_until(lambda: replicas[1].held == set())


def test_an_input_that_does_not_fit_is_asked_once(fleet, replicas):
    """It fits no other replica either."""
    with pytest.raises(DataError):
        ask(fleet, inputs=["too long"])
    assert [one.answered for one in replicas] == [[], []]


def test_a_release_cannot_be_loaded_while_all_are_away(fleet, replicas):
    """The error names each with its reason."""
    for one in replicas:
        one.is_away = True
    with pytest.raises(UnavailableError, match=r"a: a is away\.; b: b is away\."):
        fleet.load("r1", ADAPTER)
