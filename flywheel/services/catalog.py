"""From a plan to the programs it stands for, and to where clients find them."""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

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
from flywheel.services.service_ports import service_of
from flywheel.services.supervisor.plan import Plan
from flywheel.services.supervisor.program import Layout, Program

__all__ = [
    "connections",
    "label_studio_server",
    "object_store_server",
    "postgres_server",
    "prepare",
    "programs",
    "publish",
]


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
