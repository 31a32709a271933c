import pytest

from flywheel.ingest.health import Health


@pytest.fixture
def moment():
    """Return a time that a test moves."""
    return [0.0]


@pytest.fixture
def health(moment):
    """Return the health of a process that has just begun."""
    return Health(failures=3, stuck_seconds=60.0, monotonic=lambda: moment[0])


def test_a_process_is_not_well_before_its_first_round(health):
    """Nobody should rely on one that has not yet joined."""
    assert health.problem() == "not started yet"
    health.mark_round()
    assert health.problem() is None


def test_repeated_failures_are_an_illness_and_a_landing_ends_it(health):
    """Two failures may happen; three in a row are told, with the last reason."""
    for _ in range(2):
        health.failed("the broker is away")
    assert health.problem() is None
    health.failed("the disk is full")
    assert health.problem() == "3 failures in a row, the last: the disk is full"
    health.mark_round()
    assert health.problem() is not None
    health.succeeded()
    assert health.problem() is None


def test_a_loop_that_stands_still_is_stuck(health, moment):
    """Without a round for a minute the process is not well, whatever it does."""
    health.mark_round()
    moment[0] = 61.0
    assert health.problem() == "stuck: no round was finished for 61 s"
    health.mark_round()
    assert health.problem() is None
