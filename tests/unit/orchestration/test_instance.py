"""Dagster's folder: storage, queue, pools, and whose edits it keeps."""

import os

import pytest
import yaml

from flywheel.errors import ConfigurationError, StorageError
from flywheel.orchestration.instance import (
    POOLS,
    dagster_programs,
    open_instance,
    prepare_dagster_home,
)
from flywheel.orchestration.step_output import StepOutput
from flywheel.settings import load_settings

URL = "postgresql+psycopg://ann:geheim%2F1@127.0.0.1:5433/dagster"


def test_an_edited_configuration_stays_and_says_how_it_differs(tmp_path):
    """Nobody's changes are overwritten; what is missing is named."""
    settings = load_settings(home=tmp_path)
    home = prepare_dagster_home(settings)
    file = home.folder / "dagster.yaml"
    edited = file.read_text().replace("max_concurrent_runs: 4", "max_concurrent_runs: 9")
    file.write_text(edited)

    again = prepare_dagster_home(settings)
    assert file.read_text() == edited
    assert "concurrency" in again.note
    assert "telemetry" not in again.note


def test_a_file_that_nobody_edited_follows_the_settings(tmp_path):
    """Moving to PostgreSQL needs no deleting of files."""
    first = prepare_dagster_home(load_settings(home=tmp_path))
    second = prepare_dagster_home(load_settings(home=tmp_path, dagster_url=URL))

    assert first.note is second.note is None
    storage = yaml.safe_load((second.folder / "dagster.yaml").read_text())["storage"]
    assert storage["custom"]["class"] == "PooledPostgresStorage"


def test_the_password_is_in_the_environment_alone(tmp_path):
    """Neither the file nor the printed value shows it, and the driver is Dagster's."""
    home = prepare_dagster_home(load_settings(home=tmp_path, dagster_url=URL))

    assert "geheim" not in (home.folder / "dagster.yaml").read_text()
    assert "geheim" not in repr(home)
    assert home.environment["FLYWHEEL_DAGSTER_URL"] == URL.replace("+psycopg", "+psycopg2")


@pytest.mark.parametrize("url", ["mysql://root@host/x", "dagster"])
def test_another_database_is_refused_without_showing_the_url(tmp_path, url):
    """The error says what to give, and not what was given: it may hold a password."""
    with pytest.raises(ConfigurationError, match="PostgreSQL") as caught:
        prepare_dagster_home(load_settings(home=tmp_path, dagster_url=url))

    assert url not in str(caught.value)


def test_pools_have_their_limits_and_a_changed_one_stays(tmp_path):
    """The limits are set on the instance, where the UI shows them."""
    home = prepare_dagster_home(load_settings(home=tmp_path))
    with open_instance(home) as instance:
        storage = instance.event_log_storage
        assert {p.name: p.limit for p in storage.get_pool_limits()} == dict(POOLS)
        storage.set_concurrency_slots("gpu", 2)
    with open_instance(home) as instance:
        limits = {p.name: p.limit for p in instance.event_log_storage.get_pool_limits()}

    assert limits == {**POOLS, "gpu": 2}


def test_dagster_takes_every_key_of_the_file(tmp_path):
    """Queue, monitoring, retries and retention are what the instance says they are."""
    with open_instance(prepare_dagster_home(load_settings(home=tmp_path))) as instance:
        output = instance.compute_log_manager
        assert isinstance(output, StepOutput)
        file = output.get_captured_local_path(["run", "compute_logs", "step"], "out")
        assert file == str(tmp_path / "dagster/storage/run/compute_logs/step.out")
        assert instance.run_coordinator.dequeue_interval_seconds == 1
        assert instance.run_monitoring_enabled
        assert instance.run_launcher.supports_check_run_worker_health
        assert instance.run_retries_max_retries == 2
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert not instance.telemetry_enabled


def test_the_programs_run_in_this_interpreter(tmp_path):
    """Webserver and daemon are asked for by name, with an absolute workspace."""
    programs = dagster_programs(tmp_path / "workspace.yaml", port=3001)

    assert set(programs) == {"dagster-webserver", "dagster-daemon"}
    for command in programs.values():
        assert os.access(command[0], os.X_OK)
        assert str(tmp_path / "workspace.yaml") in command


@pytest.mark.services
def test_the_storages_address_is_no_setting_afterwards(tmp_path, postgres_url, monkeypatch):
    """What a process starts later does not find another deployment's database in its variables."""
    monkeypatch.delenv("FLYWHEEL_DAGSTER_URL", raising=False)
    home = prepare_dagster_home(load_settings(home=tmp_path, dagster_url=postgres_url))
    with open_instance(home) as instance:
        assert instance.event_log_storage.get_concurrency_keys() >= {"gpu"}
        assert "FLYWHEEL_DAGSTER_URL" in os.environ
    assert "FLYWHEEL_DAGSTER_URL" not in os.environ


def test_storage_that_may_not_be_written_is_an_error_that_says_so(tmp_path, monkeypatch):
    """Not the traceback of a library that tries to make its tables."""
    home = prepare_dagster_home(load_settings(home=tmp_path))
    monkeypatch.setattr("flywheel.orchestration.instance.can_write", lambda _: False)
    with pytest.raises(StorageError, match="may not be written"), open_instance(home):
        pass
