"""What every test may use: the repository, public data beside it, a quiet environment."""

import atexit
import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as property_settings

from flywheel.errors import FlywheelError
from flywheel.io.garbage import collect_seldom
from flywheel.lake.spark import SparkServer
from flywheel.services import Application, Services, start
from flywheel.settings import load_settings
from flywheel.train.launch.ray_cluster import RayCluster
from tests.run.groups import group_of

if TYPE_CHECKING:
    from flywheel.release.registry import MlflowRegistry

REPOSITORY = Path(__file__).parent.parent

# A worker imports every test and most libraries.
collect_seldom()

# Before any library is imported: no test asks a hub or sends telemetry.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
os.environ["WANDB_DISABLED"] = "true"
# pytest-xdist sets it for its workers; what they print goes to no terminal.
os.environ.pop("COLUMNS", None)
# Several tests run at a time: threads of one that spin for a core which another has help nobody.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test reads or writes the deployment of the person who runs it.
os.environ["FLYWHEEL_HOME"] = tempfile.mkdtemp(prefix="flywheel-tests-")
# What was downloaded and built once serves every run of the tests.
os.environ.setdefault("FLYWHEEL_CACHE", str(REPOSITORY / ".flywheel" / "cache"))
os.environ["FLYWHEEL_WORKLOADS"] = str(REPOSITORY / "deploy" / "workloads")
atexit.register(shutil.rmtree, os.environ["FLYWHEEL_HOME"], ignore_errors=True)

# `repeatable` draws the same examples in every run; HYPOTHESIS_PROFILE=explore looks for new ones.
_UNCHECKED = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)
property_settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, max_examples=100,
    suppress_health_check=_UNCHECKED,
)  # fmt: skip
property_settings.register_profile(
    "explore", deadline=None, max_examples=1_000, suppress_health_check=_UNCHECKED
)
property_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_collection_finish() -> None:
    """Take what was collected, which stays to the end, out of every later look for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def public_data() -> Path:
    """Return the folder of public data beside the checkout, or skip with the reason."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the public data sets are not beside this checkout")
    return folder


def _cannot_run(error: FlywheelError) -> None:
    """Skip where a machine cannot run the services; continuous integration must be able to."""
    if os.environ.get("CI") == "true":
        raise error
    pytest.skip(f"the services do not run here: {error}")


class _SharedServices:
    """This worker's one set of services; each is started when the first test asks for it."""

    def __init__(self) -> None:
        self._services: Services | None = None
        self._failed: FlywheelError | None = None

    def started(self, name: str) -> Services:
        """Return the set with this service in it."""
        settings = load_settings(profile="embedded")
        return self._trying(
            lambda services: name in services.names or services.add([name], settings)
        )

    def running(self, describe: Callable[[Services], Application]) -> Services:
        """Return the set with an application in it."""
        return self._trying(lambda services: services.run([describe(services)]))

    def _trying(self, bring_up: Callable[[Services], object]) -> Services:
        if self._failed is not None:
            _cannot_run(self._failed)
        try:
            if self._services is None:
                self._services = start(load_settings(profile="embedded"), [], ephemeral=True)
            bring_up(self._services)
        except FlywheelError as error:
            self._failed = error
            _cannot_run(error)
        assert self._services is not None
        return self._services

    def close(self) -> None:
        """Stop and delete everything; the next test that asks gets a new set."""
        services, self._services, self._failed = self._services, None, None
        if services is not None:
            services.close()


_SHARED = _SharedServices()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """Stop the services after the last test of a group, so that the next one finds the machine free."""
    try:
        yield
    finally:
        if nextitem is None or group_of(nextitem) != group_of(item):
            _SHARED.close()


@pytest.fixture(scope="session")
def shared_services() -> _SharedServices:
    """Return the group's services: for tests that leave them as they found them."""
    return _SHARED


@pytest.fixture(scope="module")
def kafka_servers(shared_services: _SharedServices) -> str:
    """Return host:port of a real Kafka broker without topics."""
    servers = shared_services.started("kafka").connections.kafka_servers
    assert servers is not None
    return servers


@pytest.fixture
def postgres_url(shared_services: _SharedServices) -> Iterator[str]:
    """Yield the SQLAlchemy URL of an empty database on a real PostgreSQL."""
    services = shared_services.started("postgres")
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield services.create_database(name)
    services.drop_database(name)


@pytest.fixture(scope="module")
def mlflow_url(shared_services: _SharedServices) -> str:
    """Return the address of a real MLflow server."""
    address = shared_services.started("mlflow").connections.mlflow_url
    assert address is not None
    return address


