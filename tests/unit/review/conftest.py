"""A lake, a queue and a clock of their own for every test."""

import pytest

from flywheel.clock import ManualClock
from flywheel.lake.store import Lake
from flywheel.review.merging.merge import merge_annotations
from flywheel.review.queues.local_desk import LocalAnswerDesk
from flywheel.review.queues.local_queue import LocalReviewQueue
from tests.fakes.remembered_vectors import remembering_encoder
from tests.fakes.review_world import END


@pytest.fixture
def vectors_taken_once(monkeypatch):
    """Take the vector of each text once in a process."""
    monkeypatch.setattr("flywheel.similarity.sentence_vectors._encoder", remembering_encoder)


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
def merge_reads(monkeypatch):
    """Record the ids of the items that a merge reads to work them out again, call by call."""
    reads = []

    def record(workload, sent, *rest):
        reads.append({entry.item.item_id for entry in sent})
        return merge_annotations(workload, sent, *rest)

    monkeypatch.setattr("flywheel.review.merging.collect.merge_annotations", record)
    return reads


@pytest.fixture
def pushes(monkeypatch, queue):
    """Record the items of each push."""
    pushed = []
    push = queue.push
    monkeypatch.setattr(
        queue, "push", lambda workload, items: pushed.append(list(items)) or push(workload, items)
    )
    return pushed
