"""From a plan to the programs it stands for, and from names to the ports they get."""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from flywheel.errors import ConfigurationError
from flywheel.services import (
    application,
    kafka,
    label_studio,
    mlflow,
    object_store,
    postgres,
    ray,
    spark,
    vllm,
)
from flywheel.services.application import Application
from flywheel.services.connections import Connections, extend_connections
from flywheel.services.supervisor.network import free_ports
from flywheel.services.supervisor.plan import Plan
from flywheel.services.supervisor.program import Layout, Program
from flywheel.settings import Settings

__all__ = [
    "ON_REQUEST",
    "SERVICES",
    "UNASKED",
    "connections",
    "extended",
    "label_studio_server",
    "needed",
    "object_store_server",
    "own",
    "port_setting",
    "postgres_server",
    "prepare",
    "programs",
    "publish",
    "service_of",
]

SERVICES = ("kafka", "postgres", "mlflow", "label-studio", "ray", object_store.NAME, spark.NAME)
# Started only when named: no deployment uses one without a setting of its own.
ON_REQUEST = frozenset({object_store.NAME, spark.NAME})
UNASKED = tuple(name for name in SERVICES if name not in ON_REQUEST)
_PORTS = {
    "kafka": "kafka_port",
    "postgres": "postgres_port",
    "mlflow": "mlflow_port",
    "label-studio": "label_studio_port",
    "ray": "ray_port",
    object_store.NAME: "object_store_port",
    spark.NAME: "spark_port",
    "dagster-webserver": "dagster_port",
    "ingest": "metrics_port",
    "webhooks": "webhook_port",
    "gateway": "gateway_port",
    "desk": "desk_port",
    "vllm": "vllm_port",
}
# Each service with the settings that name a user-managed one: with all of them it is not started.
_OWN = {
    "kafka": ("kafka_servers",),
    "postgres": ("state_url", "mlflow_url", "dagster_url"),
    "mlflow": ("mlflow_url",),
    "label-studio": ("label_studio_url", "label_studio_token"),
    "vllm": ("vllm_url",),
    "ray": ("ray_address",),
    spark.NAME: ("spark_url",),
}
# A controller listens ten above its broker.
_CONTROLLER = 10


