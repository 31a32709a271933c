"""Dagster's storage on a real PostgreSQL server: connections are used again, lost ones replaced."""

import psycopg2
import pytest

from flywheel.orchestration.instance import open_instance, prepare_dagster_home
from flywheel.settings import load_settings
from tests.fakes.waiting import wait_until

pytestmark = pytest.mark.services

SESSIONS = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"


@pytest.fixture
def server(postgres_url):
    """Look at the database from beside Dagster."""
    url = postgres_url.replace("postgresql+psycopg2", "postgresql")
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


def sessions(cursor):
    cursor.execute(SESSIONS)
    return {pid for (pid,) in cursor.fetchall()}


def ask(instance):
    """Ask each of the three storages."""
    instance.get_run_records(limit=1)
    instance.event_log_storage.get_concurrency_keys()
    instance.all_instigator_state()


def test_connections_are_used_again(tmp_path, postgres_url, server):
    """A hundred queries go through the sessions of the first one."""
    home = prepare_dagster_home(load_settings(home=tmp_path, dagster_url=postgres_url))
    with open_instance(home) as instance:
        ask(instance)
        before = sessions(server)
        for _ in range(30):
            ask(instance)

        assert sessions(server) == before
        assert 1 <= len(before) <= 3


def test_a_lost_connection_is_replaced_unseen(tmp_path, postgres_url, server):
    """A server that came back ended every session; the next query works all the same."""
    home = prepare_dagster_home(load_settings(home=tmp_path, dagster_url=postgres_url))
    with open_instance(home) as instance:
        ask(instance)
        lost = sessions(server)
        for pid in lost:
            server.execute("select pg_terminate_backend(%s)", [pid])
        ask(instance)

        assert lost.isdisjoint(sessions(server))


def test_an_instance_that_is_closed_leaves_no_session(tmp_path, postgres_url, server):
    """Whoever opens one for each look would use up what the server has."""
    home = prepare_dagster_home(load_settings(home=tmp_path, dagster_url=postgres_url))
    for _ in range(5):
        with open_instance(home) as instance:
            ask(instance)

        wait_until(lambda: not sessions(server), "an end of the sessions")
