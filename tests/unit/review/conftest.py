"""A lake, a queue and a clock of their own for every test."""

import pytest

from flywheel.clock import ManualClock
from flywheel.lake.store import Lake
from flywheel.review.queues.local_desk import LocalAnswerDesk
from flywheel.review.queues.local_queue import LocalReviewQueue
from flywheel.review.sampling.sent_items import read_sent
from tests.fakes.review_world import END


@pytest.fixture
def clock():
    """Return a clock that stands at the end of the first week."""
    return ManualClock(END)


@pytest.fixture
def lake(tmp_path):
    """Return an empty lake."""
    opened = Lake(tmp_path / "lake")
    yield opened
    opened.close()


@pytest.fixture
def queue(tmp_path, clock):
    """Return an empty queue."""
    return LocalReviewQueue(tmp_path / "queue", clock)


@pytest.fixture
def desk(tmp_path, clock):
    """Return the desk at which the queue's items are answered."""
    return LocalAnswerDesk(tmp_path / "queue", clock)


@pytest.fixture
def reads_and_pushes(monkeypatch):
    """Record each reading of what was sent, and what a merge pushes after it."""
    reads, pushed = [], []

    def read(*arguments):
        reads.append(arguments)
        return read_sent(*arguments)

    monkeypatch.setattr("flywheel.review.merging.collect.read_sent", read)
    monkeypatch.setattr(
        "flywheel.review.merging.collect._push_unanswered",
        lambda *arguments: pushed.extend(arguments[2]),
    )
    return reads, pushed
