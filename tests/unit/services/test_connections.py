import stat

from flywheel.services.connections import Connections, write_connections
from flywheel.settings import load_settings

URL = "postgresql+psycopg2://flywheel:geheim@127.0.0.1:5433/flywheel"


def test_settings_read_what_was_written(tmp_path):
    """Under profile = services, a client finds what was started."""
    connections = Connections(
        kafka_servers="127.0.0.1:9092", state_url=URL, mlflow_url="http://x", event_log="kafka"
    )
    write_connections(connections, tmp_path)
    settings = load_settings(profile="services", services=tmp_path)
    assert settings.event_log == "kafka"
    assert settings.kafka_servers == "127.0.0.1:9092"
    assert settings.state_database == URL
    assert settings.mlflow_database == "http://x"
    assert settings.dagster_url is None


def test_the_file_is_for_its_owner_alone(tmp_path):
    """It holds passwords."""
    file = write_connections(Connections(state_url=URL), tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_given_address_is_left_out():
    """Somebody's own service does not become ours by being written down."""
    connections = Connections(kafka_servers="127.0.0.1:9092", state_url=URL, event_log="kafka")
    rest = connections.without({"kafka_servers", "profile", "event_log"})
    assert rest.settings() == {"state_url": URL, "event_log": "kafka"}


def test_connections_do_not_print_passwords():
    """Not even by accident, in a log or a traceback."""
    assert "geheim" not in repr(Connections(state_url=URL))
