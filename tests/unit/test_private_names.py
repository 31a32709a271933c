"""The private names of other libraries that the code uses are there, in the shape that it uses.

docs/decisions/private-names.md lists them, with what each is for.
"""

import importlib.util
import inspect
import re
from pathlib import Path


def test_kafka_consumer_joins_in_the_replaced_coroutine():
    """The consumer's coordinator schedules the method that is replaced on the instance."""
    from kafka import KafkaConsumer
    from kafka.coordinator.base import BaseCoordinator, Generation

    assert inspect.iscoroutinefunction(BaseCoordinator._do_join_and_sync_async)
    assert list(inspect.signature(BaseCoordinator._do_join_and_sync_async).parameters) == ["self"]
    # Looked up on the instance each time, so that a replacement there takes effect.
    assert "self._do_join_and_sync_async)" in inspect.getsource(BaseCoordinator)
    assert "self._coordinator = ConsumerCoordinator(" in inspect.getsource(KafkaConsumer)
    # The client drops a join that it no longer needs, and a membership that has ended.
    assert "while self.need_rejoin():" in inspect.getsource(BaseCoordinator.join_group_async)
    assert "self._generation = " in inspect.getsource(BaseCoordinator.reset_generation)
    assert Generation.NO_GENERATION.is_lost()


def test_kafka_producer_can_be_abandoned():
    """A producer has a sender to close by force, and a flag that its destructor reads."""
    from kafka import KafkaProducer
    from kafka.producer.sender import Sender

    assert callable(Sender.force_close)
    source = inspect.getsource(KafkaProducer)
    assert "self._sender = Sender(" in source
    assert "self._closed = False" in source
    assert "_closed" in inspect.getsource(KafkaProducer.close)


def test_kafka_admin_asks_one_broker():
    """The admin client's manager sends a request to one node and runs a coroutine function."""
    from kafka import KafkaAdminClient
    from kafka.net.manager import KafkaConnectionManager

    assert "self._manager = " in inspect.getsource(KafkaAdminClient)
    assert {"request", "node_id"} <= set(inspect.signature(KafkaConnectionManager.send).parameters)
    assert list(inspect.signature(KafkaConnectionManager.run).parameters)[:2] == ["self", "coro"]


def test_label_studio_sdk_lends_its_connection():
    """The SDK's client answers `request`, and its own connections can be closed."""
    from label_studio_sdk import LabelStudio

    client = LabelStudio(base_url="http://127.0.0.1:1", api_key="x")
    http = client._client_wrapper.httpx_client

    assert {"path", "method", "json", "params"} <= set(inspect.signature(http.request).parameters)
    http.httpx_client.close()


def test_ray_node_has_the_replaced_functions():
    """Ray's start-up calls the functions that are replaced, through their modules."""
    from ray._private import services
    from ray._private.node import Node

    assert list(inspect.signature(services.get_node_ip_address).parameters) == ["address"]
    assert not inspect.signature(services.find_gcs_addresses).parameters
    assert list(inspect.signature(Node.start_ray_client_server).parameters) == ["self"]


def test_dagster_has_the_launcher_and_the_daemon_module():
    """The launcher's base class asks about a worker, and the daemon runs as a module."""
    from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus

    assert isinstance(DefaultRunLauncher.supports_check_run_worker_health, property)
    assert callable(DefaultRunLauncher.check_run_worker_health)
    assert {"FAILED", "RUNNING"} <= {status.name for status in WorkerStatus}
    assert "status" in inspect.signature(CheckRunHealthResult).parameters
    assert importlib.util.find_spec("dagster._daemon.__main__")


def test_dagster_asks_its_registry_whether_a_server_is_due():
    """The daemon builds the registry that is replaced, and clears it before each refresh."""
    from dagster._core.remote_representation.grpc_server_registry import (
        GrpcServerRegistry,
        ServerRegistryEntry,
    )
    from dagster._daemon import controller
    from dagster._daemon.cli import main

    made = inspect.getsource(controller.create_daemon_grpc_server_registry)
    refresh = inspect.getsource(controller.DagsterDaemonController.check_workspace_freshness)
    assert "return GrpcServerRegistry(" in made
    assert refresh.index("clear_all_grpc_endpoints()") < refresh.index("refresh_workspace()")
    assert "self._active_entries.clear()" in inspect.getsource(
        GrpcServerRegistry.clear_all_grpc_endpoints
    )
    assert {"process", "creation_timestamp"} <= set(ServerRegistryEntry._fields)
    assert callable(main)


