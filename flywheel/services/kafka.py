"""Apache Kafka brokers in KRaft mode: configuration, formatting, start command, health."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flywheel.errors import UnavailableError
from flywheel.io.atomic import write_text
from flywheel.services.java import find_java, install_jars, kafka_version
from flywheel.services.kafka_data import checkpoint_of, format_data, is_formatted
from flywheel.services.supervisor.network import HOST, port_is_open
from flywheel.services.supervisor.program import Program

__all__ = [
    "QUICK_TO_RETURN",
    "Brokers",
    "broker_names",
    "prepare",
    "programs",
    "ready",
    "servers",
]

_LOGGING = """\
rootLogger.level = info
rootLogger.appenderRef.stdout.ref = stdout
# Prints every setting at every start.
logger.config.name = org.apache.kafka.common.config.AbstractConfig
logger.config.level = warn
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d{ISO8601} %-5p %c{1} - %m%n
"""
# A broker that was killed is let back in when its old session has timed out.
QUICK_TO_RETURN = {"broker.session.timeout.ms": "4000", "broker.heartbeat.interval.ms": "1000"}
_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


@dataclass(frozen=True)
class Brokers:
    """One cluster on this machine: ``ports`` holds (client, controller) for each broker."""

    folder: Path
    cluster_id: str
    ports: tuple[tuple[int, int], ...]
    memory_mb: int
    cache: Path
    properties: Mapping[str, str]


def broker_names(count: int) -> list[str]:
    """Name the brokers: one is ``kafka``, several are numbered from 1."""
    return ["kafka"] if count == 1 else [f"kafka-{number}" for number in range(1, count + 1)]


def servers(brokers: Brokers) -> str:
    """Return the bootstrap servers for clients: host:port, separated by commas."""
    return ",".join(f"{HOST}:{client}" for client, _ in brokers.ports)


def programs(brokers: Brokers) -> list[Program]:
    """Describe the cluster's brokers to the supervisor."""
    jars = install_jars(brokers.cache)
    all_programs = []
    for name, ports in zip(broker_names(len(brokers.ports)), brokers.ports, strict=True):
        folder = brokers.folder / name
        command = [str(find_java()), f"-Xmx{brokers.memory_mb}m", *_JVM]
        command.append(f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}")
        command += ["-cp", str(jars / "*"), "kafka.Kafka", str(folder / "server.properties")]
        all_programs.append(
            Program(
                name=name,
                command=tuple(command),
                ports=ports,
                ready=partial(ready, servers(brokers), len(brokers.ports), ports[0]),
            )
        )
    return all_programs


def prepare(brokers: Brokers) -> None:
    """Write the configuration, and format the data folders that are new.

    Raises:
        StorageError: A data folder belongs to another cluster or to a newer Kafka.
    """
    jars = install_jars(brokers.cache)
    for number, name in enumerate(broker_names(len(brokers.ports)), start=1):
        folder = brokers.folder / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_text(folder / "log4j2.properties", _LOGGING)
        properties = folder / "server.properties"
        write_text(properties, _server_properties(brokers, number, folder / "data"))
        if not is_formatted(folder / "data", brokers.cluster_id):
            format_data(
                folder / "data",
                first=checkpoint_of(brokers.cache),
                node=number,
                cluster_id=brokers.cluster_id,
                run=partial(_format, jars, properties, brokers.cluster_id),
            )
            write_text(folder / "data" / "kafka.version", kafka_version())


def _server_properties(brokers: Brokers, number: int, data: Path) -> str:
    client, controller = brokers.ports[number - 1]
    voters = ",".join(f"{n}@{HOST}:{ports[1]}" for n, ports in enumerate(brokers.ports, start=1))
    copies = str(min(3, len(brokers.ports)))
    values = {
        "process.roles": "broker,controller",
        "node.id": str(number),
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{client},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{client}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        # Topics are made by `flywheel topics apply`, with their partitions and limits.
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": "8",
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": str(min(2, len(brokers.ports))),
        "default.replication.factor": copies,
        "min.insync.replicas": str(min(2, len(brokers.ports))),
        "group.initial.rebalance.delay.ms": "0",
        # Tests of dead and frozen consumers ask for short sessions.
        "group.min.session.timeout.ms": "1000",
        **brokers.properties,
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _format(jars: Path, properties: Path, cluster_id: str) -> None:
    command: Sequence[str] = [
        str(find_java()), "-XX:TieredStopAtLevel=1", "-cp", str(jars / "*"),
        "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise UnavailableError(
            f"Kafka's data folder could not be formatted:\n{(done.stdout + done.stderr)[-2000:]}",
            next_step="read the lines above",
        )


def ready(bootstrap: str, count: int, port: int) -> bool:
    """Return whether the broker listens and the whole cluster is in its own view."""
    if not port_is_open(port):
        return False
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        client = KafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5_000)
        try:
            return len(client.describe_cluster()["brokers"]) >= count
        finally:
            client.close()
    except KafkaError:
        return False