def own(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return the user-managed services, with the settings that say so."""
    return {
        name: keys
        for name, keys in _OWN.items()
        if all(getattr(settings, key) is not None for key in keys)
    }


def port_setting(name: str) -> str | None:
    """Return the setting that holds a program's port."""
    return _PORTS.get(name) or _PORTS.get(service_of(name))


def service_of(name: str) -> str:
    """Return the service that a program belongs to: kafka-2 is one broker of kafka."""
    return name if name in _PORTS else name.split("-", maxsplit=1)[0]


def needed(names: Collection[str]) -> set[str]:
    """Return the names with what they stand on."""
    unknown = sorted(set(names) - set(SERVICES))
    if unknown:
        raise ConfigurationError(
            f"There is no service {', '.join(unknown)}.",
            next_step=f"choose some of: {', '.join(SERVICES)}",
        )
    return set(names) | ({"postgres"} if "mlflow" in names else set())


def extended(plan: Plan, names: Collection[str], settings: Settings, brokers: int) -> Plan:
    """Return the plan with the named services in it; what has its ports keeps them."""
    port_counts: dict[str, int] = {}
    running_brokers = [name for name in plan.ports if service_of(name) == "kafka"]
    if "kafka" in names:
        port_counts |= dict.fromkeys(running_brokers or kafka.broker_names(brokers), 2)
    port_counts |= {name: 1 for name in ("postgres", "mlflow") if name in names}
    # The second is the receiver's: its address must be known where the webhooks are made.
    port_counts |= {"label-studio": 2} if "label-studio" in names else {}
    port_counts |= ray.PORTS if "ray" in names else {}
    port_counts |= {object_store.NAME: object_store.PORTS} if object_store.NAME in names else {}
    if spark.NAME in names:
        port_counts[spark.NAME] = 1
        plan = spark.planned(plan, settings)
    ports = {}
    used_ports = {port for each in plan.ports.values() for port in each}
    for name, count in port_counts.items():
        if not plan.ephemeral:
            ports[name] = _fixed(name, count, settings)
        elif name not in plan.ports:
            ports[name] = free_ports(count, used=used_ports)
            used_ports |= set(ports[name])
    return plan.with_ports(ports)


def _fixed(name: str, count: int, settings: Settings) -> tuple[int, ...]:
    if name == "label-studio":
        return (settings.label_studio_port, settings.webhook_port)
    if name in ray.PORTS:
        return ray.fixed_ports(name, settings.ray_port)
    base: int = getattr(settings, port_setting(name) or "")
    number = name.rpartition("-")[2]
    offset = int(number) - 1 if number.isdecimal() else 0
    return tuple(base + offset + _CONTROLLER * step for step in range(count))


def programs(layout: Layout, plan: Plan) -> dict[str, Program]:
    """Return every program of the plan."""
    catalog: list[Program] = []
    cluster = _brokers(layout, plan)
    if cluster.ports:
        catalog += kafka.programs(cluster)
    server = postgres_server(layout, plan)
    if server is not None:
        catalog.append(postgres.program(server))
    if server is not None and "mlflow" in plan.ports:
        catalog.append(mlflow.program(_mlflow(layout, plan, server)))
    if "label-studio" in plan.ports:
        catalog.append(label_studio.program(label_studio_server(layout, plan)))
    if ray.HEAD in plan.ports:
        catalog += ray.programs(_ray(layout, plan))
    if object_store.NAME in plan.ports:
        catalog.append(object_store.program(object_store_server(layout, plan)))
    if spark.NAME in plan.ports:
        catalog.append(spark.program(_spark(layout, plan)))
    catalog += [application.program(app) for app in plan.applications.values()]
    return {program.name: program for program in catalog}


def prepare(
    layout: Layout,
    plan: Plan,
    names: Collection[str],
    on_progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Make the data folders of the named programs, and check those that are there.

    What is installed the first time takes minutes: ``on_progress`` is called before it.
    """
    server = postgres_server(layout, plan)
    if "postgres" in names and server is not None:
        on_progress("preparing postgres")
        postgres.prepare(server)
    if any(service_of(name) == "kafka" for name in names):
        on_progress("preparing kafka")
        kafka.prepare(_brokers(layout, plan))
    if "label-studio" in names:
        label_studio.prepare(label_studio_server(layout, plan), on_progress)
    if set(ray.PORTS) <= set(names):
        layout.make_private(layout.short_folder("ray"))
        ray.prepare(_ray(layout, plan))
    if spark.NAME in names:
        spark.prepare(_spark(layout, plan), on_progress)


def connections(layout: Layout, plan: Plan) -> Connections:
    """Return where clients find the services of the plan."""
    cluster = _brokers(layout, plan)
    server = postgres_server(layout, plan)
    return Connections(
        kafka_servers=kafka.servers(cluster) if cluster.ports else None,
        state_url=postgres.database_url(server, "flywheel") if server else None,
        mlflow_url=mlflow.url(_mlflow(layout, plan, server))
        if server and "mlflow" in plan.ports
        else None,
        dagster_url=postgres.database_url(server, "dagster") if server else None,
        event_log="kafka" if cluster.ports else None,
        **_label_studio_connections(layout, plan),
        **_served(plan.applications.values()),
        **(ray.connections(_ray(layout, plan)) if ray.HEAD in plan.ports else {}),
        **(spark.connections(_spark(layout, plan)) if spark.NAME in plan.ports else {}),
    )


def publish(plan: Plan, folder: Path) -> None:
    """Write down where clients find the applications that they need to find."""
    extend_connections(_served(plan.applications.values()), folder)


def _served(applications: Iterable[Application]) -> dict[str, str]:
    # One for each base model; they share a token.
    servers = [each for each in applications if vllm.is_vllm(each.name)]
    if not servers:
        return {}
    servers.sort(key=lambda each: vllm.program_number(each.name))
    return {
        "vllm_url": ",".join(vllm.url(each) for each in servers),
        "vllm_token": vllm.token(servers[0]),
        "vllm_max_loras": str(min(vllm.adapters_at_once(each) for each in servers)),
        "model_server": "vllm",
    }


def postgres_server(layout: Layout, plan: Plan) -> postgres.Server | None:
    """Return the plan's PostgreSQL, if it has one."""
    if "postgres" not in plan.ports:
        return None
    return postgres.Server(
        folder=layout.folder / "postgres",
        secrets=layout.secrets,
        port=plan.ports["postgres"][0],
        durable=not plan.ephemeral,
    )


def _mlflow(layout: Layout, plan: Plan, server: postgres.Server) -> mlflow.Server:
    return mlflow.Server(
        folder=layout.folder / "mlflow",
        port=plan.ports["mlflow"][0],
        database_url=postgres.database_url(server, "mlflow"),
    )


def object_store_server(layout: Layout, plan: Plan) -> object_store.Server:
    """Return the S3 server of a plan that has one."""
    return object_store.Server(
        folder=layout.folder / object_store.NAME,
        secrets=layout.secrets,
        ports=plan.ports[object_store.NAME],
    )


def label_studio_server(layout: Layout, plan: Plan) -> label_studio.Server:
    """Return the Label Studio of a plan that has one."""
    port, webhook_port = plan.ports["label-studio"]
    return label_studio.Server(
        folder=layout.folder / "label-studio",
        secrets=layout.secrets,
        cache=Path(plan.cache),
        port=port,
        webhook_port=webhook_port,
    )


def _label_studio_connections(layout: Layout, plan: Plan) -> dict[str, str | None]:
    server = label_studio_server(layout, plan) if "label-studio" in plan.ports else None
    if server is None or (token := label_studio.token(server)) is None:
        return {}
    return {
        "label_studio_url": label_studio.url(server),
        "label_studio_token": token,
        "webhook_url": label_studio.webhook_url(server),
        "webhook_secret": label_studio.webhook_secret(server),
        "review_queue": "label_studio",
    }


def _ray(layout: Layout, plan: Plan) -> ray.Cluster:
    return ray.Cluster(
        folder=layout.folder / "ray",
        temporary=layout.short_folder("ray"),
        secrets=layout.secrets,
        cache=Path(plan.cache),
        head_ports=plan.ports[ray.HEAD],
        worker_ports=plan.ports[ray.WORKER],
    )


def _spark(layout: Layout, plan: Plan) -> spark.Server:
    return spark.Server(
        folder=layout.folder / spark.NAME,
        secrets=layout.secrets,
        cache=Path(plan.cache),
        port=plan.ports[spark.NAME][0],
        memory_mb=plan.spark_memory_mb,
        master=plan.spark_master,
    )


def _brokers(layout: Layout, plan: Plan) -> kafka.Brokers:
    pairs = [ports for name, ports in plan.ports.items() if service_of(name) == "kafka"]
    quick = kafka.QUICK_TO_RETURN if plan.ephemeral else {}
    return kafka.Brokers(
        folder=layout.folder,
        cluster_id=plan.cluster_id,
        ports=tuple((client, controller) for client, controller in pairs),
        memory_mb=plan.memory_mb,
        cache=Path(plan.cache),
        properties={**quick, **plan.properties},
    )
