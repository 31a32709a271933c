"""A real broker of the benchmark's own, and many events in it."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from bench.events import make_events
from bench.soak.traffic import Traffic
from flywheel.errors import TransientError
from flywheel.eventlog.kafka_log import KafkaEventLog
from flywheel.events import INFERENCES_TOPIC, event_id
from flywheel.io.retry import RetryPolicy, retried
from flywheel.services import Services, start
from flywheel.settings import load_settings
from flywheel.wiring import kafka_connection
from flywheel.workload.model import Workload

__all__ = ["append_events", "kafka_settings", "open_log", "running_broker"]

_TEMPLATES = 2_000
_TOGETHER = 1_000
_UNTIL_ACKNOWLEDGED = RetryPolicy(attempts=100, pause=0.5, longest_pause=0.5)


@contextmanager
def running_broker() -> Iterator[tuple[Services, str]]:
    """Start an ephemeral broker; yield what can hurt it, and its address."""
    with start(load_settings(profile="embedded"), ["kafka"], ephemeral=True) as services:
        servers = services.connections.kafka_servers
        assert servers is not None
        yield services, servers


def kafka_settings(servers: str) -> dict[str, str]:
    """Return the settings that choose this broker."""
    return {"event_log": "kafka", "kafka_servers": servers}


def open_log(servers: str) -> KafkaEventLog:
    """Connect to a broker."""
    return KafkaEventLog(kafka_connection(load_settings(**kafka_settings(servers))))


def append_events(
    log: KafkaEventLog,
    workload: Workload,
    count: int,
    *,
    seed: int = 0,
    per_second: float | None = None,
    traffic: Traffic | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Append distinct events.

    Texts come again from a stock, so that making events does not take the processor from what is
    measured; ids and times are new.

    Args:
        log: where to.
        workload: what they are about.
        count: how many.
        seed: several producers take several.
        per_second: bound on the rate.
        traffic: when they happened and which are broken; default: all of this moment, none.
        on_progress: told how many were appended since the last time.
    """
    stock = [_template(value) for _, value in make_events(workload, _TEMPLATES, seed=seed)]
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    together = _TOGETHER if per_second is None else max(1, min(_TOGETHER, int(per_second / 20)))
    traffic = traffic or Traffic(count)
    together = traffic.together(together)
    began, done = time.monotonic(), 0
    while done < count:
        pairs = []
        now = traffic.moment(done, datetime.now(UTC))
        written = now.isoformat().encode()
        for index in range(done, min(done + together, count)):
            key = event_id(now, rng).encode()
            head, middle, tail = stock[index % _TEMPLATES]
            whole = b"".join((head, key, middle, written, tail))
            pairs.append((key, traffic.value(index, whole)))
        _append(log, pairs)
        done += len(pairs)
        on_progress(len(pairs))
        if per_second is not None:
            time.sleep(max(0.0, began + done / per_second - time.monotonic()))


def _append(log: KafkaEventLog, pairs: list[tuple[bytes, bytes]]) -> None:
    # As producers do: again until it is acknowledged, which may double what had arrived.
    retried(lambda: log.append(INFERENCES_TOPIC, pairs), _UNTIL_ACKNOWLEDGED, TransientError)


def _template(value: bytes) -> tuple[bytes, bytes, bytes]:
    # Splits an event before and after its id and its time.
    head, rest = value.split(b'"inference_id":"', 1)
    _, rest = rest.split(b'"', 1)
    middle, rest = rest.split(b'"timestamp":"', 1)
    _, tail = rest.split(b'"', 1)
    return head + b'"inference_id":"', b'"' + middle + b'"timestamp":"', b'"' + tail
