"""The daemon keeps its code server while nothing has changed, and no longer."""

import os
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._grpc.constants import GrpcServerCommand

from flywheel.orchestration import daemon
from flywheel.orchestration.code_server import CodeFiles
from flywheel.orchestration.daemon import LastingServers

_DEFINITIONS = """
import dagster as dg
from pathlib import Path

if Path(__file__).with_name("away").exists():
    raise ConnectionError("the database is away")
workloads = sorted(Path(__file__).with_name("workloads").glob("*.yaml"))
defs = dg.Definitions(assets=[dg.AssetSpec(path.stem) for path in workloads])
"""


@pytest.fixture
def project(tmp_path):
    """Write a code location with an asset for each workload file."""
    (tmp_path / "workloads").mkdir()
    (tmp_path / "workloads" / "parts.yaml").write_text("id: parts\n")
    (tmp_path / "definitions.py").write_text(_DEFINITIONS)
    return tmp_path


def files_of(project):
    return CodeFiles(project / "workloads", project)


def test_files_that_stay_have_not_changed(project):
    """A change is reported once."""
    files = files_of(project)
    assert not files.have_changed()
    (project / "workloads" / "parts.yaml").write_text("id: parts  # edited\n")
    assert files.have_changed()
    assert not files.have_changed()


@pytest.mark.parametrize(
    "change",
    [
        lambda project: (project / "workloads" / "added.yaml").write_text(""),
        lambda project: (project / "workloads" / "parts.yaml").unlink(),
        lambda project: os.utime(project / "workloads" / "parts.yaml", (1, 1)),
        lambda project: (project / "flywheel.toml").write_text(""),
        lambda project: (project / "definitions.py").write_text("defs = None"),
    ],
    ids=["added", "removed", "written", "settings", "code"],
)
def test_every_kind_of_change_is_seen(project, change):
    """Workload files, settings and code."""
    files = files_of(project)
    change(project)
    assert files.have_changed()


def test_a_server_lives_until_a_workload_file_is_added(project, monkeypatch):
    """The daemon's refresh reuses the process, sees an added file, and replaces a dead or old one."""
    with dg.instance_for_test(temp_dir=str(project)) as instance:
        servers = LastingServers(
            instance_ref=InstanceRef.from_dir(str(project)),
            server_command=GrpcServerCommand.API_GRPC,
            heartbeat_ttl=30,
            startup_timeout=120,
            wait_for_processes_on_shutdown=True,
        )
        servers.files = files_of(project)
        target = PythonFileTarget(
            str(project / "definitions.py"),
            attribute=None,
            working_directory=str(project),
            location_name="flywheel",
        )
        with servers, WorkspaceProcessContext(instance, target, grpc_server_registry=servers) as it:

            def refreshed():
                servers.clear_all_grpc_endpoints()
                it.refresh_workspace()
                return running()

            def running():
                [entry] = servers._active_entries.values()
                location = it.create_request_context().get_location_entry("flywheel")
                if location.load_error is not None:
                    return entry.process, None
                [repository] = location.code_location.get_repositories().values()
                assets = {node.key.to_user_string() for node in repository.asset_graph.asset_nodes}
                return entry.process, assets

            first, assets = running()
            assert assets == {"parts"}
            assert refreshed()[0] is first

            (project / "workloads" / "added.yaml").write_text("id: added\n")
            second, assets = refreshed()
            assert second is not first
            assert assets == {"parts", "added"}

            second.server_process.kill()
            second.server_process.wait()
            third, _ = refreshed()
            assert third is not second
            assert refreshed()[0] is third

            (project / "away").touch()
            (project / "workloads" / "added.yaml").unlink()
            with pytest.warns(UserWarning, match="Error loading repository location"):
                failed, assets = refreshed()
            assert assets is None
            (project / "away").unlink()
            fifth, assets = refreshed()
            assert fifth is not failed
            assert assets == {"parts"}

            monkeypatch.setattr(daemon, "_LONGEST_SECONDS", 0.0)
            assert not daemon._is_usable(next(iter(servers._active_entries.values())))


def test_a_server_that_did_not_start_is_tried_again():
    """The next refresh may find the reason gone."""
    assert not daemon._is_usable(SimpleNamespace(error="no room"))
