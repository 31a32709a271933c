"""Who acts: on trust while no person is registered, by token afterwards."""

from datetime import timedelta

import pytest

from flywheel.errors import RefusedError
from flywheel.release.four_eyes import Actor
from flywheel.usecases.by_hand import open_by_hand, retry_by_hand, stop_by_hand
from flywheel.usecases.identity import acting_person, identify
from flywheel.usecases.people import add_person
from flywheel.usecases.release import roll_back
from flywheel.usecases.verdict import approve_candidate, reject_candidate
from tests.fakes.hand_world import HandWorld


@pytest.fixture
def world(tmp_path):
    world = HandWorld(tmp_path)
    yield world
    world.close()


def registered(world, name, *roles, days=30):
    admin = getattr(world, "admin", None)
    new = add_person(world, name, roles=roles, days=days, by=name, token=admin)
    if admin is None:
        world.admin = new.token
    return new.token


def test_a_name_is_trusted_while_nobody_is_registered(world):
    """And recorded so."""
    person = acting_person(world, name="Mara", token=None, right="decide")
    assert person == Actor("Mara", "on_trust")
    cycle = open_by_hand(world, "parts", person=person, reason="now")
    assert cycle.numbers["identity"] == "on_trust"
    with pytest.raises(RefusedError, match="was not said"):
        acting_person(world, name=None, token=None, right="decide")


def test_the_name_comes_from_the_token_afterwards(world):
    """The cycle is asked for by the account, and its identity is recorded as verified."""
    registered(world, "Ada", "admin")
    add_person(world, "Mara", roles=("approver",), by=None, token=world.admin)
    token = add_person(world, "Lea", roles=("annotator_lead",), by=None, token=world.admin).token
    person = acting_person(world, name=None, token=token, right="request")
    cycle = open_by_hand(world, "parts", person=person, reason="now")
    assert (cycle.opened_by, cycle.numbers["identity"]) == ("Lea", "verified")
    with pytest.raises(RefusedError, match="takes the role approver"):
        acting_person(world, name=None, token=token, right="decide")


def test_no_use_case_takes_a_name_alone_once_somebody_is_registered(world):
    """Whatever calls it: the command line, a job of Dagster's, a program."""
    cycle = open_by_hand(world, "parts", person="Bo", reason="now").ref
    registered(world, "Ada", "admin")
    calls = (
        lambda: open_by_hand(world, "parts", person="Bo", reason="now"),
        lambda: retry_by_hand(world, cycle, person="Bo", reason="now"),
        lambda: stop_by_hand(world, cycle, person="Bo", reason="now"),
        lambda: approve_candidate(world, cycle, actor="Bo", reason="fine"),
        lambda: reject_candidate(world, cycle, actor="Bo", reason="fine"),
        lambda: roll_back(world, "parts", actor="Bo", reason="bad"),
    )
    for call in calls:
        with pytest.raises(RefusedError, match="name alone is not enough"):
            call()


def test_a_token_expires(world):
    """To the moment."""
    token = registered(world, "Ada", "admin", days=2)
    start = world.clock.now()
    world.clock.move_to(start + timedelta(days=2, seconds=-1))
    assert identify(world, token).name == "Ada"
    world.clock.move_to(start + timedelta(days=2))
    with pytest.raises(RefusedError, match="expired"):
        identify(world, token)


def test_without_a_valid_admin_a_name_adds_one_on_trust(world):
    """Nobody is locked out for good; the audit says how it was done."""
    registered(world, "Ada", "admin", days=1)
    world.clock.move_to(world.clock.now() + timedelta(days=2))
    add_person(world, "Bo", roles=("admin",), by="Bo", token=None)
    [row] = world.state.audit.of("person/Bo")
    assert row.details["identity"] == "on_trust"
