import pytest

from flywheel.errors import ConfigurationError
from flywheel.services.service_ports import extended, needed, own, port_setting
from flywheel.services.supervisor.plan import new_plan
from flywheel.settings import load_settings


def _plan(tmp_path, *, ephemeral=False):
    return new_plan(ephemeral=ephemeral, cache=tmp_path, memory_mb=512, properties={})


def test_what_has_an_address_is_somebodys_own():
    """PostgreSQL is ours as long as one of its three databases is."""
    settings = load_settings(kafka_servers="host:9092", mlflow_url="http://host", state_url="x")
    assert set(own(settings)) == {"kafka", "mlflow"}
    settings = load_settings(dagster_url="x", mlflow_url="http://host", state_url="x")
    assert set(own(settings)) == {"postgres", "mlflow"}


def test_mlflow_brings_postgres():
    """What a service stands on comes with it."""
    assert needed(["mlflow"]) == {"mlflow", "postgres"}


def test_an_unknown_service_is_named_with_the_known():
    """A typing error says what there is."""
    with pytest.raises(ConfigurationError, match="no service kafak") as caught:
        needed(["kafak"])
    assert "kafka, postgres, mlflow" in caught.value.next_step


def test_ports_come_from_the_settings(tmp_path):
    """Three brokers stand side by side, their controllers ten above."""
    settings = load_settings(kafka_port=9000, postgres_port=9900)
    plan = extended(_plan(tmp_path), {"kafka", "postgres"}, settings, 3)
    assert plan.ports == {
        "kafka-1": (9000, 9010),
        "kafka-2": (9001, 9011),
        "kafka-3": (9002, 9012),
        "postgres": (9900,),
    }


def test_a_cluster_keeps_its_brokers(tmp_path):
    """The number of brokers is decided once; asking for another later changes nothing."""
    plan = extended(_plan(tmp_path), {"kafka"}, load_settings(), 3)
    assert extended(plan, {"kafka"}, load_settings(), 1) == plan


def test_ephemeral_ports_are_kept_over_a_restart(tmp_path):
    """Clients of a killed service find it again where it was."""
    plan = extended(_plan(tmp_path, ephemeral=True), {"postgres"}, load_settings(), 1)
    assert (
        extended(plan, {"postgres", "kafka"}, load_settings(), 1).ports["postgres"]
        == (plan.ports["postgres"])
    )


@pytest.mark.parametrize(
    ("program", "setting"),
    [
        ("kafka-2", "kafka_port"),
        ("postgres", "postgres_port"),
        ("dagster-webserver", "dagster_port"),
        ("ingest", "metrics_port"),
        ("something", None),
    ],
)
def test_each_port_has_a_setting(program, setting):
    """The error about a taken port can say where to choose another."""
    assert port_setting(program) == setting
