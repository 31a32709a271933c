"""The services by name: what each stands on, which are user-managed, and the ports they get."""

from collections.abc import Collection

from flywheel.errors import ConfigurationError
from flywheel.services import kafka, object_store, ray, spark
from flywheel.services.supervisor.network import free_ports
from flywheel.services.supervisor.plan import Plan
from flywheel.settings import Settings

__all__ = [
    "ON_REQUEST",
    "SERVICES",
    "UNASKED",
    "extended",
    "needed",
    "own",
    "port_setting",
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
