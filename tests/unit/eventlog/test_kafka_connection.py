"""What clients of Kafka are told: safe options, masked secrets, a warning for what is in the clear."""

import logging
import warnings

import pytest
from pydantic import SecretStr

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.eventlog.kafka_connection import KafkaConnection
from flywheel.eventlog.kafka_log import KafkaEventLog
from flywheel.settings import load_settings
from flywheel.wiring import Platform, kafka_connection

_SASL = {
    "event_log": "kafka",
    "kafka_servers": "127.0.0.1:1",
    "kafka_security_protocol": "SASL_SSL",
    "kafka_sasl_mechanism": "SCRAM-SHA-512",
    "kafka_username": "flywheel",
    "kafka_password": "open-sesame",
}


def test_settings_choose_the_adapter(tmp_path):
    """Nothing is connected before something is asked for."""
    platform = Platform(
        load_settings(home=tmp_path, event_log="kafka", kafka_servers="localhost:1")
    )
    assert isinstance(platform.log, KafkaEventLog)
    platform.close()


def test_user_password_and_authority_reach_the_client(tmp_path):
    """What the settings say is what the client is told."""
    authority = tmp_path / "ca.pem"
    authority.write_text("pem")
    settings = load_settings(**_SASL, kafka_ca_file=authority, kafka_member="ingest-1")
    connection = kafka_connection(settings)
    told = connection.options()
    assert told["security_protocol"] == "SASL_SSL"
    assert told["sasl_mechanism"] == "SCRAM-SHA-512"
    assert told["sasl_plain_username"] == "flywheel"
    assert told["sasl_plain_password"].encode() == b"open-sesame"
    assert told["ssl_cafile"] == str(authority)
    assert connection.member == "ingest-1"


def test_a_password_is_never_written(caplog):
    """Neither our values nor what the client logs of its options show it."""
    from kafka import KafkaAdminClient

    caplog.set_level(logging.DEBUG)
    connection = kafka_connection(load_settings(**_SASL))
    written = f"{connection!r} {connection.options()}"
    with pytest.raises(KeyError, match="stop here"):
        KafkaAdminClient(**connection.options(), kafka_client=_refuse)
    written += caplog.text
    assert "Starting KafkaAdminClient" in written
    assert "**********" in written
    assert "sesame" not in written


def _refuse(**_options):
    raise KeyError("stop here")


@pytest.mark.parametrize(
    "servers",
    ["localhost:9092", "127.0.0.1:9092", "[::1]:9092", "127.0.0.1:1,localhost:2", "a.localhost:1"],
)
def test_nothing_is_said_about_this_machine(servers):
    """Loopback may be plain."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        KafkaConnection(servers)


@pytest.mark.parametrize("servers", ["broker:9092", "localhost:1,10.0.0.7:9092", "[2001:db8::1]:9"])
def test_plain_text_to_another_host_is_warned_of(servers):
    """Whoever sends people's texts over a network unencrypted is told."""
    with pytest.warns(UserWarning, match="unencrypted to"):
        KafkaConnection(servers)
    with pytest.warns(UserWarning, match="Events and password"):
        KafkaConnection(
            servers, "SASL_PLAINTEXT", sasl_mechanism="PLAIN", username="u", password=SecretStr("p")
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        KafkaConnection(servers, "SSL")


def test_a_protocol_without_its_parts_is_refused(tmp_path):
    """SASL needs who, and a file that is named must be there."""
    with pytest.raises(ConfigurationError, match="needs a mechanism"):
        KafkaConnection("localhost:1", "SASL_SSL", username="u")
    with pytest.raises(ConfigurationError, match="no file"):
        KafkaConnection("localhost:1", "SSL", ca_file=tmp_path / "none.pem")


def test_a_broker_that_is_not_there_is_said_to_be_away(unused_tcp_port):
    """The error comes within the time that was given, and leaves no thread behind."""
    import threading

    before = threading.active_count()
    log = KafkaEventLog(KafkaConnection(f"127.0.0.1:{unused_tcp_port}", timeout_seconds=1.0))
    for ask in (log.topic, log.end_offsets, lambda name: log.append(name, [(b"k", b"v")])):
        with pytest.raises(UnavailableError):
            ask("nowhere")
    log.close()
    assert threading.active_count() == before


@pytest.fixture
def unused_tcp_port():
    """Return a port of this machine on which nobody listens."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
