"""Preparing a deployment: by one process at a time, and safe to repeat."""

import pytest

from flywheel.deployment.preparation import PREPARE_LEASE, prepare_deployment
from flywheel.errors import ConcurrencyError
from flywheel.settings import Settings
from flywheel.wiring import Platform


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home")


def test_it_makes_topics_and_dagsters_storage_and_repeats(settings):
    """The second call finds the work done, and nobody holds the lease afterwards."""
    first, second = prepare_deployment(settings), prepare_deployment(settings)
    assert first == second
    assert (first.folder / "dagster.yaml").is_file()
    platform = Platform(settings)
    with platform.state.leases.hold(PREPARE_LEASE):
        assert platform.log.end_offsets("flywheel.inferences")
    platform.close()


def test_a_second_process_is_refused_meanwhile(settings):
    """Two that make Dagster's tables at the same moment break them."""
    platform = Platform(settings)
    with (
        platform.state.leases.hold(PREPARE_LEASE, "another-machine/1/1"),
        pytest.raises(ConcurrencyError, match="prepare"),
    ):
        prepare_deployment(settings)
    assert not (settings.home / "dagster").exists()
    platform.close()
