"""The checks of `flywheel doctor` on what runs elsewhere: Kafka, PostgreSQL, MLflow, and so on."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

from flywheel.deployment.findings import Finding, checked
from flywheel.deployment.receiver import receiver_address
from flywheel.errors import (
    ConfigurationError,
    NotFoundError,
    RefusedError,
    StorageError,
    UnavailableError,
    UnservedBaseError,
)
from flywheel.services.label_studio_account import ends_at
from flywheel.settings import Settings
from flywheel.wiring import Platform, kafka_connection, ray_cluster, spark_server

__all__ = ["connection_findings"]

_SECONDS = 10.0
_KAFKA, _POSTGRES, _MLFLOW, _SPARK = (3, 0), 14, (3, 0), 4


def connection_findings(settings: Settings) -> Iterator[Finding]:
    """Look at each service that the settings name: connection, version, rights."""
    mlflow = settings.mlflow_url is not None and settings.mlflow_database.startswith("http")
    checks: list[tuple[bool, str, Callable[[Settings], str]]] = [
        (settings.event_log == "kafka", "Kafka", _kafka),
        (settings.event_log == "kafka", "topics", _topics),
        (settings.state_url is not None, "state's database", _state),
        (mlflow, "MLflow", _mlflow),
        (settings.dagster_url is not None, "Dagster's database", _dagster_database),
        (settings.train_launcher == "ray", "Ray", _ray),
        (settings.train_launcher == "ray", "train exchange", _exchange),
        (settings.review_queue == "label_studio", "Label Studio", _label_studio),
        (settings.webhook_url is not None, "webhooks", _webhooks),
        (settings.model_server == "vllm", "vLLM", _vllm),
        (settings.lake_engine == "spark", "Spark", _spark),
        (settings.profile == "services", "services", _services),
    ]
    for is_used, subject, check in checks:
        if is_used:
            yield checked(subject, lambda check=check: check(settings))  # type: ignore[misc]


def _kafka(settings: Settings) -> str:
    from flywheel.eventlog.kafka_facts import inspect_kafka
    from flywheel.eventlog.topics import DECLARED

    connection = replace(kafka_connection(settings), timeout_seconds=_SECONDS)
    facts = inspect_kafka(connection, list(DECLARED))
    version = ".".join(str(part) for part in facts.version)
    if facts.version < _KAFKA:
        raise UnavailableError(
            f"The brokers run Kafka {version}; 3.0 is the oldest that is supported.",
            next_step="upgrade them, or set FLYWHEEL_KAFKA_SERVERS to others",
        )
    if facts.missing_rights:
        named = "; ".join(f"{t}: {', '.join(r)}" for t, r in facts.missing_rights.items())
        raise RefusedError(
            f"The user may not do all that is needed ({named}).",
            next_step="have an administrator of the cluster grant it",
        )
    missing = [topic for topic in DECLARED if topic not in facts.partitions]
    if missing:
        step = "run `flywheel topics apply`"
        raise NotFoundError(
            f"There is no topic {', '.join(missing)}.",
            next_step=step
            if facts.may_create_topics
            else f"have an administrator of the cluster {step}: this user may not make topics",
        )
    topics = ", ".join(f"{topic} ({count})" for topic, count in facts.partitions.items())
    return f"Kafka {version}, brokers: {facts.brokers}, topics (partitions): {topics}"


def _topics(settings: Settings) -> str:
    from flywheel.eventlog.kafka_log import KafkaEventLog
    from flywheel.eventlog.topics import compare_topics

    log = KafkaEventLog(replace(kafka_connection(settings), timeout_seconds=_SECONDS))
    try:
        states = compare_topics(log)
    finally:
        log.close()
    differing = [state.name for state in states if state.differences or state.found is None]
    if differing:
        raise ConfigurationError(
            f"Not as declared: {', '.join(differing)}.",
            next_step="compare with `flywheel topics show`",
        )
    return "as declared"


def _postgres(url: str, setting: str) -> str:
    from flywheel.services.supervisor.inspection import inspect_postgres

    facts = inspect_postgres(url, setting=setting)
    if facts.version < _POSTGRES:
        raise ConfigurationError(
            f"{facts.place} is PostgreSQL {facts.version}; {_POSTGRES} is the oldest supported.",
            next_step=f"upgrade it, or set {setting} to another",
        )
    if not facts.may_create_tables:
        raise RefusedError(
            f"The user may not create tables in {facts.place}.",
            next_step="have its administrator grant create on the schema, or make the user its "
            "owner",
        )
    return f"PostgreSQL {facts.version}, {facts.place}, {facts.tables} tables"


def _state(settings: Settings) -> str:
    from flywheel.state.database import Database
    from flywheel.state.schema import HEAD

    url = settings.state_database
    detail = "" if url.startswith("sqlite") else _postgres(url, "FLYWHEEL_STATE_URL")
    database = Database(url)
    try:
        revision = database.revision()
    finally:
        database.close()
    if revision not in {None, HEAD}:
        raise StorageError(
            f"The state's schema is at {revision}, this version of Flywheel wants {HEAD}.",
            next_step="run `flywheel state upgrade`",
        )
    return f"{detail}, schema {revision or 'to be made at the first start'}".removeprefix(", ")


def _mlflow(settings: Settings) -> str:
    from flywheel.services.supervisor.inspection import inspect_mlflow

    version = inspect_mlflow(settings.mlflow_database)
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < _MLFLOW:
        raise UnavailableError(
            f"The server runs MLflow {version}; 3.0 is the oldest that is supported.",
            next_step="upgrade it, or set FLYWHEEL_MLFLOW_URL to another",
        )
    return f"MLflow {version}"


def _dagster_database(settings: Settings) -> str:
    assert settings.dagster_url is not None
    return _postgres(settings.dagster_url.get_secret_value(), "FLYWHEEL_DAGSTER_URL")


def _ray(settings: Settings) -> str:
    cluster = ray_cluster(settings)
    return f"Ray {cluster.version()} at {cluster.url}, a training reserves {cluster.wanted}"


def _exchange(settings: Settings) -> str:
    from flywheel.train.launch.exchange import Exchange

    exchange, probe = Exchange(settings.train_exchange_url), f"probes/{uuid.uuid4().hex}"
    exchange.write(f"{probe}/file", b"written by flywheel doctor")
    exchange.remove(probe)
    return f"{exchange.url} can be written"


def _label_studio(settings: Settings) -> str:
    client = Platform(settings).label_studio
    try:
        version = str(client.request("GET", "/api/version/")["release"])
        email = client.request("GET", "/api/current-user/whoami")["email"]
    finally:
        client.close()
    assert settings.label_studio_token is not None
    ends = ends_at(settings.label_studio_token.get_secret_value())
    until = "a token without an end" if ends is None else f"token until {ends:%Y-%m-%d}"
    return f"Label Studio {version}, as {email}, {until}"


def _webhooks(settings: Settings) -> str:
    from flywheel.services.supervisor.health import ask

    host, port = receiver_address(settings)
    if (response := ask(f"http://{host}:{port}/healthz")) is None:
        raise UnavailableError(
            f"Nothing receives webhooks on port {port}, or hints cannot be kept.",
            next_step="run `flywheel services up webhooks` (judgments are collected without it, "
            "but later)",
        )
    return response


def _vllm(settings: Settings) -> str:
    from flywheel.deployment.needed_bases import needed_bases
    from flywheel.serve.vllm_facts import how_to_serve, inspect_vllm

    token = settings.vllm_token.get_secret_value() if settings.vllm_token else None
    facts = {url: inspect_vllm(url, token, timeout_seconds=_SECONDS) for url in settings.vllm_urls}
    counts = []
    for base, workloads in needed_bases(settings).by_digest.values():
        replicas = sum(one.models.serves(base.digest) for one in facts.values())
        if not replicas:
            served = "; ".join(f"{u} serves {', '.join(f.models.bases)}" for u, f in facts.items())
            named = ", ".join(workload.id for workload in workloads)
            raise UnservedBaseError(
                f"No vLLM serves the base model {base.name} ({base.digest[:12]}) of {named}: "
                f"{served}.",
                next_step=how_to_serve(base.name, base.digest),
            )
        counts.append(f"{base.name}: {replicas}")
    closed = "ask for their token" if len(facts) > 1 else "asks for its token"
    if not all(one.closed for one in facts.values()):
        closed = "open to anyone who can reach it"
    adapters = ", ".join(str(len(one.models.adapters)) for one in facts.values())
    of_each = f" ({', '.join(counts)})" if len(counts) > 1 else ""
    several = f"{len(facts)} replicas{of_each}, " if len(facts) > 1 else ""
    version = next(iter(facts.values())).version
    return f"vLLM {version}, {several}{closed}, adapters: {adapters}"


def _spark(settings: Settings) -> str:
    from flywheel.lake.spark import SparkSession

    session = SparkSession(spark_server(settings))
    try:
        version = session.version()
    finally:
        session.close()
    if int(version.partition(".")[0]) < _SPARK:
        raise ConfigurationError(
            f"The server runs Spark {version}; {_SPARK}.1 is the oldest that is supported.",
            next_step="upgrade it, or set FLYWHEEL_SPARK_URL to another",
        )
    return f"Spark {version} with Delta Lake at {settings.spark_url}"


def _services(settings: Settings) -> str:
    from flywheel.services import Services
    from flywheel.services.supervisor.status import orphans, statuses

    services = Services(settings.services)
    rows = statuses(services)
    down = [row.name for row in rows if row.state != "running"]
    if orphans(services):
        raise UnavailableError(
            "The supervisor has died, and its programs keep running without it.",
            next_step="run `flywheel services down`, and then `flywheel services up`",
        )
    if down:
        raise UnavailableError(
            f"Not running: {', '.join(down)}.",
            next_step="run `flywheel services up`, or look at `flywheel services logs`",
        )
    return ", ".join(row.name for row in rows)