def test_dagster_storages_have_an_engine():
    """Each of the three storages makes the engine that is replaced and asks no other."""
    from dagster_postgres import (
        DagsterPostgresStorage,
        PostgresEventLogStorage,
        PostgresRunStorage,
        PostgresScheduleStorage,
    )

    whole = inspect.getsource(DagsterPostgresStorage)
    for name in ("_run_storage", "_event_log_storage", "_schedule_storage"):
        assert f"self.{name} = " in whole
    for storage in (PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage):
        source = inspect.getsource(storage)
        assert "self._engine = create_pg_engine(" in source
        assert "create_pg_connection(self._engine)" in source


def test_dagster_event_files_are_opened_in_one_place():
    """Each query of the events goes through the method that is replaced."""
    from dagster._core.storage.event_log import SqliteEventLogStorage

    assert list(inspect.signature(SqliteEventLogStorage._connect).parameters) == ["self", "shard"]
    source = inspect.getsource(SqliteEventLogStorage)
    for part in ("self._initdb(engine)", "self._initialized_dbs.add(shard)", "with self._db_lock:"):
        assert part in source
    for connection in ("run_connection", "index_connection"):
        method = inspect.getsource(getattr(SqliteEventLogStorage, connection))
        assert "self._connect(" in method


def test_dagster_sqlite_storage_is_made_of_five_attributes():
    """What its constructor sets is set by the class that takes its place, and nothing else."""
    from dagster._core.storage.sqlite_storage import DagsterSqliteStorage

    source = inspect.getsource(DagsterSqliteStorage.__init__)
    assert set(re.findall(r"self\.(\w+) =", source)) == {
        "base_dir", "_inst_data", "_run_storage", "_event_log_storage", "_schedule_storage",
    }  # fmt: skip


def test_dagster_keeps_the_output_of_steps_in_files_that_a_manager_names():
    """What a step prints is redirected to a file named by key and kind."""
    from dagster._core.execution.compute_logs import redirect_to_file
    from dagster._core.storage.compute_log_manager import ComputeIOType
    from dagster._core.storage.local_compute_log_manager import (
        IO_TYPE_EXTENSION,
        LocalComputeLogManager,
    )

    assert set(IO_TYPE_EXTENSION) == {ComputeIOType.STDOUT, ComputeIOType.STDERR}
    assert list(inspect.signature(redirect_to_file).parameters) == ["stream", "filepath"]
    source = inspect.getsource(LocalComputeLogManager.capture_logs)
    assert "self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[" in source
    assert "touch_file(self.complete_artifact_path(log_key))" in source


def test_dagster_starts_runs_in_the_context_that_is_replaced():
    """The code server looks its context up for each run, and its constructor may set it still."""
    from dagster._grpc.server import DagsterApiServer

    constructor = inspect.getsource(DagsterApiServer.__init__)
    assert 'self._mp_ctx = multiprocessing.get_context("spawn")' in constructor
    assert "self._mp_ctx.Process(" in inspect.getsource(DagsterApiServer.StartRun)
    assert "_mp_ctx" not in inspect.getsource(DagsterApiServer).replace(constructor, "").replace(
        inspect.getsource(DagsterApiServer.StartRun), ""
    )


def test_duckdb_runs_a_statement_to_arrow():
    """The call that the relation of a query ends in takes a statement, values, a format and a size."""
    from duckdb import DuckDBPyConnection, DuckDBPyRelation, _seam

    assert "con._submit(sql, values, format, batch_size)" in inspect.getsource(_seam.submit)
    assert '_submit("arrow", ' in inspect.getsource(DuckDBPyRelation.to_arrow_table)
    assert "_submit(self, sql: str, values: object | None" in DuckDBPyConnection._submit.__doc__


def test_mlflow_starts_uvicorn_in_the_function_that_is_replaced():
    """Its command line gives the command and the variables, and MLflow tells a server by uvicorn."""
    # Read and not imported: MLflow's server uses what SQLAlchemy warns of.
    spec = importlib.util.find_spec("mlflow.server")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()

    assert "from mlflow.utils.process import _exec_cmd\n" in source
    assert "server_proc = _exec_cmd(\n        full_command,\n        extra_env=env_map," in source
    assert '"-m",\n        "uvicorn",\n        *opts,' in source
    assert 'or "uvicorn" in sys.modules' in source


def test_every_private_name_is_listed(repository):
    """Code that reaches into a library is on the page of the decision."""
    page = (repository / "docs/decisions/private-names.md").read_text()
    names = set()
    for path in (
        file for folder in ("flywheel", "assets") for file in (repository / folder).rglob("*.py")
    ):
        source = path.read_text()
        lines = [line for line in source.splitlines() if "SLF001" in line]
        names |= set(re.findall(r"(?<!self)\.(_[a-z]\w+)", "\n".join(lines)))
        names |= set(re.findall(r"(?:from|import) ([a-z_]+(?:\.\w+)*\._[a-z]\w*)", source))

    assert {"_coordinator", "_client_wrapper", "ray._private"} <= names
    assert [name for name in sorted(names) if name not in page] == []
