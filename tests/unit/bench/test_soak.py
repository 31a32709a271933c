"""What a soak sends and counts, without brokers."""

import json
from datetime import UTC, datetime, timedelta

from bench.broker import append_events
from bench.events import make_workload
from bench.soak.__main__ import Report, options_from
from bench.soak.run import LoadOptions, kills
from bench.soak.traffic import Traffic
from flywheel.events import EventContract, decode_inferences

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class _Log:
    def __init__(self) -> None:
        self.records = []

    def append(self, _, pairs):
        self.records += pairs


def test_what_is_broken_is_counted_as_it_is_sent():
    """Every tenth is a dead letter, and the others are events of their own."""
    workload, log, traffic = make_workload(), _Log(), Traffic(105, days=3, broken_every=10)
    append_events(log, workload, 105, traffic=traffic)
    decoded = decode_inferences([value for _, value in log.records], EventContract([workload]))
    assert len(log.records) == 105
    assert len(decoded.rejections) == traffic.broken == 11
    assert len({event.inference_id for event in decoded.events}) == 94


def test_events_are_of_the_whole_days_before():
    """Each day gets its part, today none."""
    traffic = Traffic(1_000, days=4)
    days = [traffic.moment(index, _NOW).date() for index in range(1_000)]
    begin = _NOW.date() - timedelta(days=4)
    assert [days.count(begin + timedelta(days=n)) for n in range(5)] == [250, 250, 250, 250, 0]
    assert traffic.together(1_000) * 4 <= 250
    assert Traffic(1_000).moment(7, _NOW) == _NOW


def test_the_producers_send_the_whole():
    """What does not divide evenly is sent by the first ones."""
    options = LoadOptions(10, 1, 3, producers=3, processes=1, linger_seconds=1.0, minutes=1.0)
    assert [each.count for each in options.traffic] == [4, 3, 3]
    assert sum(each.broken for each in options.traffic) == 2 + 1 + 1


def test_every_part_is_killed_in_order():
    """Each broker, the store and ingest; without a store, the others."""
    planned = kills(3, on_disk=False)
    assert planned == sorted(planned, key=lambda one: one[0])
    names = {"kafka-1", "kafka-2", "kafka-3", "ingest"}
    assert {what for _, what in planned} == names | {"object-store"}
    assert {what for _, what in kills(1, on_disk=True)} == {"kafka", "ingest"}


def test_the_report_is_whole_after_each_part(tmp_path):
    """A soak that fails in its daily work has kept what its load took."""
    out = tmp_path / "figures.json"
    report = Report(out)
    report.add("load", {"seconds": 1.5})
    assert json.loads(out.read_text()) == {"load": {"seconds": 1.5}}
    report.add("daily", [])
    assert json.loads(out.read_text()) == {"load": {"seconds": 1.5}, "daily": []}


def test_a_soak_is_a_million_events_unless_said():
    """Of three brokers, and forty minutes at most."""
    options = options_from([])
    assert (options.events, options.brokers, options.minutes) == (1_000_000, 3, 40.0)
    assert options_from(["--events", "10000000"]).events == 10_000_000
