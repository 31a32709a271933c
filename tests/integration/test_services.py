"""The services that the project starts by itself: they come up, die, come back and go."""

import json
import signal
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.services, pytest.mark.slow]


def _marked(folder: Path) -> list[str]:
    from flywheel.services.supervisor import leftovers

    return [process.name() for process in leftovers.find(folder)]


def test_kafka_takes_a_record_and_gives_it_back(kafka_servers):
    """A record goes through the broker that was started."""
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.admin import KafkaAdminClient, NewTopic

    topic = f"test-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=kafka_servers)
    admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=kafka_servers)
    producer.send(topic, b"hello").get(timeout=20)
    producer.close()
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=kafka_servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=20_000,
    )
    assert next(iter(consumer)).value == b"hello"
    consumer.close()


def test_each_test_has_an_empty_database(postgres_url):
    """A table can be made in the database, which held none."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(postgres_url)
    with engine.begin() as connection:
        tables = sqlalchemy.inspect(connection).get_table_names()
        connection.execute(sqlalchemy.text("create table t (x int)"))
    engine.dispose()
    assert tables == []


def test_mlflow_keeps_what_is_logged(mlflow_url):
    """An experiment made over HTTP is found again."""
    name = uuid.uuid4().hex
    request = urllib.request.Request(
        f"{mlflow_url}/api/2.0/mlflow/experiments/create",
        data=json.dumps({"name": name}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        experiment = json.load(response)["experiment_id"]
    address = f"{mlflow_url}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}"
    with urllib.request.urlopen(address, timeout=20) as response:
        assert json.load(response)["experiment"]["experiment_id"] == experiment


def test_a_killed_postgres_comes_back_with_its_data(own_services):
    """What was committed before a kill -9 is there after the restart, at the same port."""
    import sqlalchemy

    services = own_services("postgres")
    engine = sqlalchemy.create_engine(services.create_database("kept"), pool_pre_ping=True)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table t as select 42 as x"))
    services.kill("postgres")
    with pytest.raises(sqlalchemy.exc.OperationalError), engine.connect():
        pass
    services.start("postgres")
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("select x from t")).scalar_one() == 42
    engine.dispose()


def test_closing_leaves_no_process_no_port_and_no_file(own_services):
    """After the end nothing of the set is left."""
    services = own_services("postgres")
    folder, port = services.folder, services.plan.ports["postgres"][0]
    assert _marked(folder)
    services.close()
    assert _marked(folder) == []
    assert not folder.exists()
    listening = {c.laddr.port for c in psutil.net_connections("tcp") if c.status == "LISTEN"}
    assert port not in listening


def test_services_end_with_a_killed_owner(tmp_path):
    """A test session that is killed with -9 leaves no orphan."""
    program = (
        "import time\n"
        "from flywheel.services import start\n"
        "from flywheel.settings import load_settings\n"
        "s = start(load_settings(profile='embedded'), ['postgres'], ephemeral=True)\n"
        "print(s.folder, flush=True)\n"
        "time.sleep(300)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    folder = Path(owner.stdout.readline().strip())
    left = [psutil.Process(p.pid) for p in _processes(folder)]
    assert left
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    gone, alive = psutil.wait_procs(left, timeout=60)
    assert alive == []
    assert gone


def _processes(folder: Path) -> list[psutil.Process]:
    from flywheel.services.supervisor import leftovers

    return leftovers.find(folder)
