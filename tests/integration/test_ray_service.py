"""The Ray cluster that services start: alone on loopback, closed to strangers, ready to train."""

import socket
import urllib.error
import urllib.request
from contextlib import suppress

import psutil
import pytest

from flywheel.services.supervisor import leftovers

pytestmark = [pytest.mark.services, pytest.mark.slow]


def _family(folder):
    # Ray's agents write over their environment to set a title; their parents have the mark.
    found = set()
    for parent in leftovers.find(folder):
        with suppress(psutil.NoSuchProcess):  # an agent's helper that ended just now
            found |= {each.pid for each in [parent, *parent.children(recursive=True)]}
    return found


def test_it_listens_on_loopback_alone(ray_cluster, shared_services):
    """Whoever reaches a Ray cluster may run programs on it."""
    family = _family(shared_services.started("ray").folder)
    listening = {
        connection.laddr.ip.removeprefix("::ffff:")
        for connection in psutil.net_connections("inet")
        if connection.pid in family and connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_a_stranger_is_turned_away(ray_cluster):
    """Another user of this machine has no token."""
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{ray_cluster.url}/api/jobs/", timeout=20)
    assert ray_cluster.state("nothing") is None
    assert ray_cluster.version() == "4"


def test_its_ports_are_its_own(ray_cluster, shared_services):
    """Every port of the plan is one that a program of it listens on, or keeps for its workers."""
    plan = shared_services.started("ray").plan
    assert {"ray-head", "ray-worker"} <= set(plan.ports)
    dashboard, store = plan.ports["ray-head"][:2]
    for port in (dashboard, store, plan.ports["ray-worker"][0]):
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
