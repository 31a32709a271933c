"""The adapter while its broker is away, and behind a password: what it raises, how it recovers."""

import time

import pytest
from pydantic import SecretStr

from flywheel.errors import TransientError, UnavailableError
from flywheel.eventlog.kafka_connection import KafkaConnection
from flywheel.eventlog.kafka_log import KafkaEventLog
from flywheel.events import INFERENCES_TOPIC
from flywheel.io.patience import Patience
from flywheel.services.supervisor.network import free_ports
from tests.fakes.kafka_plane import KafkaPlane
from tests.fakes.waiting import wait_until

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]
_LOGIN = (
    'org.apache.kafka.common.security.plain.PlainLoginModule required user_flywheel="open-sesame";'
)


def test_a_broker_that_is_away_is_said_to_be_away_until_it_is_back(tmp_path, own_services):
    """Appending, polling and asking raise what is tried again; the same objects then recover."""
    services = own_services("kafka")
    plane = KafkaPlane(tmp_path, services.connections.kafka_servers, timeout_seconds=4)
    plane.produce(*range(10))
    consumer = plane.log.consumer(INFERENCES_TOPIC, group="g")
    assert len(_drain(consumer)) == 10
    services.kill("kafka")
    for attempt in (
        lambda: plane.produce(10),
        lambda: consumer.poll(maximum=10, timeout_seconds=0),
        lambda: plane.log.end_offsets(INFERENCES_TOPIC),
        lambda: consumer.commit(dict.fromkeys(consumer.assignment(), 0)),
    ):
        with pytest.raises(UnavailableError):
            attempt()
    services.start("kafka")
    _retried(lambda: plane.produce(11, 12))
    got = []
    wait_until(lambda: len(_retried(lambda: got.extend(_drain(consumer)) or got)) >= 2)
    assert len({record.value for record in got}) in (2, 3)  # 10 may have got there
    plane.close()


def _drain(consumer):
    records = []
    while batch := consumer.poll(maximum=100, timeout_seconds=0):
        records += batch
    return records


def _retried(attempt, *, seconds: float = 60.0):
    patience = Patience(seconds)
    while True:
        try:
            return attempt()
        except TransientError:
            if patience.is_over:
                raise
            time.sleep(0.2)


def _add_password_listener(services) -> int:
    # Beside the plain one, which the services' own health check uses.
    (file,) = services.folder.rglob("server.properties")
    (port,) = free_ports(1)
    lines = []
    for line in file.read_text().splitlines():
        key, _, value = line.partition("=")
        if key in {"listeners", "advertised.listeners"}:
            value += f",SASL_PLAINTEXT://127.0.0.1:{port}"
        if key == "listener.security.protocol.map":
            value += ",SASL_PLAINTEXT:SASL_PLAINTEXT"
        lines.append(f"{key}={value}")
    lines += [
        "inter.broker.listener.name=PLAINTEXT",
        "sasl.enabled.mechanisms=PLAIN",
        f"listener.name.sasl_plaintext.plain.sasl.jaas.config={_LOGIN}",
    ]
    file.write_text("\n".join(lines))
    services.restart("kafka")
    return port


def test_user_and_password_open_a_listener_that_asks_for_them(own_services):
    """With the right password everything works; with a wrong one the error names the settings."""
    port = _add_password_listener(own_services("kafka"))

    def connection(password: str, seconds: float) -> KafkaConnection:
        return KafkaConnection(
            f"127.0.0.1:{port}",
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="PLAIN",
            username="flywheel",
            password=SecretStr(password),
            timeout_seconds=seconds,
        )

    log = KafkaEventLog(connection("open-sesame", 20))
    log.create_topic(INFERENCES_TOPIC, partitions=1)
    log.append(INFERENCES_TOPIC, [(b"k", b"v")])
    assert [r.value for r in _drain(log.consumer(INFERENCES_TOPIC, group="g"))] == [b"v"]
    log.close()
    with pytest.raises(UnavailableError, match="did not let this client in") as caught:
        KafkaEventLog(connection("guessed", 3)).topic(INFERENCES_TOPIC)
    assert "FLYWHEEL_KAFKA_" in str(caught.value.next_step)
    assert "guessed" not in str(caught.value)
