"""`flywheel ingest --follow` over a real broker that is killed while events arrive."""

import signal

import pytest

from flywheel.eventlog.kafka_log import KafkaEventLog
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
from flywheel.ingest.ledger import prove
from flywheel.lake import Lake
from flywheel.settings import load_settings
from flywheel.wiring import kafka_connection
from tests.fakes.event_makers import keyed, make_event, make_workload
from tests.integration.follower import FollowerProcess

pytestmark = [pytest.mark.services, pytest.mark.slow]


def _produce(log, *numbers):
    workload = make_workload()
    log.append(INFERENCES_TOPIC, [keyed(make_event(number, workload)) for number in numbers])


@pytest.fixture
def broker(own_services):
    """Start a broker that the test may kill, with both topics."""
    services = own_services("kafka")
    settings = {"event_log": "kafka", "kafka_servers": services.connections.kafka_servers}
    log = KafkaEventLog(kafka_connection(load_settings(**settings)))
    for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
        log.create_topic(topic, partitions=4)
    yield services, log, settings
    log.close()


def test_a_follower_outlives_its_broker(tmp_path, broker):
    """Away for longer than it can bear, the broker makes it ill; back again, all of it lands."""
    services, log, settings = broker
    home = tmp_path / "home"
    _produce(log, *range(50))
    follower = FollowerProcess(home, ingest_linger_seconds=0.2, **settings)
    try:
        landed = "flywheel_ingest_rows_total"
        follower.wait_for(lambda: follower.metric(landed) == 50, seconds=120)
        assert follower.get("/healthz")[0] == 200
        services.kill("kafka")
        follower.wait_for(lambda: follower.get("/healthz")[0] == 503, seconds=180)
        assert "reason" in follower.get("/healthz")[1]
        services.start("kafka")
        _produce(log, *range(50, 120))
        follower.wait_for(lambda: follower.metric(landed) >= 120, seconds=180)
        follower.wait_for(lambda: follower.get("/healthz")[0] == 200, seconds=60)
        report = follower.end()
        assert follower.returncode == 0
        assert report is not None
        ledger = prove(log, Lake(home / "lake"))
        assert ledger.balances
        assert (ledger.distinct_ids, ledger.total("lag")) == (120, 0)
    finally:
        follower.end(signal.SIGKILL)
