"""A topic is looked for before it is made, and made in one place."""

from pathlib import Path

import pytest

from flywheel.clock import SystemClock
from flywheel.errors import ConfigurationError
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.events import INFERENCES_TOPIC, TOPIC_PARTITIONS
from flywheel.ingest.reader import TopicReader
from flywheel.lake.store import Lake
from flywheel.ports.topics import ensure_topic

ROOT = Path(__file__).parents[3]


class WithoutRight:
    """A log whose user may read and write topics, and create none."""

    def __init__(self, log) -> None:
        self._log = log

    def __getattr__(self, name) -> object:
        return getattr(self._log, name)

    def create_topic(self, name, **_settings):
        """Refuse, as a broker does."""
        raise ConfigurationError(f"not authorized to create {name}", next_step="ask")


@pytest.fixture
def log(tmp_path):
    opened = SqliteEventLog(tmp_path / "log.db", SystemClock())
    yield opened
    opened.close()


def test_a_missing_topic_is_made_and_one_that_is_there_stays(log):
    """Its partitions are not changed."""
    assert ensure_topic(log, "new").partitions == TOPIC_PARTITIONS
    assert ensure_topic(log, "small", partitions=1).partitions == 1
    assert ensure_topic(log, "small") == log.topic("small")


def test_ingest_reads_a_topic_that_it_may_not_create(log, tmp_path):
    """A Kafka user for reading alone needs no right to create."""
    with pytest.raises(ConfigurationError, match="not authorized"):
        ensure_topic(WithoutRight(log), INFERENCES_TOPIC)
    log.create_topic(INFERENCES_TOPIC, partitions=1)
    lake = Lake(tmp_path / "lake")
    reader = TopicReader(WithoutRight(log), lake, INFERENCES_TOPIC, "group")
    reader.close()
    lake.close()


def test_no_other_module_creates_topics():
    """The adapters do it when they are asked, and `flywheel topics apply` with its settings."""
    modules = {
        path.relative_to(ROOT).as_posix()
        for folder in ("flywheel", "assets", "sensors", "demo", "loop")
        for path in (ROOT / folder).rglob("*.py")
        if ".create_topic(" in path.read_text(encoding="utf-8")
    }
    assert modules == {"flywheel/ports/topics.py", "flywheel/eventlog/topics.py"}