@pytest.fixture
def object_store(shared_services: _SharedServices, monkeypatch: pytest.MonkeyPatch) -> Services:
    """Return the group's services with an S3 server whose keys stand in the environment."""
    services = shared_services.started("object-store")
    for name, value in services.object_store_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FLYWHEEL_LAKE")
    return services


@pytest.fixture
def object_lake(object_store: Services) -> str:
    """Return the URL of an empty lake in a real S3 server."""
    return f"s3://flywheel/{uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def spark_server(shared_services: _SharedServices) -> SparkServer:
    """Return where a real Spark Connect is: one JVM of one core for all tests."""
    connections = shared_services.started("spark").connections
    assert connections.spark_url is not None
    return SparkServer(connections.spark_url, connections.spark_token)


@dataclass(frozen=True)
class LabelStudio:
    """A running Label Studio: Flywheel's token, where it sends webhooks, and how to stop it."""

    url: str
    token: str = field(repr=False)
    webhook_url: str
    webhook_secret: str = field(repr=False)
    services: Services

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of a deployment that uses it."""
        return {
            "review_queue": "label_studio",
            "label_studio_url": self.url,
            "label_studio_token": self.token,
            "webhook_url": self.webhook_url,
            "webhook_secret": self.webhook_secret,
        }


@pytest.fixture(scope="module")
def label_studio(shared_services: _SharedServices) -> LabelStudio:
    """Return the group's Label Studio: a test makes projects of its own, under its own titles."""
    services = shared_services.started("label-studio")
    found = services.connections.settings()
    return LabelStudio(
        url=found["label_studio_url"],
        token=found["label_studio_token"],
        webhook_url=found["webhook_url"],
        webhook_secret=found["webhook_secret"],
        services=services,
    )


@pytest.fixture(scope="session")
def mlflow_registry(tmp_path_factory: pytest.TempPathFactory) -> "MlflowRegistry":
    """Return a real registry on SQLite; workloads keep the tests apart."""
    from flywheel.release.registry import MlflowRegistry

    folder = tmp_path_factory.mktemp("mlflow")  # made once: 2 s
    return MlflowRegistry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")


@pytest.fixture(scope="session")
def micro_adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a trained adapter of the micro base and a weaker one, by release name."""
    from tests.fakes.micro_base import train_adapters

    return train_adapters(tmp_path_factory.mktemp("train"))


@dataclass(frozen=True)
class Vllm:
    """A running vLLM on the micro base, and the services that it is one of."""

    base: Path
    url: str
    token: str = field(repr=False)
    services: Services


@pytest.fixture(scope="module")
def vllm(shared_services: _SharedServices) -> Vllm:
    """Return the group's vLLM: a test unloads what it loaded, and starts it when it killed it."""
    from tests.fakes.vllm_plane import micro_vllm

    services = shared_services.running(micro_vllm)
    found = services.connections
    assert found.vllm_url is not None
    assert found.vllm_token is not None
    served = services.plan.applications["vllm"].command
    base = Path(served[served.index("--model") + 1])
    return Vllm(base, found.vllm_url, found.vllm_token, services)


@pytest.fixture(scope="module")
def ray_cluster(shared_services: _SharedServices) -> RayCluster:
    """Return how to reach a real Ray cluster of one head and one worker."""
    connections = shared_services.started("ray").connections
    assert connections.ray_address is not None
    return RayCluster(connections.ray_address, connections.ray_token, resource="trainer")


@pytest.fixture
def own_services() -> Iterator[Callable[..., Services]]:
    """Yield what starts services for one test alone, which may kill, stop and restart them.

    Call it with names (``own_services("kafka", brokers=3)``); see ``flywheel.services.start``.
    """
    with _starting() as begin:
        yield begin


@pytest.fixture(scope="module")
def module_services() -> Iterator[Callable[..., Services]]:
    """Yield the same for the tests of one file, each of which leaves what it hurt running."""
    with _starting() as begin:
        yield begin


@contextmanager
def _starting() -> Iterator[Callable[..., Services]]:
    started: list[Services] = []

    def begin(*names: str, **options: object) -> Services:
        try:
            services = start(load_settings(profile="embedded"), names, ephemeral=True, **options)
        except FlywheelError as error:
            _cannot_run(error)
            raise
        started.append(services)
        return services

    try:
        yield begin
    finally:
        for services in started:
            services.close()
